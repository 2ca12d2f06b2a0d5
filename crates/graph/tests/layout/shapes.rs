//! Shapes: how files denote the axis of events, and operators that only change the shape.

use super::*;

#[test]
fn a_shape_may_name_the_batch_in_many_ways() {
    // Shape per event, batch size in the file, shape given to Reshape, expected shape.
    type Shapes<'a> = (&'a [usize], Option<usize>, &'a [i64], Option<&'a [usize]>);
    let cases: [Shapes<'_>; 21] = [
        (&[2, 3], None, &[0, -1], Some(&[6])),
        (&[2, 3], None, &[-1, 6], Some(&[6])),
        (&[2, 3], None, &[-1, 3, 2], Some(&[3, 2])),
        (&[2, 3], None, &[0, 0, 3, 1], Some(&[2, 3, 1])),
        (&[2, 3], None, &[1, 6], Some(&[6])),
        (&[2, 3], None, &[789_444, 6], Some(&[6])),
        // With the number of events left open, these sizes are those of other axes.
        (&[2, 3], None, &[1, -1], None),
        (&[2, 3], None, &[1, -1, 6], None),
        (&[2, 3], None, &[789_444, -1], None),
        (&[2, 3], Some(1), &[1, -1], Some(&[6])),
        (&[2, 3], Some(1), &[1, -1, 6], Some(&[1, 6])),
        (&[2, 3], Some(789_444), &[789_444, -1], Some(&[6])),
        (&[2, 3], Some(4), &[3, 6], None),
        (&[2, 3], Some(2), &[2, -1], Some(&[6])),
        (&[2, 3], Some(2), &[1, -1], None),
        (&[2, 3], None, &[3, -1], None),
        (&[2, 3], None, &[0, 5], None),
        (&[2, 3], None, &[-1, -1], None),
        (&[2, 3], None, &[], None),
        (&[1], None, &[-1], Some(&[])),
        (&[], None, &[-1, 1], Some(&[1])),
    ];
    for (from, batch, shape, expected) in cases {
        let built = graph(from, |source| {
            source.batch = batch;
            one(source, "Reshape", &[shape], &[])
        });
        let built = built.as_ref().map(dims).ok();
        assert_eq!(built, expected, "{from:?} in batches of {batch:?} to {shape:?}");
    }
}

/// `x` in a Reshape to `[1, -1, 5]`, then this node and others.
fn behind_a_new_axis(build: impl FnOnce(&mut UncheckedGraph, &str) -> String) -> Result<Graph, Refusal> {
    graph(&[5], |source| {
        let shape = source.constant("shape", Constant::ints([3], vec![1, -1, 5]));
        let turned = source.node("Reshape", "t", &["x", &shape], &[]);
        build(source, &turned)
    })
}

#[test]
fn an_open_size_behind_a_one_is_that_of_the_events() {
    let back = |source: &mut UncheckedGraph, value: &str| {
        let shape = source.constant("back", Constant::ints([2], vec![-1, 5]));
        source.node("Reshape", "y", &[value, &shape], &[])
    };
    for operator in ["Softmax", "LogSoftmax", "ArgMax", "ReduceMean"] {
        let built = behind_a_new_axis(|source, turned| {
            let one = source.constant("one", Constant::ints([1], vec![1]));
            let (inputs, attributes): (&[&str], &[_]) = match operator {
                "ReduceMean" => (&[turned, &one], &[]),
                _ => (&[turned], &[("axis", Attribute::Int(1))]),
            };
            let along = source.node(operator, "u", inputs, attributes);
            back(source, &along)
        });
        let refusal = built.map(|_| operator).unwrap_err();
        assert!(refusal.place.starts_with("node 'u' ("), "{refusal}");
        assert!(refusal.reason.starts_with("works along the axis of events"), "{refusal}");
    }
    let as_it_is = behind_a_new_axis(|_, turned| turned.into()).unwrap_err();
    assert!(as_it_is.reason.starts_with("has the shape [1, batch, 5]: it must begin"), "{as_it_is}");
    // On the other axes an event stays alone: its largest number on the last, a single number on the first.
    let built = behind_a_new_axis(|source, turned| {
        let last = source.constant("last", Constant::ints([1], vec![2]));
        let most = source.node("ReduceMax", "most", &[turned, &last], &[]);
        let below = source.node("Sub", "below", &[turned, &most], &[]);
        let ones = source.node("Softmax", "ones", &[turned], &[("axis", Attribute::Int(0))]);
        let sum = source.node("Add", "sum", &[&below, &ones], &[]);
        back(source, &sum)
    });
    assert_eq!(run(built.unwrap(), &count(10), 2), [-3.0, -2.0, -1.0, 0.0, 1.0].repeat(2));
}

