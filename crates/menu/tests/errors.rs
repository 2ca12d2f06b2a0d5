//! The messages for wrong menus: exact words and exact place. These tables specify the messages.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use tamis_event::Schema;
use tamis_menu::{Menu, MenuErrors, Mistake, MistakeKind, limits};

const SCHEMA: &str = r#"
name = "l1"
field = [
    { name = "met.pt", dtype = "i16" },
    { name = "muons.pt", dtype = "i16", len = 4 },
    { name = "jets.pt", dtype = "i16", len = 10 },
    { name = "both.x", dtype = "u8" },
    { name = "truth.label", dtype = "u8", role = "truth" },
]
"#;

/// Stands for `LINE` in [`FILES`]; five lines.
const LINE: &str = "name = 'l1'\n[[stream]]\nname = 'physics'\n[[line]]\nname = 'a'\n";
/// Stands for `HEAD`; six lines.
const HEAD: &str = "LINEstreams = ['physics']\n";

fn expand(text: &str) -> String {
    text.replace("HEAD", HEAD).replace("LINE", LINE)
}

/// The one mistake.
fn error_of(text: &str) -> Mistake {
    let errors = errors_of(text);
    assert_eq!(errors.all().len(), 1, "{errors}");
    errors.all()[0].clone()
}

fn errors_of(text: &str) -> MenuErrors {
    let schema = Schema::parse(SCHEMA.as_bytes()).unwrap();
    let scores = ["anomaly.score", "both.x"].map(String::from);
    let menu = Menu::parse(text, "m.toml").map_err(|errors| errors.with_schema(&schema));
    let compiled = menu.and_then(|menu| menu.compile(&schema, &scores));
    compiled.err().unwrap_or_else(|| panic!("no error in {text}"))
}

/// A menu whose only line has the condition `when`, a TOML string on line 7.
fn with_condition(when: &str) -> String {
    expand(&format!("HEADwhen = {when}"))
}

