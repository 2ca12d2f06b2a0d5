//! A schema with every type, menus for it, and helpers that run one line over single events.

use std::sync::{Arc, LazyLock};

use tamis_event::{Block, Schema, ScoreTable, Span};
use tamis_menu::{CompiledMenu, Decider, Menu, MenuErrors};

/// Every type, scales of both signs, offsets, lists; all arrays of fixed length have 3 elements, so that they can be combined.
pub const SCHEMA: &str = r#"
name = "all"
field = [
    { name = "a.u8", dtype = "u8", scale = 0.5 },
    { name = "b.i8", dtype = "i8", len = 3, scale = -0.25, offset = 1.0 },
    { name = "c.u16", dtype = "u16", len = 3 },
    { name = "d.i16", dtype = "i16", len = 3, scale = 0.0435 },
    { name = "e.u32", dtype = "u32", scale = 0.1 },
    { name = "f.i32", dtype = "i32", scale = 1e-3, offset = -7.5 },
    { name = "g.f16", dtype = "f16", len = 3 },
    { name = "h.f32", dtype = "f32", scale = 2.0 },
    { name = "i.f32", dtype = "f32", len = 3 },
    { name = "j.i16", dtype = "i16", len = 3, scale = 0.1 },
    { name = "k.u8", dtype = "u8", scale = 0.01, offset = 0.5 },
    { name = "l.i16", dtype = "i16", scale = 0.04363323129985824 },
    { name = "n.u64", dtype = "u64" },
    { name = "o.i64", dtype = "i64", len = 3 },
    { name = "p.f64", dtype = "f64", len = 3 },
    { name = "q.i64", dtype = "i64", scale = -0.1, offset = 2.5 },
    { name = "r.u64", dtype = "u64", scale = 1e-9 },
    { name = "s.f64", dtype = "f64", scale = 2.0 },
    { name = "t.u8", dtype = "u8", len = "0..5", scale = 0.5 },
    { name = "t.f32", dtype = "f32", len = "0..5" },
    { name = "t.i16", dtype = "i16", len = "0..5", scale = -0.1, offset = 2.5 },
    { name = "t.i64", dtype = "i64", len = "0..5" },
    { name = "u", dtype = "f16", len = "0..2" },
    { name = "v.u64", dtype = "u64", len = "0..2" },
    { name = "v.i64", dtype = "i64", len = "0..2", scale = -0.1, offset = 2.5 },
    { name = "v.f64", dtype = "f64", len = "0..2" },
]
payload = { doc = "raw data" }
"#;
pub const SCORES: [&str; 2] = ["m.one", "m.two"];
pub const RUN: u32 = 321_123;

pub fn schema() -> &'static Schema {
    static PARSED: LazyLock<Schema> = LazyLock::new(|| Schema::parse(SCHEMA.as_bytes()).unwrap());
    &PARSED
}

pub fn compile(conditions: &[(String, u64)]) -> Arc<CompiledMenu> {
    Arc::new(compiled(conditions).unwrap_or_else(|error| panic!("{error}")))
}

pub fn compiled(conditions: &[(String, u64)]) -> Result<CompiledMenu, MenuErrors> {
    let mut text = String::from("name = 'test'\n[[stream]]\nname = 'even'\n[[stream]]\nname = 'third'\n");
    for (line, (when, prescale)) in conditions.iter().enumerate() {
        let streams = if line % 3 == 0 { "['third', 'even']" } else { "['even']" };
        text += &format!(
            "[[line]]\nname = 'line-{line}'\nwhen = '{when}'\nprescale = {prescale}\nstreams = {streams}\n"
        );
    }
    Menu::parse(&text, "test.toml")?.compile(schema(), &SCORES.map(String::from))
}

pub fn bit(bits: &[u64], index: usize) -> bool {
    bits[index / 64] >> (index % 64) & 1 == 1
}

/// Decides `records`, one event each, with one cut.
pub fn passes(schema: &str, when: &str, records: &[Vec<u8>]) -> Vec<bool> {
    let events = records.len();
    let decider = decided(schema, when, records);
    assert!(decider.undecided().iter().all(|&word| word == 0), "{when} is not decided");
    (0..events).map(|event| bit(decider.passed(0), event)).collect()
}

/// Like [`passes`], with `None` for an event that is not decided.
pub fn verdicts(schema: &str, when: &str, records: &[Vec<u8>]) -> Vec<Option<bool>> {
    let decider = decided(schema, when, records);
    let verdict = |event| (!bit(decider.undecided(), event)).then(|| bit(decider.passed(0), event));
    (0..records.len()).map(verdict).collect()
}

pub fn decided(schema: &str, when: &str, records: &[Vec<u8>]) -> Decider {
    let schema = Schema::parse(schema.as_bytes()).unwrap();
    let text =
        format!("name = 't'\n[[stream]]\nname = 's'\n[[line]]\nname = 'l'\nstreams = ['s']\nwhen = '{when}'");
    let menu = Menu::parse(&text, "t.toml").unwrap_or_else(|error| panic!("{error}"));
    let menu = menu.compile(&schema, &[]).unwrap_or_else(|error| panic!("{error}"));
    let mut block = Block::new(schema.record_len());
    block.reset(1, 1);
    let events = records.len();
    let bytes = records.concat().into();
    block.push(Span::of_records(0, 0, 0, schema.record_len(), bytes));
    let mut decider = Decider::new(Arc::new(menu), events);
    decider.decide(&block, &ScoreTable::new(0, 0), &vec![0; events.div_ceil(64)]);
    decider
}

/// The operator, the operator with its sides swapped, and its meaning.
pub type Comparison = (&'static str, &'static str, fn(&f64, &f64) -> bool);

pub const COMPARISONS: [Comparison; 6] = [
    ("<", ">", f64::lt),
    ("<=", ">=", f64::le),
    (">", "<", f64::gt),
    (">=", "<=", f64::ge),
    ("==", "==", f64::eq),
    ("!=", "!=", f64::ne),
];