#[test]
fn values_behind_a_new_axis_are_stacked_and_averaged() {
    // As in a bagging of models: the axis in front is that of the models.
    let built = behind_a_new_axis(|source, turned| {
        let double = source.node("Add", "double", &[turned, turned], &[]);
        let stack = source.node("Concat", "stack", &[turned, &double], &[("axis", Attribute::Int(0))]);
        let front = source.constant("front", Constant::ints([1], vec![0]));
        source.node("ReduceMean", "y", &[&stack, &front], &[("keepdims", Attribute::Int(0))])
    });
    let built = built.unwrap();
    assert_eq!(dims(&built), [5]);
    assert_eq!(run(built, &count(10), 2), count(10).iter().map(|x| x * 1.5).collect::<Vec<_>>());
}

#[test]
fn what_only_changes_the_shape_is_free() {
    let build = |source: &mut UncheckedGraph| {
        let shape = source.constant("shape", Constant::ints([4], vec![0, 1, 3, 2]));
        let axes = source.constant("axes", Constant::ints([1], vec![1]));
        let y = source.node("Reshape", "a", &["x", &shape], &[]);
        let y = source.node("Squeeze", "b", &[&y, &axes], &[]);
        let y = source.node("Unsqueeze", "c", &[&y, &axes], &[]);
        let y = source.node("Transpose", "d", &[&y], &[("perm", ints(&[0, 2, 1, 3]))]);
        let y = source.node("Identity", "e", &[&y], &[]);
        let y = source.node("Dropout", "f", &[&y], &[]);
        source.node("Flatten", "g", &[&y], &[])
    };
    let built = graph(&[2, 3], build).unwrap();
    assert_eq!(dims(&built), [6]);
    for step in built.steps() {
        assert!(matches!(step.kernel, Some(KernelOp::Identity)), "{}", step.operator);
    }
    assert_eq!(run(built, &count(12), 2), count(12));
}

/// `x.view(x.size(0), -1)` as exporters write it, with the operators `between` applied to the size.
fn view(between: &[(&str, Option<i64>)], picks: &str) -> Result<Graph, Refusal> {
    graph(&[2, 3], |source| {
        let zero = source.constant("zero", Constant::ints([1], vec![0]));
        let one = source.constant("one", Constant::ints([1], vec![1]));
        let first = source.constant("first", Constant::ints([], vec![0]));
        let rest = source.constant("rest", Constant::ints([1], vec![-1]));
        let mut size = source.node("Shape", "shape", &["x"], &[]);
        if picks == "Gather" {
            size = source.node("Gather", "size", &[&size, &first], &[]);
            size = source.node("Unsqueeze", "sizes", &[&size, &zero], &[]);
        } else {
            size = source.node("Slice", "sizes", &[&size, &zero, &one], &[]);
        }
        for (operator, with) in between {
            let with =
                with.map(|with| source.constant(&format!("with {with}"), Constant::ints([], vec![with])));
            let inputs: Vec<&str> = [Some(size.as_str()), with.as_deref()].into_iter().flatten().collect();
            let to: &[(&str, Attribute)] =
                if *operator == "Cast" { &[("to", Attribute::Int(7))] } else { &[] };
            size = source.node(operator, operator, &inputs, to);
        }
        let shape = source.node("Concat", "wanted", &[&size, &rest], &[("axis", Attribute::Int(0))]);
        source.node("Reshape", "y", &["x", &shape], &[])
    })
}

