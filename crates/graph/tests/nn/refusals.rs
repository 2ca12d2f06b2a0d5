//! Refusals and their messages.

use super::*;

/// An image, the constants of a convolution, its attributes, and the message of the refusal.
type Hostile<'a> = (&'a [usize], Vec<Constant>, Vec<(&'a str, Attribute)>, &'a str);

#[test]
fn hostile_attributes_are_refused() {
    let max = i64::MAX;
    let image: &[usize] = &[2, 5, 5];
    let kernel = || ("kernel_shape", ints(&[3, 3]));
    let pool: [(Vec<(&str, Attribute)>, &str); 16] = [
        (vec![], "'kernel_shape' is missing"),
        (vec![("kernel_shape", ints(&[3]))], "'kernel_shape' has 1 numbers, must have 2"),
        (vec![("kernel_shape", ints(&[0, 3]))], "'kernel_shape' holds 0, must be between 1 and"),
        (vec![("kernel_shape", ints(&[max, max]))], "must be between 1 and"),
        (vec![("kernel_shape", ints(&[6, 3]))], "has a kernel that spans 6 numbers of an axis of 5"),
        (vec![kernel(), ("strides", ints(&[0, 1]))], "'strides' holds 0"),
        (vec![kernel(), ("strides", ints(&[1, i64::MIN]))], "'strides' holds -9223372036854775808"),
        (vec![kernel(), ("dilations", ints(&[1 << 24, 1]))], "which is too wide"),
        (vec![kernel(), ("dilations", ints(&[0, 1]))], "'dilations' holds 0"),
        (vec![kernel(), ("pads", ints(&[-1, 0, 0, 0]))], "'pads' holds -1, must be between 0 and"),
        (vec![kernel(), ("pads", ints(&[1, 1]))], "'pads' has 2 numbers, must have 4"),
        (vec![kernel(), ("pads", ints(&[1 << 24, 1 << 24, 1 << 24, 1 << 24]))], "larger than"),
        (vec![kernel(), ("pads", ints(&[3, 0, 0, 0]))], "nothing but padding"),
        (
            vec![kernel(), ("pads", ints(&[1; 4])), ("auto_pad", text("SAME_UPPER"))],
            "both 'auto_pad' and 'pads'",
        ),
        (vec![kernel(), ("auto_pad", text("SAME"))], "'auto_pad' is 'SAME', must be NOTSET"),
        (vec![kernel(), ("strides", int(1))], "'strides' is an integer, must be a list of integers"),
    ];
    for (attributes, sentence) in pool {
        for operator in ["MaxPool", "AveragePool"] {
            let refused = refusal(&node(image, operator, &[], &attributes, 21));
            assert!(refused.place.contains(operator), "{refused}");
            assert!(refused.reason.contains(sentence), "{refused}");
        }
    }
    let conv: [Hostile<'_>; 12] = [
        (
            &[3, 5, 5],
            vec![wave(&[4, 1, 3, 3])],
            vec![("group", int(2))],
            "divides 3 channels into 4 by 2 groups",
        ),
        (image, vec![wave(&[2, 2, 3, 3])], vec![("group", int(0))], "'group' must be at least 1"),
        (image, vec![wave(&[2, 2, 3, 3])], vec![("group", int(-4))], "'group' must be at least 1"),
        (image, vec![wave(&[2, 2, 3, 3])], vec![("group", int(3))], "does not come out even"),
        (image, vec![wave(&[2, 1, 3, 3])], vec![], "weights for 1 channels per group; its input has 2 in 1"),
        (image, vec![wave(&[2, 2, 3])], vec![], "has weights of shape [2, 2, 3] for images with 4 axes"),
        (image, vec![wave(&[2, 2, 0, 3])], vec![], "has weights of shape [2, 2, 0, 3]"),
        (image, vec![wave(&[2, 2, 3, 3])], vec![("kernel_shape", ints(&[2, 2]))], "the weights have [3, 3]"),
        (image, vec![wave(&[2, 2, 3, 3]), wave(&[3])], vec![], "adds a value of shape [3] to 2 channels"),
        (image, vec![wave(&[2, 2, 6, 6])], vec![], "has a kernel that spans 6 numbers"),
        (&[1, 4, 4, 4], vec![wave(&[1, 1, 2, 2, 2])], vec![], "3 axes of space; only 1 and 2 are supported"),
        // The padded image fits, but the work of all windows does not.
        (&[1, 2000, 2000], vec![wave(&[1, 1, 1000, 1000])], vec![], "multiplications per event"),
    ];
    for (dims, constants, attributes, sentence) in conv {
        let refused = refusal(&node(dims, "Conv", &constants, &attributes, 21));
        assert!(refused.reason.contains(sentence), "{refused}");
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let mut open = UncheckedGraph::new();
    open.input("x", [2, 5]);
    open.input("w", [2, 2, 3]);
    open.node("Conv", "y", &["x", "w"], &[]);
    open.outputs.push("y".into());
    assert!(
        refusal(&open).reason.contains("its input 1 (W) is computed from the event; it must be a constant"),
        "{}",
        refusal(&open)
    );

    let mut places = node(&[2, 5], "MaxPool", &[], &[("kernel_shape", ints(&[2]))], 21);
    places.nodes[0].outputs.push("places".into());
    assert!(Graph::new(&places).is_ok(), "nobody wants them");
    places.outputs.push("places".into());
    assert!(refusal(&places).reason.contains("its output number 2 is not supported"));

    let statistics = [wave(&[2]), wave(&[2]), wave(&[2]), Constant::floats([2], vec![1.0; 2])];
    let norm = |attributes: Attributes<'_>, opset| {
        refusal(&node(&[2, 5], "BatchNormalization", &statistics, attributes, opset))
    };
    assert!(norm(&[("training_mode", int(1))], 15).reason.contains("export the model in inference mode"));
    assert!(norm(&[], 6).reason.contains("export the model in inference mode"));
    assert!(norm(&[("spatial", int(0))], 8).reason.contains("only one per channel is supported"));
    assert!(norm(&[("epsilon", Attribute::Float(f32::NAN))], 15).reason.contains("'epsilon' is NaN"));
    assert!(Graph::new(&node(&[2, 5], "BatchNormalization", &statistics, &[("is_test", int(1))], 6)).is_ok());
    let mut negative = statistics.clone();
    negative[3] = Constant::floats([2], vec![1.0, -1.0]);
    let refused = refusal(&node(&[2, 5], "BatchNormalization", &negative, &[], 15));
    assert!(refused.reason.contains("cannot normalise channel 1, whose variance is -1"), "{refused}");
    let zero = Constant::floats([2], vec![0.0; 2]);
    let huge =
        [Constant::floats([2], vec![1e38; 2]), zero.clone(), zero, Constant::floats([2], vec![1e-6; 2])];
    let refused =
        refusal(&node(&[2, 5], "BatchNormalization", &huge, &[("epsilon", Attribute::Float(0.0))], 15));
    assert!(refused.reason.contains("cannot normalise channel 0, whose variance is 0.000001"), "{refused}");
    let refused = refusal(&node(&[3, 5], "BatchNormalization", &statistics, &[], 15));
    assert!(refused.reason.contains("(scale) has shape [2]; 3 numbers are expected"), "{refused}");

    let groups = |count| {
        let attributes = [("num_groups", int(count))];
        refusal(&node(&[2, 5], "GroupNormalization", &[wave(&[2]), wave(&[2])], &attributes, 21))
    };
    for count in [0, 3, -1, i64::MIN] {
        assert!(groups(count).reason.contains("'num_groups' must divide 2 channels"), "{}", groups(count));
    }
    for axis in [3, -4, i64::MAX, i64::MIN] {
        let refused = refusal(&node(&[2, 5], "Softmax", &[], &[("axis", int(axis))], 21));
        assert!(refused.reason.contains("does not exist"), "{refused}");
    }
    let refused = refusal(&node(&[2, 5], "Softmax", &[], &[("dim", int(1))], 21));
    assert!(refused.reason.contains("attribute 'dim' is not supported"), "{refused}");
}

