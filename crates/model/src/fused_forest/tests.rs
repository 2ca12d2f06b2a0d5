//! Forests with labels, compared with the graph's own outputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use tamis_graph::{Attribute, Graph, Node, UncheckedGraph};

use crate::fused::Fused;
use crate::network::Network;

/// A stump per class: class `k` gets 1 where number `k` of the event is at most 0.5, and 0.25 elsewhere.
fn classifier(labels: &[i64]) -> Graph {
    let classes = labels.len() as i64;
    let mut source = UncheckedGraph::new();
    source.input("x", [labels.len()]);
    source.opsets.insert("ai.onnx.ml".into(), 3);
    let each = |of: &dyn Fn(i64) -> [i64; 3]| Attribute::Ints((0..classes).flat_map(of).collect());
    let ends = |of: &dyn Fn(i64) -> [i64; 2]| Attribute::Ints((0..classes).flat_map(of).collect());
    let modes = ["BRANCH_LEQ", "LEAF", "LEAF"].map(String::from).to_vec();
    let attributes = [
        ("nodes_treeids", each(&|tree| [tree; 3])),
        ("nodes_nodeids", each(&|_| [0, 1, 2])),
        ("nodes_truenodeids", each(&|_| [1, 0, 0])),
        ("nodes_falsenodeids", each(&|_| [2, 0, 0])),
        ("nodes_featureids", each(&|tree| [tree, 0, 0])),
        ("nodes_modes", Attribute::Texts(vec![modes; labels.len()].concat())),
        ("nodes_values", Attribute::Floats([0.5, 0.0, 0.0].repeat(labels.len()))),
        ("class_treeids", ends(&|tree| [tree; 2])),
        ("class_nodeids", ends(&|_| [1, 2])),
        ("class_ids", ends(&|tree| [tree; 2])),
        ("class_weights", Attribute::Floats([1.0, 0.25].repeat(labels.len()))),
        ("classlabels_int64s", Attribute::Ints(labels.to_vec())),
    ];
    source.nodes.push(Node {
        domain: "ai.onnx.ml".into(),
        operator: "TreeEnsembleClassifier".into(),
        name: "trees".into(),
        inputs: vec!["x".into()],
        outputs: vec!["label".into(), "scores".into()],
        attributes: attributes
            .map(|(key, value)| (key.to_owned(), value))
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
    });
    source.outputs = vec!["label".into(), "scores".into()];
    Graph::new(&source).unwrap()
}

/// Label and scores of every event, on the fused kernels and on the reference.
fn on_both(graph: Graph, rows: &[f32]) -> [Vec<f32>; 2] {
    let graph = Arc::new(graph);
    let events = rows.len() / graph.input_numbers();
    let fused = Fused::new(&graph).unwrap().run(rows, events);
    let reference = Network::reference(&graph).unwrap().start(rows.to_vec(), events).wait(events).unwrap();
    [fused, reference.numbers]
}

#[test]
fn a_class_is_the_label_of_the_file_on_every_engine() {
    #[rustfmt::skip]
    let rows = [
        0.0, 1.0, 1.0,
        1.0, 0.0, 1.0,
        1.0, 1.0, 0.0,
        1.0, 1.0, 1.0,
    ];
    for labels in [[0, 11, 13], [0, 1, 2], [3, 5, 8], [-11, 211, 2212], [2, 1, 0]] {
        let [fused, reference] = on_both(classifier(&labels), &rows);
        let found: Vec<f32> = fused.chunks(4).map(|numbers| numbers[0]).collect();
        assert_eq!(found, [labels[0], labels[1], labels[2], labels[0]].map(|label| label as f32));
        assert_eq!(fused, reference);
    }
}

#[test]
fn what_a_kernel_gives_must_be_what_the_graph_says() {
    let three = classifier(&[0, 1, 2]);
    let four = classifier(&[0, 1, 2, 3]);
    let fused = Fused::new(&three).unwrap();
    assert!(fused.clone().check_outputs(&three).is_ok());
    let refused = fused.check_outputs(&four).unwrap_err();
    assert!(refused.contains("would give [(Int, 1), (Float, 3)]"), "{refused}");
}
