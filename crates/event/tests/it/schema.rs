//! Schemas: number types, addresses, and the sentence for everything that can be wrong.

use proptest::prelude::*;
use tamis_event::{Address, Dtype, RECORD_BYTES_MAX, Role, SCHEMA_BYTES_MAX, Schema};

proptest! {
    #[test]
    fn a_number_survives_its_type(dtype in prop::sample::select(Dtype::ALL.to_vec()), bytes in any::<[u8; 8]>()) {
        let raw = dtype.read(&bytes);
        let mut out = vec![0xAA];
        match dtype.read_integer(&bytes) {
            Some(integer) => dtype.write_integer(integer, &mut out),
            None => dtype.write(raw, &mut out),
        }
        prop_assert_eq!(out.len(), 1 + dtype.size());
        if raw.is_nan() {
            prop_assert!(dtype.read(&out[1..]).is_nan());
        } else {
            prop_assert_eq!(&out[1..], &bytes[..dtype.size()]);
        }
        if let Some((low, high)) = dtype.integer_range() {
            let integer = dtype.read_integer(&bytes).unwrap();
            prop_assert!((low..=high).contains(&integer));
            // f64 has the number that is nearest.
            prop_assert_eq!(raw, integer as f64);
            if dtype.size() < 8 {
                let mut same = Vec::new();
                dtype.write(raw, &mut same);
                prop_assert_eq!(&same[..], &bytes[..dtype.size()]);
            }
        }
    }

    #[test]
    fn an_address_reads_as_it_is_written(field in "[a-z][a-z0-9_]{0,5}(\\.[a-z][a-z0-9_]{0,5}){0,2}", index in prop::option::of(any::<usize>())) {
        let address = Address { field, index };
        prop_assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
    }

    #[test]
    fn no_text_makes_the_parser_fail(bytes in prop::collection::vec(any::<u8>(), 0..80), text in ".{0,40}") {
        prop_assert!(Schema::parse(&bytes).is_err());
        let _ = text.parse::<Address>();
    }
}

const GOOD: &str = "name = \"s\"\n[[field]]\nname = \"jets.pt\"\ndtype = \"i16\"\nlen = 3\nscale = 0.5\n[[field]]\nname = \"met\"\ndtype = \"f32\"\n[[field]]\nname = \"label\"\ndtype = \"u8\"\nrole = \"truth\"\n";

#[test]
fn a_schema_lays_out_its_records() {
    let schema = Schema::parse(GOOD.as_bytes()).unwrap();
    let layout: Vec<_> = schema.fields().iter().map(|f| (f.name.as_str(), f.bytes(), f.role)).collect();
    assert_eq!(
        layout,
        [("jets.pt", 0..6, Role::Data), ("met", 6..10, Role::Data), ("label", 10..11, Role::Truth)]
    );
    assert_eq!(schema.record_len(), 11);
    let record = [0, 0, 3, 0, 0xFF, 0xFF, 0, 0, 0x20, 0x40, 4];
    let physical = |address: &str| -> Vec<f64> {
        schema
            .resolve(&address.parse().unwrap())
            .unwrap()
            .iter()
            .map(|element| element.physical(&record))
            .collect()
    };
    assert_eq!(physical("jets.pt"), [0.0, 1.5, -0.5]);
    assert_eq!(
        (physical("jets.pt[1]"), physical("met"), physical("label")),
        (vec![1.5], vec![2.5], vec![4.0])
    );
    let other = Schema::parse(GOOD.replace("0.5", "0.50").as_bytes()).unwrap();
    assert_ne!(schema.id(), other.id(), "every byte of the text counts");
}

