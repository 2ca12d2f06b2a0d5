//! Normalisations: folded into the weights before them, or computed for each event.

use super::*;

/// A graph of `x`, a layer, a batch normalisation, and what the test adds.
fn normalised(
    dims: &[usize],
    layer: &str,
    constants: &[Constant],
    more: impl FnOnce(&mut UncheckedGraph),
) -> UncheckedGraph {
    let mut source = node(dims, layer, constants, &[], 21);
    for (name, numbers) in [
        ("scale", [4.0, -1.0, 0.5]),
        ("shift", [0.0, 3.0, -1.0]),
        ("mean", [1.0, -2.0, 0.25]),
        ("var", [4.0, 0.5, 1.0]),
    ] {
        source.constant(name, Constant::floats([3], numbers.to_vec()));
    }
    source.node(
        "BatchNormalization",
        "z",
        &["y", "scale", "shift", "mean", "var"],
        &[("epsilon", Attribute::Float(0.5))],
    );
    source.outputs = vec!["z".into()];
    more(&mut source);
    source
}

#[test]
fn batch_normalisation_goes_into_the_weights() {
    let layers: [(&[usize], &str, Vec<Constant>); 4] = [
        (&[4], "Gemm", vec![wave(&[4, 3]), wave(&[3])]),
        (&[4], "MatMul", vec![wave(&[4, 3])]),
        (&[2, 3, 4], "Conv", vec![wave(&[3, 2, 2, 2]), wave(&[3])]),
        (&[2, 5], "Conv", vec![wave(&[3, 2, 3])]),
    ];
    for (dims, layer, constants) in layers {
        let width: usize = dims.iter().product();
        let x = floats(&wave(&[7 * width])).to_vec();
        let folded = Graph::new(&normalised(dims, layer, &constants, |_| {})).unwrap();
        assert_eq!(folded.steps().map(|step| step.operator).collect::<Vec<_>>(), [layer]);
        // If the value in between is an output, nothing can be folded.
        let apart =
            Graph::new(&normalised(dims, layer, &constants, |source| source.outputs.push("y".into())))
                .unwrap();
        assert_eq!(apart.steps().count(), 2);
        let numbers = folded.outputs()[0].kind.numbers();
        let both = run(apart, &x, 7);
        let expected: Vec<f64> =
            both.chunks(2 * numbers).flat_map(|row| row[..numbers].iter().map(|&z| f64::from(z))).collect();
        close(&run(folded, &x, 7), &expected);
        // By hand, from the value in between.
        let per_channel = numbers / 3;
        for row in both.chunks(2 * numbers) {
            for (at, (&z, &y)) in row[..numbers].iter().zip(&row[numbers..]).enumerate() {
                let channel = at / per_channel;
                let (scale, shift) = ([4.0, -1.0, 0.5][channel], [0.0, 3.0, -1.0][channel]);
                let (mean, spread) = ([1.0, -2.0, 0.25][channel], [4.5f32, 1.0, 1.5][channel].sqrt());
                assert!((z - ((y - mean) / spread * scale + shift)).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn weights_that_somebody_else_uses_stay_as_they_are() {
    let twice = normalised(&[2, 5], "Conv", &[wave(&[3, 2, 3])], |source| {
        source.node("Conv", "again", &["x", "c0"], &[]);
        source.outputs.push("again".into());
    });
    assert_eq!(Graph::new(&twice).unwrap().steps().count(), 3);
    // Two normalisations in a row go into the same weights; one after an elementwise function stays.
    let row = normalised(&[2, 5], "Conv", &[wave(&[3, 2, 3])], |source| {
        let statistics = ["scale", "shift", "mean", "var"];
        source.node("BatchNormalization", "second", &[&["z"], &statistics[..]].concat(), &[]);
        source.node("Relu", "relu", &["second"], &[]);
        source.node("BatchNormalization", "third", &[&["relu"], &statistics[..]].concat(), &[]);
        source.outputs = vec!["third".into()];
    });
    let graph = Graph::new(&row).unwrap();
    assert_eq!(
        graph.steps().map(|step| step.operator).collect::<Vec<_>>(),
        ["Conv", "Relu", "BatchNormalization"]
    );
    // Weights that would overflow are not folded either.
    let large = Constant::floats([4, 3], vec![3e38; 12]);
    assert_eq!(Graph::new(&normalised(&[4], "MatMul", &[large], |_| {})).unwrap().steps().count(), 2);
}

/// `x` standardised to mean zero and spread one.
fn standardised(x: &[f32], epsilon: f64) -> Vec<f64> {
    let count = x.len() as f64;
    let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let variance = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
    x.iter().map(|&x| (f64::from(x) - mean) / (variance + epsilon).sqrt()).collect()
}

#[test]
fn statistics_of_an_event_by_hand() {
    let x = floats(&wave(&[3 * 24])).to_vec();
    let (scale, shift) = (wave(&[12]), Constant::floats([12], (0..12).map(|at| at as f32).collect()));
    // How many numbers are normalised together, and how many neighbours share a factor.
    let by_hand = |together: usize, sharing: usize, factors: usize| -> Vec<f64> {
        let stretches = x.chunks(together).flat_map(|stretch| standardised(stretch, 1e-5));
        let scaled = |(at, number): (usize, f64)| {
            let factor = at % 24 / sharing % factors;
            number * f64::from(floats(&scale)[factor]) + f64::from(floats(&shift)[factor])
        };
        stretches.enumerate().map(scaled).collect()
    };
    let computed = |operator: &str, dims: &[usize], count: usize, attributes: Attributes<'_>, opset: i64| {
        let first = |constant: &Constant| Constant::floats([count], floats(constant)[..count].to_vec());
        let source = node(dims, operator, &[first(&scale), first(&shift)], attributes, opset);
        run(Graph::new(&source).unwrap(), &x, 3)
    };
    close(&computed("LayerNormalization", &[2, 12], 12, &[], 21), &by_hand(12, 1, 12));
    close(&computed("LayerNormalization", &[2, 3, 4], 4, &[], 21), &by_hand(4, 1, 4));
    close(&computed("InstanceNormalization", &[4, 6], 4, &[], 21), &by_hand(6, 6, 4));
    let groups = [("num_groups", int(2))];
    close(&computed("GroupNormalization", &[4, 6], 4, &groups, 21), &by_hand(12, 6, 4));
    close(&computed("GroupNormalization", &[4, 6], 2, &groups, 18), &by_hand(12, 12, 2));
}

#[test]
fn layer_normalisation_gives_its_statistics() {
    let mut source = node(&[2, 3], "LayerNormalization", &[Constant::floats([3], vec![1.0; 3])], &[], 21);
    source.nodes[0].outputs.extend(["mean".into(), "spread".into()]);
    source.outputs.extend(["mean".into(), "spread".into()]);
    let graph = Graph::new(&source).unwrap();
    assert_eq!(graph.outputs()[1].kind.dims, [2, 1]);
    let y = run(graph, &[1.0, 2.0, 3.0, -1.0, -1.0, -1.0], 1);
    let spread = 1.0 / (2.0f64 / 3.0 + 1e-5).sqrt();
    close(&y, &[-spread, 0.0, spread, 0.0, 0.0, 0.0, 2.0, -1.0, spread, 1.0 / 1e-5f64.sqrt()]);
}
