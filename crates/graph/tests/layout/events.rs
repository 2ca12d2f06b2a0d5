//! The axis of events away from the front and merged with others: the numbers match those of the whole tensor, and events stay separate.

use proptest::prelude::*;

use super::*;

/// An operation on a value; axes are taken modulo their number.
#[derive(Clone, Copy, Debug)]
enum Move {
    /// Permutes the axes by the permutation with this number.
    Turn(usize),
    /// Merges an axis and the next one.
    Merge(usize),
    /// Splits a merged axis again.
    Part(usize),
    /// Adds 0, 1, 2, ... along the last axis, if the events are not on it.
    Count,
}

fn steps() -> impl Strategy<Value = Vec<Move>> {
    let step = prop_oneof![
        (0..120usize).prop_map(Move::Turn),
        (0..4usize).prop_map(Move::Merge),
        (0..4usize).prop_map(Move::Part),
        Just(Move::Count),
    ];
    proptest::collection::vec(step, 1..12)
}

/// A tensor with all its events: each axis is one or several merged original axes, of which axis 0 is that of events.
struct Whole {
    sizes: Vec<usize>,
    axes: Vec<Vec<usize>>,
    numbers: Vec<f32>,
}

impl Whole {
    fn size(&self, axis: &[usize]) -> usize {
        axis.iter().map(|&part| self.sizes[part]).product()
    }

    fn shape(&self) -> Vec<usize> {
        self.axes.iter().map(|axis| self.size(axis)).collect()
    }

    fn turn(&mut self, order: &[usize]) {
        let shape = self.shape();
        let turned: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
        let stride = |axis: usize| shape[axis + 1..].iter().product::<usize>();
        let number = |mut at: usize| {
            let mut from = 0;
            for (&axis, &size) in order.iter().zip(&turned).rev() {
                from += at % size * stride(axis);
                at /= size;
            }
            self.numbers[from]
        };
        self.numbers = (0..self.numbers.len()).map(number).collect();
        self.axes = order.iter().map(|&axis| self.axes[axis].clone()).collect();
    }

    /// The shape as a model states it, with -1 for the axis with the events.
    fn said(&self) -> Constant {
        let size = |axis: &Vec<usize>| if axis.contains(&0) { -1 } else { self.size(axis) as i64 };
        Constant::ints([self.axes.len()], self.axes.iter().map(size).collect())
    }
}

/// Permutation `number` of `axes` axes.
fn order(mut number: usize, axes: usize) -> Vec<usize> {
    let mut left: Vec<usize> = (0..axes).collect();
    let mut order = Vec::new();
    while !left.is_empty() {
        order.push(left.remove(number % left.len()));
        number /= left.len() + 1;
    }
    order
}

/// A graph under construction, and the tensor that it must compute.
struct Both {
    whole: Whole,
    source: UncheckedGraph,
    last: String,
}

impl Both {
    fn node(&mut self, operator: &str, constant: Option<Constant>, attributes: &[(&str, Attribute)]) {
        let name = format!("n{}", self.source.nodes.len());
        let constant =
            constant.map(|constant| self.source.constant(&format!("c{}", self.source.nodes.len()), constant));
        let inputs: Vec<&str> =
            [Some(self.last.as_str()), constant.as_deref()].into_iter().flatten().collect();
        self.last = self.source.node(operator, &name, &inputs, attributes);
    }

    fn turn(&mut self, order: &[usize]) {
        self.whole.turn(order);
        let order: Vec<i64> = order.iter().map(|&axis| axis as i64).collect();
        self.node("Transpose", None, &[("perm", ints(&order))]);
    }

    fn reshape(&mut self) {
        let said = self.whole.said();
        self.node("Reshape", Some(said), &[]);
    }

    fn step(&mut self, step: Move) {
        let rank = self.whole.axes.len();
        match step {
            Move::Turn(number) => self.turn(&order(number, rank)),
            Move::Merge(axis) if rank > 1 => {
                let axis = axis % (rank - 1);
                let next = self.whole.axes.remove(axis + 1);
                self.whole.axes[axis].extend(next);
                self.reshape();
            }
            Move::Part(axis) if self.whole.axes[axis % rank].len() > 1 => {
                let axis = axis % rank;
                let rest = self.whole.axes[axis].split_off(1);
                self.whole.axes.insert(axis + 1, rest);
                self.reshape();
            }
            Move::Count if !self.whole.axes[rank - 1].contains(&0) => {
                let size = *self.whole.shape().last().unwrap();
                let along = |(at, number): (usize, &mut f32)| *number += (at % size) as f32;
                self.whole.numbers.iter_mut().enumerate().for_each(along);
                self.node("Add", Some(Constant::floats([size], count(size))), &[]);
            }
            Move::Merge(_) | Move::Part(_) | Move::Count => {}
        }
    }

