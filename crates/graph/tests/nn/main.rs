//! Convolution, pooling, normalisation and softmax: correct against sums written out by hand, and independent between events.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod normalise;
mod refusals;
mod sums;

use std::sync::Arc;

use burn::tensor::Device;
use proptest::prelude::*;
use tamis_graph::{Attribute, Constant, Data, Graph, KernelOp, Narrow, Program, Refusal, UncheckedGraph};

type Attributes<'a> = &'a [(&'a str, Attribute)];

fn ints(values: &[i64]) -> Attribute {
    Attribute::Ints(values.to_vec())
}

fn int(value: i64) -> Attribute {
    Attribute::Int(value)
}

fn text(value: &str) -> Attribute {
    Attribute::Text(value.into())
}

/// A constant of this shape with oscillating numbers.
fn wave(dims: &[usize]) -> Constant {
    let number = |at: usize| ((at * 37 + 11) % 23) as f32 / 8.0 - 1.25;
    Constant::floats(dims, (0..dims.iter().product()).map(number).collect())
}

/// One node on `x`, of this shape per event, with constants as its other inputs.
fn node(
    dims: &[usize],
    operator: &str,
    constants: &[Constant],
    attributes: Attributes<'_>,
    opset: i64,
) -> UncheckedGraph {
    let mut source = UncheckedGraph::new();
    source.opsets.insert(String::new(), opset);
    let mut inputs = vec![source.input("x", dims)];
    for (index, constant) in constants.iter().enumerate() {
        inputs.push(source.constant(&format!("c{index}"), constant.clone()));
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let output = source.node(operator, "y", &inputs, attributes);
    source.outputs.push(output);
    source
}

fn refusal(source: &UncheckedGraph) -> Refusal {
    Graph::new(source).map(|_| "a graph").unwrap_err()
}

/// Runs a graph over rows of `x`.
fn run(graph: Graph, x: &[f32], rows: usize) -> Vec<f32> {
    Program::new(Arc::new(graph), &Device::flex()).start(x.to_vec(), rows).wait(rows).unwrap().0
}

fn floats(constant: &Constant) -> &[f32] {
    match &constant.data {
        Data::Floats(values) => values,
        other => panic!("{other:?}"),
    }
}

fn close(computed: &[f32], expected: &[f64]) {
    assert_eq!(computed.len(), expected.len());
    for (at, (&a, &b)) in computed.iter().zip(expected).enumerate() {
        assert!((f64::from(a) - b).abs() <= 1e-5 * b.abs().max(1.0), "number {at} is {a}, expected {b}");
    }
}

/// Random windows along one axis.
#[derive(Clone, Copy, Debug)]
struct TestAxis {
    size: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    begin: usize,
    end: usize,
}

impl TestAxis {
    const FLAT: Self = Self { size: 1, kernel: 1, stride: 1, dilation: 1, begin: 0, end: 0 };

    fn windows(&self) -> usize {
        (self.size + self.begin + self.end - self.dilation * (self.kernel - 1) - 1) / self.stride + 1
    }

    /// The place of number `tap` of a window on the image, if it lies there.
    fn place(&self, window: usize, tap: usize) -> Option<usize> {
        let place = (window * self.stride + tap * self.dilation).checked_sub(self.begin)?;
        (place < self.size).then_some(place)
    }
}

/// Random axes on which the kernel fits.
fn axis() -> impl Strategy<Value = TestAxis> {
    (1usize..9, 1usize..4, 1usize..4, 1usize..4, 0usize..4, 0usize..4)
        .prop_map(|(size, kernel, stride, dilation, begin, end)| TestAxis {
            size,
            kernel,
            stride,
            dilation,
            begin,
            end,
        })
        .prop_filter("the kernel fits", |axis| {
            axis.dilation * (axis.kernel - 1) < axis.size + axis.begin + axis.end
        })
}

/// One or two axes.
fn axes() -> impl Strategy<Value = Vec<TestAxis>> {
    prop::collection::vec(axis(), 1..3)
}

/// The attributes of such windows.
fn attributes(axes: &[TestAxis]) -> Vec<(&'static str, Attribute)> {
    let list = |of: &dyn Fn(&TestAxis) -> usize| axes.iter().map(|axis| of(axis) as i64).collect::<Vec<_>>();
    let pads = [list(&|axis| axis.begin), list(&|axis| axis.end)].concat();
    vec![
        ("kernel_shape", Attribute::Ints(list(&|axis| axis.kernel))),
        ("strides", Attribute::Ints(list(&|axis| axis.stride))),
        ("dilations", Attribute::Ints(list(&|axis| axis.dilation))),
        ("pads", Attribute::Ints(pads)),
    ]
}

/// Calls `see(window, values)` for every window over one image of one channel; `None` is padding.
fn every_window(image: &[f32], axes: &[TestAxis], mut see: impl FnMut(usize, &[Option<f32>])) {
    let [down, across] = if let [down, across] = axes { [*down, *across] } else { [TestAxis::FLAT, axes[0]] };
    let mut index = 0;
    for row in 0..down.windows() {
        for column in 0..across.windows() {
            let taps = (0..down.kernel).flat_map(|y| (0..across.kernel).map(move |x| (y, x)));
            let value = |(y, x)| Some(image[down.place(row, y)? * across.size + across.place(column, x)?]);
            see(index, &taps.map(value).collect::<Vec<_>>());
            index += 1;
        }
    }
}

fn sizes(axes: &[TestAxis]) -> Vec<usize> {
    axes.iter().map(|axis| axis.size).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_convolution_is_the_sum_written_out(
        axes in axes(),
        groups in 1usize..4,
        per_group in 1usize..3,
        outputs_per_group in 1usize..3,
        bias in any::<bool>(),
        events in 1usize..4,
        numbers in prop::collection::vec(-2f32..2f32, 7..30),
    ) {
        let (channels, outputs) = (groups * per_group, groups * outputs_per_group);
        let image: usize = sizes(&axes).iter().product();
        let taps: usize = axes.iter().map(|axis| axis.kernel).product();
        let x: Vec<f32> = numbers.iter().copied().cycle().take(events * channels * image).collect();
        let kernel: Vec<usize> = axes.iter().map(|axis| axis.kernel).collect();
        let mut constants = vec![wave(&[vec![outputs, per_group], kernel].concat())];
        if bias {
            constants.push(wave(&[outputs]));
        }
        let mut attributes = attributes(&axes);
        attributes.push(("group", int(groups as i64)));
        let graph = Graph::new(&node(&[vec![channels], sizes(&axes)].concat(), "Conv", &constants, &attributes, 21)).unwrap();
        let weights = floats(&constants[0]);
        let windows: usize = axes.iter().map(TestAxis::windows).product();
        prop_assert_eq!(graph.multiply_adds(), (outputs * per_group * taps * windows) as u64);
        let mut expected = vec![0f64; events * outputs * windows];
        for event in 0..events {
            for output in 0..outputs {
                let sums = &mut expected[(event * outputs + output) * windows..][..windows];
                sums.fill(constants.get(1).map_or(0.0, |bias| f64::from(floats(bias)[output])));
                for channel in 0..per_group {
                    let from = output / outputs_per_group * per_group + channel;
                    let weights = &weights[(output * per_group + channel) * taps..][..taps];
                    every_window(&x[(event * channels + from) * image..][..image], &axes, |window, values| {
                        let terms = values.iter().zip(weights);
                        sums[window] += terms.map(|(x, w)| f64::from(x.unwrap_or(0.0)) * f64::from(*w)).sum::<f64>();
                    });
                }
            }
        }
        close(&run(graph, &x, events), &expected);
    }

    #[test]
    fn pooling_is_the_window_looked_at_by_hand(
        axes in axes(),
        borders in any::<bool>(),
        events in 1usize..3,
        lost in any::<prop::sample::Index>(),
    ) {
        let image: usize = sizes(&axes).iter().product();
        let mut x = floats(&wave(&[events * 2 * image])).to_vec();
        x[lost.index(events * 2 * image)] = f32::NAN;
        let dims = [vec![2], sizes(&axes)].concat();
        let windows: usize = axes.iter().map(TestAxis::windows).product();
        let mut largest = Vec::new();
        let mut means = Vec::new();
        let mut empty = false;
        for image in x.chunks(image) {
            every_window(image, &axes, |_, values| {
                let inside: Vec<f32> = values.iter().copied().flatten().collect();
                empty |= inside.is_empty();
                let count = if borders { values.len() } else { inside.len() };
                let larger = |a: f32, b: f32| if a.is_nan() || a > b { a } else { b };
                largest.push(inside.iter().copied().fold(f32::NEG_INFINITY, larger));
                means.push(inside.iter().map(|&x| f64::from(x)).sum::<f64>() / count as f64);
            });
        }
        let mut attributes = attributes(&axes);
        let max_pool = Graph::new(&node(&dims, "MaxPool", &[], &attributes, 21));
        if empty {
            prop_assert!(max_pool.unwrap_err().reason.contains("nothing but padding"));
            return Ok(());
        }
        let same = |computed: f32, expected: f64| {
            computed.is_nan() && expected.is_nan() || (f64::from(computed) - expected).abs() <= 1e-5
        };
        let computed = run(max_pool.unwrap(), &x, events);
        prop_assert_eq!(computed.len(), events * 2 * windows);
        prop_assert!(computed.iter().zip(&largest).all(|(&a, &b)| same(a, b.into())), "{:?} {:?}", computed, largest);
        attributes.push(("count_include_pad", int(borders.into())));
        let computed = run(Graph::new(&node(&dims, "AveragePool", &[], &attributes, 21)).unwrap(), &x, events);
        prop_assert!(computed.iter().zip(&means).all(|(&a, &b)| same(a, b)), "{:?} {:?}", computed, means);
    }
}

#[test]
fn borders_are_worked_out_as_the_model_asks() {
    // The sizes are those of ONNX Runtime for the same node.
    let pool = |size: usize, attributes: Attributes<'_>| {
        let graph = Graph::new(&node(&[1, size], "MaxPool", &[], attributes, 21)).unwrap();
        let x: Vec<f32> = (0..size).map(|at| at as f32).collect();
        run(graph, &x, 1)
    };
    let window = |kernel, stride| [("kernel_shape", ints(&[kernel])), ("strides", ints(&[stride]))];
    let with = |kernel, stride, key, value| [window(kernel, stride).to_vec(), vec![(key, value)]].concat();
    assert_eq!(pool(5, &with(2, 2, "auto_pad", text("SAME_UPPER"))), [1.0, 3.0, 4.0]);
    assert_eq!(pool(5, &with(2, 2, "auto_pad", text("SAME_LOWER"))), [0.0, 2.0, 4.0]);
    assert_eq!(pool(5, &with(2, 2, "auto_pad", text("VALID"))), [1.0, 3.0]);
    assert_eq!(pool(5, &with(2, 2, "ceil_mode", int(1))), [1.0, 3.0, 4.0]);
    // A last window that begins beyond the image does not count.
    let mut behind = with(1, 2, "ceil_mode", int(1));
    behind.push(("pads", ints(&[0, 1])));
    assert_eq!(pool(4, &behind[..3]), [0.0, 2.0]);
    assert_eq!(pool(2, &behind), [0.0]);
}

/// A graph that resizes `x` by these scales.
fn resize(dims: &[usize], scales: &[f32], attributes: Attributes<'_>) -> UncheckedGraph {
    let mut source = UncheckedGraph::new();
    source.input("x", dims);
    source.constant("scales", Constant::floats([scales.len()], scales.to_vec()));
    let output = source.node("Resize", "y", &["x", "", "scales"], attributes);
    source.outputs.push(output);
    source
}

/// Every operator of this test, on an image of 2 channels of 3 x 4 per event.
fn samples() -> Vec<(&'static str, UncheckedGraph)> {
    let dims = [2, 3, 4];
    let kernel = || ("kernel_shape", ints(&[2, 2]));
    let positive = |dims: &[usize]| {
        let numbers = floats(&wave(dims)).iter().map(|number| number.abs() + 0.1).collect();
        Constant::floats(dims, numbers)
    };
    let two = || wave(&[2]);
    let statistics = [two(), two(), two(), positive(&[2])];
    let sample = |operator: &'static str, constants: &[Constant], attributes: Attributes<'_>| {
        (operator, node(&dims, operator, constants, attributes, 21))
    };
    vec![
        sample("AveragePool", &[], &[kernel(), ("pads", ints(&[0, 1, 1, 0]))]),
        sample("BatchNormalization", &statistics, &[]),
        sample("Conv", &[wave(&[3, 2, 2, 2]), wave(&[3])], &[("pads", ints(&[1, 0, 0, 1]))]),
        sample("ConvTranspose", &[wave(&[2, 3, 2, 2]), wave(&[3])], &[]),
        sample("Einsum", &[wave(&[2, 3])], &[("equation", text("nchw,cd->ndhw"))]),
        sample("GlobalAveragePool", &[], &[]),
        sample("GlobalMaxPool", &[], &[]),
        sample("GroupNormalization", &[two(), two()], &[("num_groups", int(1))]),
        sample("Hardmax", &[], &[("axis", int(1))]),
        sample("InstanceNormalization", &[two(), two()], &[]),
        sample("LayerNormalization", &[wave(&[3, 4]), wave(&[3, 4])], &[("axis", int(2))]),
        sample("LogSoftmax", &[], &[("axis", int(2))]),
        sample("MaxPool", &[], &[kernel(), ("pads", ints(&[0, 1, 1, 0]))]),
        sample("QuantizeLinear", &[Constant::floats([3], vec![0.5, 0.25, 1.0])], &[("axis", int(2))]),
        sample("RMSNormalization", &[wave(&[3, 4])], &[("axis", int(2))]),
        ("Resize", resize(&dims, &[1.0, 1.0, 2.0, 2.0], &[("mode", text("linear"))])),
        sample("Softmax", &[], &[]),
    ]
}

#[test]
fn every_event_stands_for_itself() {
    let rows = 9;
    let width = 24;
    let x = floats(&wave(&[rows * width])).to_vec();
    for (operator, source) in samples() {
        let graph = || Graph::new(&source).unwrap();
        let together = run(graph(), &x, rows);
        let bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
        let per_event = together.len() / rows;
        for (event, (x, expected)) in x.chunks(width).zip(together.chunks(per_event)).enumerate() {
            assert_eq!(bits(&run(graph(), x, 1)), bits(expected), "{operator}, event {event}");
        }
        let mut poisoned = x.clone();
        poisoned[3 * width..4 * width].fill(f32::NAN);
        for (event, (computed, expected)) in
            run(graph(), &poisoned, rows).chunks(per_event).zip(together.chunks(per_event)).enumerate()
        {
            if event == 3 {
                assert!(computed.iter().all(|number| number.is_nan()), "{operator}: {computed:?}");
            } else {
                assert_eq!(bits(computed), bits(expected), "{operator}, event {event}");
            }
        }
    }
}

#[test]
fn one_number_that_is_none_spoils_what_it_goes_into() {
    let spoiled = |source: &UncheckedGraph| {
        let mut x = floats(&wave(&[24])).to_vec();
        x[5] = f32::NAN;
        let y = run(Graph::new(source).unwrap(), &x, 1);
        y.iter().enumerate().filter(|(_, number)| number.is_nan()).map(|(at, _)| at).collect::<Vec<_>>()
    };
    for (operator, source) in samples() {
        let expected: Vec<usize> = match operator {
            "BatchNormalization" => vec![5],
            "GlobalAveragePool" | "GlobalMaxPool" => vec![0],
            "GroupNormalization" => (0..24).collect(),
            "InstanceNormalization" | "LayerNormalization" | "RMSNormalization" => (0..12).collect(),
            // Integers cannot carry a NaN: the event has no score.
            "QuantizeLinear" => (0..24).collect(),
            "Softmax" => (4..8).collect(),
            "LogSoftmax" => vec![1, 5, 9],
            "Hardmax" => vec![5, 17],
            "AveragePool" | "MaxPool" => vec![1, 2, 5, 6],
            // Padding turns the 3 x 4 image into 4 x 5, on which there are 3 x 4 windows.
            "Conv" => [0, 12, 24].iter().flat_map(|channel| [4, 5, 8, 9].map(|at| channel + at)).collect(),
            "ConvTranspose" => {
                [0, 20, 40].iter().flat_map(|channel| [6, 7, 11, 12].map(|at| channel + at)).collect()
            }
            "Einsum" => vec![5, 17, 29],
            "Resize" => (1..5).flat_map(|row| (1..5).map(move |column| row * 8 + column)).collect(),
            other => panic!("{other}"),
        };
        assert_eq!(spoiled(&source), expected, "{operator}");
    }
}

#[test]
fn no_operator_mixes_events() {
    let along = "works along the axis of events";
    for (operator, opset) in [("Softmax", 21), ("Softmax", 11), ("LogSoftmax", 21), ("Hardmax", 12)] {
        let refused = refusal(&node(&[4], operator, &[], &[("axis", int(0))], opset));
        assert!(refused.reason.contains(along), "{refused}");
        let refused = refusal(&node(&[4], operator, &[], &[("axis", int(-2))], opset));
        assert!(refused.reason.contains(along), "{refused}");
    }
    let refused = refusal(&node(&[4], "LayerNormalization", &[wave(&[4])], &[("axis", int(0))], 21));
    assert!(refused.reason.contains(along), "{refused}");
    let refused = refusal(&resize(&[4], &[2.0, 1.0], &[]));
    assert!(refused.reason.contains(along), "{refused}");
    let equation = |text: &str, constant: &[usize]| {
        refusal(&node(
            &[3, 4],
            "Einsum",
            &[wave(constant)],
            &[("equation", Attribute::Text(text.into()))],
            21,
        ))
    };
    for (text, constant) in [
        ("nij,jk->ik", &[4, 2][..]),
        ("nij,jn->ni", &[4, 3]),
        ("nin,ij->nj", &[3, 4]),
        ("nij,jk->kni", &[4, 2]),
    ] {
        let refused = equation(text, constant);
        assert!(refused.reason.contains("would depend on its neighbours"), "{text}: {refused}");
    }
    // Before opset 13 all axes from the given one on count as one, and the default is the first axis of the event.
    let flat = Graph::new(&node(&[2, 3], "Softmax", &[], &[], 11)).unwrap();
    let y = run(flat, &[0.0; 12], 2);
    assert!(y.iter().all(|number| (number - 1.0 / 6.0).abs() < 1e-6), "{y:?}");
}

#[test]
fn softmax_over_a_whole_row_is_known_to_the_kernels() {
    let kernel = |dims: &[usize], operator: &str, axis: i64, opset: i64| {
        let graph = Graph::new(&node(dims, operator, &[], &[("axis", int(axis))], opset)).unwrap();
        matches!(graph.steps().next().unwrap().kernel, Some(KernelOp::Softmax))
    };
    assert!(kernel(&[5], "Softmax", -1, 13));
    assert!(kernel(&[5], "Softmax", 1, 13));
    assert!(kernel(&[2, 3], "Softmax", 1, 11));
    assert!(!kernel(&[2, 3], "Softmax", 1, 13));
    assert!(!kernel(&[2, 3], "Softmax", 2, 11));
    assert!(!kernel(&[5], "LogSoftmax", 1, 13));
}

#[test]
fn whole_channels_and_axes_by_hand() {
    let x = floats(&wave(&[2 * 12])).to_vec();
    let computed = |operator: &str, axis: Option<i64>| {
        let axis = axis.map(|axis| ("axis", int(axis)));
        let source = node(&[2, 2, 3], operator, &[], axis.as_slice(), 21);
        run(Graph::new(&source).unwrap(), &x, 2)
    };
    let channels = |of: &dyn Fn(&[f32]) -> f64| x.chunks(6).map(of).collect::<Vec<_>>();
    let largest = |x: &[f32]| x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    close(&computed("GlobalMaxPool", None), &channels(&|x| f64::from(largest(x))));
    close(
        &computed("GlobalAveragePool", None),
        &channels(&|x| x.iter().map(|&x| f64::from(x)).sum::<f64>() / 6.0),
    );
    // Along axis 2: pairs of numbers that lie 3 apart.
    let pair = |at: usize| {
        let low = at / 6 * 6 + at % 3;
        [f64::from(x[low]), f64::from(x[low + 3])]
    };
    let sum = |at: usize| pair(at).map(f64::exp).iter().sum::<f64>();
    let all = |of: &dyn Fn(usize) -> f64| (0..x.len()).map(of).collect::<Vec<_>>();
    close(&computed("Softmax", Some(2)), &all(&|at| f64::from(x[at]).exp() / sum(at)));
    close(&computed("LogSoftmax", Some(-2)), &all(&|at| f64::from(x[at]) - sum(at).ln()));
    let first = |at: usize| {
        let [a, b] = pair(at);
        usize::from(b > a) == at % 6 / 3
    };
    close(&computed("Hardmax", Some(2)), &all(&|at| f64::from(u8::from(first(at)))));
}
