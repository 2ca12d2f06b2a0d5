//! Real-world tables: repeated event ids, empty cells, other separators, other arrays, other files.

use std::io::Write;

use tamis_event::{Dtype, Schema};
use tamis_source::convert::{self, Changes, ConvertError, ConvertReport, Ids, Options};

use crate::convert::{Frames, HEADER, converted, last_record, npy, npy_file, stamps};

/// Converts a table for a schema with the single field `x`.
fn one(dtype: &str, table: &[u8], options: &Options) -> Result<(ConvertReport, Frames), ConvertError> {
    let schema = format!("name = \"one\"\n[[field]]\nname = \"x\"\ndtype = \"{dtype}\"\n");
    let schema = Schema::parse(schema.as_bytes()).unwrap();
    converted(&schema, |writer| convert::table(table, "t.csv", &schema, options, writer))
}

fn refused(dtype: &str, table: impl AsRef<[u8]>, options: &Options) -> String {
    one(dtype, table.as_ref(), options).unwrap_err().to_string()
}

fn values(frames: &Frames) -> Vec<f64> {
    frames.iter().flat_map(|frame| frame.3.iter().map(|event| event[0])).collect()
}

fn with(ids: Ids) -> Options {
    Options { ids: Some(ids), run: 9, ..Options::default() }
}

#[test]
fn payloads_are_refused_with_a_remedy() {
    let schema = "name = \"one\"\n[[field]]\nname = \"x\"\ndtype = \"u8\"\n[payload]\n";
    let schema = Schema::parse(schema.as_bytes()).unwrap();
    let writer =
        |writer: &mut _| convert::table(&b"x\n1\n"[..], "t.csv", &schema, &Options::default(), writer);
    let error = converted(&schema, writer).unwrap_err().to_string();
    assert!(error.ends_with("leave [payload] out, or write frames with a program"), "{error}");
}

#[test]
fn a_repeated_id_is_named_and_rows_can_be_numbered_instead() {
    let table = "run,event,x\n3,500,1\n3,501,2\n4,500,3\n\n3,501,4\n3,500,5\n";
    let told = "t.csv: event 501 of run 3 stands in line 3 and again in line 6; event 500 of run 3 stands in line 2 and again in line 7; number the rows instead with --ids number, or name another --event-column";
    assert_eq!(refused("u8", table, &Options::default()), told);
    assert_eq!(refused("u8", table, &with(Ids::Label)), told);

    let (report, frames) = one("u8", table.as_bytes(), &with(Ids::Number)).unwrap();
    let found: Vec<_> = frames.iter().map(|frame| (frame.0, frame.1, frame.2, frame.3.len())).collect();
    // Numbering continues where a run continues, so no id is missing.
    assert_eq!(found, [(3, 0, false, 2), (4, 0, false, 1), (3, 2, false, 2)]);
    assert_eq!((report.ignored, report.id_column, report.frames), (vec!["event".into()], None, 3));

    let (report, frames) = one("u8", table.as_bytes(), &with(Ids::Ignore)).unwrap();
    assert_eq!((frames[0].0, frames[0].1, frames[0].2, values(&frames).len()), (9, 0, false, 5));
    assert_eq!((frames.len(), report.ignored), (1, vec!["run".into(), "event".into()]));

    // Many more repeats than are named, and arrays.
    let many: String = (0..1000).map(|k| format!("{},1\n", k % 10)).collect();
    let error = refused("u8", format!("event,x\n{many}"), &Options { run: 1, ..Options::default() });
    assert!(error.contains("event 0 of run 1 stands in line 2 and again in line 12"), "{error}");
    assert!(error.contains("987 more rows repeat an id"), "{error}");
    let array =
        npy_file("[('event', '<u8'), ('x', '|u1')]", "(2,)", "False", &[7, 0, 0, 0, 0, 0, 0, 0, 1].repeat(2));
    assert!(
        refused("u8", array, &Options::default())
            .contains("event 7 of run 0 stands in row 0 and again in row 1")
    );
}

