//! Functions that a file defines: refusals, and bounds on the graph that a small file makes. `tests/cases` checks the numbers.

use tamis_graph::{Graph, UncheckedGraph};

/// A protobuf number.
fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 127 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// Field `number` of a protobuf message, as bytes with a length.
fn field(number: usize, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [&varint(number << 3 | 2)[..], &varint(content.len()), content].concat()
}

fn fields<'a>(number: usize, contents: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    contents.into_iter().flat_map(|content| field(number, content)).collect()
}

/// A node of an operator of this file, or of ONNX.
fn node(operator: &str, inputs: &str, outputs: &str, attributes: &[&[u8]]) -> Vec<u8> {
    let attributes: Vec<u8> = attributes.iter().flat_map(|attribute| field(5, attribute)).collect();
    let (domain, operator) = operator.split_once('.').unwrap_or(("", operator));
    let texts = [field(4, operator), field(7, domain)].concat();
    [fields(1, inputs.split(' ')), fields(2, outputs.split(' ')), texts, attributes].concat()
}

/// A function `local.NAME`, written for this ONNX opset.
fn function(name: &str, inputs: &str, outputs: &str, nodes: &[Vec<u8>], opset: u8) -> Vec<u8> {
    let nodes: Vec<u8> = nodes.iter().flat_map(|node| field(7, node)).collect();
    let texts = [field(1, name), field(10, "local"), field(9, [2 << 3, opset])].concat();
    [texts, fields(4, inputs.split(' ')), fields(5, outputs.split(' ')), nodes].concat()
}

/// A file: nodes from `x` to `y`, both rows of 3 numbers, in opset 21.
fn file(nodes: &[Vec<u8>], functions: &[Vec<u8>]) -> Vec<u8> {
    let kind = field(
        2,
        field(1, [&[1 << 3, 1][..], &field(2, [field(1, ""), field(1, [1 << 3, 3])].concat())].concat()),
    );
    let [input, output] = ["x", "y"].map(|name| [field(1, name), kind.clone()].concat());
    let nodes: Vec<u8> = nodes.iter().flat_map(|node| field(1, node)).collect();
    let graph = [nodes, field(11, input), field(12, output)].concat();
    let opsets = [field(8, [2 << 3, 21]), field(8, [&field(1, "local")[..], &[2 << 3, 1]].concat())].concat();
    let functions: Vec<u8> = functions.iter().flat_map(|function| field(25, function)).collect();
    [field(7, graph), opsets, functions].concat()
}

fn built(nodes: &[Vec<u8>], functions: &[Vec<u8>]) -> Result<usize, String> {
    let source = UncheckedGraph::from_onnx(&file(nodes, functions)).map_err(|refusal| refusal.to_string())?;
    let graph = Graph::new(&source).map_err(|refusal| refusal.to_string())?;
    Ok(graph.steps().count())
}

#[test]
fn calls_in_calls_are_written_out_up_to_a_depth_and_a_size() {
    let call = |name: &str, input: &str, output: &str| node(&format!("local.{name}"), input, output, &[]);
    // F0 calls F1 twice, F1 calls F2 twice, and so on: `depth` functions make 2^depth nodes.
    let doubling = |depth: usize| {
        let body = |level: usize| {
            let next = format!("F{}", level + 1);
            vec![call(&next, "a", "b"), call(&next, "b", "c")]
        };
        let mut functions: Vec<_> =
            (0..depth).map(|level| function(&format!("F{level}"), "a", "c", &body(level), 21)).collect();
        functions.push(function(&format!("F{depth}"), "a", "c", &[node("Tanh", "a", "c", &[])], 21));
        built(&[call("F0", "x", "y")], &functions)
    };
    assert_eq!(doubling(0), Ok(1));
    assert_eq!(doubling(8), Ok(256));
    assert!(doubling(28).unwrap_err().contains("makes the model too large where functions are written out"));
    // Functions without a node of their own are counted, too.
    let single = |depth: usize| {
        let call_next = |level: usize| vec![call(&format!("F{}", level + 1), "a", "c")];
        let mut functions: Vec<_> =
            (0..depth).map(|level| function(&format!("F{level}"), "a", "c", &call_next(level), 21)).collect();
        functions.push(function(&format!("F{depth}"), "a", "c", &[node("Tanh", "a", "c", &[])], 21));
        built(&[call("F0", "x", "y")], &functions)
    };
    assert_eq!(single(31), Ok(1));
    assert!(single(32).unwrap_err().contains("32 deep in each other"));
    let itself =
        built(&[call("F", "x", "y")], &[function("F", "a", "c", &[call("F", "a", "c")], 21)]).unwrap_err();
    assert!(itself.starts_with("function 'F' of local: is called by calls that stand 32 deep"), "{itself}");
    assert!(itself.ends_with("a function may not call itself"), "{itself}");
}

#[test]
fn calls_that_do_not_fit_are_refused() {
    let tanh = |opset: u8| function("F", "a", "b", &[node("Tanh", "a", "b", &[])], opset);
    let call = |inputs: &str, outputs: &str| node("local.F", inputs, outputs, &[]);
    let refused = |nodes: &[Vec<u8>], functions: &[Vec<u8>]| built(nodes, functions).unwrap_err();
    assert_eq!(built(&[call("x", "y")], &[tanh(21)]), Ok(1));
    let many = refused(&[call("x x", "y")], &[tanh(21)]);
    assert!(many.contains("is called with 2 inputs and 1 outputs; it has 1 and 1"), "{many}");
    let other = refused(&[call("x", "y")], &[tanh(9)]);
    assert!(
        other.contains("is written in opset 9 and the model in opset 21") && other.contains("inline_local"),
        "{other}"
    );
    let twice = refused(&[call("x", "y")], &[tanh(21), tanh(21)]);
    assert_eq!(twice, "function 'F' of local: is in the file twice");
    let attribute = field(1, "alpha");
    let unknown = refused(&[node("local.F", "x", "y", &[&attribute])], &[tanh(21)]);
    assert!(unknown.contains("is called with an attribute 'alpha', which it does not have"), "{unknown}");
    let reference = [field(1, "alpha"), field(21, "slope")].concat();
    let body = [node("LeakyRelu", "a", "b", &[&reference])];
    let dangling = refused(&[call("x", "y")], &[function("F", "a", "b", &body, 21)]);
    assert!(dangling.contains("refers to an attribute 'slope', which it does not have"), "{dangling}");
    let outside = refused(&[node("LeakyRelu", "x", "y", &[&reference])], &[]);
    assert!(outside.contains("its attribute 'alpha' cannot be used: 'slope' of a function"), "{outside}");
    // A body sees only its inputs, nothing else of the graph.
    let peeking = function("F", "a", "b", &[node("Add", "a x", "b", &[])], 21);
    let unseen = refused(&[call("x", "y")], &[peeking]);
    assert!(unseen.contains("the value 'x of call 1' is used before it is made, or never made"), "{unseen}");
}
