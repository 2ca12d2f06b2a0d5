//! Forests with labels, compared with the graph's own outputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use tamis_graph::{Attribute, Graph, Node, UncheckedGraph};

use crate::fused::Fused;
use crate::network::Network;

/// A tree of one split: what its two leaves give, to which class.
struct Stump {
    feature: i64,
    threshold: f32,
    leaves: [Vec<(i64, f32)>; 2],
}

/// A classifier of stumps.
fn forest(labels: &[i64], features: usize, stumps: &[Stump]) -> Graph {
    let mut source = UncheckedGraph::new();
    source.input("x", [features]);
    source.opsets.insert("ai.onnx.ml".into(), 3);
    let nodes = |of: &dyn Fn(i64, &Stump) -> [i64; 3]| {
        Attribute::Ints((0..).zip(stumps).flat_map(|(tree, stump)| of(tree, stump)).collect())
    };
    let given = |(tree, stump): (i64, &Stump)| -> Vec<(i64, i64, i64, f32)> {
        let of_leaf = |(node, leaf): (i64, &Vec<(i64, f32)>)| -> Vec<_> {
            leaf.iter().map(|&(class, weight)| (tree, node, class, weight)).collect()
        };
        (1..).zip(&stump.leaves).flat_map(of_leaf).collect()
    };
    let given: Vec<_> = (0..).zip(stumps).flat_map(given).collect();
    let ends = |of: fn(&(i64, i64, i64, f32)) -> i64| Attribute::Ints(given.iter().map(of).collect());
    let modes = ["BRANCH_LEQ", "LEAF", "LEAF"].map(String::from).to_vec();
    let values = stumps.iter().flat_map(|stump| [stump.threshold, 0.0, 0.0]).collect();
    let attributes = [
        ("nodes_treeids", nodes(&|tree, _| [tree; 3])),
        ("nodes_nodeids", nodes(&|_, _| [0, 1, 2])),
        ("nodes_truenodeids", nodes(&|_, _| [1, 0, 0])),
        ("nodes_falsenodeids", nodes(&|_, _| [2, 0, 0])),
        ("nodes_featureids", nodes(&|_, stump| [stump.feature, 0, 0])),
        ("nodes_modes", Attribute::Texts(vec![modes; stumps.len()].concat())),
        ("nodes_values", Attribute::Floats(values)),
        ("class_treeids", ends(|given| given.0)),
        ("class_nodeids", ends(|given| given.1)),
        ("class_ids", ends(|given| given.2)),
        ("class_weights", Attribute::Floats(given.iter().map(|given| given.3).collect())),
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

/// A stump for each class: class `k` is given 1 where number `k` of the event is at most 0.5, and 0.25 where not.
fn classifier(labels: &[i64]) -> Graph {
    let stump = |class: i64| {
        let leaves = [1.0, 0.25].map(|weight| vec![(class, weight)]);
        Stump { feature: class, threshold: 0.5, leaves }
    };
    let stumps: Vec<Stump> = (0..labels.len() as i64).map(stump).collect();
    forest(labels, labels.len(), &stumps)
}

/// Numbers from 0 up to 1, the same every time.
fn dice() -> impl FnMut() -> f32 {
    let mut state = 1u32;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    }
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

/// Labels of random forests hang on the last bit of a sum: equal votes are added up in the order of the trees, and nowhere else.
#[test]
fn votes_are_added_in_the_order_of_the_trees_on_every_engine() {
    const LABELS: [i64; 3] = [-3, 8, 99];
    const FEATURES: usize = 5;
    let mut dice = dice();
    let mut below = |end: usize| (dice() * end as f32) as usize;
    let rows: Vec<f32> = (0..2000 * FEATURES).map(|_| below(1000) as f32 / 1000.0).collect();
    for (trees, share) in [(20, 1.0), (100, 1.0), (20, 0.7), (100, 0.7), (33, 0.4)] {
        let vote = 1.0 / trees as f32;
        let mut leaf = || match (below(3) as i64, share) {
            (class, 1.0) => vec![(class, vote)],
            (class, share) => vec![(class, vote * share), ((class + 1) % 3, vote * (1.0 - share))],
        };
        let mut leaves: Vec<_> = (0..trees).map(|_| [leaf(), leaf()]).collect();
        let stump = |leaves| Stump { feature: below(FEATURES) as i64, threshold: 0.5, leaves };
        let stumps: Vec<Stump> = leaves.drain(..).map(stump).collect();
        let expected = rows.chunks(FEATURES).flat_map(|row| {
            let mut sums = [0.0f32; 3];
            for stump in &stumps {
                let leaf = usize::from(row[stump.feature as usize] > stump.threshold);
                stump.leaves[leaf].iter().for_each(|&(class, weight)| sums[class as usize] += weight);
            }
            let best = (1..3).fold(0, |best, class| if sums[class] > sums[best] { class } else { best });
            [LABELS[best] as f32, sums[0], sums[1], sums[2]].map(f32::to_bits)
        });
        let expected: Vec<u32> = expected.collect();
        for numbers in on_both(forest(&LABELS, FEATURES, &stumps), &rows) {
            let bits: Vec<u32> = numbers.into_iter().map(f32::to_bits).collect();
            let wrong = bits.iter().zip(&expected).filter(|(found, expected)| found != expected).count();
            assert_eq!(wrong, 0, "{trees} trees, share {share}");
        }
    }
}
