//! Forests against a literal walk, one event and one tree at a time.

use proptest::prelude::*;
use tamis_kernel::{
    BranchTest, Combine, EQUALS_MAX, EVENTS, Forest, ForestError, ForestNode, ForestSpec, Isa, Missing,
    TREES_MAX, Tree, TreeFault, WEIGHTS_MAX,
};

use crate::support::{available, bits};

const COMPARISONS: [BranchTest; 3] = [BranchTest::LessOrEqual, BranchTest::Less, BranchTest::Equal];
/// Few values, so that inputs often equal thresholds.
const VALUES: [f32; 9] = [-2.0, -1.0, -0.0, 0.0, 0.5, 1.0, f32::NEG_INFINITY, f32::INFINITY, f32::NAN];

/// A repeatable source of choices.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % end
    }

    fn weight(&mut self) -> f32 {
        self.below(2_000_001) as f32 / 1e6 - 1.0
    }

    /// A tree of `leaves` leaves, grown at random places and so of any depth.
    fn tree(&mut self, leaves: usize, inputs: usize, outputs: usize) -> Tree {
        let mut nodes = vec![self.leaf(outputs)];
        let mut ends = vec![0];
        while ends.len() < leaves {
            let place = self.below(ends.len());
            let end = ends.swap_remove(place);
            let yes = nodes.len() + self.below(2);
            let no = nodes.len();
            let (yes, no) = (yes, if yes == no { no + 1 } else { no });
            for _ in 0..2 {
                ends.push(nodes.len());
                let leaf = self.leaf(outputs);
                nodes.push(leaf);
            }
            nodes[end] = ForestNode::Branch {
                input: self.below(inputs),
                comparison: COMPARISONS[self.below(3)],
                threshold: VALUES[self.below(8)],
                missing: [Missing::Yes, Missing::No][self.below(2)],
                yes,
                no,
            };
        }
        Tree { nodes }
    }

    fn leaf(&mut self, outputs: usize) -> ForestNode {
        let first = self.below(outputs + 1);
        let weights = (first..outputs).step_by(2).map(|output| (output, self.weight())).collect();
        ForestNode::Leaf { weights }
    }
}

fn run(forest: &Forest, rows: &[f32]) -> Vec<f32> {
    let mut scores = vec![f32::NAN; rows.len() / forest.inputs() * forest.outputs()];
    forest.run(&mut forest.tile(), rows, &mut scores);
    scores
}

fn leaf<'a>(tree: &'a Tree, row: &[f32]) -> &'a [(usize, f32)] {
    let mut at = 0;
    loop {
        match &tree.nodes[at] {
            ForestNode::Leaf { weights } => return weights,
            &ForestNode::Branch { input, comparison, threshold, missing, yes, no } => {
                let x = row[input];
                let holds = match comparison {
                    _ if x.is_nan() => missing == Missing::Yes,
                    BranchTest::LessOrEqual => x <= threshold,
                    BranchTest::Less => x < threshold,
                    BranchTest::Equal => x == threshold,
                };
                at = if holds { yes } else { no };
            }
        }
    }
}

/// The outputs in the order that the crate promises.
fn naive(spec: &ForestSpec, row: &[f32]) -> Vec<f32> {
    let mut given: Vec<Vec<f32>> = vec![Vec::new(); spec.outputs];
    for tree in &spec.trees {
        for &(output, weight) in leaf(tree, row) {
            given[output].push(weight);
        }
    }
    let total = |given: Vec<f32>| match spec.aggregate {
        Combine::Sum => given.iter().fold(0.0, |sum, weight| sum + weight),
        Combine::Average => given.iter().fold(0.0, |sum, weight| sum + weight) / spec.trees.len() as f32,
        Combine::Min => given.into_iter().reduce(f32::min).unwrap_or(0.0),
        Combine::Max => given.into_iter().reduce(f32::max).unwrap_or(0.0),
    };
    let base = |output: usize| spec.base.get(output).copied().unwrap_or(0.0);
    given.into_iter().enumerate().map(|(output, given)| total(given) + base(output)).collect()
}

fn rows(dice: &mut Dice, events: usize, inputs: usize) -> Vec<f32> {
    (0..events * inputs).map(|_| VALUES[dice.below(9)]).collect()
}

