//! Operators that arrange numbers: the axis of events stays in front, and the numbers are those of a computation by hand.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod events;
mod shapes;

use std::sync::Arc;

use burn::tensor::Device;
use tamis_graph::{
    Attribute, Constant, Data, Graph, KernelOp, Kind, Node, OPERATORS, Program, Refusal, UncheckedGraph,
};

/// A node on `x`: operator, constant inputs, attributes, and the expected result.
type Case<'a, T> = (&'a str, &'a [&'a [i64]], &'a [(&'a str, Attribute)], T);

/// A graph with one input `x` of the given shape per event and one output.
fn graph(dims: &[usize], build: impl FnOnce(&mut UncheckedGraph) -> String) -> Result<Graph, Refusal> {
    let mut source = UncheckedGraph::new();
    source.input("x", dims);
    let output = build(&mut source);
    source.outputs.push(output);
    Graph::new(&source)
}

/// One node on `x`, with constant integers as its other inputs.
fn one(
    source: &mut UncheckedGraph,
    operator: &str,
    ints: &[&[i64]],
    attributes: &[(&str, Attribute)],
) -> String {
    let mut inputs = vec!["x".to_owned()];
    for (index, ints) in ints.iter().enumerate() {
        inputs.push(source.constant(&format!("c{index}"), Constant::ints([ints.len()], ints.to_vec())));
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    source.node(operator, "y", &inputs, attributes)
}

/// Runs a graph over rows of `x`.
fn run(graph: Graph, x: &[f32], rows: usize) -> Vec<f32> {
    Program::new(Arc::new(graph), &Device::flex()).start(x.to_vec(), rows).wait(rows).unwrap().0
}

/// 0, 1, 2, ...
fn count(numbers: usize) -> Vec<f32> {
    (0..numbers).map(|number| number as f32).collect()
}

fn dims(graph: &Graph) -> &[usize] {
    &graph.outputs()[0].kind.dims
}

fn ints(values: &[i64]) -> Attribute {
    Attribute::Ints(values.to_vec())
}

#[test]
fn nothing_moves_or_mixes_the_axis_of_events() {
    let along = "works along the axis of events";
    let refusals: [Case<'_, &str>; 12] = [
        ("Reshape", &[&[2, -1]], &[], "does not keep events apart"),
        ("Reshape", &[&[6, -1]], &[], "does not keep events apart"),
        ("Reshape", &[&[4, -1, 5]], &[], "makes shape [4, -1, 5] of 6 numbers per event ([batch, 2, 3])"),
        ("Reshape", &[&[0, 0, 0, 0]], &[], "keeps the size of axis 3, which its input does not have"),
        ("Squeeze", &[&[0]], &[], along),
        ("Concat", &[], &[("axis", Attribute::Int(0))], along),
        ("Slice", &[&[0], &[1]], &[], along),
        ("Gather", &[&[0]], &[], along),
        ("ReduceSum", &[], &[], along),
        ("ReduceMean", &[&[0, 1]], &[], along),
        ("ReduceMax", &[&[-3]], &[], along),
        ("ArgMax", &[], &[], along),
    ];
    for (operator, inputs, attributes, sentence) in refusals {
        let built = graph(&[2, 3], |source| one(source, operator, inputs, attributes));
        let refusal = built.map(|_| operator).unwrap_err();
        assert!(refusal.place.contains(operator), "{refusal}");
        assert!(refusal.reason.contains(sentence), "{refusal}");
    }
    // These are allowed as long as the events return to the front.
    let astray: [Case<'_, &str>; 8] = [
        ("Reshape", &[&[-1, 3]], &[], "[batch * 2, 3]"),
        ("Reshape", &[&[-1]], &[], "[batch * 6]"),
        ("Flatten", &[], &[("axis", Attribute::Int(0))], "[1, batch * 6]"),
        ("Flatten", &[], &[("axis", Attribute::Int(2))], "[batch * 2, 3]"),
        ("Transpose", &[], &[], "[3, 2, batch]"),
        ("Transpose", &[], &[("perm", ints(&[1, 0, 2]))], "[2, batch, 3]"),
        ("Unsqueeze", &[&[0]], &[], "[1, batch, 2, 3]"),
        ("Unsqueeze", &[&[-4]], &[], "[1, batch, 2, 3]"),
    ];
    for (operator, inputs, attributes, shape) in astray {
        let refusal = graph(&[2, 3], |source| one(source, operator, inputs, attributes)).unwrap_err();
        let sentence =
            format!("has the shape {shape}: it must begin with an axis of events and nothing else");
        assert!(refusal.place == "output 'y'" && refusal.reason.starts_with(&sentence), "{refusal}");
    }
    let split = graph(&[2, 3], |source| {
        let outputs = vec!["a".into(), "b".into()];
        push(source, "Split", &["x"], outputs, &[("num_outputs", Attribute::Int(2))])
    });
    assert!(split.unwrap_err().reason.contains(along));
}

fn push(
    source: &mut UncheckedGraph,
    operator: &str,
    inputs: &[&str],
    outputs: Vec<String>,
    attributes: &[(&str, Attribute)],
) -> String {
    let first = outputs[0].clone();
    source.nodes.push(Node {
        domain: String::new(),
        operator: operator.into(),
        name: String::new(),
        inputs: inputs.iter().map(|&input| input.into()).collect(),
        outputs,
        attributes: attributes.iter().map(|(key, value)| ((*key).into(), value.clone())).collect(),
    });
    first
}

#[test]
fn parts_of_an_axis() {
    // Two events of 2 times 3 numbers: 0 to 5, and 6 to 11.
    let cases: [Case<'_, &[f32]>; 9] = [
        ("Slice", &[&[1], &[3], &[2]], &[], &[1.0, 2.0, 4.0, 5.0, 7.0, 8.0, 10.0, 11.0]),
        (
            "Slice",
            &[&[0, -1], &[i64::MAX, i64::MIN], &[0, 2], &[1, -2]],
            &[],
            &[2.0, 0.0, 5.0, 3.0, 8.0, 6.0, 11.0, 9.0],
        ),
        ("Slice", &[&[-1, 0], &[9, 9], &[1, 2], &[1, 2]], &[], &[3.0, 5.0, 9.0, 11.0]),
        ("Gather", &[&[2, -3]], &[("axis", Attribute::Int(2))], &[2.0, 0.0, 5.0, 3.0, 8.0, 6.0, 11.0, 9.0]),
        ("Gather", &[&[1]], &[("axis", Attribute::Int(-2))], &[3.0, 4.0, 5.0, 9.0, 10.0, 11.0]),
        (
            "Transpose",
            &[],
            &[("perm", ints(&[0, 2, 1]))],
            &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0, 6.0, 9.0, 7.0, 10.0, 8.0, 11.0],
        ),
        ("Expand", &[&[3]], &[], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]),
        ("Tile", &[&[1, 1, 1]], &[], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]),
        (
            "Tile",
            &[&[1, 2, 1]],
            &[],
            &[
                0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0,
                6.0, 7.0, 8.0, 9.0, 10.0, 11.0,
            ],
        ),
    ];
    for (operator, inputs, attributes, expected) in cases {
        let built = graph(&[2, 3], |source| one(source, operator, inputs, attributes)).unwrap();
        assert_eq!(run(built, &count(12), 2), expected, "{operator} {inputs:?} {attributes:?}");
    }
    let refusal = graph(&[3], |source| one(source, "Gather", &[&[3]], &[("axis", Attribute::Int(1))]));
    assert!(refusal.unwrap_err().reason.contains("picks entry 3 of an axis of 3"));
}

