//! Converts tables to frames: every value is in its place, and every misfit is reported with its place.

use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;
use tamis_event::{FrameHeader, Scanned, Scanner, Schema, Span, flags};
use tamis_port::Window;
use tamis_source::convert::{self, Changes, ConvertError, ConvertReport, Ids, Options};
use tamis_source::{TmfWriter, open};
use tempfile::tempdir;

const SCHEMA: &str = r#"
name = "toy"
[[field]]
name = "mu.pt"
dtype = "i16"
len = 2
scale = 0.5
[[field]]
name = "mass"
dtype = "f32"
[[field]]
name = "quality"
dtype = "u8"
scale = 0.1
offset = -5.0
[[field]]
name = "ratio"
dtype = "f16"
[[field]]
name = "truth.label"
dtype = "u8"
role = "truth"
"#;

pub(crate) const HEADER: &str = "mu.pt[1],mass,mu.pt[0],quality,ratio,truth.label";

/// (run, first id, sparse ids, physical values of each event) of every frame.
pub(crate) type Frames = Vec<(u32, u64, bool, Vec<Vec<f64>>)>;

fn schema() -> Schema {
    Schema::parse(SCHEMA.as_bytes()).unwrap()
}

/// The good frames of a recording.
fn frames_of(path: &Path, schema: &Schema) -> Vec<(FrameHeader, Span)> {
    let mut recording = open(path, 1).unwrap();
    let mut bytes = Vec::new();
    while let Window::Bytes(window) = recording.source.poll().unwrap() {
        bytes.extend_from_slice(&window);
    }
    let bytes = Bytes::from(bytes);
    let mut scanner = Scanner::new(schema);
    let mut at = 0;
    let mut frames = Vec::new();
    loop {
        at += match scanner.step(&bytes[at..], true) {
            Scanned::Frame { header, body, consumed } => {
                frames.push((header, Span::of_frame(&header, &bytes.slice(at..).slice(body))));
                consumed
            }
            Scanned::Schema { consumed, .. } => consumed,
            Scanned::End => return frames,
            other => panic!("{other:?}"),
        }
    }
}

fn read_back(path: &Path, schema: &Schema) -> Frames {
    let elements: Vec<_> =
        schema.fields().iter().flat_map(|f| (0..f.elements()).map(|k| f.element(k))).collect();
    let physical = |record: &[u8]| elements.iter().map(|element| element.physical(record)).collect();
    let frame = |(header, span): (FrameHeader, Span)| {
        let events = (0..span.len()).map(|event| physical(span.event(event).record)).collect();
        (header.run, header.first_event_id, header.flags & flags::SPARSE_IDS != 0, events)
    };
    frames_of(path, schema).into_iter().map(frame).collect()
}

/// Run, id and time of every event of a table with one column `x` besides those, and the number of frames.
pub(crate) fn stamps(table: &str, options: &Options) -> (Vec<(u32, u64, u64)>, usize) {
    let schema = Schema::parse(b"name = 's'\n[[field]]\nname = 'x'\ndtype = 'f32'").unwrap();
    let folder = tempdir().unwrap();
    let path = folder.path().join("t.tmf");
    let mut writer = TmfWriter::create(&path, &schema, false).unwrap();
    convert::table(table.as_bytes(), "t.csv", &schema, options, &mut writer).unwrap();
    writer.finish().unwrap();
    let frames = frames_of(&path, &schema);
    let of_frame = |(header, span): &(FrameHeader, Span)| {
        let stamp = |event| (header.run, span.event(event).id, span.event(event).time_ns);
        (0..span.len()).map(stamp).collect::<Vec<_>>()
    };
    (frames.iter().flat_map(of_frame).collect(), frames.len())
}

pub(crate) fn converted<R>(
    schema: &Schema,
    convert: impl FnOnce(&mut TmfWriter) -> Result<R, ConvertError>,
) -> Result<(R, Frames), ConvertError> {
    let folder = tempdir().unwrap();
    let path = folder.path().join("out.tmf");
    let mut writer = TmfWriter::create(&path, schema, false).unwrap();
    let report = convert(&mut writer)?;
    writer.finish().unwrap();
    Ok((report, read_back(&path, schema)))
}