#[test]
fn what_recurrent_layers_attention_and_picks_do_not_know_is_refused() {
    let int64 = |dims: &[usize], numbers: &[i64]| Constant::ints(dims, numbers.to_vec());
    let layer = || vec![wave(&[1, 8, 3]), wave(&[1, 8, 2]), wave(&[1, 16])];
    let texts = |words: &[&str]| Attribute::Texts(words.iter().map(|&word| word.to_owned()).collect());
    let x: &[usize] = &[5, 3];
    // With layout 1 the events are in front.
    let lstm: [Hostile<'_>; 9] = [
        (x, layer(), vec![], "goes along the axis of events (its layout is 0)"),
        (x, layer(), vec![("layout", int(1)), ("clip", Attribute::Float(3.0))], "has an attribute 'clip'"),
        (
            x,
            layer(),
            vec![("layout", int(1)), ("input_forget", int(1))],
            "couples the input and forget gates",
        ),
        (x, layer(), vec![("layout", int(1)), ("direction", text("sideways"))], "'direction' is 'sideways'"),
        (x, layer(), vec![("layout", int(1)), ("direction", text("bidirectional"))], "has weights of shapes"),
        (x, layer(), vec![("layout", int(1)), ("hidden_size", int(3))], "its weights are for 2"),
        (
            x,
            layer(),
            vec![("layout", int(1)), ("activations", texts(&["Sigmoid", "Relu", "Tanh"]))],
            "only [\"Sigmoid\", \"Tanh\", \"Tanh\"] are supported",
        ),
        (
            x,
            vec![wave(&[1, 8, 3]), wave(&[1, 8, 2]), wave(&[1, 8])],
            vec![("layout", int(1))],
            "has biases of shape [1, 8]",
        ),
        (
            x,
            [layer(), vec![int64(&[1], &[5])]].concat(),
            vec![("layout", int(1))],
            "has sequences of different lengths",
        ),
    ];
    for (dims, constants, attributes, sentence) in lstm {
        let refused = refusal(&node(dims, "LSTM", &constants, &attributes, 21));
        assert!(refused.reason.contains(sentence), "{refused}");
    }
    let picks: [Hostile<'_>; 8] = [
        (x, vec![int64(&[1], &[4])], vec![], "takes Some(4) of the 3 numbers of an axis"),
        (x, vec![int64(&[1], &[-1])], vec![], "takes Some(-1) of the 3 numbers"),
        (x, vec![int64(&[1], &[i64::MAX])], vec![], "of the 3 numbers"),
        (x, vec![int64(&[2], &[1, 1])], vec![], "takes None of the 3 numbers"),
        (x, vec![int64(&[1], &[2])], vec![("axis", int(0))], "works along the axis of events"),
        (&[2000, 2000], vec![int64(&[1], &[2000])], vec![], "costs 8000000000 multiplications per event"),
        (x, vec![], vec![], "has 1 inputs"),
        (x, vec![wave(&[1])], vec![], "(K) must be integers"),
    ];
    for (dims, constants, attributes, sentence) in picks {
        let refused = refusal(&node(dims, "TopK", &constants, &attributes, 21));
        assert!(refused.reason.contains(sentence), "{refused}");
    }
    let refused =
        refusal(&node(x, "GatherElements", &[int64(&[1, 5, 3], &[0; 15])], &[("axis", int(1))], 21));
    assert!(refused.reason.contains("by indices of shape [1, 5, 3], which do not fit"), "{refused}");
    let range = |start: Constant, limit: Constant, delta: Constant| {
        let mut source = node(x, "Add", &[], &[], 21);
        for (name, constant) in [("start", start), ("limit", limit), ("delta", delta)] {
            source.constant(name, constant);
        }
        source.nodes[0].inputs.push("range".into());
        source.node("Range", "range", &["start", "limit", "delta"], &[]);
        source.nodes.swap(0, 1);
        refusal(&source).reason
    };
    let one = |number: i64| int64(&[], &[number]);
    assert!(range(one(0), one(3), one(0)).contains("the last of them (the step) not 0"));
    assert!(range(one(i64::MIN), one(i64::MAX), one(1)).contains("numbers are supported"));
    assert!(range(one(0), one(3), Constant::floats([], vec![1.0])).contains("three numbers of one kind"));
    let cached = node(
        &[2, 5, 3],
        "Attention",
        &[wave(&[1, 2, 5, 3]), wave(&[1, 2, 5, 3]), wave(&[5, 5]), wave(&[1])],
        &[],
        23,
    );
    assert!(refusal(&cached).reason.contains("keeps keys and values for later calls"));
    let apart = node(&[2, 5, 3], "Attention", &[wave(&[1, 2, 5, 3]), wave(&[1, 2, 5, 3])], &[], 23);
    assert!(refusal(&apart).reason.contains("its inputs Q, K and V do not fit"));
}

