//! Imports of models written by frameworks: which fields are used, which golden vectors are made, and what runs on the fused kernels.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use tamis_event::Schema;
use tamis_model::{Bundle, BundleFiles, Engine, GoldenInputs, Import, ImportError};

fn case(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../graph/tests/cases").join(name)).unwrap()
}

fn schema(fields: &str) -> Schema {
    Schema::parse(format!("name = \"x\"\nfield = [{fields}]\n").as_bytes()).unwrap()
}

fn floats(width: usize) -> Schema {
    schema(&format!("{{ name = \"x\", dtype = \"f32\", len = {width} }}"))
}

fn import(
    name: &str,
    schema: &Schema,
    outputs: &[&str],
    golden: GoldenInputs<'_>,
) -> Result<BundleFiles, ImportError> {
    let file = case(&format!("{name}.onnx"));
    let outputs = (!outputs.is_empty()).then(|| outputs.iter().map(ToString::to_string).collect());
    let import = Import {
        file: &file,
        schema,
        template: None,
        inputs: None,
        outputs,
        name: None,
        nameless: "m",
        golden,
    };
    import.run()
}

fn bundle(name: &str, schema: &Schema, outputs: &[&str]) -> Bundle {
    Bundle::from_files(&import(name, schema, outputs, GoldenInputs::Noise).unwrap().files()).unwrap()
}

/// The number of rows, the inputs and the scores of the golden vectors.
fn golden(files: &BundleFiles) -> (usize, Vec<f32>, Vec<f32>) {
    let file = SafeTensors::deserialize(&files.golden).unwrap();
    let numbers = |name| -> Vec<f32> {
        let bytes = file.tensor(name).unwrap().data().as_chunks().0.to_vec();
        bytes.into_iter().map(f32::from_le_bytes).collect()
    };
    (file.tensor("inputs").unwrap().shape()[0], numbers("inputs"), numbers("scores"))
}

#[test]
fn inputs_that_are_named_after_fields_get_them() {
    let number = |name: &str| format!("{{ name = \"{name}\", dtype = \"f32\" }}");
    // The network has eta first; fields that it does not name are left out.
    let fields = [number("pt"), number("phi"), number("eta")].join(", ");
    let named = bundle("inputs_by_name", &schema(&fields), &[]);
    let inputs = named.describe().inputs;
    assert_eq!(inputs.iter().map(|input| &*input.field).collect::<Vec<_>>(), ["eta", "pt"]);
    assert!(named.notes().is_empty(), "{:?}", named.notes());

    let fields = [number("mass"), number("charge")].join(", ");
    let placed = bundle("inputs_by_name", &schema(&fields), &[]);
    assert_eq!(
        placed.notes(),
        [
            "the fields go into the inputs of the network by their place, not by name: 'eta' gets mass, 'pt' gets charge"
        ]
    );
}

#[test]
fn a_network_that_leaves_fields_out_says_so() {
    let fields = "{ name = \"a\", dtype = \"f32\" }, { name = \"b\", dtype = \"f32\", len = 2 }";
    let notes = bundle("tree_with_a_shared_leaf", &schema(fields), &[]).notes();
    assert_eq!(
        notes,
        [
            "the fields go into input 'x' of the network by their place: a, b",
            "the network looks at 2 of the 3 numbers that go in; not at b[1]"
        ]
    );
}

#[test]
fn golden_vectors_show_every_class() {
    let files =
        import("classes_far_out", &floats(3), &["label", "-", "-", "-"], GoldenInputs::Noise).unwrap();
    let (rows, _, labels) = golden(&files);
    let found: BTreeSet<i32> = labels.iter().map(|&label| label as i32).collect();
    assert_eq!((rows, found), (64, BTreeSet::from([0, 11, 13])));
}