/// The last record of the last frame, as it is stored.
pub(crate) fn last_record(schema: &Schema, table: &[u8]) -> Vec<u8> {
    let (record, report) = stored(schema, table, &Options::default()).unwrap();
    assert_eq!((report.events, report.changes), (1, vec![]));
    record
}

/// The last record of the last frame, and the report.
pub(crate) fn stored(
    schema: &Schema,
    table: &[u8],
    options: &Options,
) -> Result<(Vec<u8>, ConvertReport), ConvertError> {
    let folder = tempdir().unwrap();
    let path = folder.path().join("out.tmf");
    let mut writer = TmfWriter::create(&path, schema, false).unwrap();
    let report = convert::table(table, "t.csv", schema, options, &mut writer)?;
    writer.finish().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    // A frame has 64 bytes of its own, and begins and ends at a multiple of 64: the one event begins 64 bytes before the end.
    Ok((bytes[bytes.len() - 64..][..schema.record_len()].to_vec(), report))
}

pub(crate) fn csv(text: &str, options: &Options) -> Result<(ConvertReport, Frames), ConvertError> {
    let schema = schema();
    converted(&schema, |writer| convert::table(text.as_bytes(), "t.csv", &schema, options, writer))
}

#[test]
fn columns_feed_what_they_are_named_after() {
    let text = format!("\u{feff}note,{HEADER}\nx, 1.5 ,2.25,-3,0.1,0.5,4\ny,0.25,-1e3,0.75,20.5,inf,0\n");
    let (report, frames) = csv(&text, &Options { run: 9, ..Options::default() }).unwrap();
    // 0.25 / 0.5 is a tie and rounds to the even 0; 0.75 / 0.5 likewise rounds to 2.
    let events = vec![
        vec![-3.0, 1.5, 2.25, 51.0 * 0.1 - 5.0, 0.5, 4.0],
        vec![1.0, 0.0, -1000.0, 255.0 * 0.1 - 5.0, f64::INFINITY, 0.0],
    ];
    assert_eq!(frames, [(9, 0, false, events)]);
    // 0.1 is 51 steps of 0.1 from -5, and 20.5 is 255: neither loses a digit.
    let changes = |column: &str| Changes { column: column.into(), ..Changes::default() };
    let wanted = ConvertReport {
        events: 2,
        frames: 1,
        ignored: vec!["note".into()],
        changes: vec![
            Changes { rounded: 1, largest_change: 0.25, largest_row: 3, ..changes("mu.pt[0]") },
            Changes { rounded: 1, largest_change: 0.25, largest_row: 3, ..changes("mu.pt[1]") },
            Changes { infinite: 1, ..changes("ratio") },
        ],
        ..ConvertReport::default()
    };
    assert_eq!(report, wanted);
}

