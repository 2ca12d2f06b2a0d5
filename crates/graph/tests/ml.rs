//! The operators of `ai.onnx.ml` against the answers of ONNX Runtime (`scripts/export_ml_cases.py`), and against malicious files.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use safetensors::{Dtype, SafeTensors};
use tamis_graph::{Attribute, Graph, Input, Kind, Node, Program, Refusal, TreeNode, UncheckedGraph};

/// Largest difference of scores, relative to the larger of 1 and the absolute value of the expected one.
const TOLERANCE: f32 = 1e-5;

/// A committed model with its events and the answers of ONNX Runtime, row-major.
struct Case {
    path: PathBuf,
    graph: Arc<Graph>,
    rows: usize,
    events: Vec<f32>,
    /// Every output as floats.
    answers: Vec<Vec<f32>>,
}

fn numbers(tensors: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let view = tensors.tensor(name).unwrap();
    let data = view.data();
    match view.dtype() {
        Dtype::F32 => data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
        Dtype::I64 => data.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes) as f32).collect(),
        other => panic!("{name}: {other:?}"),
    }
}

/// Every model of a folder.
fn cases(folder: &Path) -> Vec<Case> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    paths.sort();
    assert!(!paths.is_empty(), "{} holds models", folder.display());
    let read = |path: PathBuf| {
        let source = UncheckedGraph::from_onnx(&fs::read(&path).unwrap()).unwrap();
        let graph =
            Arc::new(Graph::new(&source).unwrap_or_else(|refusal| panic!("{}: {refusal}", path.display())));
        let bytes = fs::read(path.with_extension("safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let events = numbers(&tensors, "input.0");
        let answers =
            (0..graph.outputs().len()).map(|at| numbers(&tensors, &format!("output.{at}"))).collect();
        Case { rows: events.len() / graph.input_numbers(), path, graph, events, answers }
    };
    paths.into_iter().map(read).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ml")
}

/// Runs a model over events in blocks of `block`.
fn run(program: &Program, events: &[f32], block: usize) -> Vec<f32> {
    let width = program.graph().input_numbers();
    let scores = |events: &[f32]| {
        let rows = events.len() / width;
        program.start(events.to_vec(), rows).wait(rows).unwrap().0
    };
    events.chunks(block * width).flat_map(scores).collect()
}

fn close(found: f32, expected: f32, tolerance: f32) -> bool {
    found == expected
        || found.is_nan() && expected.is_nan()
        || (found - expected).abs() <= tolerance * expected.abs().max(1.0)
}

#[test]
fn scores_and_classes_are_those_of_onnx_runtime() {
    // Optionally another folder with more models of the same script, for a wider search.
    let folder = std::env::var_os("TAMIS_ML_CASES").map_or_else(folder, PathBuf::from);
    let mut compared = 0;
    for case in cases(&folder) {
        let found = run(&Program::new(case.graph.clone(), &Device::flex()), &case.events, case.rows);
        let width = found.len() / case.rows;
        let mut column = 0;
        for (output, answers) in case.graph.outputs().iter().zip(&case.answers) {
            let numbers = output.kind.numbers();
            // ONNX Runtime loses digits near the middle of the probit function.
            let tolerance = if output.name.contains("probit") { 1e-3 } else { TOLERANCE };
            assert_eq!(answers.len(), case.rows * numbers, "{}: {}", case.path.display(), output.name);
            for (row, expected) in answers.chunks(numbers).enumerate() {
                let found = &found[row * width + column..][..numbers];
                let same = found.iter().zip(expected).all(|(&found, &expected)| match output.kind.kind {
                    Kind::Float => close(found, expected, tolerance),
                    _ => found == expected,
                });
                let event = &case.events[row * case.graph.input_numbers()..][..case.graph.input_numbers()];
                assert!(
                    same,
                    "{}: {} of {event:?} is {found:?}, not {expected:?}",
                    case.path.display(),
                    output.name
                );
            }
            column += numbers;
            compared += 1;
        }
    }
    assert!(compared > 100, "{compared} outputs were compared");
}

#[test]
fn an_event_has_the_same_scores_alone_and_in_any_company() {
    for case in cases(&folder()) {
        let program = Program::new(case.graph.clone(), &Device::flex());
        let bits =
            |block| run(&program, &case.events, block).into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let together = bits(case.rows);
        for block in [1, 3, 17] {
            assert!(bits(block) == together, "{} in blocks of {block}", case.path.display());
        }
    }
}

#[test]
fn a_forest_says_what_its_graph_computes() {
    let mut forests = 0;
    for case in cases(&folder()) {
        let features = case.graph.input_numbers();
        for step in case.graph.steps() {
            let Some(forest) = step.forest else { continue };
            forests += 1;
            assert_eq!(forest.features(), features);
            for (at, node) in forest.nodes().iter().enumerate() {
                match *node {
                    TreeNode::Split { feature, first, .. } => {
                        assert!((feature as usize) < features && first as usize > at);
                        assert!((first as usize) + 1 < forest.nodes().len());
                    }
                    TreeNode::Leaf { from, to } => {
                        assert!(from < to && to as usize <= forest.weights().len());
                    }
                }
            }
            for event in case.events.chunks(features) {
                for tree in 0..forest.roots().len() {
                    for weight in forest.leaf(tree, event) {
                        assert!(forest.trees_of(weight.output as usize).contains(&(tree as u32)));
                    }
                }
            }
        }
    }
    assert!(forests > 50, "{forests} forests were looked at");
}

/// One node over 3 features, with the given attributes.
fn build(operator: &str, attributes: &[(&str, Attribute)]) -> Result<Graph, Refusal> {
    let outputs =
        if operator.ends_with("Classifier") { vec!["y0".into(), "y1".into()] } else { vec!["y0".to_owned()] };
    Graph::new(&UncheckedGraph {
        inputs: vec![Input {
            name: "x".into(),
            kind: Kind::Float,
            int32: false,
            narrow: None,
            dims: vec![3],
        }],
        outputs: outputs.clone(),
        nodes: vec![Node {
            domain: "ai.onnx.ml".into(),
            operator: operator.into(),
            name: "n".into(),
            inputs: vec!["x".into()],
            outputs,
            attributes: attributes.iter().map(|(key, value)| ((*key).into(), value.clone())).collect(),
        }],
        opsets: [(String::new(), 17), ("ai.onnx.ml".into(), 3)].into(),
        events: true,
        ..UncheckedGraph::default()
    })
}

fn ints(values: &[i64]) -> Attribute {
    Attribute::Ints(values.to_vec())
}

/// A regressor of one tree with one split, with some attributes replaced.
fn stump(changes: &[(&str, Attribute)]) -> Result<Graph, Refusal> {
    let modes = ["BRANCH_LEQ", "LEAF", "LEAF"].map(String::from).to_vec();
    let mut attributes = vec![
        ("nodes_treeids", ints(&[0, 0, 0])),
        ("nodes_nodeids", ints(&[0, 1, 2])),
        ("nodes_featureids", ints(&[2, 0, 0])),
        ("nodes_modes", Attribute::Texts(modes)),
        ("nodes_values", Attribute::Floats(vec![0.5, 0.0, 0.0])),
        ("nodes_truenodeids", ints(&[1, 0, 0])),
        ("nodes_falsenodeids", ints(&[2, 0, 0])),
        ("target_treeids", ints(&[0, 0])),
        ("target_nodeids", ints(&[1, 2])),
        ("target_ids", ints(&[0, 0])),
        ("target_weights", Attribute::Floats(vec![1.0, 2.0])),
        ("n_targets", Attribute::Int(1)),
    ];
    for (key, value) in changes {
        attributes.retain(|(name, _)| name != key);
        attributes.push((key, value.clone()));
    }
    build("TreeEnsembleRegressor", &attributes)
}

#[test]
fn trees_that_cannot_be_walked_are_refused_by_name() {
    assert!(stump(&[]).is_ok());
    let texts = |modes: [&str; 3]| Attribute::Texts(modes.map(String::from).to_vec());
    let split_twice = texts(["BRANCH_LEQ", "BRANCH_LEQ", "LEAF"]);
    let floats = |values: &[f32]| Attribute::Floats(values.to_vec());
    let refusals: &[(&[(&str, Attribute)], &str)] = &[
        (&[("nodes_truenodeids", ints(&[7, 0, 0]))], "goes to node 7, which is not there"),
        (&[("nodes_truenodeids", ints(&[-1, 0, 0]))], "goes to node -1, which is not there"),
        (&[("nodes_truenodeids", ints(&[0, 0, 0]))], "node 0 of tree 0 leads back to itself"),
        (&[("nodes_falsenodeids", ints(&[1, 0, 0]))], "node 2 is in no tree"),
        (
            &[
                ("nodes_modes", split_twice),
                ("nodes_truenodeids", ints(&[1, 0, 0])),
                ("nodes_falsenodeids", ints(&[2, 0, 0])),
            ],
            "node 0 of tree 0 leads back to itself",
        ),
        (&[("nodes_featureids", ints(&[3, 0, 0]))], "looks at feature 3; an event has 3"),
        (&[("nodes_featureids", ints(&[-1, 0, 0]))], "looks at feature -1"),
        (&[("nodes_values", floats(&[f32::NAN, 0.0, 0.0]))], "NaN"),
        (&[("nodes_values", floats(&[0.5]))], "lists of nodes of different lengths"),
        (&[("nodes_missing_value_tracks_true", ints(&[1]))], "lists of nodes of different lengths"),
        (&[("nodes_nodeids", ints(&[0, 1, 1]))], "two nodes 1 in tree 0"),
        (&[("nodes_treeids", ints(&[0, 1, 0]))], "do not stand together"),
        (&[("nodes_modes", texts(["LEAF", "LEAF", "LEAF"]))], "a leaf without a weight"),
        (&[("nodes_modes", texts(["BRANCH_MEMBER", "LEAF", "LEAF"]))], "'BRANCH_MEMBER'"),
        (&[("target_weights", floats(&[1.0]))], "lists of weights of different lengths"),
        (&[("target_weights", floats(&[1.0, f32::INFINITY]))], "which is not finite"),
        (&[("target_nodeids", ints(&[1, 9]))], "gives a weight to node 9 of tree 0, which is not there"),
        (&[("target_nodeids", ints(&[1, 1]))], "two weights to output 0"),
        (&[("target_nodeids", ints(&[1, 0]))], "node 2 of tree 0 is a leaf without a weight"),
        (&[("target_ids", ints(&[0, 1]))], "gives a weight to output 1; there are 1"),
        (&[("n_targets", Attribute::Int(0))], "no number of targets"),
        (&[("n_targets", Attribute::Int(i64::MAX))], "outputs (targets or classes)"),
        (&[("base_values", floats(&[1.0, 2.0]))], "2 base values for 1 outputs"),
        (&[("base_values", floats(&[f32::NAN]))], "not finite"),
        (&[("post_transform", Attribute::Text("LOGISTIC".into()))], "one target and a post_transform"),
        (&[("aggregate_function", Attribute::Text("PRODUCT".into()))], "'PRODUCT'"),
        (&[("surprise", Attribute::Int(1))], "'surprise'"),
    ];
    for (changes, expected) in refusals {
        let refusal = stump(changes).expect_err(expected).to_string();
        assert!(refusal.contains(expected), "{refusal}\nlacks: {expected}");
        assert!(
            refusal.contains("node 'n' (operator TreeEnsembleRegressor of ai.onnx.ml, opset 3)"),
            "{refusal}"
        );
    }
}

#[test]
fn a_chain_without_end_is_refused_and_costs_little() {
    let count = 1 << 18;
    let ids: Vec<i64> = (0..2 * count + 1).collect();
    let inner = |id: &i64| id % 2 == 0 && *id < 2 * count;
    let pick = |yes: &dyn Fn(i64) -> i64| {
        Attribute::Ints(ids.iter().map(|id| if inner(id) { yes(*id) } else { 0 }).collect())
    };
    let leaves: Vec<i64> = ids.iter().copied().filter(|id| !inner(id)).collect();
    let modes = ids.iter().map(|id| if inner(id) { "BRANCH_LT" } else { "LEAF" }.to_owned()).collect();
    let refusal = stump(&[
        ("nodes_treeids", ints(&vec![0; ids.len()])),
        ("nodes_nodeids", ints(&ids)),
        ("nodes_featureids", ints(&vec![0; ids.len()])),
        ("nodes_modes", Attribute::Texts(modes)),
        ("nodes_values", Attribute::Floats(vec![0.0; ids.len()])),
        ("nodes_truenodeids", pick(&|id| id + 1)),
        ("nodes_falsenodeids", pick(&|id| id + 2)),
        ("target_treeids", ints(&vec![0; leaves.len()])),
        ("target_nodeids", ints(&leaves)),
        ("target_ids", ints(&vec![0; leaves.len()])),
        ("target_weights", Attribute::Floats(vec![1.0; leaves.len()])),
    ]);
    let refusal = refusal.expect_err("too deep").to_string();
    assert!(refusal.contains("steps below its root"), "{refusal}");
}

#[test]
fn a_tree_that_is_written_out_without_end_is_refused_and_costs_little() {
    // Both children of every node are the next node: a few lines that unfold to 2^40 leaves.
    let count = 40;
    let ids: Vec<i64> = (0..=count).collect();
    let next: Vec<i64> = ids.iter().map(|id| (id + 1) % (count + 1)).collect();
    let modes = ids.iter().map(|&id| if id < count { "BRANCH_LT" } else { "LEAF" }.to_owned()).collect();
    let refusal = stump(&[
        ("nodes_treeids", ints(&vec![0; ids.len()])),
        ("nodes_nodeids", ints(&ids)),
        ("nodes_featureids", ints(&vec![0; ids.len()])),
        ("nodes_modes", Attribute::Texts(modes)),
        ("nodes_values", Attribute::Floats(vec![0.0; ids.len()])),
        ("nodes_truenodeids", ints(&next)),
        ("nodes_falsenodeids", ints(&next)),
        ("target_treeids", ints(&[0])),
        ("target_nodeids", ints(&[count])),
        ("target_ids", ints(&[0])),
        ("target_weights", Attribute::Floats(vec![1.0])),
    ]);
    let refusal = refusal.expect_err("too many").to_string();
    assert!(refusal.contains("has more than 1048576 nodes"), "{refusal}");
}

#[test]
fn settings_that_onnx_and_onnx_runtime_read_differently_are_refused() {
    let two = |ids: &[i64], base: &[f32], link: &str, labels: &[i64]| {
        let modes = ["BRANCH_LEQ", "LEAF", "LEAF"].map(String::from).to_vec();
        let half = ids.len() / 2;
        let nodes: Vec<i64> = (0..ids.len()).map(|at| if at < half { 1 } else { 2 }).collect();
        build(
            "TreeEnsembleClassifier",
            &[
                ("nodes_treeids", ints(&[0, 0, 0])),
                ("nodes_nodeids", ints(&[0, 1, 2])),
                ("nodes_featureids", ints(&[2, 0, 0])),
                ("nodes_modes", Attribute::Texts(modes)),
                ("nodes_values", Attribute::Floats(vec![0.5, 0.0, 0.0])),
                ("nodes_truenodeids", ints(&[1, 0, 0])),
                ("nodes_falsenodeids", ints(&[2, 0, 0])),
                ("class_treeids", ints(&vec![0; ids.len()])),
                ("class_nodeids", ints(&nodes)),
                ("class_ids", ints(ids)),
                ("class_weights", Attribute::Floats(vec![1.0; ids.len()])),
                ("base_values", Attribute::Floats(base.to_vec())),
                ("post_transform", Attribute::Text(link.into())),
                ("classlabels_int64s", ints(labels)),
            ],
        )
    };
    assert!(two(&[0, 0], &[], "NONE", &[5, 7]).is_ok());
    assert!(two(&[0, 1, 0, 1], &[], "NONE", &[0, 1]).is_ok());
    let refusals = [
        (two(&[0, 0], &[], "PROBIT", &[0, 1]), "PROBIT"),
        (two(&[0, 1, 0, 1], &[], "NONE", &[5, 7]), "labels that are not 0 and 1"),
        (two(&[0, 1, 0, 1], &[0.5, 0.5], "NONE", &[0, 1]), "2 base values"),
        (two(&[0, 1], &[], "NONE", &[0, 1]), "to one of them only"),
        (two(&[0, 0], &[1.0, 2.0, 3.0], "NONE", &[0, 1]), "3 base values"),
        (two(&[1, 1], &[0.5], "NONE", &[0, 1]), "a base value for output 0"),
        (two(&[0, 0], &[], "NONE", &[4]), "fewer than two classes"),
        (two(&[0, 2], &[], "NONE", &[0, 1]), "output 2"),
    ];
    for (built, expected) in refusals {
        let refusal = built.expect_err(expected).to_string();
        assert!(refusal.contains(expected), "{refusal}\nlacks: {expected}");
    }
}