    /// Splits all merged axes and restores the original order.
    fn back(&mut self) {
        while let Some(axis) = self.whole.axes.iter().position(|axis| axis.len() > 1) {
            self.step(Move::Part(axis));
        }
        let order: Vec<usize> =
            (0..4).map(|part| self.whole.axes.iter().position(|axis| axis[0] == part).unwrap()).collect();
        self.turn(&order);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn wherever_the_events_go_the_numbers_are_those_of_the_whole_tensor(steps in steps(), events in 1..5usize) {
        let sizes = vec![events, 2, 3, 4];
        let axes = (0..4).map(|part| vec![part]).collect();
        let numbers = count(events * 24);
        let mut source = UncheckedGraph::new();
        let last = source.input("x", [2, 3, 4]);
        let mut both = Both { whole: Whole { sizes, axes, numbers: numbers.clone() }, source, last };
        steps.into_iter().for_each(|step| both.step(step));
        both.back();
        both.source.outputs.push(both.last);
        let graph = Graph::new(&both.source).unwrap();
        prop_assert_eq!(run(graph, &numbers, events), both.whole.numbers);
    }
}

/// Reshapes `x` so that its events and other axes are merged in front, with the shape `left` behind.
fn merged(source: &mut UncheckedGraph, left: &[i64]) -> String {
    let shape = source.constant("merged", Constant::ints([left.len() + 1], [&[-1], left].concat()));
    source.node("Reshape", "rows", &["x", &shape], &[])
}

#[test]
fn values_meet_only_with_the_same_events_on_the_same_axis() {
    let refusals = [
        // The particles of an event, and those of all events.
        (
            vec![2, 3],
            vec![3],
            "combines values whose axes of events do not meet: [batch * 2, 3] and [batch, 2, 3]",
        ),
        // Equally many rows, but of other events.
        (vec![2, 2, 3], vec![2, 3], "do not meet: [batch * 2, 2, 3] and [2, batch * 2, 3]"),
    ];
    for (dims, left, sentence) in refusals {
        for operator in ["Add", "Equal", "Max", "Concat"] {
            let built = graph(&dims, |source| {
                let rows = merged(source, &left);
                let other = if dims.len() == 3 {
                    let perm = [("perm", ints(&[1, 0, 2]))];
                    source.node("Transpose", "turned", &[&rows], &perm)
                } else {
                    "x".into()
                };
                let y = source.node(operator, "y", &[&rows, &other], &[("axis", Attribute::Int(-1))]);
                source.node("Flatten", "z", &[&y], &[])
            });
            let refusal = built.map(|_| operator).unwrap_err();
            assert!(refusal.place.contains(operator), "{refusal}");
            let said = refusal.reason.contains(sentence) || refusal.reason.contains("side by side");
            assert!(said, "{refusal}");
        }
    }
    // Equally many axes, but other rows: particles against events alone; then ordered by particle against ordered by event.
    for (of_events, sentence) in [
        (true, "do not meet: [batch * 2, 3] and [batch, 3]"),
        (false, "values of shape [batch * 2, 3] whose rows are parts of the events in different orders"),
    ] {
        for operator in ["Add", "Equal", "Max", "Concat", "GatherElements"] {
            let built = graph(&[2, 3], |source| {
                let rows = merged(source, &[3]);
                let other = if of_events {
                    let first = source.constant("first", Constant::ints([], vec![0]));
                    source.node("Gather", "one", &["x", &first], &[("axis", Attribute::Int(1))])
                } else {
                    let turned = source.node("Transpose", "turned", &["x"], &[("perm", ints(&[1, 0, 2]))]);
                    let shape = source.constant("shape", Constant::ints([2], vec![-1, 3]));
                    source.node("Reshape", "others", &[&turned, &shape], &[])
                };
                let y = source.node(operator, "y", &[&rows, &other], &[("axis", Attribute::Int(1))]);
                source.node("Flatten", "z", &[&y], &[])
            });
            let refusal = built.map(|_| operator).unwrap_err();
            assert!(refusal.place.contains(operator) && refusal.reason.contains(sentence), "{refusal}");
        }
    }
    let built = graph(&[2], |source| {
        let five = source.constant("five", Constant::floats([5, 2], vec![1.0; 10]));
        source.node("Add", "y", &["x", &five], &[])
    });
    assert!(built.unwrap_err().reason.contains("combines the axis of events with an axis of fixed size 5"));
}

#[test]
fn nothing_goes_along_the_events_where_they_are_now() {
    let along = "works along the axis of events";
    let nodes: [Case<'_, &str>; 9] = [
        ("Softmax", &[], &[("axis", Attribute::Int(1))], along),
        ("ReduceMean", &[&[1]], &[], along),
        ("ReduceSum", &[], &[], along),
        ("ArgMax", &[], &[("axis", Attribute::Int(-2))], along),
        ("Gather", &[&[0]], &[("axis", Attribute::Int(1))], along),
        ("Slice", &[&[0], &[2], &[1]], &[], along),
        ("Tile", &[&[1, 2, 1]], &[], along),
        ("Expand", &[&[2, 4, 3]], &[], "repeats events or is impossible"),
        (
            "GlobalMaxPool",
            &[],
            &[],
            "has the shape [2, batch, 3], and this operator is supported with the axis of events in front only",
        ),
    ];
    for (operator, inputs, attributes, sentence) in nodes {
        let built = graph(&[2, 3], |source| {
            let turned = source.node("Transpose", "turned", &["x"], &[("perm", ints(&[1, 0, 2]))]);
            let constants: Vec<String> = (0..inputs.len())
                .map(|at| {
                    source
                        .constant(&format!("c{at}"), Constant::ints([inputs[at].len()], inputs[at].to_vec()))
                })
                .collect();
            let all: Vec<&str> =
                std::iter::once(turned.as_str()).chain(constants.iter().map(String::as_str)).collect();
            let y = source.node(operator, "y", &all, attributes);
            source.node("Transpose", "z", &[&y], &[("perm", ints(&[1, 0, 2]))])
        });
        let refusal = built.map(|_| operator).unwrap_err();
        assert!(refusal.place.contains(operator) && refusal.reason.contains(sentence), "{refusal}");
    }
}

#[test]
fn rows_of_an_event_count_as_many_times_and_are_no_layer_for_the_kernels() {
    let build = |source: &mut UncheckedGraph| {
        let rows = merged(source, &[3]);
        let weights = source.constant("w", Constant::floats([3, 2], vec![1.0, 0.0, 1.0, 0.0, 1.0, -1.0]));
        let y = source.node("MatMul", "y", &[&rows, &weights], &[]);
        let back = source.constant("back", Constant::ints([2], vec![-1, 8]));
        source.node("Reshape", "z", &[&y, &back], &[])
    };
    let built = graph(&[4, 3], build).unwrap();
    assert_eq!((built.multiply_adds(), built.widest_step()), (4 * 6, 12 + 12));
    // Those of both Reshapes and of the product.
    assert_eq!(built.numbers_made(), 12 + 8 + 8);
    assert!(built.steps().all(|step| step.kernel.is_none()));
    assert_eq!(built.used_inputs(), [true; 12]);
    assert_eq!(run(built, &count(12), 1), [3.0, -2.0, 12.0, -5.0, 21.0, -8.0, 30.0, -11.0]);
    // With one row per event it is a layer.
    let alone = graph(&[1, 3], |source| {
        let rows = merged(source, &[3]);
        let weights = source.constant("w", Constant::floats([3, 2], vec![1.0; 6]));
        source.node("MatMul", "y", &[&rows, &weights], &[])
    });
    assert!(alone.unwrap().steps().all(|step| step.kernel.is_some()));
}

#[test]
fn what_rows_leave_out_is_not_used_and_what_they_lose_is_lost_for_the_event() {
    let cut = |source: &mut UncheckedGraph| {
        let rows = merged(source, &[3]);
        let [from, to] = [1, 2].map(|at| source.constant(&format!("c{at}"), Constant::ints([1], vec![at])));
        let part = source.node("Slice", "part", &[&rows, &from, &to, &from], &[]);
        let back = source.constant("back", Constant::ints([2], vec![-1, 2]));
        let part = source.node("Reshape", "parts", &[&part, &back], &[]);
        source.node("Relu", "y", &[&part], &[])
    };
    assert_eq!(graph(&[2, 3], cut).unwrap().used_inputs(), [false, true, false, false, true, false]);
    let built = graph(&[2, 3], |source| {
        let rows = merged(source, &[3]);
        let best = source.node("ArgMax", "best", &[&rows], &[("axis", Attribute::Int(1))]);
        let back = source.constant("back", Constant::ints([2], vec![-1, 2]));
        source.node("Reshape", "y", &[&best, &back], &[])
    });
    let mut x = count(18);
    x[7] = f32::NAN;
    let y = run(built.unwrap(), &x, 3);
    assert!(y[2].is_nan() && y[3].is_nan());
    assert_eq!([y[0], y[1], y[4], y[5]], [2.0; 4]);
}