#[test]
fn event_ids_are_labels_and_any_ids_share_a_frame() {
    let rows: String = ["7,100", "7,101", "7,102", "8,103", "8,50", "8,51", "7,18446744073709551615"]
        .iter()
        .map(|ids| format!("{ids},0,0,0,0,0,0\n"))
        .collect();
    let (report, frames) = csv(&format!("Run,EVENT,{HEADER}\n{rows}"), &Options::default()).unwrap();
    let found: Vec<_> =
        frames.iter().map(|(run, id, sparse, events)| (*run, *id, *sparse, events.len())).collect();
    assert_eq!(found, [(7, 100, true, 3), (8, 103, true, 3), (7, u64::MAX, true, 1)]);
    assert!(report.id_column.as_deref() == Some("EVENT") && report.ignored.is_empty() && report.frames == 3);

    // As a table of a real detector has them: nothing about one id tells the next one.
    let id = |row: u64| row.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let rows: String = (0..4000).map(|row| format!("{},1.5,{row}\n", id(row))).collect();
    let options = Options { run: 3, ..Options::default() };
    let (events, frames) = stamps(&format!("event,x,Time_NS\n{rows}"), &options);
    assert!(events.into_iter().eq((0..4000).map(|row| (3, id(row), row))));
    assert_eq!(frames, 2);
    // Times without ids, from a column of another name; without a column there is none.
    let named = Options { time_column: Some("t".into()), ..options.clone() };
    let (events, _) = stamps("x,t\n1,18446744073709551615\n2,0\n", &named);
    assert_eq!(events, [(3, 0, u64::MAX), (3, 1, 0)]);
    assert_eq!(stamps("x,t\n1,5\n2,6\n", &options).0, [(3, 0, 0), (3, 1, 0)]);

    let many: String = (0..8000).map(|_| "0,0,0,0,0,0\n").collect();
    let (_, frames) = csv(&format!("{HEADER}\n{many}"), &Options::default()).unwrap();
    let found: Vec<_> = frames.iter().map(|(_, id, sparse, events)| (*id, *sparse, events.len())).collect();
    assert_eq!(found, [(0, false, 3564), (3564, false, 3564), (7128, false, 872)]);
}

#[test]
fn columns_can_be_mapped_and_labelled() {
    let options = Options {
        map: vec![("p1".into(), "mu.pt[0]".into()), ("p2".into(), "mu.pt[1]".into())],
        label_column: Some("kind".into()),
        event_column: Some("n".into()),
        ..Options::default()
    };
    let (report, frames) = csv("n,p1,p2,mass,quality,ratio,kind,truth\n5,1,2,3,4,5,6,7\n", &options).unwrap();
    assert_eq!(frames, [(0, 5, true, vec![vec![1.0, 2.0, 3.0, 90.0 * 0.1 - 5.0, 5.0, 6.0]])]);
    assert_eq!(report.ignored, ["truth"]);
}

#[test]
fn what_does_not_fit_is_refused_with_its_place_or_clamped_and_counted() {
    let row = |cells: &str| format!("{HEADER}\n0,0,0,0,0,0\n\n{cells}\n");
    #[rustfmt::skip]
    let table = [
        ("0,0,16384,0,0,0",  "t.csv, line 4, column 'mu.pt[0]': 16384 does not fit mu.pt[0] (i16), which holds -16384 to 16383.5; clamp with --saturate", 16383.5, 0),
        ("0,0,-1e9,0,0,0",   "t.csv, line 4, column 'mu.pt[0]': -1e9 does not fit mu.pt[0] (i16), which holds -16384 to 16383.5; clamp with --saturate", -16384.0, 0),
        ("0,0,inf,0,0,0",    "t.csv, line 4, column 'mu.pt[0]': inf does not fit mu.pt[0] (i16), which holds -16384 to 16383.5; clamp with --saturate", 16383.5, 0),
        ("0,-1e39,0,0,0,0",  "t.csv, line 4, column 'mass': -1e39 does not fit mass (f32), which holds -3.4028234663852886e38 to 3.4028234663852886e38; clamp with --saturate", f64::from(f32::MIN), 2),
        ("0,0,0,0,65520,0",  "t.csv, line 4, column 'ratio': 65520 does not fit ratio (f16), which holds -65504 to 65504; clamp with --saturate", 65504.0, 4),
        ("0,0,0,0,0,256",    "t.csv, line 4, column 'truth.label': 256 does not fit truth.label (u8), which holds 0 to 255; clamp with --saturate", 255.0, 5),
    ];
    for (cells, message, clamped, element) in table {
        assert_eq!(csv(&row(cells), &Options::default()).unwrap_err().to_string(), message);
        let (report, frames) = csv(&row(cells), &Options { saturate: true, ..Options::default() }).unwrap();
        assert_eq!(frames[0].3[1][element], clamped, "{cells}");
        assert_eq!(report.changes.iter().map(|changes| changes.clamped).sum::<u64>(), 1);
    }
    for (cells, message) in [
        (
            "0,0,nan,0,0,0",
            "t.csv, line 4, column 'mu.pt[0]': a NaN cannot be stored as i16; give it a number, or make the field f32",
        ),
        ("0,0,1.2.3,0,0,0", "t.csv, line 4, column 'mu.pt[0]': '1.2.3' is no number"),
        (
            "0,,0,0,0,0",
            "t.csv, line 4, column 'mass': '' is no number; if it means that there is none, write nan, which f64, f32 and f16 hold, or leave out the row",
        ),
        ("0,0,0,0,0", "t.csv: line 4 has 5 columns, the header has 6"),
    ] {
        for saturate in [false, true] {
            let options = Options { saturate, ..Options::default() };
            assert_eq!(csv(&row(cells), &options).unwrap_err().to_string(), message);
        }
    }
    // Line numbers are those of an editor, for any line ends, and even if the last line has none.
    for ending in ["\n", "\r\n"] {
        let text = format!("{HEADER}\n\n\n\"0\",0,0,0,0,0\n\n \n0,x,0,0,0,0").replace('\n', ending);
        let error = csv(&text, &Options::default()).unwrap_err().to_string();
        assert_eq!(error, "t.csv, line 7, column 'mass': 'x' is no number");
    }
    let (_, frames) = csv(&row("0,nan,0,0,NaN,0"), &Options::default()).unwrap();
    assert!(frames[0].3[1][2].is_nan() && frames[0].3[1][4].is_nan(), "a floating type holds a NaN");
}