/// Expression, column in it from 1, message.
#[rustfmt::skip]
const EXPRESSIONS: &[(&str, usize, &str)] = &[
    ("muons.ptt > 3", 1, "no field 'muons.ptt' in schema 'l1'; did you mean 'muons.pt'?"),
    ("met.pt > 3 && anomaly.scor > 2", 15, "no score 'anomaly.scor'; model 'anomaly' gives anomaly.score"),
    ("xyz > 3", 1, "no field 'xyz' in schema 'l1'"),
    ("muons.pt > 22", 1, "'muons.pt' is an array of 4 elements where one condition is needed; use muons.pt[0], max(muons.pt) or count(muons.pt > ...)"),
    ("met.pt > 1 && jets.pt > 30", 15, "'jets.pt' is an array of 10 elements where one condition is needed; use jets.pt[0], max(jets.pt) or count(jets.pt > ...)"),
    ("muons.pt[4] > 1", 1, "'muons.pt' has 4 elements, 0 to 3"),
    ("met.pt[0] > 1", 1, "'met.pt' is one number; leave the index out"),
    ("anomaly.score[0] > 1", 1, "'anomaly.score' is a score, one number; leave the index out"),
    ("truth.label == 1", 1, "'truth.label' is simulation truth; a menu that reads it would cheat"),
    ("met.pt", 1, "a line needs a condition, this is a number; compare it, for example with > 0"),
    ("jets.pt", 1, "'jets.pt' is an array of 10 elements where one condition is needed; use jets.pt[0], max(jets.pt) or count(jets.pt > ...)"),
    ("!met.pt > 3", 1, "'!' needs a condition, this is a number; write !( ... )"),
    ("met.pt && met.pt > 1", 8, "'&&' needs conditions on both sides, one is a number"),
    ("-(met.pt > 1) > 0", 1, "'-' needs a number, this is a condition"),
    ("count(jets.pt) > 1", 1, "count takes a condition on an array, for example count(jets.pt > 30), this is an array of 10 numbers"),
    ("count(met.pt > 1) > 1", 1, "count takes a condition on an array, for example count(jets.pt > 30), this is a condition"),
    ("sum(met.pt) > 1", 1, "sum takes an array of numbers, this is a number"),
    ("abs(met.pt > 1)", 1, "abs takes a number or an array of numbers, this is a condition"),
    ("max(met.pt) > 1", 1, "max takes an array of numbers, or several numbers, this is a number"),
    ("max(met.pt, jets.pt) > 1", 13, "'jets.pt' is an array of 10 elements where one number is needed; use jets.pt[0], max(jets.pt) or count(jets.pt > ...)"),
    ("min(1, 2 > 1) > 0", 1, "min takes numbers, one of these is a condition"),
    ("count(jets.pt > muons.pt) > 0", 15, "'jets.pt' has 10 elements and 'muons.pt' has 4; they must be equal"),
    ("both.x > 1", 1, "'both.x' is both a field and a score; give the model another name"),
    ("", 1, "expected a number, a field, a score, a function or '(', found nothing"),
    ("met.pt >", 9, "expected a number, a field, a score, a function or '(', found the end"),
    ("met.pt > 1 2", 12, "expected an operator or the end, found '2'"),
    ("1 < met.pt < 3", 12, "comparisons cannot be chained; write a < b && b < c"),
    ("(met.pt > 1", 1, "')' is missing for this one"),
    ("met.pt > 1)", 11, "expected an operator or the end, found ')'"),
    ("met.pt = 1", 8, "'=' means nothing here; write '=='"),
    ("met.pt > 1 & met.pt < 3", 12, "'&' means nothing here; write '&&'"),
    ("met.pt > 1 and met.pt < 3", 12, "expected an operator or the end, found 'and'; write '&&'"),
    ("muons.pt[x] > 1", 10, "an index is a whole number, as in muons.pt[0], not 'x'"),
    ("muons.pt[0 > 1", 12, "expected ']', found '>'"),
    ("muons.pt[1.5] > 1", 10, "an index is a whole number, as in muons.pt[0], not '1.5'"),
    ("abs(1, 2) > 1", 1, "abs takes one argument, not 2"),
    ("abs() > 1", 5, "expected a number, a field, a score, a function or '(', found ')'"),
    ("sqrt(met.pt) > 1", 1, "no function 'sqrt'; functions are abs, min, max, sum, count"),
    ("maxx(jets.pt) > 1", 1, "no function 'maxx'; did you mean 'max'?"),
    ("met.pt > 1e999", 10, "'1e999' is too large a number"),
    (".5 < met.pt", 1, "'.' means nothing here; a number starts with a digit: 0.5"),
    ("met.pt > 22GeV", 12, "expected an operator or the end, found 'GeV'; if it is a unit leave it out: a number has that of its field in the schema"),
    ("(met.pt > 22 deg)", 14, "expected ')', found 'deg'; if it is a unit leave it out: a number has that of its field in the schema"),
    ("met.pt > 22 and met.pt < 3", 13, "expected an operator or the end, found 'and'; write '&&'"),
    ("met.pt GeV > 22", 8, "expected an operator or the end, found 'GeV'"),
    ("anomaly > 0.9", 1, "'anomaly' is a model; name one of its scores: anomaly.score"),
    ("topo.x > 0.9", 1, "no field 'topo.x' in schema 'l1', and no [[model]] is called 'topo'"),
    ("met.pt > NaN", 10, "there is no number 'NaN': leave the comparison out, since an event with a field that is NaN goes to the error stream by itself"),
    ("met.pt < -inf", 11, "there is no number 'inf': compare with the largest finite one, 3.4028235e38 of an f32 and 65504 of an f16"),
    ("MUONS.PT[0] > 3", 1, "no field 'MUONS.PT' in schema 'l1'; did you mean 'muons.pt'?"),
    ("Anomaly.Score > 3", 1, "no field 'Anomaly.Score' in schema 'l1'; did you mean 'anomaly.score'?"),
    ("MAX(jets.pt) > 1", 1, "no function 'MAX'; did you mean 'max'?"),
    ("met.pt ≥ 3", 8, "'≥' means nothing here; write '>='"),
    ("met.pt > 3 # x", 12, "'#' means nothing here"),
    ("met.pt / 0 > 3", 8, "this divides by zero"),
    ("count(jets.pt / (1 - 1) > 3) > 0", 15, "this divides by zero"),
    ("1e300 * 1e300 > met.pt", 7, "the result is too large a number"),
];