#[test]
fn a_wrong_schema_is_refused_with_its_reason() {
    let field = |rest: &str| format!("name = \"s\"\n[[field]]\nname = \"a\"\ndtype = \"u8\"\n{rest}");
    let list = |a: &str, most_a: usize, b: &str, most_b: usize| {
        let field = |name: &str, most: usize| {
            format!("[[field]]\nname = \"{name}\"\ndtype = \"u8\"\nlen = \"0..{most}\"\n")
        };
        format!("name = \"s\"\n{}{}", field(a, most_a), field(b, most_b))
    };
    let many: String = (0..4097).map(|k| format!("field = [{k}]\n")).collect();
    let fields: String = (0..4097).map(|k| format!("[[field]]\nname=\"a{k}\"\ndtype=\"u8\"\n")).collect();
    #[rustfmt::skip]
    let table = [
        (String::new(),                                                         "missing field `name`"),
        ("name = \"s\"".into(),                                                 "a schema needs between 1 and 4096 fields; this one has 0"),
        (many,                                                                  "duplicate key"),
        (GOOD.replace("\"s\"", "\"s s\""),                                      "schema name 's s': use letters"),
        (GOOD.replace("\"s\"", "\"\""),                                         "schema name '': use letters"),
        (GOOD.replace("met", "Met"),                                            "field name 'Met': use words"),
        (GOOD.replace("met", "met..x"),                                         "field name 'met..x': use words"),
        (GOOD.replace("\"met\"", "\"jets.pt\""),                                "field 'jets.pt' stands twice"),
        (GOOD.replace("f32", "float64"),                                        "no dtype 'float64'; did you mean 'f64'?"),
        (GOOD.replace("f32", "long"),                                           "no dtype 'long'; did you mean 'i64'?"),
        (GOOD.replace("f32", "float32"),                                        "no dtype 'float32'; did you mean 'f32'?"),
        (GOOD.replace("f32", "<F4"),                                            "no dtype '<F4'; did you mean 'f32'?"),
        (GOOD.replace("f32", "F32"),                                            "no dtype 'F32'; did you mean 'f32'?"),
        (GOOD.replace("f32", "bool"),                                           "no dtype 'bool'; did you mean 'u8'?"),
        (GOOD.replace("f32", "number"),                                         "no dtype 'number'; it is one of u8, i8, u16, i16, u32, i32, u64, i64, f16, f32, f64"),
        (field("").replace("\"u8\"", "u8"),                                     "line 4, column 9\n  |\n4 | dtype = u8\n  |         ^^\na word needs quotation marks: \"u8\""),
        (field("").replace("\"u8\"", "f32"),                                    "\na word needs quotation marks: \"f32\""),
        (field("").replace("\"u8\"", "inf16"),                                  "\na word needs quotation marks: \"inf16\""),
        ("name = l1".into(),                                                    "\na word needs quotation marks: \"l1\""),
        (GOOD.replace("role", "rôle"),                                          "invalid"),
        (GOOD.replace("role", "rule"),                                          "unknown field `rule`"),
        (field("len = 0"),                                                      "field 'a': len = 0; leave len out"),
        (field("len = -1"),                                                     "field 'a': len = -1; write a whole number for an array, or \"0..12\" for a list of up to 12 (at most 65535)"),
        (field("len = \"1..4\""),                                               "field 'a': len = \"1..4\"; write a whole number"),
        (field("len = \"0..0\""),                                               "len = \"0..0\""),
        (field("len = \"0..65536\""),                                           "len = \"0..65536\""),
        (field("len = 1.5"),                                                    "len = 1.5"),
        (list("jets.pt", 3, "jets.eta", 4),                                     "list 'jets': its fields have room for 3 and for 4 elements"),
        (list("jets", 3, "jets.eta", 3),                                        "'jets' is a field and a list; rename one of them"),
        (list("jets.eta", 3, "jets", 3),                                        "'jets' is a field and a list"),
        (list("a.b.c", 3, "a.b", 2),                                            "'a.b' is a field and a list"),
        (GOOD.replace("met", "payload.len") + "[payload]",                      "'payload.len' is the length of the payload"),
        (list("jets.eta", 3, "x", 3) + "[[field]]\nname = \"jets\"\ndtype = \"u8\"", "'jets' is a field and a list"),
        (field("[payload]\nlen = 3"),                                           "unknown field `len`"),
        (field("scale = 0.0"),                                                  "scale must not be 0"),
        (field("scale = nan"),                                                  "must be finite"),
        (field("offset = inf"),                                                 "must be finite"),
        (field(&format!("len = {}", RECORD_BYTES_MAX + 1)),                     "an event record of 1048577 bytes; at most 1048576"),
        (field(&format!("len = {}", i64::MAX)),                                 "an event record of"),
        (format!("name = \"s\"\n{fields}"),                                     "the schema has"),
        (format!("{GOOD}#{}", "x".repeat(SCHEMA_BYTES_MAX)),                    "the schema has"),
    ];
    for (text, wanted) in table {
        let error = Schema::parse(text.as_bytes()).expect_err(&text).to_string();
        assert!(error.contains(wanted), "{error:?} does not say {wanted:?}");
    }
    assert_eq!(Schema::parse(&[0xFF]).unwrap_err().to_string(), "the schema is not UTF-8 text");
}

#[test]
fn a_wrong_address_is_refused_with_its_reason() {
    let schema = Schema::parse(GOOD.as_bytes()).unwrap();
    for (address, wanted) in [
        ("jets.pt[3]", "jets.pt[3]: the field has 3 element(s), 0 to 2"),
        ("met[0]", "met[0]: 'met' is a single number; leave the index out"),
        ("jets.pz", "no field 'jets.pz' in schema 's'; did you mean 'jets.pt'?"),
        ("muons.charge", "no field 'muons.charge' in schema 's'"),
        ("jets.pt[x]", "'jets.pt[x]' is no field address; write name or name[index]"),
        ("jets.pt[-1]", "'jets.pt[-1]' is no field address; write name or name[index]"),
        ("jets.pt[1", "'jets.pt[1' is no field address; write name or name[index]"),
        ("Jets", "'Jets' is no field address; write name or name[index]; did you mean 'jets'?"),
        (
            "Jets.PT[0]",
            "'Jets.PT[0]' is no field address; write name or name[index]; did you mean 'jets.pt[0]'?",
        ),
        ("Jets pt", "'Jets pt' is no field address; write name or name[index]"),
    ] {
        let error = address.parse::<Address>().and_then(|address| schema.resolve(&address)).unwrap_err();
        assert_eq!(error.to_string(), wanted);
    }
}