#[test]
fn a_table_that_cannot_be_bound_says_why() {
    let map = |pairs: &[(&str, &str)]| Options {
        map: pairs.iter().map(|&(column, field)| (column.into(), field.into())).collect(),
        ..Options::default()
    };
    let event = |name: &str| Options { event_column: Some(name.into()), ..Options::default() };
    let label = Options { label_column: Some("mass".into()), ..Options::default() };
    #[rustfmt::skip]
    let table = [
        ("a,mass,b", Options::default(), "t.csv: the schema is not fed completely: no column for 'mu.pt[0]', 'mu.pt[1]', 'quality', 'ratio', 'truth.label' (unused columns: a, b); rename columns or map them (--map COLUMN=FIELD); --label-column COLUMN names the column of 'truth.label'"),
        (HEADER, map(&[("nix", "mass")]), "t.csv has no column 'nix'; it has mu.pt[1], mass, mu.pt[0], quality, ratio, truth.label"),
        (HEADER, map(&[("mass", "masse")]), "column 'mass': no field 'masse' in schema 'toy'; did you mean 'mass'?"),
        (HEADER, map(&[("mass", "mu.pt")]), "column 'mass' cannot feed all 2 elements of 'mu.pt'; name one, as in mu.pt[0]"),
        (HEADER, map(&[("mass", "ratio")]), "t.csv: 'ratio' is fed twice, by columns 2 ('mass') and 5 ('ratio')"),
        (HEADER, event("id"), "t.csv has no column 'id'; it has mu.pt[1], mass, mu.pt[0], quality, ratio, truth.label"),
        (HEADER, label, "t.csv: 'truth.label' is fed twice, by columns 2 ('mass') and 6 ('truth.label')"),
        ("", Options::default(), "t.csv is empty; a table starts with a line of column names"),
        ("mu.pt[1],,mass", Options::default(), "t.csv: the schema is not fed completely: no column for 'mu.pt[0]', 'quality', 'ratio', 'truth.label' (unused columns: column 2 (no name)); rename columns or map them (--map COLUMN=FIELD); --label-column COLUMN names the column of 'truth.label'"),
        ("20.5, 1.2,-3e1", Options::default(), "t.csv: line 1 has numbers (20.5, 1.2, -3e1) where the names of the columns must stand; put a line of names before it"),
        ("# mass,ratio", Options::default(), "t.csv: line 1 begins with '# mass', as a comment does; it must have the names of the columns alone (numpy.savetxt: comments='')"),
        ("mass ratio", Options::default(), "t.csv: line 1 has no comma, semicolon, tab or bar between 'mass ratio'; put one of them between columns, such as with: tr -s ' ' ,"),
        (HEADER, Options { ids: Some(Ids::Label), ..Options::default() }, "t.csv has no column of event ids; name it with --event-column, or number the rows with --ids number"),
    ];
    for (header, options, message) in table {
        assert_eq!(csv(&format!("{header}\n"), &options).unwrap_err().to_string(), message);
    }
    for (ids, message) in [
        (
            "1,-1",
            "t.csv, line 2, column 'event': '-1' is no whole number from 0 to 18446744073709551615; if it is an unsigned number of 32 bits that was printed as a signed one write 4294967295, or number the rows with --ids number",
        ),
        ("4294967296,1", "t.csv, line 2, column 'run': '4294967296' is no whole number from 0 to 4294967295"),
        (
            "1,1.5",
            "t.csv, line 2, column 'event': '1.5' is no whole number from 0 to 18446744073709551615; to number the rows instead give --ids number",
        ),
    ] {
        let text = format!("run,event,{HEADER}\n{ids},0,0,0,0,0,0\n");
        assert_eq!(csv(&text, &Options::default()).unwrap_err().to_string(), message);
    }
}

