//! Descriptions of bundles, without data.

use std::path::Path;

use tamis_model::{BindError, Bundle, Description, Engine, engines};

use crate::support::{EXPECTED, Parts, schema};

fn load(parts: &Parts) -> Bundle {
    let folder = tempfile::tempdir().unwrap();
    parts.write(folder.path());
    Bundle::load(folder.path()).unwrap()
}

fn sample(name: &str) -> Bundle {
    Bundle::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data-samples/models").join(name)).unwrap()
}

#[test]
fn a_description_has_every_part() {
    let bundle = load(&Parts::classifier());
    let Description { layers, inputs, memory, golden, training, .. } = bundle.describe();
    let rows: Vec<_> =
        layers.iter().map(|l| (&l.operator[..], &l.output[..], l.parameters, l.multiply_adds)).collect();
    #[rustfmt::skip]
    assert_eq!(rows, [
        ("Gemm", &[6][..], 9 * 6, 8 * 6),
        ("Relu", &[6], 0, 0),
        ("Gemm", &[3], 7 * 3, 6 * 3),
        ("Softmax", &[3], 0, 0),
    ]);
    let formulas: Vec<_> = inputs.iter().map(|i| (&i.field[..], &i.preprocessing[..])).collect();
    #[rustfmt::skip]
    assert_eq!(formulas, [
        ("small", "(x - 100) * 0.01"),
        ("jets.pt", "(x - shift[k]) * 0.02, clip -1.5 to 1.5"),
        ("energy", "(x - 0.5) * 0.25"),
        ("time", "(x - 10) * 0.005"),
        ("half", "x, clip 0.5 to 6"),
    ]);
    let description = bundle.describe();
    assert_eq!((description.parameters, description.multiply_adds, description.width), (75, 66, 8));
    assert_eq!((memory.parameters, memory.per_worker), (300, 512 * (8 + 6) * 4));
    assert_eq!((golden.vectors, golden.tolerance), (EXPECTED.len(), 1e-5));
    assert_eq!(training.unwrap().metrics["auc.taus"], 0.5);
    assert_eq!((description.architecture, description.hash.len()), ("dense", 64));
}

#[test]
fn a_schema_of_the_inputs_alone_is_enough_to_check_golden_vectors() {
    for mut parts in [Parts::classifier(), Parts::autoencoder()] {
        let open = load(&parts).own_schema().unwrap_err().to_string();
        assert!(open.contains("'small' and 'energy' and 'time' and 'half' have is open"), "{open}");
        parts.manifest = parts.manifest.replace("clip = [0.5, 6]", "clip = [0.5, 6]\nshift = [0, 0]");
        let bundle = load(&parts);
        let schema = bundle.own_schema().unwrap();
        let fields: Vec<_> = schema.fields().iter().map(|field| (&field.name[..], field.len)).collect();
        assert_eq!(
            fields,
            [("small", None), ("jets.pt", Some(3)), ("energy", None), ("time", None), ("half", Some(2))]
        );
        let check = bundle.bind(&schema, Engine::Flex).unwrap().golden();
        assert_eq!((check.vectors, check.tolerance), (EXPECTED.len(), 1e-5));
        assert!(check.difference > 0.0 && check.difference < 1e-6, "{check:?}");
    }
    for name in ["topo", "anomaly"] {
        let bundle = sample(name);
        bundle.bind(&bundle.own_schema().unwrap(), Engine::Flex).unwrap();
    }
}

/// The classifier with other inputs, which have 8 elements together.
fn with_inputs(inputs: &str) -> Bundle {
    let mut parts = Parts::classifier();
    let (begin, end) = (parts.manifest.find("[[input]]").unwrap(), parts.manifest.find("[weights]").unwrap());
    let entries: String =
        inputs.split(';').map(|input| format!("[[input]]\n{}\n", input.replace(',', "\n"))).collect();
    parts.manifest.replace_range(begin..end, &entries);
    load(&parts)
}

#[test]
fn lengths_follow_from_what_the_bundle_says() {
    let lengths = |inputs: &str| {
        let schema = with_inputs(inputs).own_schema().unwrap_or_else(|error| panic!("{inputs}: {error}"));
        schema.fields().iter().map(|field| field.len.unwrap_or(0)).collect::<Vec<_>>()
    };
    assert_eq!(lengths("field='a'"), [8]);
    assert_eq!(lengths("field='a[4]';field='b'"), [5, 7]);
    assert_eq!(lengths("field='a[0]';field='a[2]';field='b'"), [3, 6]);
    assert_eq!(lengths("field='a';field='a'"), [4]);
    // All are used unchanged, so any distribution gives the same numbers.
    assert_eq!(lengths("field='a';field='b';field='c'"), [6, 0, 0]);
    // A mask has as many elements as the field that it masks.
    assert_eq!(lengths("field='pt';field='eta',mask='pt'"), [4, 4]);
    assert_eq!(lengths("field='pt',mask='n';field='n'"), [4, 4]);
}

#[test]
fn a_length_that_is_open_is_said() {
    let error = with_inputs("field='a',scale=2;field='b',scale=3").own_schema().unwrap_err();
    assert_eq!(
        error.to_string(),
        "model 'topo': how many elements 'a' and 'b' have is open in the bundle alone; name a schema that has its fields (--schema, --events)"
    );
    assert!(with_inputs("field='a',scale=2;field='b[0]';field='c',scale=2").own_schema().is_err());
    assert!(with_inputs("field='a[4000000000]';field='b'").own_schema().is_err());
}

#[test]
fn the_worst_golden_vector_is_told() {
    let mut parts = Parts::classifier();
    // The scores are last in the file: `taus` of event 5, and of event 4 before it.
    let end = parts.golden.len();
    for (row, off) in [(4, 0.01), (5, 0.02)] {
        let at = end - 4 - 12 * (5 - row);
        let score = EXPECTED[row].0[2] as f32 + off;
        parts.golden[at..at + 4].copy_from_slice(&score.to_le_bytes());
    }
    let refused = load(&parts).bind(&schema(), Engine::Flex);
    let Err(BindError::Golden { row, output, difference, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!((row, output.as_str()), (5, "taus"));
    assert!((difference - 0.02).abs() < 1e-6, "{difference}");
}

#[test]
fn the_reference_is_always_there_and_the_others_say_how_to_get_them() {
    let engines = engines();
    assert!(engines[0].compiled && engines[0].found.is_ok() && engines[0].name == "flex");
    for engine in &engines {
        assert!(engine.name.parse::<Engine>().is_ok(), "{engine:?}");
        assert!(
            engine.compiled || engine.found.as_ref().is_err_and(|why| why.contains("--features")),
            "{engine:?}"
        );
    }
}