#[test]
fn ids_of_other_programs() {
    let (events, _) = stamps("event,x\n5.0,1\n1e3,2\n18446744073709551615,3\n", &Options::default());
    assert_eq!(events.iter().map(|event| event.1).collect::<Vec<_>>(), [5, 1000, u64::MAX]);
    let error = refused("u8", "time_ns,x\n-1,1\n", &Options::default());
    assert_eq!(
        error,
        "t.csv, line 2, column 'time_ns': '-1' is no time: write whole nanoseconds since the start of the run, from 0 to 18446744073709551615"
    );
    let error = refused("u8", "Event,x\n-1740574263,1\n", &Options::default());
    assert_eq!(
        error,
        "t.csv, line 2, column 'Event': '-1740574263' is no whole number from 0 to 18446744073709551615; if it is an unsigned number of 32 bits that was printed as a signed one write 2554393033, or number the rows with --ids number"
    );
    for (ids, event) in [(Ids::Number, "-1740574263"), (Ids::Ignore, "-1740574263"), (Ids::Number, "a4-b7")] {
        let (_, frames) = one("u8", format!("Event,x\n{event},1\n").as_bytes(), &with(ids)).unwrap();
        assert_eq!((frames[0].1, frames[0].2), (0, false));
    }
    for event in ["1e30", "nan", "18446744073709551616", "5.5"] {
        assert!(
            refused("u8", format!("event,x\n{event},1\n"), &Options::default())
                .contains("is no whole number")
        );
    }
}

#[test]
fn ids_that_a_float_may_have_rounded() {
    let floats = |ids: &[f64]| {
        let rows: Vec<u8> = ids.iter().flat_map(|id| [&id.to_le_bytes()[..], &[1]].concat()).collect();
        npy_file("[('event', '<f8'), ('x', '|u1')]", &format!("({},)", ids.len()), "False", &rows)
    };
    let most = 9_007_199_254_740_992.0;
    let (_, frames) = one("u8", &floats(&[most - 1.0, most]), &Options::default()).unwrap();
    assert_eq!((frames[0].1, frames[0].3.len()), ((1 << 53) - 1, 2));
    assert_eq!(
        refused("u8", floats(&[most + 2.0]), &Options::default()),
        "t.csv, row 0, column 'event': '9007199254740994' is above 2^53, where a column of f8 does not hold every whole number; store it as int64 or uint64 in the first place, or number the rows with --ids number if it is an id"
    );
    for (dtype, id, bits) in [("<f4", 16_777_218_f32.to_le_bytes().to_vec(), 24), ("<f2", vec![1, 0x68], 11)]
    {
        let row = [&id[..], &[1]].concat();
        for column in ["event", "time_ns"] {
            let array = npy_file(&format!("[('{column}', '{dtype}'), ('x', '|u1')]"), "(1,)", "False", &row);
            let told = refused("u8", array, &Options::default());
            assert!(
                told.contains(&format!("column '{column}'")) && told.contains(&format!("is above 2^{bits}")),
                "{told}"
            );
        }
    }
    for id in ["9007199254740994.0", "1e17"] {
        assert_eq!(
            refused("u8", format!("event,x\n{id},1\n"), &Options::default()),
            format!(
                "t.csv, line 2, column 'event': '{id}' is above 2^53, where a number with a point or an exponent may have been rounded; write it with all its digits and nothing else"
            )
        );
    }
    // These are out of range, however they are held.
    for id in [-1e17, 2_f64.powi(64), f64::INFINITY] {
        let told = refused("u8", floats(&[id]), &Options::default());
        assert!(told.contains("is no whole number from 0 to 18446744073709551615"), "{told}");
    }
    let told = refused("u8", "run,x\n1e17,1\n", &Options::default());
    assert!(told.contains("is no whole number from 0 to 4294967295"), "{told}");
}