/// Menu, place and message.
#[rustfmt::skip]
const FILES: &[(&str, &str)] = &[
    ("name = 'l1'\nrat = '40MHz'", "2:1: a menu has no key 'rat'; did you mean 'rate'?"),
    ("name = 'l1'\ncolour = 3", "2:1: a menu has no key 'colour'; its keys are name, doc, rate, model, stream, line, fallback"),
    ("doc = 'x'", r#"1:1: a menu needs the key 'name', for example name = "l1""#),
    ("name = l1", "1:8: a word needs quotation marks: \"l1\""),
    ("LINEstreams = [physics]", "6:12: a word needs quotation marks: \"physics\""),
    ("name = 'l1'\n[[model]]\nname = 'a'\nbundle = ../models/a", "4:10: a word needs quotation marks: \"../models/a\""),
    ("LINEstreams = ['Physics']\nwhen = 'met.pt > 1'", "6:12: no stream 'Physics'; did you mean 'physics'?"),
    ("name = 'l1'\nRATE = '40MHz'", "2:1: a menu has no key 'RATE'; did you mean 'rate'?"),
    ("name = 3", "1:8: 'name' must be text in quotation marks, not a whole number"),
    ("name = 'l 1'", "1:8: the name of the menu must be 1 to 64 of A-Z a-z 0-9 _ -, not 'l 1'"),
    ("name = 'l1'\nrate = '40'", "2:8: 'rate' must be a number above 0 with Hz, kHz, MHz or GHz, not '40'"),
    ("name = 'l1'\nrate = '-1Hz'", "2:8: 'rate' must be a number above 0 with Hz, kHz, MHz or GHz, not '-1Hz'"),
    ("name = 'l1'\nrate = 'inf MHz'", "2:8: 'rate' must be a number above 0 with Hz, kHz, MHz or GHz, not 'inf MHz'"),
    ("name = 'l1'", "1:1: a menu needs at least one line; add a [[line]]"),
    ("name = 'l1'\n[line]\nname = 'a'", "2:1: 'line' must be a list of tables; write [[line]]"),
    ("name = 'l1'\nline = [1]", "2:9: 'line' must be a list of tables; write [[line]]"),
    ("name = 'l1'\n[[model]]\nname = 'a-b'\nbundle = 'x'", "3:8: the name of a model must not contain '-': in an expression that is a minus; use '_'"),
    ("name = 'l1'\n[[model]]\nname = 'a'", r#"2:1: a model needs the key 'bundle', for example bundle = "../models/anomaly""#),
    ("name = 'l1'\n[[model]]\nname = 'a'\nbundle = 'x'\nfallback = 'y'", r#"5:12: 'fallback' must be a list, for example ["../models/anomaly-small"], not text"#),
    ("name = 'l1'\n[[model]]\nname = 'a'\nbundle = 'x'\nfallback = ['y', 3]", "5:18: 'fallback' must be text in quotation marks, not a whole number"),
    ("HEADwhen = 'met.pt > 1'\n[[fallback]]\npass_through = 100", "8:1: 'fallback' must be one table; write [fallback]"),
    ("HEADwhen = 'met.pt > 1'\n[fallback]\nstreams = ['physics']", "8:1: the table [fallback] needs the key 'pass_through', for example pass_through = 100"),
    ("HEADwhen = 'met.pt > 1'\n[fallback]\npass_through = 100", r#"8:1: the table [fallback] needs the key 'streams', for example streams = ["physics"]"#),
    ("HEADwhen = 'met.pt > 1'\n[fallback]\npass_through = 0\nstreams = ['physics']", "9:16: 'pass_through' must be a whole number from 1 to 9223372036854775807, not 0"),
    ("HEADwhen = 'met.pt > 1'\n[fallback]\npass_through = 1\nstreams = []", "10:11: the table [fallback] needs at least one stream, or its events go nowhere"),
    ("HEADwhen = 'met.pt > 1'\n[fallback]\npass_through = 1\nstreams = ['error']", "10:12: no stream 'error'; add a [[stream]] of that name"),
    ("HEADwhen = 'met.pt > 1'\n[fallback]\npass_thru = 1", "9:1: the table [fallback] has no key 'pass_thru'; did you mean 'pass_through'?"),
    ("name = 'l1'\n[[stream]]\nname = 'error'", "3:8: the stream 'error' is reserved for events that could not be decided; choose another name"),
    ("name = 'l1'\n[[stream]]\nname = 's'\n[[stream]]\nname = 's'", "5:8: the name 's' is taken; a stream needs a name of its own"),
    ("HEAD", r#"4:1: a cut line needs the key 'when', for example when = "met.pt > 100""#),
    ("LINEwhen = 'met.pt > 1'", r#"4:1: a cut line needs the key 'streams', for example streams = ["physics"]"#),
    ("LINEstreams = ['phisics']\nwhen = 'met.pt > 1'", "6:12: no stream 'phisics'; did you mean 'physics'?"),
    ("LINEstreams = ['tape']\nwhen = 'met.pt > 1'", "6:12: no stream 'tape'; add a [[stream]] of that name"),
    ("LINEstreams = []\nwhen = 'met.pt > 1'", "6:11: a cut line needs at least one stream, or its events go nowhere"),
    ("LINEstreams = ['physics', 'physics']\nwhen = 'met.pt > 1'", "6:23: the stream 'physics' is named twice"),
    ("LINEstreams = 'physics'\nwhen = 'met.pt > 1'", r#"6:11: 'streams' must be a list, for example ["physics"], not text"#),
    ("LINEstreams = [3]\nwhen = 'met.pt > 1'", "6:12: 'streams' must be text in quotation marks, not a whole number"),
    ("HEADwehn = 'met.pt > 1'", "7:1: a cut line has no key 'wehn'; did you mean 'when'?"),
    ("HEADkind = 'rndom'\nevery = 3", "7:8: no kind 'rndom' of line; did you mean 'random'?"),
    ("HEADkind = 'veto'", "7:8: no kind 'veto' of line; kinds are cut, random, pass-through"),
    ("HEADkind = 'random'", "4:1: a random line needs the key 'every', for example every = 1000"),
    ("HEADkind = 'random'\nevery = 3\nwhen = 'met.pt > 1'", "9:1: a random line has no key 'when'; its keys are name, doc, kind, prescale, streams, every"),
    ("HEADkind = 'random'\nevery = 0", "8:9: 'every' must be a whole number from 1 to 9223372036854775807, not 0"),
    ("HEADwhen = 'met.pt > 1'\nprescale = 0", "8:12: 'prescale' must be a whole number from 1 to 9223372036854775807, not 0"),
    ("HEADwhen = 'met.pt > 1'\nprescale = -5", "8:12: 'prescale' must be a whole number from 1 to 9223372036854775807, not -5"),
    ("HEADwhen = 'met.pt > 1'\nprescale = 1.5", "8:12: 'prescale' must be a whole number from 1 to 9223372036854775807, not a decimal number"),
    ("HEADwhen = 'met.pt > 1'\nprescale = 9999999999999999999", "8:12: 'prescale' must be a whole number from 1 to 9223372036854775807, not 9999999999999999999"),
    ("HEADwhen = true", "7:8: 'when' must be text in quotation marks, not a truth value"),
    ("HEADwhen = 'met.pt > 1'\n[[line]]\nname = 'a'\nstreams = ['physics']\nwhen = 'met.pt > 1'", "9:8: the name 'a' is taken; a line needs a name of its own"),
    ("HEADwhen = 'met.pt > 1'\n[[line]]\nwhen = 'met.pt > 1'", r#"8:1: a cut line needs the key 'name', for example name = "single-muon""#),
];

#[test]
fn wrong_expressions_are_told_what_and_where() {
    for (when, column, message) in EXPRESSIONS {
        let error = error_of(&with_condition(&format!("\"{when}\"")));
        assert_eq!((error.line(), error.column(), error.message()), (7, column + 8, *message), "{when}");
    }
}

#[test]
fn wrong_files_are_told_what_and_where() {
    for (text, expected) in FILES {
        // Some menus have other mistakes as well.
        let errors = errors_of(&expand(text));
        let told = |error: &Mistake| format!("{}:{}: {}", error.line(), error.column(), error.message());
        assert!(errors.all().iter().any(|error| told(error) == *expected), "{expected}\n{errors}");
    }
}

/// Five tables with at least one mistake each, some with several, even within one expression.
#[test]
fn every_mistake_is_told_at_once_in_the_order_of_the_file() {
    let text = "name = 'l 1'
rat = '40MHz'
[[model]]
name = 'm'
[[stream]]
name = 'physics'
[[line]]
name = 'a'
streams = ['phisics']
when = 'met.ptt > 3 && muons.pt[9] > 2 || truth.label == 1'
[[line]]
name = 'b'
streams = ['physics']
when = 'met.pt > '
prescale = 0
[[line]]
name = 'c'
streams = ['physics']
when = 'm.anything > 0.5 && met.pt / 0 > 1'
[[line]]
name = 'a'
stream = ['physics']
when = 'met.pt > 1'
";
    let errors = errors_of(text);
    let told: Vec<String> =
        errors.all().iter().map(|e| format!("{}:{} {}", e.line(), e.column(), e.message())).collect();
    let starts = [
        "1:8 the name of the menu must be",
        "2:1 a menu has no key 'rat'",
        "3:1 a model needs the key 'bundle'",
        "9:12 no stream 'phisics'; did you mean",
        "10:9 no field 'met.ptt'",
        "10:24 'muons.pt' has 4 elements",
        "10:43 'truth.label' is simulation truth",
        "14:18 expected a number",
        "15:12 'prescale' must be",
        "19:36 this divides by zero",
        "21:8 the name 'a' is taken",
        "22:1 a cut line has no key 'stream'; did you mean 'streams'?",
    ];
    assert_eq!(told.len(), starts.len(), "{errors}");
    for (told, start) in told.iter().zip(starts) {
        assert!(told.starts_with(start), "{told}, not {start}");
    }
    let shown = errors.to_string();
    assert_eq!(shown.matches("m.toml:").count(), starts.len());
    assert_eq!(shown.lines().filter(|line| line.trim() == "^").count(), starts.len(), "{shown}");
}

#[test]
fn no_more_mistakes_are_told_than_fit_a_screen() {
    let lines: String =
        (0..200).map(|k| format!("[[line]]\nname = 'l{k}'\nstreams = ['s']\nwhen = 'x{k} > 1'\n")).collect();
    let errors = errors_of(&format!("name = 'm'\n[[stream]]\nname = 's'\n{lines}"));
    assert_eq!((errors.all().len(), errors.all()[0].line()), (20, 7));
    assert!(errors.to_string().ends_with("\nand 180 more"), "{errors}");
}

/// Condition, column in it from 1, warning.
#[rustfmt::skip]
fn settled_conditions() -> Vec<(&'static str, usize, String)> {
    let never = |why: &str| format!("the line can never pass: {why}");
    let always = |why: &str| format!("the line passes every event: {why}");
    let range =
        |low: &str, high: &str| format!("what is compared here is from {low} to {high} in every event");
    let (fixed, exactly) =
        ("nothing in this comparison depends on the event", "what is compared here is never exactly");
    let nothing = "nothing in it depends on the event";
    let sides =
        |a: &str, b: &str| format!("the left side is from {a} in every event, and the right side from {b}");
    vec![
        // A range, on one side of a number.
        ("n > 300", 3, never(&range("0", "255"))),
        ("300 <= n", 5, never(&range("0", "255"))),
        ("x > 1 && n >= 255.5", 12, never(&range("0", "255"))),
        ("n >= 0", 3, always(&range("0", "255"))),
        ("x > 1 || 300 > n", 14, always(&range("0", "255"))),
        ("abs(pt[0]) > 16384", 12, never(&range("0", "16384"))),
        ("sum(pt) > 40000", 9, never(&range("-32768", "32767"))),
        ("count(pt > 1) > 2", 15, never(&range("0", "2"))),
        ("!(n < 256)", 5, never(&range("0", "255"))),
        ("max(n, 300) > 200", 13, always("what is compared here is 300 in every event")),
        ("0 * n > 0", 7, never("what is compared here is 0 in every event")),
        ("far > 1e6", 5, never(&range("99.99872", "100.00127"))),
        // Two ranges.
        ("max(abs(pt[0]), 9.5) == -abs(pt[0])", 22, never(&sides("9.5 to 16384", "-16384 to 0"))),
        ("n + 1 > pt[0] - 20000", 7, always(&sides("1 to 256", "-36384 to -3616.5"))),
        // A value that is not among those that a field can have.
        ("n != 3.5", 3, always(&format!("{exactly} 3.5"))),
        ("3.5 == n", 5, never(&format!("{exactly} 3.5"))),
        ("count(pt > 1) == 1.5", 15, never(&format!("{exactly} 1.5"))),
        ("abs(odd) < 0.2", 10, never("no value that its fields can have is on the other side of 0.2")),
        // No field at all, in the whole or in what settles it.
        ("1 > 0", 3, always(nothing)),
        ("!(1 > 0) && 2 > 1", 10, never(nothing)),
        ("n > 300 || 1 > 0", 14, always(fixed)),
        ("x > 1 && 1 > 2", 12, never(fixed)),
        ("x > 1 && !(n > 300 || 1 > 0)", 25, never(fixed)),
        // Several comparisons.
        ("n > 300 || n > 400", 3, never(&format!("{}, and 1 other comparison in it is settled, too", range("0", "255")))),
        ("!(1 > 2) && n < 300 && 3.5 != n", 5, always(&format!("{fixed}, and 2 other comparisons in it are settled, too"))),
        ("n < 300 && (n < 400 || x > 1)", 3, always(&format!("{}, and 1 other comparison in it is settled, too", range("0", "255")))),
        // One of several is enough.
        ("n > 300 && n > 400", 3, never(&range("0", "255"))),
        // What is counted is settled.
        ("count(pt > 20000) > 0", 10, never(&range("-16384", "16383.5"))),
        ("!(count(pt < 20000) >= 2)", 12, never(&range("-16384", "16383.5"))),
        ("count(1 > 2 && pt > x) > 0", 9, never(fixed)),
        ("1 - count(pt > 20000) < 1 + n * 0", 23, never("what is compared here is 1 in every event, and 1 other comparison in it is settled, too")),
        // A number that is NaN.
        ("0 / count(pt > 20000) > 1", 23, never("a number that is compared here is NaN in every event, and 1 other comparison in it is settled, too")),
        ("!(0 / count(pt > 20000) > n)", 25, never("a number that is compared here is NaN in every event, and 1 other comparison in it is settled, too")),
    ]
}

#[test]
fn lines_that_are_settled_are_warned_of_with_the_reason() {
    let schema = "name = 's'\nfield = [{ name = 'pt', dtype = 'i16', scale = 0.5, len = 2 }, { name = 'n', dtype = 'u8' }, { name = 'x', dtype = 'f32' }, { name = 'odd', dtype = 'i8', scale = 0.5, offset = 0.25 }, { name = 'far', dtype = 'i8', scale = 1e-5, offset = 100.0 }]";
    let schema = Schema::parse(schema.as_bytes()).unwrap();
    let warned = |when: &str| {
        let menu = Menu::parse(&with_condition(&format!("'{when}'")), "m.toml").unwrap();
        let menu = menu.compile(&schema, &["m.a".into()]).unwrap_or_else(|error| panic!("{error}"));
        menu.warnings()
            .iter()
            .map(|warning| (warning.column(), warning.message().to_owned()))
            .collect::<Vec<_>>()
    };
    let wrong: Vec<_> = settled_conditions()
        .into_iter()
        .filter(|(when, column, told)| warned(when) != [(column + 8, told.clone())])
        .map(|(when, ..)| (when, warned(when)))
        .collect();
    assert_eq!(wrong, []);
    for when in ["n > 254", "x > 1e30", "m.a > 2", "pt[0] > 16383", "n > 300 || x > 1", "n < 256 && x > 1"] {
        assert_eq!(warned(when), [], "{when}");
    }
}

#[test]
fn what_is_not_toml_has_a_place() {
    for (text, place) in
        [("name = 'l1", (1, 11)), ("name = 'l1'\nname = 'l2'", (2, 1)), ("a = 1\n= 3", (2, 1))]
    {
        let error = error_of(text);
        assert_eq!(
            (error.fault(), (error.line(), error.column())),
            (MistakeKind::Toml, place),
            "{text}: {error}"
        );
    }
}

#[test]
fn the_caret_stands_below_the_mistake_however_the_string_is_written() {
    let message = "no field 'met.ptt' in schema 'l1'; did you mean 'met.pt'?";
    for (written, place, excerpt) in [
        (r#""met.ptt > 4""#, "7:9", "\n  when = \"met.ptt > 4\"\n          ^"),
        (
            r#""met.pt\t > \u0033 && met.ptt > 4""#,
            "7:30",
            "\n  when = \"met.pt\\t > \\u0033 && met.ptt > 4\"\n                               ^",
        ),
        ("'''\n  met.pt > 3 &&\n  met.ptt > 4'''", "9:3", "\n    met.ptt > 4'''\n    ^"),
        ("'''\r\n  met.pt > 3 &&\r\n\tmet.ptt > 4'''", "9:2", "\n   met.ptt > 4'''\n   ^"),
        (
            "\"\"\"met.pt > 3 && \\\n\n  \\\n    met.ptt > 4\"\"\"",
            "10:5",
            "\n      met.ptt > 4\"\"\"\n      ^",
        ),
    ] {
        let told = error_of(&with_condition(written)).to_string();
        assert_eq!(told, format!("m.toml:{place}: {message}{excerpt}"));
    }
}

#[test]
fn a_long_line_is_shown_around_the_mistake() {
    let when = format!("'{}1 > met.ptt && 1 > 0'", "1 + ".repeat(100));
    let told = error_of(&with_condition(&when)).to_string();
    let lines: Vec<&str> = told.lines().collect();
    let caret = lines[2].find('^').unwrap();
    assert!(lines[1].len() <= 162, "{told}");
    assert!(lines[1][caret..].starts_with("met.ptt"), "{told}");
}

#[test]
fn limits_hold_at_the_edge() {
    let stream = |k| format!("[[stream]]\nname = 's{k}'\n");
    let model = |k| format!("[[model]]\nname = 'm{k}'\nbundle = ''\n");
    let line = |k| format!("[[line]]\nname = 'l{k}'\nstreams = ['s0']\nwhen = 'met.pt > {k}'\n");
    let menu = |models, streams, lines| {
        let tables = (0..models).map(model).chain((0..streams).map(stream)).chain((0..lines).map(line));
        "name = 'x'\n".to_string() + &tables.collect::<String>()
    };
    let (models, streams, lines) = (limits::MODELS_MAX, limits::STREAMS_MAX, limits::LINES_MAX);
    let full = menu(models, streams, lines);
    let schema = Schema::parse(SCHEMA.as_bytes()).unwrap();
    assert_eq!(Menu::parse(&full, "m").unwrap().compile(&schema, &[]).unwrap().lines().len(), lines);
    let filled = full.clone() + &"#".repeat(limits::FILE_BYTES_MAX - full.len());
    assert!(Menu::parse(&filled, "m").is_ok());
    for text in [
        filled + "#",
        menu(models + 1, streams, 1),
        menu(models, streams + 1, 1),
        menu(models, streams, lines + 1),
    ] {
        let error = error_of(&text);
        assert_eq!(error.fault(), MistakeKind::Limit, "{error}");
    }
    let ladder = |fallbacks: usize| {
        let model = format!("[[model]]\nname = 'a'\nbundle = ''\nfallback = {:?}\n", vec!["x"; fallbacks]);
        expand("HEADwhen = 'met.pt > 1'\n") + &model
    };
    let longest = Menu::parse(&ladder(limits::FALLBACKS_MAX), "m").unwrap().compile(&schema, &[]).unwrap();
    assert_eq!(
        (longest.model_rungs(), longest.rungs()),
        (limits::FALLBACKS_MAX + 1, limits::FALLBACKS_MAX + 1)
    );
    assert_eq!(error_of(&ladder(limits::FALLBACKS_MAX + 1)).fault(), MistakeKind::Limit);
}

#[test]
fn limits_of_expressions_hold_at_the_edge() {
    let deepest = limits::EXPRESSION_DEPTH_MAX;
    let parentheses = |n| format!("'{}met.pt{} > 1'", "(".repeat(n), ")".repeat(n));
    // Every level of parentheses is a chain of its own.
    let inside = |n| format!("'{}met.pt{} > 0'", "(1 + ".repeat(n), ")".repeat(n));
    let parts = |n: usize| format!("'max({}) > 0'", vec!["1"; n].join(","));
    // A comparison and its sides nest twice. A call, its comparison and the 0 are parts as well.
    for fits in [parentheses(deepest - 1), inside(deepest - 2), parts(limits::EXPRESSION_NODES_MAX - 3)] {
        assert!(Menu::parse(&with_condition(&fits), "m").is_ok(), "{fits}");
    }
    // A chain is as long as an expression may be: each operator, comparison, field and number is a part.
    let longest = limits::EXPRESSION_NODES_MAX / 4 - 1;
    for operator in ["||", "&&"] {
        let chain = |n| format!("'met.pt > 0{}'", format!(" {operator} met.pt > 0").repeat(n));
        assert!(Menu::parse(&with_condition(&chain(longest)), "m").is_ok());
        let told = error_of(&with_condition(&chain(longest + 1))).message().to_owned();
        assert_eq!(told, "the expression has more than 4096 parts; split it into several lines");
    }
    let sum = format!("'met.pt{} > 0'", " + met.pt - 1".repeat(300));
    let schema = Schema::parse(SCHEMA.as_bytes()).unwrap();
    assert!(Menu::parse(&with_condition(&sum), "m").unwrap().compile(&schema, &[]).is_ok());
    for too_much in [
        parentheses(deepest),
        parentheses(100_000),
        inside(deepest - 1),
        format!("'{}1 > 0'", "-".repeat(100_000)),
        parts(limits::EXPRESSION_NODES_MAX - 2),
    ] {
        let error = error_of(&with_condition(&too_much));
        assert_eq!(error.fault(), MistakeKind::Limit, "{error}");
    }
}

#[test]
fn the_limit_of_operations_holds_at_the_edge() {
    // A load and a comparison per element; two numbers, the count and its comparison.
    let cells = (limits::OPERATIONS_MAX - 4) / 2;
    let schema = format!("name = 's'\n[[field]]\nname = 'x'\ndtype = 'i32'\nlen = {cells}");
    let schema = Schema::parse(schema.as_bytes()).unwrap();
    let compile = |when| Menu::parse(&with_condition(when), "m").unwrap().compile(&schema, &[]);
    assert!(compile("'count(x > 0) > 1'").is_ok());
    assert_eq!(compile("'!(count(x > 0) > 1)'").unwrap_err().all()[0].fault(), MistakeKind::Limit);
}

#[test]
fn what_no_line_uses_is_warned_of() {
    let text = "name = 'm'
[[model]]
name = 'a'
bundle = ''
[[model]]
name = 'b'
bundle = ''
[[stream]]
name = 's'
[[stream]]
name = 't'
[[stream]]
name = 'u'
[[line]]
name = 'l'
streams = ['t']
when = 'met.pt > 1 && b.x > 2'
";
    let schema = Schema::parse(SCHEMA.as_bytes()).unwrap();
    let warned = |text: &str| {
        let menu =
            Menu::parse(text, "m.toml").unwrap().compile(&schema, &["a.x".into(), "b.x".into()]).unwrap();
        let told =
            |warning: &Mistake| format!("{}:{}: {}", warning.line(), warning.column(), warning.message());
        menu.warnings().iter().map(told).collect::<Vec<_>>()
    };
    let stream = |place: &str, name: &str| {
        format!(
            "{place}: no line writes to the stream '{name}'; name it in the streams of a line, or leave it out"
        )
    };
    let model = "2:1: no line reads a score of the model 'a', which scores every event all the same; use one in a line, or leave the model out";
    assert_eq!(warned(text), [model.to_owned(), stream("8:1", "s"), stream("12:1", "u")]);
    let fallback = "[fallback]\npass_through = 9\nstreams = ['s', 'u']\n";
    assert_eq!(warned(&format!("{text}{fallback}")), [model]);
    let used = text.replace("b.x", "abs(a.x - b.x)").replace("['t']", "['s', 't', 'u']");
    assert_eq!(warned(&used), Vec::<String>::new());
}

#[test]
fn two_scores_of_one_name_are_refused() {
    let schema = Schema::parse(SCHEMA.as_bytes()).unwrap();
    let menu = Menu::parse(&with_condition("'a.x > 1'"), "m.toml").unwrap();
    let error = menu.compile(&schema, &["a.x", "a.x"].map(String::from)).unwrap_err();
    assert_eq!(error.all()[0].message(), "two scores are called 'a.x'; give the models different names");
}
