//! Columns whose names are nearly those of fields: those that differ in case feed them, for others the message says what to give.

use tamis_event::Schema;
use tamis_source::convert::{self, ConvertError, ConvertReport, Ids, Options};

use crate::convert::{Frames, converted};

const MAGIC: &str = "length width pt:2 event truth.class";

/// A schema of scalars and arrays (`pt:2`) of u8; what begins with `truth.` is truth.
fn schema(fields: &str) -> Schema {
    let field = |field: &str| {
        let (name, len) = field.split_once(':').unwrap_or((field, ""));
        let len = if len.is_empty() { String::new() } else { format!("len = {len}\n") };
        let role = if name.starts_with("truth.") { "truth" } else { "data" };
        format!("[[field]]\nname = '{name}'\ndtype = 'u8'\nrole = '{role}'\n{len}")
    };
    let fields: String = fields.split(' ').map(field).collect();
    Schema::parse(format!("name = 's'\n{fields}").as_bytes()).unwrap()
}

fn convert(fields: &str, table: &str, options: &Options) -> Result<(ConvertReport, Frames), ConvertError> {
    let schema = schema(fields);
    converted(&schema, |writer| convert::table(table.as_bytes(), "t.csv", &schema, options, writer))
}

fn map(pairs: &[(&str, &str)]) -> Options {
    Options { map: pairs.iter().map(|&(a, b)| (a.into(), b.into())).collect(), ..Options::default() }
}

#[test]
fn a_column_feeds_the_field_of_its_name_in_any_case() {
    let record = |fields: &str, table: &str, options: &Options| {
        let (report, frames) = convert(fields, table, options).unwrap_or_else(|error| panic!("{error}"));
        (frames[0].1, frames[0].3[0].clone(), report.ignored)
    };
    let none = Options::default();
    let fed = record(MAGIC, "Width,LENGTH,Pt[1],PT[0],Event,Truth.Class\n2,1,4,3,5,6\n", &none);
    assert_eq!(fed, (0, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![]));
    // The exact name wins, and so does what is mapped.
    assert_eq!(record("a", "A,a\n1,2\n", &none), (0, vec![2.0], vec!["A".into()]));
    assert_eq!(record("a", "A,b\n1,2\n", &map(&[("b", "a")])), (0, vec![2.0], vec!["A".into()]));
    assert_eq!(record("a b", "A,b\n1,2\n", &map(&[("A", "b"), ("b", "a")])), (0, vec![2.0, 1.0], vec![]));
    // A column of the name of an array feeds none of it.
    assert_eq!(record("pt:2", "PT,pt[0],pt[1]\n9,1,2\n", &none), (0, vec![1.0, 2.0], vec!["PT".into()]));
    assert_eq!(record("pt:1", "PT\n9\n", &none), (0, vec![9.0], vec![]));
    // A column of event ids is one as long as no field needs it.
    assert_eq!(record("a", "A,EVENT\n1,7\n", &none), (7, vec![1.0], vec![]));
    assert_eq!(record("a event", "A,EVENT,event\n1,7,2\n", &none), (7, vec![1.0, 2.0], vec![]));
    assert_eq!(record("a event", "A,EVENT,n\n1,7,2\n", &map(&[("n", "event")])), (7, vec![1.0, 2.0], vec![]));
    let ignore = Options { ids: Some(Ids::Ignore), ..Options::default() };
    assert_eq!(record("a run", "A,Run\n1,7\n", &ignore), (0, vec![1.0, 7.0], vec![]));
}

#[test]
fn what_is_not_fed_names_the_options_that_would_do_it() {
    let told = |fields: &str, header: &str, options: &Options| {
        let told = convert(fields, &format!("{header}\n"), options).unwrap_err().to_string();
        told.split_once("; rename columns or ").unwrap().1.to_owned()
    };
    let none = "map them (--map COLUMN=FIELD)";
    let label = "; --label-column COLUMN names the column of 'truth.class'";
    #[rustfmt::skip]
    let table = [
        // Two columns that differ in case only: neither is meant more than the other.
        ("length", "Length,LENGTH", none.to_owned()),
        ("pt:2", "pt_0,pt_1", "map them: --map 'pt_0=pt[0]' --map 'pt_1=pt[1]'".into()),
        ("pt:2", "pt.1,PT0", "map them: --map 'PT0=pt[0]' --map 'pt.1=pt[1]'".into()),
        ("mu.pt:3 met", "mu_pt_1,mu_pt[1],met", none.into()),
        ("mu.pt met", "mu_pt,M E T", "map them: --map mu_pt=mu.pt --map 'M E T=met'".into()),
        // Counted from 1.
        ("pt:2", "pt1,pt2,pt3", "map them: --map 'pt1=pt[0]' --map 'pt2=pt[1]'".into()),
        ("pt:2", "pt[0],pt1,pt2", "map them: --map 'pt1=pt[1]'".into()),
        ("pt:3", "pt1,pt2", none.into()),
        ("pt:3", "pt0,pt2", "map them: --map 'pt0=pt[0]' --map 'pt2=pt[2]'".into()),
        // What fits two fields is no guess, and what is used is not used twice.
        ("pt1 pt:2", "pt_1,pt_0", "map them: --map 'pt_0=pt[0]'".into()),
        ("x", "'x'", none.into()),
        ("a_b c", "a'b,a.b,c", "map them: --map a.b=a_b".into()),
        (MAGIC, "Length,Width,fConc", format!("{none}{label}")),
        (MAGIC, "Length,Width,truth_class,event", "map them: --map truth_class=truth.class".into()),
        ("a truth.x truth.y", "a", none.into()),
    ];
    for (fields, header, remedy) in table {
        assert_eq!(told(fields, header, &Options::default()), remedy, "{fields} from {header}");
    }
    let told_of_mapped = told("pt:2", "pt_0,pt_1", &map(&[("pt_0", "pt[1]")]));
    assert_eq!(told_of_mapped, none);
    let quoted = told("it_s", "it-s,o'it_s", &Options { event_column: Some("it-s".into()), ..map(&[]) });
    assert_eq!(quoted, none);
    let many: String = (0..150).map(|k| format!("x_{k},")).collect();
    let told = told("x:150", &many, &Options::default());
    assert!(told.ends_with(" --map 'x_99=x[99]' and 50 more"), "{told}");
}

/// What the message says is what converts.
#[test]
fn the_options_of_the_message_convert_the_table() {
    let table = "it's,PT_1,pt.0\n1,2,3\n";
    let told = convert("its pt:2", table, &Options::default()).unwrap_err().to_string();
    assert!(told.contains("map them: --map 'pt.0=pt[0]' --map 'PT_1=pt[1]'"), "{told}");
    let options = map(&[("pt.0", "pt[0]"), ("PT_1", "pt[1]"), ("it's", "its")]);
    let (_, frames) = convert("its pt:2", table, &options).unwrap();
    assert_eq!(frames[0].3[0], [1.0, 3.0, 2.0]);
}