/// `1 / x > 0` tells -0.0 from 0.0.
#[test]
fn a_negative_zero_is_stored_as_one() {
    for (dtype, more, zero, negative) in [
        ("f32", "", vec![0; 4], vec![0, 0, 0, 0x80]),
        ("f16", "", vec![0; 2], vec![0, 0x80]),
        ("f32", "scale = 0.5", vec![0; 4], vec![0, 0, 0, 0x80]),
        // Behind a negative scale, 0.0 is what gives -0.0.
        ("f32", "scale = -2.0\noffset = 0.0", vec![0, 0, 0, 0x80], vec![0; 4]),
        ("i8", "", vec![0], vec![0]),
    ] {
        let text = format!("name = 's'\n[[field]]\nname = 'x'\ndtype = '{dtype}'\n{more}\n");
        let schema = Schema::parse(text.as_bytes()).unwrap();
        for (value, stored) in [(0.0_f64, &zero), (-0.0, &negative)] {
            let array = npy_file("'<f8'", "(1,)", "False", &value.to_le_bytes());
            let single = npy_file("'<f4'", "(1,)", "False", &(value as f32).to_le_bytes());
            let tables = [format!("x\n{value:?}\n").into_bytes(), format!("x\n{value}\n").into_bytes()];
            for table in tables.into_iter().chain([array, single]) {
                assert_eq!(last_record(&schema, &table), *stored, "{dtype} {more} {value:?}");
            }
            // What a menu reads is the number of the table.
            if dtype != "i8" {
                let read = schema.fields()[0].element(0).physical(stored);
                assert_eq!(read.to_bits(), value.to_bits(), "{dtype} {more}");
            }
        }
    }
}

#[test]
fn an_empty_cell_never_shifts_the_rows_below() {
    let options = Options::default();
    let empty = "t.csv, line 3, column 'x': '' is no number; if it means that there is none, write nan, which f64, f32 and f16 hold, or leave out the row";
    let blank = "t.csv: line 3 is blank, which is an empty cell in a table of one column; give it a number (nan, if there is none), or remove it";
    for ending in ["\n", "\r\n"] {
        let refused = |table: &str| refused("f32", table.replace('\n', ending), &options);
        assert_eq!(refused("x\n1.0\n\"\"\n3.0\n"), empty);
        assert_eq!(refused("x\n1.0\n\"\"\n"), empty);
        assert_eq!(refused("x\n1.0\n\n3.0\n"), blank);
        assert_eq!(refused("x\n1.0\n  \n\n3.0\n"), blank);
        assert_eq!(refused("x\n1.0\n\n\"\"\n"), blank);
        assert_eq!(refused("x,\n1.0,\n,\n"), empty);
        let error = refused("x\n1.0,\n3.0,\n");
        assert_eq!(
            error,
            "t.csv: line 2 has 2 columns, the header has 1; does a separator too many end the line?"
        );
        // Blank lines at the end are no rows, and in a table of several columns blank lines never are.
        let rows =
            |table: &str| values(&one("f32", table.replace('\n', ending).as_bytes(), &options).unwrap().1);
        assert_eq!(rows("x\n1.0\n3.0\n\n \n"), [1.0, 3.0]);
        assert_eq!(rows("\n\nx\n1.0\n\"3.0\""), [1.0, 3.0]);
        assert_eq!(rows("x,\n1.0,\n\n3.0,\n"), [1.0, 3.0]);
    }
}