#[test]
fn a_shape_computed_from_the_batch_is_understood_as_long_as_every_batch_would_do() {
    for picks in ["Gather", "Slice"] {
        for between in [&[][..], &[("Cast", None), ("Identity", None)]] {
            let built = view(between, picks).unwrap();
            assert_eq!(dims(&built), [6]);
            assert_eq!(built.steps().count(), 1, "the shape is folded");
            assert_eq!(run(built, &count(12), 2), count(12));
        }
    }
    let there_and_back = [("Mul", Some(6)), ("Div", Some(6))];
    assert_eq!(run(view(&there_and_back, "Slice").unwrap(), &count(12), 2), count(12));
    for (operator, with) in
        [("Add", 2), ("Sub", 0), ("Div", 2), ("Mul", 0), ("Mul", 1 << 23), ("Equal", 1), ("Less", 0)]
    {
        let refusal = view(&[(operator, Some(with))], "Slice").unwrap_err();
        assert_eq!(refusal.place, format!("node '{operator}' (operator {operator} of ai.onnx, opset 21)"));
        assert!(refusal.reason.contains("the number of events in a batch"), "{refusal}");
        assert!(refusal.reason.ends_with("export the model with fixed shapes"), "{refusal}");
    }
    // As the size of another axis it would mix events.
    let built = graph(&[2, 3], |source| {
        let shape = source.node("Shape", "shape", &["x"], &[("end", Attribute::Int(1))]);
        let one = source.constant("one", Constant::ints([1], vec![-1]));
        let shape = source.node("Concat", "wanted", &[&one, &shape], &[("axis", Attribute::Int(0))]);
        source.node("Reshape", "y", &["x", &shape], &[])
    });
    assert!(built.unwrap_err().reason.contains("makes shape [-1, batch] of 6 numbers per event"));
    // Joined to numbers of the event it would be a meaningless number.
    let built = graph(&[2, 3], |source| {
        let shape = source.node("Shape", "shape", &["x"], &[("end", Attribute::Int(1))]);
        let largest = source.node("ArgMax", "largest", &["x"], &[("axis", Attribute::Int(1))]);
        let zero = source.constant("zero", Constant::ints([3], vec![0, 1, 1]));
        let shape = source.node("Reshape", "shapes", &[&shape, &zero], &[]);
        source.node("Concat", "y", &[&largest, &shape], &[("axis", Attribute::Int(2))])
    });
    let refusal = built.unwrap_err();
    assert!(refusal.place.contains("Concat") && refusal.reason.contains("the number of events"), "{refusal}");
}

#[test]
fn sizes_per_event_are_ordinary_numbers() {
    let built = graph(&[3], |source| {
        let shape = source.node("Shape", "shape", &["x"], &[]);
        let last = source.constant("last", Constant::ints([1], vec![-1]));
        let size = source.node("Gather", "size", &[&shape, &last], &[]);
        let size = source.node("Cast", "float", &[&size], &[("to", Attribute::Int(1))]);
        source.node("Div", "y", &["x", &size], &[])
    });
    assert_eq!(run(built.unwrap(), &[3.0, 6.0, 9.0], 1), [1.0, 2.0, 3.0]);
}

/// Field `number` of a protobuf message, as bytes with a length.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
}

/// An input or output of floats in an ONNX file.
fn floats(name: &[u8], dims: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|&dim| field(1, &[1 << 3, dim])).collect();
    let kind = field(2, &field(1, &[&[1 << 3, 1][..], &field(2, &dims)].concat()));
    [&field(1, name)[..], &kind].concat()
}

/// An ONNX file: one node on the input `x` of floats, with one integer attribute.
fn file(operator: &str, key: &str, value: u8, dims: &[u8]) -> Vec<u8> {
    let attribute = [&field(1, key.as_bytes())[..], &[3 << 3, value, 20 << 3 & 0x7f | 0x80, 1, 2]].concat();
    let node = [field(1, b"x"), field(2, b"y"), field(4, operator.as_bytes()), field(5, &attribute)].concat();
    let [input, output] = [b"x", b"y"].map(|name| floats(name, dims));
    let graph = [field(1, &node), field(11, &input), field(12, &output)].concat();
    [field(7, &graph), field(8, &[2 << 3, 13])].concat()
}

#[test]
fn a_file_made_for_single_events_may_flatten_all_axes() {
    let single = UncheckedGraph::from_onnx(&file("Flatten", "axis", 0, &[1, 2, 3])).unwrap();
    assert_eq!(single.batch, Some(1));
    let built = Graph::new(&single).unwrap();
    assert_eq!(dims(&built), [6]);
    assert_eq!(run(built, &count(12), 2), count(12));
    for batch in [0, 5] {
        let other = UncheckedGraph::from_onnx(&file("Flatten", "axis", 0, &[batch, 2, 3])).unwrap();
        assert_eq!(other.batch, (batch > 0).then_some(usize::from(batch)));
        assert!(Graph::new(&other).unwrap_err().reason.starts_with("has the shape [1, batch * 6]"));
    }
    // Of two inputs, both must say so: a second description of the graph adds an input to the first.
    for (second, batch) in [(1, Some(1)), (0, None), (5, None)] {
        let more = field(7, &field(11, &floats(b"z", &[second, 3])));
        let both =
            UncheckedGraph::from_onnx(&[file("Flatten", "axis", 0, &[1, 2, 3]), more].concat()).unwrap();
        assert_eq!((both.inputs.len(), both.batch), (2, batch));
    }
    let squeezed = UncheckedGraph { batch: Some(1), ..UncheckedGraph::new() };
    let refusal = Graph::new(&{
        let mut source = squeezed;
        source.input("x", [1, 3]);
        let output = source.node("Squeeze", "y", &["x"], &[]);
        source.outputs.push(output);
        source
    });
    assert!(refusal.unwrap_err().reason.contains("export the model with the axes of Squeeze named"));
}
