//! The parallel lists of `TreeEnsembleClassifier` and `TreeEnsembleRegressor`: one entry per node, one per weight.

use std::collections::HashMap;

use crate::error::{Fault, refuse};
use crate::forest::{Aggregate, Draft, DraftKind, DraftNode, Mode, NODES_MAX, SplitDraft};
use crate::operator::Site;
use crate::source::{Constant, Data};

/// A list of numbers that can be written as a list or as a tensor.
pub(super) fn numbers<'a>(site: &Site<'a>, list: &'a str, tensor: &'a str) -> Result<Vec<f32>, Fault> {
    match (site.floats(list)?, site.tensor(tensor)?) {
        (list, None) => Ok(list.unwrap_or_default().to_vec()),
        (None | Some([]), Some(Constant { data: Data::Floats(values), .. })) => Ok(values.clone()),
        (None | Some([]), Some(_)) => Err(format!("its attribute '{tensor}' must be float32 numbers")),
        _ => Err(format!("has both {list} and {tensor}")),
    }
}

/// The names of the weight lists of an operator.
struct Names {
    trees: &'static str,
    nodes: &'static str,
    outputs: &'static str,
    weights: [&'static str; 2],
}

const CLASS: Names = Names {
    trees: "class_treeids",
    nodes: "class_nodeids",
    outputs: "class_ids",
    weights: ["class_weights", "class_weights_as_tensor"],
};

const TARGET: Names = Names {
    trees: "target_treeids",
    nodes: "target_nodeids",
    outputs: "target_ids",
    weights: ["target_weights", "target_weights_as_tensor"],
};

/// All entries of the weight lists: outputs and weights. Only here do entries of inner nodes count.
pub(super) struct Entries {
    pub outputs: Vec<i64>,
    pub weights: Vec<f32>,
}

/// Reads the weight lists of a classifier.
pub(super) fn entries(site: &Site<'_>) -> Result<Entries, Fault> {
    let [list, tensor] = CLASS.weights;
    let outputs = site.ints(CLASS.outputs)?.unwrap_or_default().to_vec();
    Ok(Entries { outputs, weights: numbers(site, list, tensor)? })
}

/// Reads the lists of nodes and weights. The caller reads base values and aggregate.
pub(super) fn draft(
    site: &Site<'_>,
    weights: &'static str,
    features: usize,
    outputs: usize,
) -> Result<Draft, Fault> {
    site.ignore(&["nodes_hitrates", "nodes_hitrates_as_tensor"]);
    let names = if weights == "class" { &CLASS } else { &TARGET };
    let ints = |key| site.ints(key).map(Option::unwrap_or_default);
    let (trees, ids) = (ints("nodes_treeids")?, ints("nodes_nodeids")?);
    let (yes, no) = (ints("nodes_truenodeids")?, ints("nodes_falsenodeids")?);
    let (feature, missing) = (ints("nodes_featureids")?, ints("nodes_missing_value_tracks_true")?);
    let modes = site.texts("nodes_modes")?.unwrap_or_default();
    let values = numbers(site, "nodes_values", "nodes_values_as_tensor")?;
    let count = ids.len();
    let lengths = [trees.len(), yes.len(), no.len(), feature.len(), modes.len(), values.len()];
    if lengths.iter().any(|&length| length != count) || ![0, count].contains(&missing.len()) {
        refuse!("has lists of nodes of different lengths: {count}, {lengths:?}, {}", missing.len());
    }
    if count > NODES_MAX {
        refuse!("has {count} nodes; at most {NODES_MAX} are supported");
    }
    let (by_name, roots) = index(trees, ids)?;
    let child = |index: usize, child: i64| {
        let found = by_name.get(&(trees[index], child)).copied();
        found.ok_or_else(|| {
            format!("node {} of tree {} goes to node {child}, which is not there", ids[index], trees[index])
        })
    };
    let mut nodes = Vec::with_capacity(count);
    for index in 0..count {
        let kind = match mode(&modes[index])? {
            None => DraftKind::Leaf(Vec::new()),
            Some(mode) => DraftKind::Split(SplitDraft {
                feature: feature[index],
                mode,
                threshold: values[index],
                missing_true: missing.get(index) == Some(&1),
                yes: child(index, yes[index])?,
                no: child(index, no[index])?,
                members: Vec::new(),
            }),
        };
        nodes.push(DraftNode { id: ids[index], kind });
    }
    give_weights(site, names, &by_name, &mut nodes)?;
    Ok(Draft { features, outputs, nodes, roots, aggregate: Aggregate::Sum, base: Vec::new() })
}

type ByName = HashMap<(i64, i64), usize>;

/// Indexes nodes by tree and number, and finds the first node of every tree, which is its root.
fn index(trees: &[i64], ids: &[i64]) -> Result<(ByName, Vec<(i64, usize)>), Fault> {
    let mut by_name = HashMap::new();
    let mut roots: Vec<(i64, usize)> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for (index, (&tree, &id)) in trees.iter().zip(ids).enumerate() {
        if by_name.insert((tree, id), index).is_some() {
            refuse!("has two nodes {id} in tree {tree}");
        }
        if roots.last().is_none_or(|&(last, _)| last != tree) {
            if !seen.insert(tree) {
                refuse!("the nodes of tree {tree} do not stand together");
            }
            roots.push((tree, index));
        }
    }
    Ok((by_name, roots))
}

fn give_weights(
    site: &Site<'_>,
    names: &'static Names,
    by_name: &ByName,
    nodes: &mut [DraftNode],
) -> Result<(), Fault> {
    let ints = |key| site.ints(key).map(Option::unwrap_or_default);
    let (trees, ids, outputs) = (ints(names.trees)?, ints(names.nodes)?, ints(names.outputs)?);
    let [list, tensor] = names.weights;
    let weights = numbers(site, list, tensor)?;
    let lengths = [ids.len(), outputs.len(), weights.len()];
    if lengths.iter().any(|&length| length != trees.len()) {
        refuse!("has lists of weights of different lengths: {}, {lengths:?}", trees.len());
    }
    for (index, key) in trees.iter().copied().zip(ids.iter().copied()).enumerate() {
        let Some(&node) = by_name.get(&key) else {
            refuse!("gives a weight to node {} of tree {}, which is not there", key.1, key.0);
        };
        // Old converters also wrote weights for inner nodes; they are ignored, as in ONNX Runtime.
        if let DraftKind::Leaf(given) = &mut nodes[node].kind {
            given.push((outputs[index], weights[index]));
        }
    }
    Ok(())
}

/// The comparison of a node mode; `None` for a leaf.
fn mode(name: &str) -> Result<Option<Mode>, Fault> {
    Ok(Some(match name {
        "BRANCH_LEQ" => Mode::Leq,
        "BRANCH_LT" => Mode::Lt,
        "BRANCH_GTE" => Mode::Gte,
        "BRANCH_GT" => Mode::Gt,
        "BRANCH_EQ" => Mode::Eq,
        "BRANCH_NEQ" => Mode::Neq,
        "LEAF" => return Ok(None),
        other => refuse!("has the node mode '{other}', which ONNX does not define"),
    }))
}