#[test]
fn what_changes_is_counted_and_what_cannot_be_kept_is_refused() {
    let changes =
        |dtype: &str, table: &str| one(dtype, table.as_bytes(), &Options::default()).unwrap().0.changes;
    let none = || Changes { column: "x".into(), ..Changes::default() };
    // Changes from line 2 on: half a step, none, a quarter, a little.
    assert_eq!(
        changes("i8", "x\n0.5\n-7\n3.25\n1e-3\n"),
        [Changes { rounded: 3, largest_change: 0.5, largest_row: 2, ..none() }]
    );
    // What a float gives back in the digits that were given is no loss.
    assert_eq!(changes("f32", "x\n0.1\n3.1415927\n16777216\n1e20\n-0\n"), []);
    assert_eq!(
        changes("f32", "x\n16777217\n1e-60\n33554435\n"),
        [Changes { rounded: 3, largest_change: 1.0, largest_row: 2, ..none() }]
    );
    assert_eq!(
        changes("f16", "x\n2049\n0.1\n"),
        [Changes { rounded: 1, largest_change: 1.0, largest_row: 2, ..none() }]
    );
    assert_eq!(changes("f32", "x\nnan\ninf\n-Infinity\nNaN\n"), [Changes { nan: 2, infinite: 2, ..none() }]);

    for (dtype, low, high) in
        [("f32", f64::from(f32::MIN), f64::from(f32::MAX)), ("f16", -65504.0, 65504.0), ("i8", -128.0, 127.0)]
    {
        let error = refused(dtype, "x\n1\n1e400\n", &Options::default());
        assert!(
            error.starts_with(&format!("t.csv, line 3, column 'x': 1e400 does not fit x ({dtype})")),
            "{error}"
        );
        let saturate = Options { saturate: true, ..Options::default() };
        let (report, frames) = one(dtype, b"x\n1e400\n-1e400\n", &saturate).unwrap();
        assert_eq!(
            (values(&frames), report.changes),
            (vec![high, low], vec![Changes { clamped: 2, ..none() }])
        );
    }

    // A scale loses no digits: 0.3 is three steps of 0.1, in f64 and in f32.
    let schema =
        Schema::parse(b"name = \"s\"\n[[field]]\nname = \"x\"\ndtype = \"i16\"\nscale = 0.1\n").unwrap();
    let table = |bytes: &[u8]| {
        converted(&schema, |writer| convert::table(bytes, "t", &schema, &Options::default(), writer))
            .unwrap()
            .0
            .changes
    };
    let all: String = (-32_000..32_000).step_by(7).map(|k| format!("{}\n", f64::from(k) / 10.0)).collect();
    assert_eq!(table(format!("x\n{all}").as_bytes()), []);
    let all: Vec<u8> =
        (-32_000i16..32_000).step_by(7).flat_map(|k| (f32::from(k) / 10.0).to_le_bytes()).collect();
    assert_eq!(table(&npy_file("'<f4'", &format!("({},)", all.len() / 4), "False", &all)), []);
    let changes = table(b"x\n0.31\n");
    assert!(changes[0].rounded == 1 && (changes[0].largest_change - 0.01).abs() < 1e-12, "{changes:?}");
}

#[test]
fn separators_are_found_in_the_header() {
    for separator in [",", ";", "\t", "|"] {
        let table = format!("event{separator}\"a,;b\"{separator}x\n5{separator}x{separator}7\n");
        let (report, frames) = one("u8", table.as_bytes(), &Options::default()).unwrap();
        assert_eq!((frames[0].1, values(&frames), report.ignored), (5, vec![7.0], vec!["a,;b".to_owned()]));
    }
    for (cell, hint) in [
        ("1,5", "write a decimal point, not a comma"),
        ("1,234.5", "leave out the commas between digits"),
        ("20.5 GeV", "leave out the unit"),
        ("NA", "write nan"),
        ("true", "write 1 or 0"),
    ] {
        let error = refused("f32", format!("x;y\n{cell};1\n"), &Options::default());
        assert!(
            error.starts_with(&format!("t.csv, line 2, column 'x': '{cell}' is no number; "))
                && error.contains(hint),
            "{error}"
        );
    }
}

#[test]
fn arrays_in_every_order_and_with_names() {
    let numbers = [1.0f32, 2.0, 3.0, 4.0, 5.5, 6.0, -1.0, -2.0, -3.0, 0.0, -5.5, 7.0];
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let (_, wanted) = npy(&npy_file("'<f4'", "(2, 6)", "False", &bytes), &Options::default()).unwrap();
    assert_eq!(wanted[0].3.len(), 2);
    let columns: Vec<f32> = (0..6).flat_map(|k| [numbers[k], numbers[k + 6]]).collect();
    let fortran: Vec<u8> = columns.iter().flat_map(|number| number.to_le_bytes()).collect();
    let big: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
    // f16 by hand: the exponent has 5 bits and a bias of 15.
    let half = |number: f32| {
        ((number.to_bits() >> 16 & 0x8000)
            | if number == 0.0 {
                0
            } else {
                ((number.to_bits() >> 23 & 0xFF) - 112) << 10 | number.to_bits() >> 13 & 0x3FF
            }) as u16
    };
    let halves: Vec<u8> = numbers.iter().flat_map(|&number| half(number).to_le_bytes()).collect();
    for (descr, fortran_order, data) in
        [("'<f4'", "True", fortran), ("'>f4'", "False", big), ("'<f2'", "False", halves)]
    {
        let (_, frames) = npy(&npy_file(descr, "(2, 6)", fortran_order, &data), &Options::default()).unwrap();
        assert_eq!(frames, wanted, "{descr} {fortran_order}");
    }
    // Named fields in another order, with an id, an array, and padding between them.
    let descr = "[('n', '<i8'), ('truth.label', '|b1'), ('', '|V3'), ('mu.pt', '>i2', (2,)), ('mass', '<f8'), ('quality', '|u1'), ('r', '<f4')]";
    let mut row = (-5i64).to_le_bytes().to_vec();
    row.extend([1, 9, 9, 9, 0, 3, 0xFF, 0xFE]);
    row.extend(2.5f64.to_le_bytes());
    row.push(4);
    row.extend(0.5f32.to_le_bytes());
    let array = npy_file(descr, "(1,)", "False", &row);
    let options = Options {
        map: vec![("r".into(), "ratio".into())],
        event_column: Some("n".into()),
        ..Options::default()
    };
    let error = npy(&array, &options).unwrap_err().to_string();
    assert!(error.starts_with("t.npy, row 0, column 'n': '-5' is no whole number"), "{error}");
    let (report, frames) = npy(&array, &Options { ids: Some(Ids::Number), ..options }).unwrap();
    assert_eq!(
        (frames[0].3[0].clone(), report.ignored),
        (vec![3.0, -2.0, 2.5, 90.0 * 0.1 - 5.0, 0.5, 1.0], vec!["n".to_owned()])
    );
    assert!(HEADER.contains("mu.pt[1]"));
}