#[test]
fn golden_vectors_are_events_that_have_scores() {
    // Half of the noise is negative, so its logarithm is NaN.
    let (rows, inputs, scores) =
        golden(&import("log_of_input", &floats(3), &[], GoldenInputs::Noise).unwrap());
    assert!(rows == 64 && inputs.iter().all(|&x| x > 0.0) && scores.iter().all(|score| score.is_finite()));

    let refused = import("log_never", &floats(3), &[], GoldenInputs::Noise).unwrap_err().to_string();
    assert!(
        refused.contains("no row of noise gets scores; name a recording whose events do (--events)"),
        "{refused}"
    );
    let records: Vec<u8> =
        [1.0f32, 2.0, f32::NAN].iter().cycle().take(30).flat_map(|x| x.to_le_bytes()).collect();
    let refused =
        import("log_of_input", &floats(3), &[], GoldenInputs::Records(&records)).unwrap_err().to_string();
    assert!(refused.contains("no event of the recording has scores"), "{refused}");
    let records: Vec<u8> = [1.0f32, 2.0, 3.0, 1.0, -2.0, 3.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let (rows, inputs, _) =
        golden(&import("log_of_input", &floats(3), &[], GoldenInputs::Records(&records)).unwrap());
    assert_eq!((rows, inputs), (1, vec![1.0, 2.0, 3.0]));
}

#[test]
fn what_frameworks_put_around_layers_runs_on_the_fused_kernels() {
    let cases: [(&str, usize, &[&str]); 5] = [
        ("sklearn_softmax", 4, &["-", "p0", "p1", "p2"]),
        ("sklearn_logistic_scaled", 4, &["-", "p0", "p1"]),
        ("sklearn_mlp_of_two", 4, &["-", "p0", "p1"]),
        ("keras_normalised", 4, &[]),
        ("tree_with_a_shared_leaf", 3, &[]),
    ];
    for (name, width, outputs) in cases {
        let schema = floats(width);
        let bundle = bundle(name, &schema, outputs);
        assert_eq!(bundle.unfit_for(Engine::Fused), None, "{name}");
        // The scores are those of ONNX Runtime on both engines: its own golden vectors prove it.
        let vectors = case(&format!("{name}.safetensors"));
        let vectors = vectors_of(&vectors, usize::from(outputs.first() == Some(&"-")));
        let files = import(name, &schema, outputs, GoldenInputs::Given(&vectors)).unwrap();
        let bundle = Bundle::from_files(&files.files()).unwrap();
        for engine in [Engine::Flex, Engine::Fused] {
            let check = bundle.bind(&schema, engine).unwrap().golden();
            assert!(check.difference < 1e-5, "{name} on {engine}: {}", check.difference);
        }
    }
}

/// The label of a class, with its scores, is that of ONNX Runtime on both engines: also of equal votes, and of numbers that are moved, cut and scaled
/// before the trees.
#[test]
fn labels_run_on_the_fused_kernels_too() {
    let x = floats(5);
    let both =
        schema("{ name = \"a\", dtype = \"f32\", len = 2 }, { name = \"b\", dtype = \"f32\", len = 3 }");
    for (name, schema) in [
        ("votes_20", &x),
        ("votes_100", &x),
        ("votes_33_shared", &x),
        ("scaled_votes", &both),
        ("mlp_labels", &x),
        ("mlp_words", &x),
        ("gathered_words", &x),
        ("linear_labels_softmax_3", &x),
        ("linear_labels_logistic_3", &x),
        ("linear_labels_logistic_1", &x),
    ] {
        let vectors = vectors_of(&case(&format!("{name}.safetensors")), 0);
        let files = import(name, schema, &[], GoldenInputs::Given(&vectors)).unwrap();
        let bundle = Bundle::from_files(&files.files()).unwrap();
        assert_eq!(bundle.unfit_for(Engine::Fused), None, "{name}");
        for engine in [Engine::Flex, Engine::Fused] {
            let model = bundle.bind(schema, engine).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(model.golden().difference < 1e-5, "{name} on {engine}: {}", model.golden().difference);
        }
        let shown = golden(&files)
            .2
            .chunks(bundle.outputs().len())
            .map(|row| row[0].to_bits())
            .collect::<BTreeSet<_>>();
        let all = shown.len() == bundle.outputs().len() - 1;
        assert_eq!(
            bundle.notes().iter().any(|note| note.contains("the golden vectors show")),
            !all,
            "{name}"
        );
    }
}

#[test]
fn labels_that_no_golden_vector_shows_are_named() {
    // All that is near has label 0; so has a recording of such events.
    let records: Vec<u8> =
        [0.5f32, 0.25, 0.0].iter().cycle().take(30).flat_map(|x| x.to_le_bytes()).collect();
    let outputs = ["label", "-", "-", "-"];
    let files = import("classes_far_out", &floats(3), &outputs, GoldenInputs::Records(&records)).unwrap();
    let notes = Bundle::from_files(&files.files()).unwrap().notes();
    let says = "the golden vectors show 1 of the 3 labels of output 'label', and not 11, 13: a wrong one of these would not be noticed";
    assert!(notes.iter().any(|note| note.starts_with(says) && note.contains("--events")), "{notes:?}");
    assert!(
        bundle("classes_far_out", &floats(3), &outputs).notes().iter().all(|note| !note.contains("golden"))
    );
}

/// Golden vectors of a case: its inputs, and its outputs from number `first` on, side by side.
fn vectors_of(file: &[u8], first: usize) -> Vec<u8> {
    let file = SafeTensors::deserialize(file).unwrap();
    let side_by_side = |kind: &str, first: usize| {
        let parts: Vec<_> = (first..).map_while(|at| file.tensor(&format!("{kind}.{at}")).ok()).collect();
        let rows = parts[0].shape()[0];
        let row = |row: usize| {
            let part = move |part: &safetensors::tensor::TensorView<'_>| {
                let size = part.data().len() / rows;
                part.data()[row * size..][..size].to_vec()
            };
            parts.iter().flat_map(part).collect::<Vec<u8>>()
        };
        let bytes: Vec<u8> = (0..rows).flat_map(row).collect();
        (vec![rows, bytes.len() / rows / 4], bytes)
    };
    let [inputs, scores] = [("input", 0), ("output", first)].map(|(kind, first)| side_by_side(kind, first));
    let tensors = [("inputs", &inputs), ("scores", &scores)].map(|(name, (shape, bytes))| {
        (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize(tensors, None).unwrap()
}

#[test]
fn what_only_an_unnamed_output_needs_is_not_computed() {
    let all = bundle("sklearn_softmax", &floats(4), &[]);
    let some = bundle("sklearn_softmax", &floats(4), &["-", "a", "-", "b"]);
    assert_eq!(all.outputs(), ["label", "q_0", "q_1", "q_2"]);
    assert_eq!(some.outputs(), ["a", "b"]);
    assert!(some.graph().outputs().len() == 1 && all.graph().outputs().len() == 2);
}

#[test]
fn a_missing_value_is_scored_where_the_network_says_what_it_becomes() {
    for (name, takes) in [
        ("imputer", true),
        ("nan_to_num", true),
        ("nan_by_hand", true),
        ("log_of_input", false),
        ("classes_far_out", true),
    ] {
        let width = if name == "nan_by_hand" { 4 } else { 3 };
        assert_eq!(bundle(name, &floats(width), &[]).graph().takes_missing_values(), takes, "{name}");
    }
}

#[test]
fn integers_that_go_in_are_cut_on_every_engine() {
    let bundle = bundle("int64_input", &floats(3), &[]);
    let unfit = bundle.unfit_for(Engine::Fused).unwrap();
    assert!(unfit.contains("is cut to integers"), "{unfit}");
}