#[test]
fn bounds_and_axes_of_any_size_end_no_process() {
    let odd = [i64::MIN, i64::MIN + 1, -4, -1, 0, 1, 2, 7, i64::MAX - 1, i64::MAX];
    for (a, b) in odd.iter().flat_map(|&a| odd.iter().map(move |&b| (a, b))) {
        for step in odd {
            let cut = graph(&[3], |source| one(source, "Slice", &[&[a], &[b], &[1], &[step]], &[]));
            if let Ok(cut) = cut {
                let numbers = dims(&cut)[0];
                assert_eq!(run(cut, &count(3), 1).len(), numbers, "{a} {b} {step}");
            }
        }
        let inputs: [&[&[i64]]; 2] = [&[], &[&[a, b]]];
        for (operator, inputs) in
            OPERATORS.iter().flat_map(|operator| inputs.map(|inputs| (operator.1, inputs)))
        {
            for attributes in [&[][..], &[("axis", Attribute::Int(a))], &[("perm", ints(&[0, a, b]))]] {
                drop(graph(&[2, 3], |source| one(source, operator, inputs, attributes)));
            }
        }
    }
}

#[test]
fn values_without_numbers_are_constants_or_refused() {
    let nodes: [Case<'_, &[usize]>; 15] = [
        ("Transpose", &[], &[("perm", ints(&[2, 0, 1]))], &[0, 2, 3]),
        ("Tile", &[&[1, 2, 2]], &[], &[2, 6, 0]),
        ("Expand", &[&[2, 3, 0]], &[], &[2, 3, 0]),
        ("Slice", &[&[0], &[1], &[1]], &[], &[2, 1, 0]),
        ("Slice", &[&[-1], &[i64::MIN], &[1], &[-2]], &[], &[2, 2, 0]),
        ("Gather", &[&[1, 0]], &[("axis", Attribute::Int(1))], &[2, 2, 0]),
        ("Concat", &[], &[("axis", Attribute::Int(1))], &[2, 3, 0]),
        ("ReduceSum", &[&[1]], &[], &[2, 1, 0]),
        ("ReduceMax", &[&[2]], &[], &[2, 3, 1]),
        ("ReduceMean", &[&[0, 2]], &[], &[1, 3, 1]),
        ("ArgMax", &[], &[("axis", Attribute::Int(1))], &[2, 1, 0]),
        ("Cast", &[], &[("to", Attribute::Int(7))], &[2, 3, 0]),
        ("Reshape", &[&[0, 5, 2]], &[("allowzero", Attribute::Int(1))], &[0, 5, 2]),
        ("Relu", &[], &[], &[2, 3, 0]),
        ("Shape", &[], &[], &[3]),
    ];
    for (operator, inputs, attributes, expected) in nodes {
        let mut source = UncheckedGraph { events: false, ..UncheckedGraph::new() };
        source.constant("x", Constant::floats([2, 3, 0], Vec::new()));
        let output = one(&mut source, operator, inputs, attributes);
        source.outputs.push(output);
        let built = Graph::new(&source).unwrap_or_else(|refusal| panic!("{refusal}"));
        assert_eq!(dims(&built), expected, "{operator}");
        let values = Program::new(Arc::new(built), &Device::flex()).run_whole(&[]).unwrap();
        assert_eq!(values[0].len(), expected.iter().product::<usize>(), "{operator}");
    }
    let mut source = UncheckedGraph { events: false, ..UncheckedGraph::new() };
    source.constant("x", Constant::floats([0, 1 << 40, 1 << 40], Vec::new()));
    source.outputs.push("x".into());
    assert!(Graph::new(&source).unwrap_err().reason.contains("numbers are supported"));
    let refusal = graph(&[3], |source| one(source, "Slice", &[&[1], &[1], &[1]], &[])).unwrap_err();
    assert!(refusal.reason.contains("without numbers"), "{refusal}");
}