#[test]
fn other_files_are_called_what_they_are() {
    let mut compressed = zstd_of(b"x\n1\n2\n");
    assert_eq!(values(&one("u8", &compressed, &Options::default()).unwrap().1), [1.0, 2.0]);
    compressed.truncate(compressed.len() - 3);
    assert!(refused("u8", &compressed, &Options::default()).contains("cannot be read"));
    let wide: Vec<u8> = "x\n1\n2\n3\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    #[rustfmt::skip]
    let table: [(&[u8], &str); 9] = [
        (b"", "t.csv is empty; a table starts with a line of column names"),
        (b"\n \n", "t.csv is empty; a table starts with a line of column names"),
        (b"\x1f\x8b\x08\0\0", "t.csv is compressed with gzip: give the table itself, as in: gzip -dc FILE | tamis convert - --schema ..."),
        (&wide, "t.csv is text in UTF-16: save it as UTF-8, as with: iconv -f UTF-16 -t UTF-8"),
        (b"PAR1\x15\0\x15", "t.csv is a Parquet file: a table is CSV with a line of column names, or .npy"),
        (b"\x89PNG\r\n\x1a\n\0", "t.csv is a PNG image: a table is CSV with a line of column names, or .npy"),
        (b"\x89MCAP0\r\n\x01", "t.csv is an MCAP file, as stored events are: `tamis cat --jsonl` shows the events in it; a table is CSV or .npy"),
        (b"TAMF\x01\0", "t.csv is a Tamis recording: it needs no conversion; `tamis replay` runs it"),
        (b"name = \"m\"\n[[line]]\n", "t.csv is a menu: `tamis replay` takes it with --menu; a table is CSV or .npy"),
    ];
    for (bytes, message) in table {
        assert_eq!(refused("u8", bytes, &Options::default()), message);
    }
    let error = refused("u8", [b"x\n1\n", &[0xFF; 10][..]].concat(), &Options::default());
    assert!(error.starts_with("t.csv, line 3, column 'x'"), "{error}");
    assert!(refused("u8", b"x\xE9\n1\n", &Options::default()).contains("is not UTF-8 text"));
}

fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    // One raw block in a frame with a window of 1 KiB, as specified by RFC 8878.
    let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD, 0, 0];
    frame.write_all(&((bytes.len() as u32) << 3 | 1).to_le_bytes()[..3]).unwrap();
    frame.extend(bytes);
    frame
}

/// Work that is quadratic in the number of columns would take far too long here.
#[test]
fn a_hundred_thousand_columns_are_no_matter() {
    let schema =
        Schema::parse(b"name = \"w\"\n[[field]]\nname = \"x\"\ndtype = \"u8\"\nlen = 100000\n").unwrap();
    let names: Vec<String> = (0..100_000).flat_map(|k| [format!("x[{k}]"), format!("y{k}")]).collect();
    let row = vec!["1"; names.len()].join(",");
    let table = format!("{}\n{row}\n{row}\n", names.join(","));
    let convert =
        |writer: &mut _| convert::table(table.as_bytes(), "t.csv", &schema, &Options::default(), writer);
    let (report, frames) = converted(&schema, convert).unwrap();
    assert_eq!((report.ignored.len(), frames[0].3[1].iter().sum::<f64>()), (100_000, 100_000.0));
}

