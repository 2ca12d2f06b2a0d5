//! Tables with lists: a column for the count, and one for each element.

use tamis_event::Schema;
use tamis_source::convert::{self, Options};

use crate::convert::converted;

/// A list of two fields and one of one, with a number between them.
const LISTS: &str = "name = \"lists\"\n[[field]]\nname = \"jets.pt\"\ndtype = \"i16\"\nlen = \"0..2\"\n\
    [[field]]\nname = \"met\"\ndtype = \"u8\"\n[[field]]\nname = \"jets.eta\"\ndtype = \"f32\"\nlen = \"0..2\"\n\
    [[field]]\nname = \"hits\"\ndtype = \"u8\"\nlen = \"0..300\"\n";

#[test]
fn a_column_counts_the_elements_of_a_list() {
    let schema = Schema::parse(LISTS.as_bytes()).unwrap();
    let hits: Vec<String> = (0..300).map(|k| format!("hits[{k}]")).collect();
    let header =
        format!("njet,met,jets.pt[1],jets.pt[0],jets.eta[0],jets.eta[1],count(hits),{}", hits.join(","));
    let row = |front: &str, given: usize| {
        let cells: Vec<String> =
            (0..300).map(|k| if k < given { "7".into() } else { String::new() }).collect();
        format!("{front},{}", cells.join(","))
    };
    let map = vec![("njet".to_owned(), "count(jets)".to_owned())];
    let of = |rows: &[String]| {
        let table = format!("{header}\n{}\n", rows.join("\n"));
        let options = Options { map: map.clone(), ..Options::default() };
        converted(&schema, |writer: &mut _| {
            convert::table(table.as_bytes(), "t.csv", &schema, &options, writer)
        })
    };
    let (_, frames) =
        of(&[row("2,9,-2,-1,0.5,1.5,300", 300), row("1,8,0,-3,2.5,nan,1", 1), row("0,7,,,,,0", 0)]).unwrap();
    let found: Vec<Vec<f64>> =
        frames.iter().flat_map(|frame| frame.3.iter().map(|event| event[..5].to_vec())).collect();
    let wanted = [[-1.0, -2.0, 9.0, 0.5, 1.5], [-3.0, 0.0, 8.0, 2.5, 0.0], [0.0, 0.0, 7.0, 0.0, 0.0]];
    assert_eq!(found, wanted);
    for (front, given, told) in [
        (
            "3,9,-2,-1,0.5,1.5,0",
            0,
            "line 2, column 'njet': '3' is no number of elements: write a whole number from 0 to 2",
        ),
        ("0.5,9,-2,-1,0.5,1.5,0", 0, "'0.5' is no number of elements: write a whole number from 0 to 2"),
        (",9,,,,,0", 0, "'' is no number of elements: write a whole number from 0 to 2"),
        (
            "1,9,-2,-1,0.5,,0",
            0,
            "column 'jets.pt[1]': '-2' is behind the last element that the event has by its count; leave it empty, or count it",
        ),
        (
            "2,9,,-1,0.5,1,0",
            0,
            "column 'jets.pt[1]': '' is no number; if it means that there is none, write nan, which f64, f32 and f16 hold, or leave out the row",
        ),
    ] {
        let error = of(&[row(front, given)]).unwrap_err().to_string();
        assert!(error.ends_with(told), "{error}");
    }
    let uncounted = converted(&schema, |writer: &mut _| {
        convert::table(&b"met\n1\n"[..], "t.csv", &schema, &Options::default(), writer)
    });
    assert!(uncounted.unwrap_err().to_string().contains("no column for 'count(jets)', 'jets.pt[0]'"));
}