#[test]
fn split_parts_come_together_again_in_another_order() {
    let built = graph(&[2, 3], |source| {
        let sizes = source.constant("sizes", Constant::ints([2], vec![1, 2]));
        let outputs = vec!["a".into(), "b".into()];
        push(source, "Split", &["x", &sizes], outputs, &[("axis", Attribute::Int(2))]);
        // The same for all events.
        let constant = source.constant("constant", Constant::floats([1, 2, 1], vec![-1.0, -2.0]));
        source.node("Concat", "y", &["b", &constant, "a"], &[("axis", Attribute::Int(-1))])
    });
    let built = built.unwrap();
    assert_eq!(dims(&built), [2, 4]);
    let expected = [1.0, 2.0, -1.0, 0.0, 4.0, 5.0, -2.0, 3.0, 7.0, 8.0, -1.0, 6.0, 10.0, 11.0, -2.0, 9.0];
    assert_eq!(run(built, &count(12), 2), expected);
    let refusal = graph(&[2], |source| {
        let constant = source.constant("constant", Constant::floats([5, 1], vec![0.0; 5]));
        source.node("Concat", "y", &["x", &constant], &[("axis", Attribute::Int(1))])
    });
    assert!(refusal.unwrap_err().reason.contains("side by side"));
}

#[test]
fn entries_of_a_table_are_looked_up_and_what_is_outside_is_not_a_number() {
    let mut source = UncheckedGraph::new();
    source.input("x", [2]);
    source.inputs[0].kind = Kind::Int;
    source.constant("table", Constant::floats([3, 2], vec![0.0, 1.0, 10.0, 11.0, 20.0, 21.0]));
    let output = source.node("Gather", "y", &["table", "x"], &[]);
    source.outputs.push(output);
    let built = Graph::new(&source).unwrap();
    assert_eq!(dims(&built), [2, 2]);
    let found = run(built, &[2.0, 0.0, -1.0, 1.0, 3.0, -4.0], 3);
    assert_eq!(found[..8], [20.0, 21.0, 0.0, 1.0, 20.0, 21.0, 10.0, 11.0]);
    assert!(found[8..].iter().all(|number| number.is_nan()));
}