#[test]
fn images_are_made_larger_within_bounds() {
    let max = i64::MAX;
    let image: &[usize] = &[2, 5, 5];
    let weights = || vec![wave(&[2, 3, 3, 3])];
    let transposed: [Hostile<'_>; 12] = [
        (image, vec![wave(&[2, 3, 3])], vec![], "has weights of shape [2, 3, 3]"),
        (image, vec![wave(&[3, 2, 3, 3])], vec![], "has weights for 3 channels; its input has 2"),
        (image, weights(), vec![("group", int(0))], "'group' must divide 2 channels"),
        (image, weights(), vec![("group", int(3))], "'group' must divide 2 channels"),
        (image, vec![wave(&[2, 3, 3, 3]), wave(&[2])], vec![], "adds a value of shape [2] to 3 channels"),
        (image, weights(), vec![("strides", ints(&[1 << 24, 1]))], "makes an axis of 5 too long"),
        (image, weights(), vec![("dilations", ints(&[1 << 24, 1]))], "makes an axis of 5 too long"),
        (image, weights(), vec![("strides", ints(&[max, 1]))], "'strides' holds 9223372036854775807"),
        (image, weights(), vec![("strides", ints(&[1 << 19, 1 << 19]))], "numbers"),
        (image, weights(), vec![("output_padding", ints(&[1 << 24, 1 << 24]))], "numbers"),
        (image, weights(), vec![("pads", ints(&[4, 0, 4, 0]))], "cuts 4 and 4 off an axis of 7"),
        (
            image,
            weights(),
            vec![("output_shape", ints(&[8, 5]))],
            "makes 7 numbers along an axis, where 8 are wanted",
        ),
    ];
    for (dims, constants, attributes, sentence) in transposed {
        let refused = refusal(&node(dims, "ConvTranspose", &constants, &attributes, 21));
        assert!(refused.reason.contains(sentence), "{refused}");
    }
    let scaled =
        |scales: &[f32], attributes: Attributes<'_>| refusal(&resize(image, scales, attributes)).reason;
    for scale in [0.0, -1.0, 0.1, f32::NAN, f32::INFINITY, 1e30] {
        assert!(scaled(&[1.0, 1.0, scale, 1.0], &[]).starts_with("scales an axis of 5 by"), "{scale}");
    }
    assert!(scaled(&[1.0, 1.0, 2000.0, 2000.0], &[]).contains("at most 4194304 numbers"));
    // An intermediate value that grows counts, even if the result shrinks again.
    assert!(scaled(&[1.0, 4e5, 0.2, 0.2], &[]).contains("at most 4194304 numbers"));
    assert!(scaled(&[2.0, 2.0], &[]).contains("has 2 scales or sizes for 4 axes"));
    assert!(scaled(&[2.0; 2], &[("axes", ints(&[2, -2]))]).contains("names an axis twice"));
    assert!(
        scaled(&[1.0, 1.0, 2.0, 2.0], &[("mode", text("cubic"))])
            .contains("only nearest and linear are supported")
    );
    let crop = [("coordinate_transformation_mode", text("tf_crop_and_resize"))];
    assert!(scaled(&[1.0, 1.0, 2.0, 2.0], &crop).contains("'tf_crop_and_resize', which is not supported"));
    let corners = [("coordinate_transformation_mode", text("align_corners"))];
    assert!(scaled(&[1.0, 1.0, 1.5, 2.0], &corners).contains("scales that make no whole sizes"));
    assert!(scaled(&[1.0, 1.0, 0.5, 0.5], &[("antialias", int(1))]).contains("smaller with 'antialias'"));
    let policy = [("keep_aspect_ratio_policy", text("not_larger"))];
    assert!(scaled(&[1.0, 1.0, 2.0, 2.0], &policy).contains("only stretch is supported"));
}