proptest! {
    #[test]
    fn every_tree_ends_where_a_naive_walk_ends(
        seed in 1u64..,
        sizes in prop::collection::vec(prop_oneof![1usize..6, 20usize..40, 60usize..200], 1..5),
        outputs in 1usize..5,
        inputs in 1usize..12,
        aggregate in prop::sample::select(vec![Combine::Sum, Combine::Average, Combine::Min, Combine::Max]),
        based in any::<bool>(),
        events in 1usize..70,
    ) {
        let mut dice = Dice(seed);
        let trees = sizes.iter().map(|&leaves| dice.tree(leaves, inputs, outputs)).collect();
        let base = if based { (0..outputs).map(|_| dice.weight()).collect() } else { Vec::new() };
        let spec = ForestSpec { inputs, outputs, trees, aggregate, base };
        let rows = rows(&mut dice, events, inputs);
        let want: Vec<f32> = rows.chunks(inputs).flat_map(|row| naive(&spec, row)).collect();
        for isa in available() {
            let forest = Forest::with_isa(&spec, isa).unwrap();
            prop_assert_eq!(bits(&run(&forest, &rows)), bits(&want), "{:?}", isa);
            let alone: Vec<f32> = rows.chunks(inputs).flat_map(|row| run(&forest, row)).collect();
            prop_assert_eq!(bits(&alone), bits(&want), "{:?}", isa);
            prop_assert_eq!(bits(&by_tiles(&forest, &rows)), bits(&want), "{:?}", isa);
        }
    }
}

fn by_tiles(forest: &Forest, rows: &[f32]) -> Vec<f32> {
    let mut tile = forest.tile();
    let mut scores = Vec::new();
    for rows in rows.chunks(EVENTS * forest.inputs()) {
        for (input, lanes) in tile.inputs_mut().iter_mut().enumerate() {
            for (event, row) in rows.chunks(forest.inputs()).enumerate() {
                lanes.0[event] = row[input];
            }
        }
        let events = rows.len() / forest.inputs();
        forest.run_tile(&mut tile, events);
        for event in 0..events {
            scores.extend(tile.scores().iter().map(|lanes| lanes.0[event]));
        }
    }
    scores
}

/// A branch on input 0 at `threshold`.
fn branch(threshold: f32, yes: usize, no: usize) -> ForestNode {
    ForestNode::Branch {
        input: 0,
        comparison: BranchTest::LessOrEqual,
        threshold,
        missing: Missing::No,
        yes,
        no,
    }
}

fn gives(weight: f32) -> ForestNode {
    ForestNode::Leaf { weights: vec![(0, weight)] }
}

fn forest(nodes: Vec<ForestNode>) -> ForestSpec {
    let trees = vec![Tree { nodes }];
    ForestSpec { inputs: 1, outputs: 1, trees, aggregate: Combine::Sum, base: Vec::new() }
}

/// Steps: leaf `i` for inputs in `i - 1 < x <= i`, one branch deeper each. `left` says which child continues the staircase.
fn staircase(steps: usize, left: bool) -> ForestSpec {
    let mut nodes = Vec::new();
    for step in 0..steps {
        let (leaf, next) = (2 * step + 1, 2 * step + 2);
        if left {
            // From the top: inputs that are not above the threshold go on.
            nodes.extend([branch((steps - step - 1) as f32, next, leaf), gives((steps - step) as f32)]);
        } else {
            nodes.extend([branch(step as f32, leaf, next), gives(step as f32)]);
        }
    }
    nodes.push(gives(if left { 0.0 } else { steps as f32 }));
    forest(nodes)
}

#[test]
fn deep_and_lopsided_trees_are_walked_to_the_end() {
    for steps in [1, 11, 12, 13, 31, 32, 33, 127, 128, 129, 3000] {
        for left in [true, false] {
            let spec = staircase(steps, left);
            let rows: Vec<f32> = (0..=steps).map(|i| i as f32).collect();
            for isa in available() {
                assert_eq!(
                    run(&Forest::with_isa(&spec, isa).unwrap(), &rows),
                    rows,
                    "{steps} {left} {isa:?}"
                );
            }
        }
    }
}

#[test]
fn a_very_deep_tree_does_not_exhaust_the_stack() {
    let spec = staircase(200_000, false);
    assert_eq!(run(&Forest::new(&spec).unwrap(), &[3.0, 150_000.0]), [3.0, 150_000.0]);
}

#[test]
fn nodes_may_stand_in_any_order_and_some_for_nothing() {
    let spec = forest(vec![branch(0.0, 4, 2), gives(7.0), gives(2.0), branch(0.0, 1, 3), gives(1.0)]);
    assert_eq!(run(&Forest::new(&spec).unwrap(), &[-1.0, 1.0]), [1.0, 2.0]);
}

