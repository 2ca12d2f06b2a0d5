//! The lists of `TreeEnsemble` (`ai.onnx.ml` 5): separate lists of splits and leaves, one weight per leaf, and sets.

use crate::error::{Fault, refuse};
use crate::forest::{Aggregate, Draft, DraftKind, DraftNode, Link, Mode, NODES_MAX, SplitDraft};
use crate::operator::Site;
use crate::source::{Constant, Data};

/// Reads the attributes.
pub(super) fn draft(site: &Site<'_>, features: usize) -> Result<(Draft, Link), Fault> {
    site.ignore(&["nodes_hitrates"]);
    let outputs = match site.int("n_targets")? {
        Some(targets @ 1..) => targets as usize,
        _ => refuse!("has no number of targets (n_targets)"),
    };
    let aggregate = match site.int("aggregate_function")?.unwrap_or(1) {
        0 => Aggregate::Average,
        1 => Aggregate::Sum,
        2 => Aggregate::Min,
        3 => Aggregate::Max,
        other => refuse!("its aggregate_function {other} is not one that ONNX defines"),
    };
    let link = match site.int("post_transform")?.unwrap_or(0) {
        0 => Link::None,
        1 | 2 => refuse!(
            "its post_transform 1 is the softmax and 2 the logistic function in ONNX, and the other way round in ONNX Runtime; \
             set it to 0, and add a node with the function if it is wanted"
        ),
        3 => Link::SoftmaxZero,
        4 => Link::Probit,
        other => refuse!("its post_transform {other} is not one that ONNX defines"),
    };
    let lists = Lists::read(site)?;
    let (nodes, roots) = lists.nodes()?;
    Ok((Draft { features, outputs, nodes, roots, aggregate, base: Vec::new() }, link))
}

/// Name and node of every root.
type Roots = Vec<(i64, usize)>;

struct Lists<'a> {
    roots: &'a [i64],
    feature: &'a [i64],
    modes: Vec<i64>,
    splits: Vec<f32>,
    missing: &'a [i64],
    /// Children where the test holds and where it does not: indices, and whether they are indices of leaves.
    children: [(&'a [i64], &'a [i64]); 2],
    leaf_outputs: &'a [i64],
    leaf_weights: Vec<f32>,
    members: Vec<f32>,
}