#[test]
fn equations_and_quantisation_that_mean_harm_are_refused() {
    let equation = |text: &str| {
        let attributes = [("equation", Attribute::Text(text.into()))];
        refusal(&node(&[3, 4], "Einsum", &[wave(&[4, 2])], &attributes, 21)).reason
    };
    for (text, sentence) in [
        ("", "has 2 inputs, its equation '' 1"),
        ("nij,jk,kl->nil", "its equation 'nij,jk,kl->nil' 3"),
        ("nij,jkl->nikl", "has letters 'jkl' for a value with 2 axes"),
        ("n...ijkl,jk->ni", "has letters 'n...ijkl' for a value with 3 axes"),
        ("nij,ik->nk", "has a letter for axes of 3 and 4, which do not fit"),
        ("nij,jk->nil", "has 'l' in its result, which no value has"),
        ("nij,jk->nii", "has a letter twice in its result"),
        ("n.j,jk->nk", "has '.' in its equation"),
        ("n...j,jk->nk", "has '...' in its equation"),
    ] {
        assert!(equation(text).contains(sentence), "{text}: {}", equation(text));
    }
    // 32 letters in an intermediate value, from small values.
    let mut outer = UncheckedGraph::new();
    outer.input("x", [2]);
    outer.constant("c", wave(&[2, 2, 2]));
    let terms = ["na", "bcd", "efg", "hij"].join(",");
    outer.node(
        "Einsum",
        "y",
        &["x", "c", "c", "c"],
        &[("equation", Attribute::Text(format!("{terms}->nabcdefghij")))],
    );
    outer.outputs.push("y".into());
    assert!(refusal(&outer).reason.contains("makes a value with 7 axes"), "{}", refusal(&outer));

    let scale = || Constant::floats([], vec![0.5]);
    let quantise = |constants: &[Constant], attributes: Attributes<'_>| {
        refusal(&node(&[3], "QuantizeLinear", constants, attributes, 21)).reason
    };
    let zero = |narrow: Option<Narrow>| Constant { narrow, int32: true, ..Constant::ints([], vec![0]) };
    assert!(quantise(&[wave(&[2])], &[]).contains("has 2 scales for an axis of 3"));
    assert!(quantise(&[wave(&[3, 1])], &[]).contains("has scales of shape [3, 1]"));
    assert!(
        quantise(&[scale(), zero(None)], &[])
            .contains("zero points of type int32; 1 of type uint8 are expected")
    );
    let int8 = [scale(), zero(Some(Narrow::Int8))];
    assert!(
        quantise(&int8, &[("output_dtype", int(2))]).contains("zero points of type int8; 1 of type uint8")
    );
    assert!(quantise(&int8, &[("output_dtype", int(17))]).contains("makes data type number 17"));
    assert!(quantise(&int8, &[("block_size", int(2))]).contains("for blocks of an axis"));
    assert!(quantise(&int8, &[("precision", int(10))]).contains("only float is supported"));
    // 8-bit integers can be moved but not computed with.
    let mut moved = node(&[3], "QuantizeLinear", &int8, &[], 21);
    moved.node("Concat", "z", &["y", "y"], &[("axis", int(1))]);
    moved.outputs = vec!["z".into()];
    assert_eq!(run(Graph::new(&moved).unwrap(), &[0.25, 0.75, 100.0], 1), [0.0, 2.0, 127.0, 0.0, 2.0, 127.0]);
    moved.node("Add", "sum", &["z", "z"], &[]);
    moved.outputs = vec!["sum".into()];
    assert!(refusal(&moved).reason.contains("its input 0 has data type int8"), "{}", refusal(&moved));
}