#[test]
fn what_is_no_forest_is_refused() {
    let refused = |spec: &ForestSpec| Forest::new(spec).unwrap_err();
    let wrong = |fault| ForestError::Tree { tree: 0, fault };
    let tree = |nodes| refused(&forest(nodes));
    assert_eq!(tree(vec![]), wrong(TreeFault::Empty));
    assert_eq!(tree(vec![branch(0.0, 0, 1), gives(1.0)]), wrong(TreeFault::Shared { node: 0 }));
    assert_eq!(tree(vec![branch(0.0, 1, 1), gives(1.0)]), wrong(TreeFault::Shared { node: 1 }));
    assert_eq!(
        tree(vec![branch(0.0, 1, 2), branch(0.0, 2, 3), gives(0.0), gives(1.0)]),
        wrong(TreeFault::Shared { node: 2 })
    );
    assert_eq!(
        tree(vec![branch(0.0, 1, 2), gives(1.0)]),
        wrong(TreeFault::Child { node: 0, child: 2, nodes: 2 })
    );
    assert_eq!(
        tree(vec![branch(f32::NAN, 1, 2), gives(1.0), gives(1.0)]),
        wrong(TreeFault::Threshold { node: 0 })
    );
    assert_eq!(tree(vec![gives(f32::INFINITY)]), wrong(TreeFault::Weight { node: 0 }));
    let twice = ForestNode::Leaf { weights: vec![(0, 1.0), (0, 2.0)] };
    assert_eq!(tree(vec![twice]), wrong(TreeFault::Output { node: 0, output: 0, outputs: 1 }));
    let beyond = ForestNode::Leaf { weights: vec![(1, 1.0)] };
    assert_eq!(tree(vec![beyond]), wrong(TreeFault::Output { node: 0, output: 1, outputs: 1 }));

    let good = forest(vec![branch(0.0, 1, 2), gives(1.0), gives(2.0)]);
    let changed = |change: fn(&mut ForestSpec)| {
        let mut spec = good.clone();
        change(&mut spec);
        refused(&spec)
    };
    assert_eq!(changed(|spec| spec.inputs = 0), ForestError::Width(0));
    assert_eq!(changed(|spec| spec.outputs = 8193), ForestError::Width(8193));
    assert_eq!(changed(|spec| spec.trees.clear()), ForestError::Trees(0));
    assert_eq!(changed(|spec| spec.base = vec![0.0; 2]), ForestError::Bases { found: 2, outputs: 1 });
    assert_eq!(changed(|spec| spec.base = vec![f32::NAN]), ForestError::Base(0));
    let mut spec = good.clone();
    spec.trees[0].nodes[0] = ForestNode::Branch {
        input: 1,
        comparison: BranchTest::Less,
        threshold: 0.0,
        missing: Missing::No,
        yes: 1,
        no: 2,
    };
    assert_eq!(refused(&spec), wrong(TreeFault::Input { node: 0, input: 1, inputs: 1 }));
    for isa in Isa::ALL {
        let made = Forest::with_isa(&good, isa).map(|forest| forest.isa());
        assert_eq!(made, if isa.is_available() { Ok(isa) } else { Err(ForestError::Lacks(isa)) });
    }
}

#[test]
fn limits_are_kept() {
    let refused = |spec: &ForestSpec| Forest::new(spec).unwrap_err();
    let mut spec = forest(vec![gives(1.0)]);
    spec.trees = vec![spec.trees[0].clone(); TREES_MAX + 1];
    assert_eq!(refused(&spec), ForestError::Trees(TREES_MAX + 1));

    let mut spec = staircase(EQUALS_MAX + 1, false);
    for node in &mut spec.trees[0].nodes {
        if let ForestNode::Branch { comparison, .. } = node {
            *comparison = BranchTest::Equal;
        }
    }
    assert_eq!(refused(&spec), ForestError::Equals);

    // One leaf contributes to every output, so every leaf has a weight for every output.
    let mut spec = staircase(WEIGHTS_MAX / 8192, false);
    spec.outputs = 8192;
    *spec.trees[0].nodes.last_mut().unwrap() =
        ForestNode::Leaf { weights: (0..8192).map(|i| (i, 1.0)).collect() };
    assert_eq!(refused(&spec), ForestError::Weights);
}
