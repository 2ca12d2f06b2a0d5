//! Random graphs with images: the fused kernels against burn.

use std::sync::Arc;

use tamis_graph::{Attribute, Constant, Graph, UncheckedGraph};

use super::dense;
use crate::fused::Fused;
use crate::network::Network;

const EVENTS: usize = 5;

/// A sequence of pseudorandom numbers.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 24) as usize % end
    }

    fn from(&mut self, least: usize, end: usize) -> usize {
        least + self.below(end - least)
    }

    fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.below(4001) as f32 / 2000.0 - 1.0).collect()
    }
}

fn ints(list: impl IntoIterator<Item = usize>) -> Attribute {
    Attribute::Ints(list.into_iter().map(|number| number as i64).collect())
}

/// Windows that are unusual but allowed by ONNX.
fn windows(numbers: &mut Numbers, rank: usize) -> Vec<(&'static str, Attribute)> {
    let mut list = |most: usize| ints((0..rank).map(|_| numbers.from(1, most + 1)));
    let kernel = list(3);
    let strides = list(2);
    let dilations = list(2);
    let pads = ints((0..2 * rank).map(|_| numbers.below(2)));
    vec![("kernel_shape", kernel), ("strides", strides), ("dilations", dilations), ("pads", pads)]
}

/// A network on images of one or two axes; `None` if its windows do not fit.
fn graph(seed: usize) -> Option<Graph> {
    let mut numbers = Numbers(seed as u64 * 0x9e37_79b9 + 1);
    let rank = numbers.from(1, 3);
    let mut channels = numbers.from(1, 4);
    let mut source = UncheckedGraph::new();
    let space: Vec<usize> = (0..rank).map(|_| numbers.from(3, 10)).collect();
    let mut x = source.input("x", [vec![channels], space].concat());
    for at in 0..numbers.from(1, 5) {
        let name = format!("n{at}");
        let mut attributes = windows(&mut numbers, rank);
        let flag = |numbers: &mut Numbers| Attribute::Int(numbers.below(2) as i64);
        x = match numbers.below(8) {
            0..3 => {
                let group = if numbers.below(3) == 0 { channels } else { 1 };
                let outputs = group * numbers.from(1, 4);
                let Attribute::Ints(kernel) = &attributes[0].1 else { unreachable!("just written") };
                let kernel: Vec<usize> = kernel.iter().map(|&size| size as usize).collect();
                let shape = [vec![outputs, channels / group], kernel].concat();
                let weight = numbers.floats(shape.iter().product());
                let weight = source.constant(&format!("{name}.w"), Constant::floats(shape, weight));
                let bias = Constant::floats([outputs], numbers.floats(outputs));
                let bias = source.constant(&format!("{name}.b"), bias);
                attributes.push(("group", Attribute::Int(group as i64)));
                channels = outputs;
                let inputs = [x.as_str(), &weight, &bias];
                source.node("Conv", &name, &inputs[..numbers.from(2, 4)], &attributes)
            }
            3 => source.node(["GlobalAveragePool", "GlobalMaxPool"][numbers.below(2)], &name, &[&x], &[]),
            4 => {
                attributes.push(("ceil_mode", flag(&mut numbers)));
                attributes.push(("count_include_pad", flag(&mut numbers)));
                source.node("AveragePool", &name, &[&x], &attributes)
            }
            5 => {
                let halves = [("kernel_shape", ints(vec![2; rank])), ("strides", ints(vec![2; rank]))];
                source.node("MaxPool", &name, &[&x], &halves)
            }
            _ => {
                attributes.push(("ceil_mode", flag(&mut numbers)));
                source.node("MaxPool", &name, &[&x], &attributes)
            }
        };
        if let Some(operator) = ["Relu", "Tanh", "Sigmoid", "LeakyRelu"].get(numbers.below(6)) {
            x = source.node(operator, &format!("{name}.a"), &[&x], &[]);
        }
    }
    let flat = source.node("Flatten", "flat", &[&x], &[]);
    source.outputs = vec![flat.clone()];
    let inputs = Graph::new(&source).ok()?.steps().last()?.output.iter().product();
    let weight = Constant::floats([inputs, 3], numbers.floats(inputs * 3));
    let weight = source.constant("w", weight);
    source.outputs = vec![source.node("MatMul", "y", &[&flat, &weight], &[])];
    Some(Graph::new(&source).expect("its images were checked"))
}