#[test]
fn reductions_by_hand() {
    let cases: [(&str, &[i64], &[f32]); 9] = [
        ("ReduceSum", &[2], &[3.0, 12.0, 21.0, 30.0]),
        ("ReduceSum", &[1], &[3.0, 5.0, 7.0, 15.0, 17.0, 19.0]),
        ("ReduceMean", &[1, 2], &[2.5, 8.5]),
        ("ReduceMax", &[-1], &[2.0, 5.0, 8.0, 11.0]),
        ("ReduceMin", &[-2], &[0.0, 1.0, 2.0, 6.0, 7.0, 8.0]),
        ("ReduceProd", &[1], &[0.0, 4.0, 10.0, 54.0, 70.0, 88.0]),
        ("ReduceL1", &[1, 2], &[15.0, 51.0]),
        ("ReduceL2", &[2], &[5f32.sqrt(), 50f32.sqrt(), 149f32.sqrt(), 302f32.sqrt()]),
        ("ReduceSumSquare", &[2], &[5.0, 50.0, 149.0, 302.0]),
    ];
    for (operator, axes, expected) in cases {
        for keep in [0, 1] {
            let keep = [("keepdims", Attribute::Int(keep))];
            let built = graph(&[2, 3], |source| one(source, operator, &[axes], &keep)).unwrap();
            assert_eq!(run(built, &count(12), 2), expected, "{operator} {axes:?}");
        }
        // Axes are an attribute in old files, even for the sum.
        let old = graph(&[2, 3], |source| {
            source.opsets.insert(String::new(), 11);
            one(source, operator, &[], &[("axes", ints(axes))])
        });
        assert_eq!(run(old.unwrap(), &count(12), 2), expected, "{operator} {axes:?}");
    }
    // Axes that are not adjacent: 0 + 1 + 4 + 5 and so on.
    let built = graph(&[2, 2, 2], |source| one(source, "ReduceSum", &[&[3, 1]], &[])).unwrap();
    assert_eq!(dims(&built), [1, 2, 1]);
    assert_eq!(run(built, &count(16), 2), [10.0, 18.0, 42.0, 50.0]);
}

#[test]
fn what_is_not_a_number_goes_through_extremes() {
    for (operator, axis) in [("ReduceMax", 1), ("ReduceMin", 1), ("ReduceMax", 2), ("ReduceMin", 2)] {
        for place in 0..40 {
            let mut x = count(80);
            x[place] = f32::NAN;
            let built = graph(&[2, 20], |source| one(source, operator, &[&[axis]], &[])).unwrap();
            let found = run(built, &x, 2);
            assert_eq!(found.iter().filter(|number| number.is_nan()).count(), 1, "{operator} {axis} {place}");
        }
    }
}

#[test]
fn the_first_or_last_of_equal_numbers() {
    let x = [1.0, 4.0, 4.0, 0.0, 0.0, 4.0, 7.0, 7.0, 7.0, 3.0, 2.0, 2.0];
    let cases: [(&str, i64, i64, &[f32]); 5] = [
        ("ArgMax", -1, 0, &[1.0, 2.0, 0.0, 0.0]),
        ("ArgMax", -1, 1, &[2.0, 2.0, 2.0, 0.0]),
        ("ArgMin", -1, 0, &[0.0, 0.0, 0.0, 1.0]),
        ("ArgMin", -1, 1, &[0.0, 1.0, 2.0, 2.0]),
        ("ArgMax", 1, 1, &[0.0, 0.0, 1.0, 0.0, 0.0, 0.0]),
    ];
    for (operator, axis, last, expected) in cases {
        let attributes = [
            ("axis", Attribute::Int(axis)),
            ("keepdims", Attribute::Int(0)),
            ("select_last_index", Attribute::Int(last)),
        ];
        let built = graph(&[2, 3], |source| one(source, operator, &[], &attributes)).unwrap();
        assert_eq!(built.outputs()[0].kind.kind, Kind::Int);
        assert_eq!(run(built, &x, 2), expected, "{operator} {axis} {last}");
    }
}

/// Folds one node on a constant.
fn folded(operator: &str, constant: Constant, attributes: &[(&str, Attribute)]) -> Data {
    let mut source = UncheckedGraph { events: false, ..UncheckedGraph::new() };
    source.constant("c", constant);
    let output = source.node(operator, "y", &["c"], attributes);
    source.outputs.push(output);
    let graph = Graph::new(&source).unwrap();
    let mut values = Program::new(Arc::new(graph), &Device::flex()).run_whole(&[]).unwrap();
    values.swap_remove(0).data
}

