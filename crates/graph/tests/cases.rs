//! Cases in which an import is easily silently wrong: `tests/cases`, made by `scripts/export_graph_cases.py`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use safetensors::SafeTensors;
use tamis_graph::{
    Attribute, Constant, Elsewhere, Graph, KernelOp, Kind, Program, UncheckedGraph, with_external_data,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn rows(file: &SafeTensors<'_>, name: &str) -> Option<(usize, Vec<f32>)> {
    let view = file.tensor(name).ok()?;
    let numbers = view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    Some((view.shape()[0], numbers))
}

/// All tensors `kind.0`, `kind.1`, ... side by side: number of rows, and the numbers row by row.
fn side_by_side(file: &SafeTensors<'_>, kind: &str) -> (usize, Vec<f32>) {
    let parts: Vec<_> = (0..).map_while(|index| rows(file, &format!("{kind}.{index}"))).collect();
    let events = parts[0].0;
    let row = |event: usize| {
        let part = move |(_, numbers): &(usize, Vec<f32>)| {
            let width = numbers.len() / events;
            numbers[event * width..][..width].to_vec()
        };
        parts.iter().flat_map(part)
    };
    (events, (0..events).flat_map(row).collect())
}

/// Reads external numbers from files beside the cases.
fn beside(place: &Elsewhere) -> Result<Vec<u8>, String> {
    let file = fs::read(folder().join(&place.location)).map_err(|error| error.to_string())?;
    let from = usize::try_from(place.offset).unwrap();
    Ok(file[from..from + place.length].to_vec())
}

#[test]
fn weights_in_another_file_are_read_once_and_bounded() {
    let file = fs::read(folder().join("external.onnx")).unwrap();
    let refusal = UncheckedGraph::from_onnx(&file).map(drop).unwrap_err().to_string();
    assert!(refusal.contains("its numbers are in another file, which was not read"), "{refusal}");
    let mut places = Vec::new();
    let whole = with_external_data(&file, |place| {
        places.push((place.offset, place.length));
        beside(place)
    });
    assert_eq!(places.iter().map(|place| place.1).sum::<usize>(), 4 * (4 * 3 + 3));
    // A file with all its numbers stays unchanged, and so does one that is no ONNX file.
    let whole = whole.unwrap();
    let none = |_: &Elsewhere| -> Result<Vec<u8>, String> { panic!("nothing is elsewhere") };
    assert_eq!(with_external_data(&whole, none).unwrap(), whole);
    assert_eq!(with_external_data(b"PK\x03\x04 no ONNX", none).unwrap(), b"PK\x03\x04 no ONNX");
    let refusal = with_external_data(&file, |_| Err("which is not there".into())).unwrap_err().to_string();
    assert!(refusal.ends_with("its numbers are in 'external.data', which is not there"), "{refusal}");
    // Every truncation terminates, and no length in the file decides an allocation.
    for end in 0..file.len() {
        let _ = with_external_data(&file[..end], |place| {
            assert!(place.length <= 48);
            Err("cut".into())
        });
    }
    // The shape determines the number of bytes; a length in the file must agree.
    let at = file.windows(8).position(|bytes| bytes == b"length\x12\x02").unwrap();
    let mut longer = file.clone();
    longer[at + 8] = b'9';
    let refusal = with_external_data(&longer, beside).unwrap_err().to_string();
    assert!(refusal.contains("its shape [4, 3] says 48"), "{refusal}");
}

#[test]
fn every_case_has_the_right_numbers() {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "onnx"));
    files.sort();
    assert!(files.len() >= 20, "the cases are there");
    let mut wrong = Vec::new();
    for path in files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let vectors = fs::read(path.with_extension("safetensors")).unwrap();
        let vectors = SafeTensors::deserialize(&vectors).unwrap();
        let (events, inputs) = side_by_side(&vectors, "input");
        let (_, expected) = side_by_side(&vectors, "output");
        let file = with_external_data(&fs::read(&path).unwrap(), beside).unwrap();
        let graph = UncheckedGraph::from_onnx(&file).and_then(|source| Graph::new(&source));
        let graph = match graph {
            Ok(graph) => graph,
            Err(refusal) => {
                wrong.push(format!("{name}: {refusal}"));
                continue;
            }
        };
        let program = Program::new(Arc::new(graph), &Device::flex());
        let computed = program.start(inputs.clone(), events).wait(events).unwrap().0;
        assert_eq!(computed.len(), expected.len(), "{name}");
        let width = expected.len() / events;
        if let Some(why) = depends_on_neighbours(&program, &inputs, &computed, events) {
            wrong.push(format!("{name}: {why}"));
        }
        for (at, (&a, &b)) in computed.iter().zip(&expected).enumerate() {
            let same = a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-5 * b.abs().max(1.0);
            if !same {
                wrong.push(format!(
                    "{name}: number {} of event {} is {a}, expected {b}",
                    at % width,
                    at / width
                ));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Do events get different numbers alone, or in another order?
fn depends_on_neighbours(
    program: &Program,
    inputs: &[f32],
    together: &[f32],
    events: usize,
) -> Option<String> {
    let [width, made] = [inputs.len(), together.len()].map(|numbers| numbers / events);
    let same = |(a, b): (&f32, &f32)| a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-6 * b.abs();
    let backwards = (0..events).rev().flat_map(|event| &inputs[event * width..][..width]).copied().collect();
    let backwards = program.start(backwards, events).wait(events).unwrap().0;
    for event in 0..events {
        let expected = &together[event * made..][..made];
        let alone = program.start(inputs[event * width..][..width].to_vec(), 1).wait(1).unwrap().0;
        if !alone.iter().zip(expected).all(same) {
            return Some(format!("event {event} has other numbers alone: {alone:?}, {expected:?}"));
        }
        if !backwards[(events - 1 - event) * made..][..made].iter().zip(expected).all(same) {
            return Some(format!("event {event} has other numbers in another order"));
        }
    }
    None
}

/// One node on `x` of this width and a constant.
fn node(width: usize, operator: &str, constant: Constant) -> Graph {
    let mut source = UncheckedGraph::new();
    source.input("x", [width]);
    source.constant("c", constant);
    source.node(operator, "y", &["x", "c"], &[]);
    source.outputs.push("y".into());
    Graph::new(&source).unwrap()
}

fn kernel(graph: &Graph) -> Option<KernelOp> {
    graph.steps().next().unwrap().kernel
}

#[test]
fn only_a_row_as_long_as_the_value_is_a_bias() {
    let row = |numbers: usize| Constant::floats([numbers], vec![0.5; numbers]);
    let summands = |graph: &Graph| match kernel(graph) {
        Some(KernelOp::Scale { summands, .. }) => summands,
        _ => None,
    };
    assert_eq!([summands(&node(3, "Add", row(3))), summands(&node(3, "Add", row(1)))], [Some(1); 2]);
    assert!(kernel(&node(1, "Add", row(3))).is_none(), "one number against three is a broadcast");
}

#[test]
fn what_changes_nothing_is_nothing() {
    let same = |operator, number: f32, numbers: usize| {
        matches!(
            kernel(&node(3, operator, Constant::floats([numbers], vec![number; numbers]))),
            Some(KernelOp::Identity)
        )
    };
    assert!(same("Mul", 1.0, 1) && same("Mul", 1.0, 3) && same("Div", 1.0, 1) && same("Sub", 0.0, 3));
    assert!(!same("Mul", 1.5, 1) && !same("Div", 0.0, 1) && !same("Sub", 1.0, 1));
    // Adding 0 turns -0 into 0, and one number times a row of three ones is three numbers.
    assert!(!same("Add", 0.0, 3));
    assert!(kernel(&node(1, "Mul", Constant::floats([3], vec![1.0; 3]))).is_none());
}

#[test]
fn all_unsupported_operators_are_named_and_dead_ones_are_not() {
    let mut source = UncheckedGraph::new();
    source.input("x", [3]);
    for (operator, name, input) in [
        ("Unheard", "a", "x"),
        ("Unsung", "b", "a"),
        ("Unheard", "c", "b"),
        ("Dead", "d", "x"),
        ("Unseen", "e", "c"),
        ("Unseen", "f", "e"),
    ] {
        source.node(operator, name, &[input], &[]);
    }
    source.outputs.push("f".into());
    let refusal = Graph::new(&source).map(drop).unwrap_err().to_string();
    assert!(refusal.starts_with("node 'a' (operator Unheard of ai.onnx, opset 21)"), "{refusal}");
    assert!(
        refusal.ends_with("; 2 nodes use it; not supported either: Unseen (2 nodes), Unsung"),
        "{refusal}"
    );
    let mut random = UncheckedGraph::new();
    random.input("x", [3]);
    random.node("RandomNormalLike", "r", &["x"], &[]);
    random.outputs.push("r".into());
    let refusal = Graph::new(&random).map(drop).unwrap_err().to_string();
    assert!(refusal.contains("random numbers") && refusal.contains("export the mean"), "{refusal}");
}

#[test]
fn an_infinity_masks_but_does_not_weigh() {
    let infinite = |numbers: usize, dims: &[usize]| {
        let mut values = vec![1.0; numbers];
        values[1] = f32::NEG_INFINITY;
        Constant::floats(dims, values)
    };
    assert!(kernel(&node(3, "Add", infinite(3, &[3]))).is_some());
    let mut source = UncheckedGraph::new();
    source.input("x", [3]);
    source.constant("w", infinite(6, &[3, 2]));
    source.node("MatMul", "y", &["x", "w"], &[]);
    source.outputs.push("y".into());
    let refusal = Graph::new(&source).map(drop).unwrap_err().to_string();
    assert_eq!(refusal, "node 'y' (operator MatMul): its weight number 1 is -inf, must be finite");
}

#[test]
fn an_input_of_integers_without_a_value_has_no_score() {
    let mut source = UncheckedGraph::new();
    source.input("x", [2]);
    source.inputs[0].kind = Kind::Int;
    source.node("Cast", "y", &["x"], &[("to", Attribute::Int(1))]);
    source.outputs.push("y".into());
    let program = Program::new(Arc::new(Graph::new(&source).unwrap()), &Device::flex());
    let (scores, _) = program.start(vec![1.5, -1.5, f32::NAN, 2.0], 2).wait(2).unwrap();
    assert_eq!(scores[..2], [1.0, -1.0]);
    assert!(scores[2].is_nan() && scores[3].is_nan());
}

#[test]
fn used_inputs_are_followed_through_what_moves_numbers() {
    let mut source = UncheckedGraph::new();
    source.input("x", [2, 4]);
    source.constant("columns", Constant::ints([2], vec![3, 1]));
    source.node("Gather", "some", &["x", "columns"], &[("axis", Attribute::Int(2))]);
    source.node("Transpose", "turned", &["some"], &[("perm", Attribute::Ints(vec![0, 2, 1]))]);
    source.constant("from", Constant::ints([1], vec![1]));
    source.constant("to", Constant::ints([1], vec![2]));
    source.node("Slice", "y", &["turned", "from", "to", "from"], &[]);
    source.node("Relu", "z", &["y"], &[]);
    source.outputs.push("z".into());
    let used = Graph::new(&source).unwrap().used_inputs();
    assert_eq!(used, [false, true, false, false, false, true, false, false]);
}