#[test]
fn images_are_the_same_as_on_the_reference() {
    let (mut seen, mut without_score) = (0, 0);
    for seed in 0..600 {
        let Some(graph) = graph(seed) else { continue };
        let fused = Fused::new(&graph).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        let mut rows = Numbers(seed as u64 + 1).floats(EVENTS * graph.input_numbers());
        // Not every number is read, so such an event may still have a score, which must then be the same.
        rows[..2].copy_from_slice(&[f32::NAN, -f32::NAN]);
        rows[2 * graph.input_numbers() + 1] = f32::INFINITY;
        let graph = Arc::new(graph);
        let found = fused.run(&rows, EVENTS);
        let wanted = Network::reference(&graph).unwrap().start(rows, EVENTS).wait(EVENTS).unwrap().numbers;
        for (at, (&found, &wanted)) in found.iter().zip(&wanted).enumerate() {
            let is_near = found == wanted || (found - wanted).abs() <= 2e-5 * wanted.abs().max(1.0);
            assert!(
                is_near || found.is_nan() && wanted.is_nan(),
                "seed {seed}, number {at}: {found} is not {wanted}"
            );
            without_score += usize::from(found.is_nan());
        }
        seen += 1;
    }
    assert!(seen > 200 && without_score > 200, "{seen} networks, {without_score} numbers that are none");
}

#[test]
fn what_the_kernels_do_not_know_is_named() {
    let graph = |change: &dyn Fn(&mut UncheckedGraph) -> String| {
        let mut source = UncheckedGraph::new();
        source.input("x", [1, 4, 4]);
        let weight = Constant::floats([2, 1, 3, 3], vec![0.5; 18]);
        source.constant("w", weight);
        source.node("Conv", "conv", &["x", "w"], &[]);
        source.constant("v", Constant::floats([8, 2], vec![0.5; 16]));
        source.outputs = vec![change(&mut source)];
        Graph::new(&source).unwrap()
    };
    let scored = |source: &mut UncheckedGraph, x: &str| {
        let flat = source.node("Flatten", "flat", &[x], &[]);
        source.node("MatMul", "y", &[&flat, "v"], &[])
    };
    let refused = |change: &dyn Fn(&mut UncheckedGraph) -> String| Fused::new(&graph(change)).unwrap_err();
    let elu = |source: &mut UncheckedGraph| {
        source.node("Elu", "elu", &["conv"], &[]);
        scored(source, "elu")
    };
    let swapped = |source: &mut UncheckedGraph| {
        let swap = [("perm", Attribute::Ints(vec![0, 2, 3, 1]))];
        source.node("Transpose", "swap", &["conv"], &swap);
        scored(source, "swap")
    };
    assert_eq!(refused(&elu), "the fused kernels do not support operator Elu ('elu')");
    assert_eq!(refused(&swapped), "the fused kernels do not support operator Transpose ('swap')");
    assert_eq!(
        refused(&|_| "conv".into()),
        "it ends with operator Conv ('conv'), and the fused kernels need a dense layer at the end"
    );
    assert_eq!(
        dense(&graph(&|source| scored(source, "conv"))).unwrap_err(),
        "operator Conv ('conv') works on images"
    );
}

/// A dense layer of `outputs` neurons on four numbers, and what follows it.
fn dense_layer(outputs: usize, follow: &dyn Fn(&mut UncheckedGraph) -> String) -> Graph {
    let mut source = UncheckedGraph::new();
    source.input("x", [4]);
    source.constant("w", Constant::floats([4, outputs], vec![0.5; 4 * outputs]));
    source.constant("row", Constant::floats([3], vec![1.0, 2.0, 4.0]));
    source.node("MatMul", "y", &["x", "w"], &[]);
    source.outputs = vec![follow(&mut source)];
    Graph::new(&source).unwrap()
}

#[test]
fn a_number_that_is_spread_over_a_row_is_no_bias() {
    let add = |source: &mut UncheckedGraph| source.node("Add", "add", &["y", "row"], &[]);
    let refused = |graph: &Graph| Fused::new(graph).unwrap_err();
    // One number plus a row of three gives three numbers.
    let spread = dense_layer(1, &add);
    assert_eq!(spread.outputs()[0].kind.numbers(), 3);
    assert_eq!(refused(&spread), "the fused kernels do not support operator Add ('add')");
    let before_softmax = dense_layer(1, &|source| {
        let sum = add(source);
        source.node("Softmax", "softmax", &[&sum], &[])
    });
    assert_eq!(refused(&before_softmax), "the fused kernels do not support operator Add ('add')");
    // Three numbers plus a row of three are a layer with a bias.
    let graph = dense_layer(3, &add);
    assert_eq!(Fused::new(&graph).unwrap().run(&[1.0, 2.0, 3.0, 4.0], 1), [6.0, 7.0, 9.0]);
}

#[test]
fn a_graph_that_computes_nothing_is_refused() {
    let mut source = UncheckedGraph::new();
    source.outputs = vec![source.input("x", [4])];
    let refused = Fused::new(&Graph::new(&source).unwrap()).unwrap_err();
    assert_eq!(refused, "it computes nothing, and the fused kernels need a dense layer at the end");
}