#[test]
fn casts() {
    let odd = || Constant::floats([7], vec![-1.9, -0.0, 0.4, 2.99, 3e9, f32::NAN, f32::NEG_INFINITY]);
    let to = |data_type| [("to", Attribute::Int(data_type))];
    assert_eq!(
        folded("Cast", odd(), &to(7)),
        Data::Ints(vec![-1, 0, 0, 2, 3_000_000_000, 0, i64::MIN]),
        "toward zero"
    );
    assert_eq!(
        folded("Cast", odd(), &to(9)),
        Data::Bools(vec![true, false, true, true, true, true, true]),
        "not 0"
    );
    let whole = || Constant::ints([3], vec![-5, 0, 1 << 40]);
    assert_eq!(folded("Cast", whole(), &to(1)), Data::Floats(vec![-5.0, 0.0, (1u64 << 40) as f32]));
    assert_eq!(folded("Cast", whole(), &to(9)), Data::Bools(vec![true, false, true]));
    let truths = || Constant {
        dims: vec![2],
        data: Data::Bools(vec![true, false]),
        int32: false,
        narrow: None,
        words: None,
    };
    assert_eq!(folded("Cast", truths(), &to(1)), Data::Floats(vec![1.0, 0.0]));
    assert_eq!(folded("Cast", truths(), &to(6)), Data::Ints(vec![1, 0]));
    let refusal = graph(&[2], |source| one(source, "Cast", &[], &to(10))).unwrap_err();
    assert!(refusal.reason.contains("data type float16 is not supported"), "{refusal}");
    // In double precision nothing is computed.
    let refusal = graph(&[2], |source| {
        let double = source.node("Cast", "d", &["x"], &to(11));
        source.node("Sqrt", "y", &[&double], &[])
    });
    assert!(refusal.unwrap_err().reason.contains("its input 0 has data type double, which only Cast"));
}

#[test]
fn integers_in_a_file_end_no_process() {
    assert_eq!(folded("ReduceMean", Constant::ints([2], vec![-4, -1]), &[]), Data::Ints(vec![-2]));
    for operator in ["ReduceSum", "ReduceProd", "ReduceSumSquare"] {
        let mut source = UncheckedGraph { events: false, ..UncheckedGraph::new() };
        source.constant("c", Constant::ints([3], vec![i64::MAX, 1, 5]));
        let output = source.node(operator, "y", &["c"], &[]);
        source.outputs.push(output);
        if let Err(refusal) = Graph::new(&source) {
            assert_eq!(refusal.reason, "cannot be computed from the constants that go in");
        }
    }
}

#[test]
fn questions_about_events() {
    // Where x > 2 and not x = 4: x, else -1.
    let built = graph(&[3], |source| {
        let two = source.constant("two", Constant::floats([], vec![2.0]));
        let four = source.constant("four", Constant::floats([1], vec![4.0]));
        let other = source.constant("other", Constant::floats([1, 1], vec![-1.0]));
        source.node("Greater", "above", &["x", &two], &[]);
        source.node("Equal", "equal", &["x", &four], &[]);
        source.node("Not", "unequal", &["equal"], &[]);
        source.node("And", "both", &["above", "unequal"], &[]);
        source.node("Where", "y", &["both", "x", &other], &[])
    });
    let x = [1.0, 2.0, 3.0, 4.0, 5.0, f32::NAN];
    assert_eq!(run(built.unwrap(), &x, 2), [-1.0, -1.0, 3.0, -1.0, 5.0, -1.0]);
}

#[test]
fn a_reduction_does_not_depend_on_the_batch() {
    let numbers: Vec<f32> = (0..33 * 2 * 40)
        .map(|number| ((number * 7919 % 1009) as f32 - 500.0) * 1.37e-3 * (number % 13) as f32)
        .collect();
    for axis in [1, 2] {
        let build = || {
            graph(&[2, 40], |source| {
                // A slice of the rows: its tensor is not contiguous, unless the batch is one event.
                let bounds = [[3], [38], [2]];
                let names = ["from", "to", "axis"];
                for (name, bound) in names.iter().zip(bounds) {
                    source.constant(name, Constant::ints([1], bound.to_vec()));
                }
                let part = source.node("Slice", "part", &["x", "from", "to", "axis"], &[]);
                let axes = source.constant("axes", Constant::ints([1], vec![axis]));
                source.node("ReduceMean", "y", &[&part, &axes], &[])
            })
            .unwrap()
        };
        let together = run(build(), &numbers, 33);
        let alone: Vec<f32> = numbers.chunks(80).flat_map(|event| run(build(), event, 1)).collect();
        assert_eq!(together, alone);
    }
}