/// The digits of a decimal, without zeros at either end, and the place of its point: the same for the same number.
fn digits(text: &str) -> (bool, String, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let is_negative = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches(['-', '+']);
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let point = whole.len() as i32 + exponent.parse::<i32>().unwrap();
    let digits = format!("{whole}{part}");
    let zeros = digits.len() - digits.trim_start_matches('0').len();
    let digits = digits.trim_matches('0').to_owned();
    let point = if digits.is_empty() { 0 } else { point - zeros as i32 };
    (is_negative && !digits.is_empty(), digits, point)
}

#[test]
fn every_decimal_that_is_not_given_back_counts() {
    let mut texts: Vec<String> = [
        "60001.5",
        "1234.5",
        "1764547263.5",
        "123456.789012",
        "0.1",
        "9007199254740993",
        "1e-7",
        "33.3",
        "-2.5",
    ]
    .map(String::from)
    .into();
    // Of one to seventeen digits, at any place of the point.
    let mut seed = 1_u64;
    for k in 0..4000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = 1 + (seed >> 8) % 10_u64.pow(1 + k % 17);
        texts.push(format!("{number}e{}", -i64::from(k % 23)));
    }
    for (dtype, most) in [("f32", f64::MAX), ("f16", 60_000.0)] {
        let texts: Vec<&String> =
            texts.iter().filter(|text| text.parse::<f64>().unwrap().abs() < most).collect();
        let back = |text: &str| match dtype {
            "f32" => text.parse::<f32>().unwrap(),
            _ => {
                let mut bytes = Vec::new();
                Dtype::F16.write(text.parse().unwrap(), &mut bytes);
                Dtype::F16.read(&bytes) as f32
            }
        };
        // The shortest decimal of an f16 is the one of fewest digits that reads back as it.
        let shortest = |value: f32| match dtype {
            "f32" => value.to_string(),
            _ => (0..9).map(|places| format!("{value:.places$e}")).find(|text| back(text) == value).unwrap(),
        };
        let lost: Vec<&&String> =
            texts.iter().filter(|text| digits(&shortest(back(text))) != digits(text)).collect();
        assert!(lost.len() > 100 && lost.len() < texts.len() - 100, "{} of {}", lost.len(), texts.len());
        let largest = lost.iter().map(|text| (f64::from(back(text)) - text.parse::<f64>().unwrap()).abs());
        let largest = largest.fold(0.0, f64::max);
        let table = format!("x\n{}\n", texts.iter().map(|text| text.as_str()).collect::<Vec<_>>().join("\n"));
        let changes = one(dtype, table.as_bytes(), &Options::default()).unwrap().0.changes;
        let off = (changes[0].largest_change - largest).abs();
        assert_eq!(changes[0].rounded, lost.len() as u64, "{dtype}");
        assert!(off <= 1e-9 * largest, "{changes:?}, not {largest}");
        // An array of f64 holds the same numbers, but no more digits than these.
        let doubles: Vec<u8> =
            texts.iter().flat_map(|text| text.parse::<f64>().unwrap().to_le_bytes()).collect();
        let array = npy_file("'<f8'", &format!("({},)", texts.len()), "False", &doubles);
        let held =
            lost.iter().filter(|text| digits(&text.parse::<f64>().unwrap().to_string()) == digits(text));
        let changes = one(dtype, &array, &Options::default()).unwrap().0.changes;
        assert!((held.count() as u64..=lost.len() as u64).contains(&changes[0].rounded), "{changes:?}");
    }
    // What an f32 holds already is no loss, whatever its f64 looks like.
    let floats: Vec<u8> = (1..500).flat_map(|k| f64::from(k as f32 / 7.0).to_le_bytes()).collect();
    let array = npy_file("'<f8'", "(499,)", "False", &floats);
    assert_eq!(one("f32", &array, &Options::default()).unwrap().0.changes, []);
}