impl<'a> Lists<'a> {
    fn read(site: &Site<'a>) -> Result<Self, Fault> {
        let ints = |key| site.ints(key).map(Option::unwrap_or_default);
        let floats = |key: &'a str| match site.tensor(key)? {
            None => Ok(Vec::new()),
            Some(Constant { data: Data::Floats(values), .. }) => Ok(values.clone()),
            Some(_) => Err(format!("its attribute '{key}' must be float32 numbers")),
        };
        let modes = match site.tensor("nodes_modes")? {
            Some(Constant { data: Data::Ints(values), .. }) => values.clone(),
            _ => refuse!("its attribute 'nodes_modes' must be a tensor of integers"),
        };
        let lists = Self {
            roots: ints("tree_roots")?,
            feature: ints("nodes_featureids")?,
            modes,
            splits: floats("nodes_splits")?,
            missing: ints("nodes_missing_value_tracks_true")?,
            children: [
                (ints("nodes_truenodeids")?, ints("nodes_trueleafs")?),
                (ints("nodes_falsenodeids")?, ints("nodes_falseleafs")?),
            ],
            leaf_outputs: ints("leaf_targetids")?,
            leaf_weights: floats("leaf_weights")?,
            members: floats("membership_values")?,
        };
        let count = lists.modes.len();
        let [(yes, yes_leaf), (no, no_leaf)] = lists.children;
        let lengths =
            [lists.feature.len(), lists.splits.len(), yes.len(), yes_leaf.len(), no.len(), no_leaf.len()];
        if lengths.iter().any(|&length| length != count) || ![0, count].contains(&lists.missing.len()) {
            refuse!("has lists of nodes of different lengths: {count}, {lengths:?}, {}", lists.missing.len());
        }
        let leaves = [lists.leaf_outputs.len(), lists.leaf_weights.len()];
        if leaves[0] != leaves[1] {
            refuse!("has lists of leaves of different lengths: {leaves:?}");
        }
        if count > NODES_MAX || leaves[0] > NODES_MAX {
            refuse!("has {count} nodes and {} leaves; at most {NODES_MAX} are supported", leaves[0]);
        }
        Ok(lists)
    }

    /// One draft node per split, and one per reference to a leaf.
    fn nodes(&self) -> Result<(Vec<DraftNode>, Roots), Fault> {
        let mut is_root = vec![false; self.modes.len()];
        let mut roots = Vec::new();
        for (tree, &root) in (0..).zip(self.roots) {
            match usize::try_from(root) {
                Ok(at) if at < self.modes.len() => {
                    is_root[at] = true;
                    roots.push((tree, at));
                }
                _ => refuse!("tree {tree} has the root {root}; there are {} nodes", self.modes.len()),
            }
        }
        let mut members = self.members.split(|value| value.is_nan());
        let mut leaves = Vec::new();
        let mut nodes = Vec::with_capacity(3 * self.modes.len());
        let mut kinds = Vec::with_capacity(self.modes.len());
        for (index, &is_root) in is_root.iter().enumerate() {
            let mode = mode(self.modes[index])?;
            let set = if mode == Mode::Member { members.next().unwrap_or_default() } else { &[] };
            kinds.push(match is_root && self.lone_leaf(index) {
                true => DraftKind::Leaf(vec![self.leaf(self.children[0].0[index])?]),
                false => DraftKind::Split(SplitDraft {
                    feature: self.feature[index],
                    mode,
                    threshold: self.splits[index],
                    missing_true: self.missing.get(index) == Some(&1),
                    yes: self.child(0, index, &mut leaves)?,
                    no: self.child(1, index, &mut leaves)?,
                    members: set.to_vec(),
                }),
            });
        }
        nodes.extend((0..).zip(kinds).map(|(id, kind)| DraftNode { id, kind }));
        nodes.extend(leaves);
        Ok((nodes, roots))
    }

    /// Is the node a tree of one leaf? Such a tree is written as a root with that leaf as both children.
    fn lone_leaf(&self, index: usize) -> bool {
        let [(yes, yes_leaf), (no, no_leaf)] = self.children;
        yes_leaf[index] != 0 && no_leaf[index] != 0 && yes[index] == no[index]
    }

    fn leaf(&self, leaf: i64) -> Result<(i64, f32), Fault> {
        let at = usize::try_from(leaf).ok().filter(|&at| at < self.leaf_outputs.len());
        let at = at.ok_or_else(|| format!("goes to leaf {leaf}; there are {}", self.leaf_outputs.len()))?;
        Ok((self.leaf_outputs[at], self.leaf_weights[at]))
    }

    /// Index of a child among the draft nodes; a leaf is written anew for every reference to it.
    fn child(&self, side: usize, index: usize, leaves: &mut Vec<DraftNode>) -> Result<usize, Fault> {
        let child = self.children[side].0[index];
        let is_leaf = self.children[side].1[index] != 0;
        if is_leaf {
            leaves.push(DraftNode { id: child, kind: DraftKind::Leaf(vec![self.leaf(child)?]) });
            return Ok(self.modes.len() + leaves.len() - 1);
        }
        let at = usize::try_from(child).ok().filter(|&at| at < self.modes.len());
        at.ok_or_else(|| format!("node {index} goes to node {child}, which is not there"))
    }
}

fn mode(code: i64) -> Result<Mode, Fault> {
    Ok(match code {
        0 => Mode::Leq,
        1 => Mode::Lt,
        2 => Mode::Gte,
        3 => Mode::Gt,
        4 => Mode::Eq,
        5 => Mode::Neq,
        6 => Mode::Member,
        other => refuse!("has the node mode {other}, which ONNX does not define"),
    })
}