/// A `.npy` file as specified by NEP 1.
pub(crate) fn npy_file(descr: &str, shape: &str, fortran: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

pub(crate) fn npy(bytes: &[u8], options: &Options) -> Result<(ConvertReport, Frames), ConvertError> {
    let schema = schema();
    converted(&schema, |writer| convert::table(bytes, "t.npy", &schema, options, writer))
}

#[test]
fn arrays_of_every_number_type_are_read() {
    let rows = [[1i8, 2, 3, 4, 5, 6], [-1, -2, -3, 0, -5, 7]];
    let wanted: Vec<Vec<f64>> = rows
        .iter()
        .map(|row| {
            row.iter()
                .enumerate()
                .map(|(k, &v)| if k == 3 { f64::from((v + 5) * 10) * 0.1 - 5.0 } else { v.into() })
                .collect()
        })
        .collect();
    macro_rules! check {
        ($descr:literal, $number:ty) => {{
            let data: Vec<u8> =
                rows.as_flattened().iter().flat_map(|&v| (v as $number).to_le_bytes()).collect();
            let file = npy_file(concat!("'", $descr, "'"), "(2, 6)", "False", &data);
            let (report, frames) = npy(&file, &Options { run: 3, ..Options::default() }).unwrap();
            assert_eq!(frames, [(3, 0, false, wanted.clone())], $descr);
            assert_eq!(report.events, 2);
        }};
    }
    check!("|i1", i8);
    check!("<i2", i16);
    check!("<i4", i32);
    check!("<i8", i64);
    check!("<f4", f32);
    check!("<f8", f64);
    for (descr, size) in [("|u1", 1), ("<u2", 2), ("<u4", 4), ("<u8", 8)] {
        let data: Vec<u8> = (1u64..7).flat_map(|v| v.to_le_bytes()[..size].to_vec()).collect();
        let (_, frames) =
            npy(&npy_file(&format!("'{descr}'"), "(1, 6)", "False", &data), &Options::default()).unwrap();
        assert_eq!(frames[0].3[0][..3], [1.0, 2.0, 3.0], "{descr}");
    }
}

#[test]
fn arrays_that_are_no_tables_are_refused() {
    let zeros = [0; 96];
    let named = Options { event_column: Some("event".into()), ..Options::default() };
    let file = |descr: &str, shape: &str, fortran: &str| npy_file(descr, shape, fortran, &zeros);
    #[rustfmt::skip]
    let table = [
        (file("'<f4'", "(4, 5)", "False"),          "t.npy: the array has 5 columns, a record of schema 'toy' has 6 numbers"),
        (file("'<f4'", "(5, 6)", "False"),          "t.npy: the array ends in row 4 of 5: failed to fill whole buffer; get another copy"),
        (file("'<f4'", "(3, 6)", "False"),          "t.npy: bytes follow the 3 rows that the array says it has; get another copy"),
        (file("'<f4'", "(24,)", "False"),           "t.npy: the array has 1 column, a record of schema 'toy' has 6 numbers"),
        (file("'<f4'", "(2, 3, 4)", "False"),       "t.npy: an array of 3 dimensions; it must have 2, events and numbers: array.reshape(len(array), -1)"),
        (file("'<f4'", "(5, 6)", "True"),           "t.npy: the array has 96 bytes of 120; get another copy"),
        (file("'<c8'", "(2, 6)", "False"),          "t.npy: an array of complex numbers (type '<c8'); use f2, f4, f8, or integers of 1 to 8 bytes: array.astype('<f4')"),
        (file("'|O'", "(2, 6)", "False"),           "t.npy: an array of objects (type '|O'); use f2, f4, f8, or integers of 1 to 8 bytes: array.astype('<f4')"),
        (file("'<f4'", "(2, 999999999999)", "False"), "t.npy: rows of 999999999999 numbers; at most 1048576 are read"),
        (file("[('mass', '<U4')]", "(4,)", "False"), "t.npy: field 'mass' is of texts (type '<U4'); use f2, f4, f8, or integers of 1 to 8 bytes"),
        (file("[('mass', '<f4', (99999, 99999))]", "(4,)", "False"), "t.npy: field 'mass' is too long"),
        (file("[('mass', [('a', '<f4')])]", "(4,)", "False"), "t.npy: an array whose fields are structures or have titles; store plain fields"),
        (file("[('mass', '<f4')]", "(2, 2)", "False"), "t.npy: an array of 2 dimensions with named fields; it must have 1, events: array.ravel()"),
        (b"\x93NUMPY\x01".to_vec(),                 "t.npy: no .npy array: failed to fill whole buffer; get another copy"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(), "t.npy: a .npy header of version 2 and 4294967295 bytes is not known"),
    ];
    for (bytes, message) in table {
        assert_eq!(npy(&bytes, &Options::default()).unwrap_err().to_string(), message);
    }
    let error = npy(&file("'<f4'", "(4, 6)", "False"), &named).unwrap_err().to_string();
    assert_eq!(
        error,
        "t.npy: the array has no column names, so none can be 'event'; store an array with named fields, or CSV"
    );
    let mut big = [0f32; 12];
    big[8] = 1e30;
    big[7] = 16384.0;
    let data: Vec<u8> = big.iter().flat_map(|v| v.to_le_bytes()).collect();
    let error =
        npy(&npy_file("'<f4'", "(2, 6)", "False", &data), &Options::default()).unwrap_err().to_string();
    assert!(error.starts_with("t.npy, row 1, column 'mu.pt[1]': 16384 does not fit"), "{error}");
}

proptest! {
    /// The oracle stores each value by the definition in `SPEC.md`, in its own integer arithmetic.
    #[test]
    fn integers_round_to_the_nearest_and_never_wrap(raws in prop::collection::vec(-40_000i64..40_000, 1..20), quarter in 0..4i64) {
        let rows: String = raws.iter().map(|raw| format!("{},0,0,0,0,0\n", (*raw * 4 + quarter) as f64 / 8.0)).collect();
        let (report, frames) = csv(&format!("{HEADER}\n{rows}"), &Options { saturate: true, ..Options::default() }).unwrap();
        let stored: Vec<i64> = frames.iter().flat_map(|frame| &frame.3).map(|event| (event[1] * 2.0) as i64).collect();
        let nearest = |raw: i64| match quarter {
            0 | 1 => raw,
            2 => raw + (raw & 1),
            _ => raw + 1,
        };
        let wanted: Vec<i64> = raws.iter().map(|&raw| nearest(raw).clamp(-32_768, 32_767)).collect();
        prop_assert_eq!(stored, wanted);
        let outside = raws.iter().filter(|&&raw| !(-32_768..=32_767).contains(&nearest(raw))).count() as u64;
        prop_assert_eq!(report.changes.iter().map(|changes| changes.clamped).sum::<u64>(), outside);
    }
}
