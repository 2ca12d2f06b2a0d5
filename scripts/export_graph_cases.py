#!/usr/bin/env python3
"""Make the graphs of crates/graph/tests/cases: numbers where an import is easily wrong without a word.

Not needed to build, test or run Tamis: the files are committed. `NAME.onnx` stands beside `NAME.safetensors` with `input.0`, ... and `output.0`,
..., one row per event, all float32; NaN is an event without a score. Expected numbers are those of ONNX Runtime, or of numpy in double
precision where single precision is the question.

    pip install onnx onnxruntime numpy safetensors
    python3 scripts/export_graph_cases.py
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

OUT = Path(__file__).resolve().parent.parent / "crates" / "graph" / "tests" / "cases"
FLOAT, INT32, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL
NUMPY = {FLOAT: np.float32, INT32: np.int32, INT64: np.int64}
rng = np.random.default_rng(20261130)


def constant(name, values, dtype=np.float32):
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def value(name, *shape, dtype=FLOAT):
    return helper.make_tensor_value_info(name, dtype, ["N", *shape])


def node(operator, inputs, outputs, domain="", **attributes):
    return helper.make_node(operator, inputs.split(), outputs.split(), domain=domain, **attributes)


def case(name, nodes, inputs, outputs, rows, constants=(), expected=None, opset=21, lost=None, functions=(), imports=(), words=()):
    """Writes one. `rows` is one array per input, `lost` the events that must have no score."""
    graph = helper.make_graph(nodes, name, inputs, outputs, list(constants))
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3), *imports]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="", functions=list(functions))
    file = proto.SerializeToString(deterministic=True)
    if expected is None:
        # Several threads add the trees of a forest in parts.
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        kinds = [NUMPY[info.type.tensor_type.elem_type] for info in inputs]
        given = {info.name: array.astype(kind) for info, array, kind in zip(inputs, rows, kinds, strict=True)}
        expected = session.run(None, given)
    tensors = {f"input.{index}": np.asarray(array, np.float32) for index, array in enumerate(rows)}
    for index, array in enumerate(expected):
        if isinstance(array, list):  # a ZipMap: dictionaries of scores
            array = [list(scores.values()) for scores in array]
        if np.asarray(array).dtype == object:  # words are counted
            array = [words.index(word) for word in np.ravel(array)]
        array = np.asarray(array, np.float32).reshape(len(rows[0]), -1).copy()
        if lost is not None:
            array[lost] = np.nan
        tensors[f"output.{index}"] = array
    (OUT / f"{name}.onnx").write_bytes(file)
    save_file(tensors, OUT / f"{name}.safetensors")


def large(numbers, offset=8e6):
    """Rows of whole numbers that are large and close to each other: single precision has every digit of them."""
    return (offset + rng.integers(0, 8, (8, numbers))).astype(np.float32)


def normed(x, axis, epsilon=1e-5):
    x = x.astype(np.float64)
    mean = x.mean(axis, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(axis, keepdims=True) + epsilon)


def offsets():
    x = large(6)
    x[0] = [8e6, 8e6 + 1, 8e6 + 2, 8e6 + 3, 8e6, 8e6 + 3]
    ones, zeros = np.ones(6), np.zeros(6)
    case("layer_norm_offset", [node("LayerNormalization", "x scale bias", "y")], [value("x", 6)], [value("y", 6)], [x],
         [constant("scale", ones), constant("bias", zeros)], [normed(x, 1)])
    image = large(12).reshape(8, 2, 6)
    case("instance_norm_offset", [node("InstanceNormalization", "x scale bias", "y")], [value("x", 2, 6)], [value("y", 2, 6)], [image],
         [constant("scale", [1, 2]), constant("bias", [0, 1])], [normed(image, 2) * [[1], [2]] + [[0], [1]]])
    case("group_norm_offset", [node("GroupNormalization", "x scale bias", "y", num_groups=1)], [value("x", 2, 6)], [value("y", 2, 6)],
         [image], [constant("scale", [1, 2]), constant("bias", [0, 1])], [normed(image, (1, 2)) * [[1], [2]] + [[0], [1]]])
    mean, variance = [8e6 + 3, 8e6 + 4], [4, 0.25]
    expected = (image.astype(np.float64) - np.reshape(mean, (2, 1))) / np.sqrt(np.reshape(variance, (2, 1)) + 1e-5)
    case("batch_norm_offset", [node("BatchNormalization", "x scale bias mean var", "y")], [value("x", 2, 6)], [value("y", 2, 6)], [image],
         [constant("scale", [1, 1]), constant("bias", [0, 0]), constant("mean", mean), constant("var", variance)], [expected])
    x = large(64)
    x[:, 63] += 64 - (x - 8e6).sum(1) % 32  # a mean that single precision has
    case("mean_offset", [node("ReduceMean", "x axis", "mean"), node("Sub", "mean offset", "y")], [value("x", 64)], [value("y", 1)], [x],
         [constant("axis", [1], np.int64), constant("offset", [8e6])], [(x.astype(np.float64) - 8e6).mean(1)])


def integers():
    x = rng.integers(-60_000, 60_000, (16, 4)).astype(np.float32)
    names = ["add", "sub", "mul", "neg", "sum", "product", "square"]
    nodes = [node("Mul", "x big", "b"), node("Add", "b b", "add"), node("Sub", "b most", "sub"), node("Mul", "x x", "mul"),
             node("Neg", "least", "minus"), node("Add", "minus x", "neg"), node("ReduceSum", "b axis", "sum"),
             node("ReduceProd", "x axis", "product"), node("ReduceSumSquare", "x axis", "square")]
    outputs = [value(name, 4, dtype=INT32) for name in names[:4]] + [value(name, 1, dtype=INT32) for name in names[4:]]
    constants = [constant("big", 40_000, np.int32), constant("most", [2**31 - 1], np.int32), constant("least", [-(2**31)], np.int32),
                 constant("axis", [1], np.int64)]
    x32 = x.astype(np.int32)
    with np.errstate(all="ignore"):
        b = x32 * np.int32(40_000)
        expected = [b + b, b - np.int32(2**31 - 1), x32 * x32, x32 + np.int32(-(2**31)), b.sum(1, dtype=np.int32),
                    x32.prod(1, dtype=np.int32), (x32 * x32).sum(1, dtype=np.int32)]
    case("int32_wraps", nodes, [value("x", 4, dtype=INT32)], outputs, [x], constants, expected)
    # 64 bits do not wrap there, and a cast to 32 does.
    case("int64_to_int32", [node("Mul", "x big", "b"), node("Cast", "b", "c", to=INT32), node("Cast", "c", "d", to=INT64), node("Add", "d one", "y"),
                            node("Div", "b thousand", "z")],
         [value("x", 4, dtype=INT64)], [value("y", 4, dtype=INT64), value("z", 4, dtype=INT64)], [x],
         [constant("big", 40_000, np.int64), constant("one", 1, np.int64), constant("thousand", 1_000_000, np.int64)])
    base = np.array([[1, -1, 2, -2, 3, -3, 7, 10]] * 8, np.float32)
    exponent = np.repeat(np.arange(-4, 4, dtype=np.float32)[:, None], 8, 1)
    for name, kind in [("int64_power", INT64), ("int32_power", INT32)]:
        case(name, [node("Pow", "x n", "y"), node("Pow", "x minus", "z")], [value("x", 8, dtype=kind), value("n", 8, dtype=kind)],
             [value("y", 8, dtype=kind), value("z", 8, dtype=kind)], [base, exponent], [constant("minus", -1, NUMPY[kind])])
    x = np.array([[1.9, -1.9, 0.5], [2.999, -0.1, 7.0], [-3.5, 3.5, 100.25]], np.float32)
    weights = constant("w", rng.normal(0, 1, (3, 2)))
    for name, kind in [("int64_input", INT64), ("int32_input", INT32)]:
        case(name, [node("Cast", "x", "f", to=FLOAT), node("MatMul", "f w", "y")], [value("x", 3, dtype=kind)], [value("y", 2)], [x], [weights])
    x = np.array([[7, -7, 7, -7], [5, 3, -5, 0]], np.float32)
    y = np.array([[3, 3, -3, -3], [2, -2, 4, 9]], np.float32)
    case("modulo", [node("Mod", "x y", "a"), node("Mod", "x y", "b", fmod=1)], [value("x", 4, dtype=INT64), value("y", 4, dtype=INT64)],
         [value("a", 4, dtype=INT64), value("b", 4, dtype=INT64)], [x, y])


def missing():
    x = rng.uniform(0.1, 5, (8, 3)).astype(np.float32)
    x[[1, 4], [0, 2]] = -1.0
    case("arg_max_of_nan", [node("Log", "x", "l"), node("ArgMax", "l", "y", axis=1, keepdims=0)], [value("x", 3)], [value("y", dtype=INT64)],
         [x], lost=[1, 4])
    case("cast_of_nan", [node("Log", "x", "l"), node("Cast", "l", "y", to=INT64)], [value("x", 3)], [value("y", 3, dtype=INT64)], [x], lost=[1, 4])
    classifier = node("LinearClassifier", "l", "label p", "ai.onnx.ml", coefficients=[1.0, 0, 0, 0, 1.0, 0], intercepts=[0.0, 0.5],
                      classlabels_ints=[3, 8], post_transform="SOFTMAX")
    case("class_of_nan", [node("Log", "x", "l"), classifier], [value("x", 3)], [value("label", dtype=INT64), value("p", 2)], [x], lost=[1, 4])
    x = rng.normal(0, 2, (8, 3)).astype(np.float32)
    x[1, 0], x[2, 1], x[3, 2], x[5, 1] = np.nan, np.inf, -np.inf, np.nan
    nodes = [node("IsNaN", "x", "n"), node("Where", "n zero x", "a"), node("IsInf", "a", "plus", detect_negative=0), node("Where", "plus most a", "b"),
             node("IsInf", "b", "minus", detect_positive=0), node("Where", "minus least b", "y")]
    case("nan_to_num", nodes, [value("x", 3)], [value("y", 3)], [x], [constant("zero", 0), constant("most", 100), constant("least", -100)])
    x[2:4] = 1
    imputer = node("Imputer", "x", "y", "ai.onnx.ml", imputed_value_floats=[1.0, 2.0, 3.0], replaced_value_float=float("nan"))
    case("imputer", [imputer], [value("x", 3)], [value("y", 3)], [x])


def functions_of_numbers():
    x = rng.uniform(-0.95, 0.95, (16, 3)).astype(np.float32)
    names = "Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Atanh".split()
    nodes = [node(name, "x", name.lower()) for name in names]
    nodes += [node("Mul", "x eight", "wide"), node("Cosh", "wide", "w"), node("Acosh", "w", "acosh")]
    more = "Floor Ceil Round Sign".split()
    nodes += [node(name, "wide", name.lower()) for name in more]
    outputs = [value(name.lower(), 3) for name in [*names, "acosh", *more]]
    x[0] = [0.0625, -0.0625, 0.1875]  # times 8: halves, which are rounded to even
    case("functions", nodes, [value("x", 3)], outputs, [x], [constant("eight", 8)])
    a, b = rng.normal(0, 1, (2, 8, 3)).astype(np.float32)
    a[1, 0], b[2, 1], b[3], a[3] = np.nan, np.nan, 1, 1
    nodes = [node(name, "a b row", name.lower()) for name in ["Max", "Min", "Sum", "Mean"]] + [node("Max", "a", "alone")]
    case("several", nodes, [value("a", 3), value("b", 3)], [value(name, 3) for name in ["max", "min", "sum", "mean", "alone"]], [a, b],
         [constant("row", [0.5, -0.5, 0])])
    # A number against a row: the result is wider than either side has events for.
    case("broadcast", [node("Gemm", "x w b", "one"), node("Add", "one row", "sum"), node("Max", "one row", "max"), node("Softmax", "sum", "soft")],
         [value("x", 4)], [value("sum", 3), value("max", 3), value("soft", 3)], [rng.normal(0, 1, (8, 4)).astype(np.float32)],
         [constant("w", rng.normal(0, 1, (4, 1))), constant("b", [0.1]), constant("row", [0.5, -0.5, 2])])
    x = rng.normal(0, 30, (8, 4)).astype(np.float32)
    x[1, 1], x[2] = 200, -300
    with np.errstate(all="ignore"):
        logarithm = np.log(np.exp(x).sum(1))
    case("log_sum_exp", [node("ReduceLogSumExp", "x axis", "y", keepdims=0), node("Exp", "x", "e"), node("ReduceLogSum", "e axis", "z", keepdims=0)],
         [value("x", 4)], [value("y"), value("z")], [x], [constant("axis", [1], np.int64)],
         [np.logaddexp.reduce(x.astype(np.float64), 1), logarithm])


def ends_and_dead_ends():
    x = rng.normal(0, 1, (8, 3)).astype(np.float32)
    coefficients = [1.0, -1, 0.5, 0, 1, -0.5, 0.25, 0, 0]
    nodes = [node("LinearClassifier", "x", "label p", "ai.onnx.ml", coefficients=coefficients, intercepts=[0.0, 0.5, 0.1], classlabels_ints=[3, 5, 8],
                  post_transform="SOFTMAX"),
             node("ZipMap", "p", "scores", "ai.onnx.ml", classlabels_int64s=[3, 5, 8])]
    scores = helper.make_value_info("scores", helper.make_sequence_type_proto(helper.make_map_type_proto(INT64, helper.make_tensor_type_proto(FLOAT, []))))
    case("zip_map", nodes, [value("x", 3)], [value("label", dtype=INT64), scores], [x])
    case("dead_node", [node("TopK", "x k", "v i"), node("Relu", "x", "y"), node("Unique", "x", "u")], [value("x", 3)], [value("y", 3)], [x],
         [constant("k", [1], np.int64)])


def as_frameworks_write_them():
    """What scikit-learn, Keras and PyTorch put around dense layers; the model crate imports these, too."""
    pt, eta = rng.uniform(0, 100, (8, 1)).astype(np.float32), rng.normal(0, 1, (8, 1)).astype(np.float32)
    case("inputs_by_name", [node("Mul", "eta ten", "e"), node("Add", "e pt", "y")], [value("eta", 1), value("pt", 1)], [value("y", 1)], [eta, pt],
         [constant("ten", [10])])
    x = rng.uniform(0.1, 5, (8, 3)).astype(np.float32)
    case("log_of_input", [node("Log", "x", "l"), node("MatMul", "l w", "y")], [value("x", 3)], [value("y", 2)], [x],
         [constant("w", rng.normal(0, 1, (3, 2)))])
    case("log_never", [node("Abs", "x", "a"), node("Neg", "a", "n"), node("Sub", "n one", "m"), node("Log", "m", "y")], [value("x", 3)], [value("y", 3)],
         [x], [constant("one", [1])], lost=range(8))
    trees = dict(nodes_treeids=[0] * 5, nodes_nodeids=[0, 1, 2, 3, 4], nodes_featureids=[0, 0, 1, 0, 0], nodes_values=[40.0, 0, -300, 0, 0],
                 nodes_modes=["BRANCH_LEQ", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF"], nodes_truenodeids=[1, 0, 3, 0, 0], nodes_falsenodeids=[2, 0, 4, 0, 0],
                 class_treeids=[0] * 3, class_nodeids=[1, 3, 4], class_ids=[0, 1, 2], class_weights=[1.0] * 3, classlabels_int64s=[0, 11, 13])
    x = rng.normal(0, 300, (16, 3)).astype(np.float32)
    case("classes_far_out", [node("TreeEnsembleClassifier", "x", "label p", "ai.onnx.ml", **trees)], [value("x", 3)],
         [value("label", dtype=INT64), value("p", 3)], [x])
    shared = {key: values[:4] for key, values in trees.items() if key.startswith("nodes")} | dict(nodes_falsenodeids=[2, 0, 1, 0])
    case("tree_with_a_shared_leaf", [node("TreeEnsembleRegressor", "x", "y", "ai.onnx.ml", **shared, n_targets=1, target_treeids=[0] * 2,
                                          target_nodeids=[1, 3], target_ids=[0] * 2, target_weights=[0.25, 2.0])], [value("x", 3)], [value("y", 1)], [x])
    x = rng.normal(0, 1, (16, 4)).astype(np.float32)
    weights = [float(w) for w in rng.normal(0, 1, 12).astype(np.float32)]
    nodes = [node("LinearClassifier", "x", "label p", "ai.onnx.ml", coefficients=weights, intercepts=[0.1, -0.2, 0.3], classlabels_ints=[3, 8, 5],
                  multi_class=1, post_transform="SOFTMAX"), node("Normalizer", "p", "q", "ai.onnx.ml", norm="L1")]
    case("sklearn_softmax", nodes, [value("x", 4)], [value("label", dtype=INT64), value("q", 3)], [x])
    nodes = [node("Scaler", "x", "s", "ai.onnx.ml", offset=[0.5, -1, 30, 2], scale=[1.0, 0.5, 0.1, 2]),
             node("LinearClassifier", "s", "label p", "ai.onnx.ml", coefficients=[-w for w in weights[:4]] + weights[:4], intercepts=[-0.25, 0.25],
                  classlabels_ints=[0, 1], post_transform="LOGISTIC"), node("Normalizer", "p", "q", "ai.onnx.ml", norm="L1")]
    case("sklearn_logistic_scaled", nodes, [value("x", 4)], [value("label", dtype=INT64), value("q", 2)], [x + [0, 0, 30, 0]])
    parts = dict(w0=rng.normal(0, 0.7, (4, 6)), b0=rng.normal(0, 1, 6), w1=rng.normal(0, 0.7, (6, 1)), b1=[0.2])
    nodes = [node("Cast", "x", "f", to=FLOAT), node("MatMul", "f w0", "m0"), node("Add", "m0 b0", "a0"), node("Relu", "a0", "h"),
             node("MatMul", "h w1", "m1"), node("Add", "m1 b1", "a1"), node("Sigmoid", "a1", "s"), node("Sub", "unit s", "n"),
             node("Concat", "n s", "p", axis=1), node("ArgMax", "p", "i", axis=1), node("ArrayFeatureExtractor", "classes i", "c", "ai.onnx.ml"),
             node("Reshape", "c flat", "label")]
    case("sklearn_mlp_of_two", nodes, [value("x", 4)], [value("label", dtype=INT64), value("p", 2)], [x],
         [*(constant(*part) for part in parts.items()), constant("unit", [1]), constant("classes", [-1, 1], np.int64), constant("flat", [-1], np.int64)])
    parts = dict(mean=[[40, 0, -3, 5]], std=[[20, 1, 0.5, 3]], w0=rng.normal(0, 0.5, (4, 5)), b0=rng.normal(0, 1, 5), scale=rng.uniform(0.5, 2, 5),
                 shift=rng.normal(0, 1, 5), w1=rng.normal(0, 0.5, (5, 3)), b1=rng.normal(0, 1, 3))
    nodes = [node("Sub", "x mean", "d"), node("Div", "d std", "n"), node("MatMul", "n w0", "m0"), node("Add", "m0 b0", "a0"), node("Relu", "a0", "h"),
             node("Mul", "h scale", "k"), node("Add", "k shift", "l"), node("MatMul", "l w1", "m1"), node("Add", "m1 b1", "a1"),
             node("Softmax", "a1", "y", axis=1)]
    case("keras_normalised", nodes, [value("x", 4)], [value("y", 3)], [x * parts["std"] + parts["mean"]],
         [constant(*part) for part in parts.items()])
    scale, zero = constant("scale", [0.02, 0.05, 0.01]), constant("zero", [3, -7, 0], np.int8)
    weight = constant("w", rng.integers(-128, 128, (4, 3)), np.int8)
    # ONNX Runtime multiplies integers here, and is off in the third digit.
    unpacked = (numpy_helper.to_array(weight).astype(np.float64) - [3, -7, 0]) * [0.02, 0.05, 0.01]
    case("quantised_weights", [node("DequantizeLinear", "w scale zero", "f", axis=1), node("MatMul", "x f", "y")], [value("x", 4)], [value("y", 3)], [x],
         [weight, scale, zero], [x @ unpacked], opset=18)
    charge = np.array([[0], [1], [3], [2], [7], [-1]], np.float32)
    case("one_hot", [node("OneHotEncoder", "q", "columns", "ai.onnx.ml", cats_int64s=[0, 3, -1], zeros=1), node("Reshape", "columns flat", "y")],
         [value("q", 1, dtype=INT64)], [value("y", 3)], [charge], [constant("flat", [-1, 3], np.int64)])
    nodes = [node("Shape", "x", "shape"), node("Gather", "shape first", "count"), node("Concat", "count two", "size", axis=0),
             node("ConstantOfShape", "size", "zeros"), node("Expand", "row size", "rows"), node("Add", "zeros rows", "sum"),
             node("Concat", "x sum rows", "y", axis=1)]
    case("rows_for_events", nodes, [value("x", 4)], [value("y", 8)], [x],
         [constant("first", [0], np.int64), constant("two", [2], np.int64), constant("row", [[0.5, -0.5]])])


def votes(trees, classes, share, dice):
    """A random forest of stumps: each leaf gives its vote to one class, or parts of it to two."""
    lists = {key: [] for key in ["nodes_treeids", "nodes_nodeids", "nodes_truenodeids", "nodes_falsenodeids", "nodes_featureids", "nodes_modes",
                                 "nodes_values", "class_treeids", "class_nodeids", "class_ids", "class_weights"]}
    for tree in range(trees):
        entries = [[tree] * 3, [0, 1, 2], [1, 0, 0], [2, 0, 0], [int(dice.integers(5)), 0, 0], ["BRANCH_LEQ", "LEAF", "LEAF"],
                   [float(np.float32(dice.normal(0, 0.5))), 0.0, 0.0]]
        for key, numbers in zip(list(lists)[:7], entries, strict=True):
            lists[key] += numbers
        for leaf in [1, 2]:
            first = int(dice.integers(classes))
            for vote, part in [(first, share), ((first + 1) % classes, 1 - share)]:
                if part > 0:
                    for key, number in zip(list(lists)[7:], [tree, leaf, vote, part / trees], strict=True):
                        lists[key].append(number)
    return lists


def labels_and_fronts():
    """What stands before and behind the layers and trees of scikit-learn. Numbers of their own: the cases before keep theirs."""
    dice = np.random.default_rng(20261201)
    x = dice.normal(0, 1, (512, 5)).astype(np.float32)
    labels = [-3, 8, 99]
    both = lambda kind, count: [value("label", dtype=kind), value("p", count)]  # noqa: E731
    for name, trees, share in [("votes_20", 20, 1), ("votes_100", 100, 1), ("votes_33_shared", 33, 0.7)]:
        forest = node("TreeEnsembleClassifier", "x", "label p", "ai.onnx.ml", classlabels_int64s=labels, **votes(trees, 3, share, dice))
        case(name, [forest], [value("x", 5)], both(INT64, 3), [x])
    scaler = node("Scaler", "c", "scaled", "ai.onnx.ml", offset=[0.1, -2.0, 0.3, 5.0, 0.0], scale=[3.0, -0.7, 1.1, 0.01, 7.0])
    forest = node("TreeEnsembleClassifier", "scaled", "label p", "ai.onnx.ml", classlabels_int64s=labels, **votes(20, 3, 1, dice))
    front = [node("Concat", "a b", "all", axis=1), node("Gather", "all order", "g", axis=1), node("Clip", "g low high", "c"), scaler]
    limits = [constant("order", [4, 0, 2, 1, 3], np.int64), constant("low", -1.25), constant("high", 1.5)]
    case("scaled_votes", [*front, forest], [value("a", 2), value("b", 3)], both(INT64, 3), [x[:, :2].copy(), x[:, 2:].copy()], limits)

    x = x[:64].copy()
    w, b, v, u = (dice.normal(0, 0.5, shape) for shape in [(5, 8), 8, (8, 3), (8, 1)])
    layers = [node("MatMul", "x w", "m"), node("Add", "m b", "a"), node("Relu", "a", "h")]
    numbers = [constant("w", w), constant("b", b)]
    shape = constant("shape", [-1], np.int64)
    three = [*layers, node("MatMul", "h v", "s"), node("Softmax", "s", "q"), node("Identity", "q", "p"), node("ArgMax", "p", "k", axis=1),
             node("ArrayFeatureExtractor", "classes k", "l", "ai.onnx.ml"), node("Reshape", "l shape", "r")]
    case("mlp_labels", [*three, node("Cast", "r", "label", to=INT64)], [value("x", 5)], both(INT64, 3), [x],
         [*numbers, constant("v", v), constant("classes", [-13, 11, 211], np.int32), shape])
    words = helper.make_tensor("classes", TensorProto.STRING, [2], [b"background", b"signal"])
    x[0] = 0
    zero = [constant("w", w), constant("b", 0 * b)]
    two = [*layers, node("MatMul", "h u", "s"), node("Sigmoid", "s", "q"), node("Sub", "one q", "n"), node("Concat", "n q", "p", axis=1),
           node("ArgMax", "p", "k", axis=1), node("ArrayFeatureExtractor", "classes k", "l", "ai.onnx.ml"), node("Reshape", "l shape", "label")]
    case("mlp_words", two, [value("x", 5)], both(TensorProto.STRING, 2), [x], [*zero, constant("u", u), constant("one", 1), words, shape],
         words=["background", "signal"])
    gathered = [*two[:-2], node("Gather", "classes k", "l"), two[-1]]
    case("gathered_words", gathered, [value("x", 5)], both(TensorProto.STRING, 2), [x], [*zero, constant("u", u), constant("one", 1), words, shape],
         words=["background", "signal"])
    linear = lambda link, scores: node("LinearClassifier", "x", "label q", "ai.onnx.ml", post_transform=link,  # noqa: E731
                                       coefficients=dice.normal(0, 0.5, 5 * scores).tolist(), intercepts=[0.0] * scores,
                                       classlabels_ints=labels[:max(scores, 2)])
    norm = node("Normalizer", "q", "p", "ai.onnx.ml", norm="L1")
    for link, scores in [("SOFTMAX", 3), ("LOGISTIC", 3), ("LOGISTIC", 1)]:
        case(f"linear_labels_{link.lower()}_{scores}", [linear(link, scores), norm], [value("x", 5)], both(INT64, max(scores, 2)), [x])

    x = dice.normal(0, 1, (8, 4)).astype(np.float32)
    x[1, 2] = x[3, :] = np.nan
    by_hand = [node("Equal", "x x", "e"), node("Not", "e", "n"), node("Where", "n c x", "h"), node("ReduceSum", "h axis", "y")]
    case("nan_by_hand", by_hand, [value("x", 4)], [value("y", 1)], [x], [constant("c", [1, 2, 3, 4]), constant("axis", [1], np.int64)])
    sums = [node("CumSum", "x axis", "y"), node("CumSum", "x axis", "z", exclusive=1, reverse=1), node("Cast", "x", "i", to=INT32),
            node("CumSum", "i last", "w")]
    outputs = [value("y", 3, 4), value("z", 3, 4), value("w", 3, 4, dtype=INT32)]
    case("cumulative_sums", sums, [value("x", 3, 4)], outputs, [dice.normal(0, 9, (8, 3, 4)).astype(np.float32)],
         [constant("axis", 1, np.int64), constant("last", [-1], np.int64)])
    image = (8e6 + dice.integers(0, 8, (8, 2, 3, 2))).astype(np.float32)
    spread = image.astype(np.float64) - image.mean((2, 3), np.float64, keepdims=True)
    case("mean_variance_offset", [node("MeanVarianceNormalization", "x", "y", axes=[2, 3])], [value("x", 2, 3, 2)], [value("y", 2, 3, 2)], [image],
         expected=[spread / np.sqrt((spread**2).mean((2, 3), keepdims=True))])


def own_functions():
    """Functions of the file's own: in each other, with attributes by reference and defaults, an input left out, an output that is an input."""
    def reference(name, own, kind):
        return onnx.AttributeProto(name=name, ref_attr_name=own, type=kind)

    def function(name, inputs, outputs, nodes, attributes=(), defaults=(), overload=""):
        made = helper.make_function("local", name, inputs.split(), outputs.split(), nodes, imports, list(attributes), list(defaults))
        made.overload = overload
        return made

    imports = [helper.make_opsetid("", 21), helper.make_opsetid("local", 1)]
    leaky = node("LeakyRelu", "a", "b")
    leaky.attribute.append(reference("alpha", "slope", onnx.AttributeProto.FLOAT))
    inner = node("Leaky", "a", "s", "local")
    inner.attribute.append(reference("slope", "slope", onnx.AttributeProto.FLOAT))
    elu = node("Elu", "a", "e")
    elu.attribute.append(reference("alpha", "beta", onnx.AttributeProto.FLOAT))
    body = [inner, elu, node("Mul", "s e", "m"), helper.make_node("Clip", ["m", "low"], ["b"])]
    functions = [function("Leaky", "a", "b", [leaky], ["slope"]), function("Leaky", "a", "b", [node("Add", "a a", "b")], overload="twice"),
                 function("Gated", "a low", "b a", body, ["slope"], [helper.make_attribute("beta", 1.5)]),
                 function("Relu", "a", "b", [node("Neg", "a", "b")])]
    twice = node("Leaky", "t", "u", "local")
    twice.overload = "twice"
    nodes = [node("Gated", "x floor", "s", "local", slope=0.25, beta=2.0), node("Gated", "s", "t same", "local", slope=0.5), twice,
             node("Relu", "u", "v", "local")]
    x = rng.normal(0, 2, (8, 3)).astype(np.float32)

    def gated(a, slope, beta):
        return np.where(a < 0, slope * a, a) * np.where(a < 0, beta * np.expm1(a), a)

    s = np.maximum(gated(x.astype(np.float64), 0.25, 2), 0.125)
    u = 2 * gated(s, 0.5, 1.5)
    case("own_functions", nodes, [value("x", 3)], [value(name, 3) for name in ["s", "same", "u", "v"]], [x], [constant("floor", 0.125)],
         [s, s, u, -u], functions=functions, imports=[helper.make_opsetid("local", 1)])


def quantised():
    def quantise(x, scale, zero, low, high):
        return np.clip(np.rint(x / np.float32(scale)) + zero, low, high)

    x = rng.normal(0, 3, (16, 4)).astype(np.float32)
    x[0] = [0.125, -0.125, 0.375, 0.625]  # over 0.25: halves, which are rounded to even
    x[1] = [1000, -1000, np.inf, -np.inf]
    x[2, 1] = np.nan
    w, axis = rng.integers(-128, 128, (4, 3)), np.float32([0.02, 0.05, 0.01])
    nodes = [node("QuantizeLinear", "x quarter mid", "q"), node("Transpose", "q", "moved", perm=[0, 1]), node("DequantizeLinear", "moved quarter mid", "d"),
             node("DequantizeLinear", "w axis zeros", "f", axis=-1), node("DequantizeLinear", "bias tiny", "b"), node("MatMul", "d f", "m"),
             node("Add", "m b", "a"), node("QuantizeLinear", "a half minus", "r"), node("Cast", "r", "y", to=FLOAT),
             node("QuantizeLinear", "x axes", "s", axis=1, output_dtype=TensorProto.INT16), node("DequantizeLinear", "s axes", "z", axis=1)]
    zeros, axes = [3, -7, 0], np.float32([0.25, 0.5, 0.001, 2])
    d = (quantise(x, 0.25, 128, 0, 255) - 128) * np.float32(0.25)
    a = d @ ((w - zeros) * axis).astype(np.float32) + np.float32([1000, -2000, 3]) * np.float32(0.001)
    y = quantise(a, 0.5, -3, -128, 127)
    z = quantise(x, axes, 0, -32768, 32767) * axes
    constants = [constant("quarter", 0.25), constant("mid", 128, np.uint8), constant("w", w, np.int8), constant("axis", axis),
                 constant("zeros", zeros, np.int8), constant("bias", [1000, -2000, 3], np.int32), constant("tiny", 0.001), constant("half", 0.5),
                 constant("minus", -3, np.int8), constant("axes", axes)]
    case("quantised_numbers", nodes, [value("x", 4)], [value("q", 4, dtype=TensorProto.UINT8), value("y", 3), value("z", 4)], [x], constants,
         [quantise(x, 0.25, 128, 0, 255), y, z], lost=[2])


def in_double_precision():
    """PyTorch asks in double precision whether a number is infinite."""
    x = np.array([[1, np.inf, -np.inf], [2.5, -3, np.nan]], np.float32)
    nodes = [node("Cast", "x", "d", to=TensorProto.DOUBLE), node("IsInf", "d", "i"), node("IsNaN", "d", "n"), node("Or", "i n", "bad"), node("Cast", "d", "f", to=FLOAT),
             node("Where", "bad most f", "y")]
    case("double_of_float", nodes, [value("x", 3)], [value("y", 3)], [x], [constant("most", 10)])


def sums_and_images():
    x, y = rng.normal(0, 1, (6, 3, 4)).astype(np.float32), rng.normal(0, 1, (6, 4, 2)).astype(np.float32)
    w, square = rng.normal(0, 1, (4, 5)).astype(np.float32), rng.normal(0, 1, (6, 3, 3)).astype(np.float32)
    equations = [("nij,njk->nik", "x y"), ("nij,jk->nki", "x w"), ("n...j,jk->n...k", "x w"), ("nij->nj", "x"), ("nii->ni", "s"), ("nij,njk,jl->nil", "x y w"),
                 ("aij,jk", "x w"), ("nij,nij->n", "x x"), ("ij,nkj->nki", "r x"), ("nij,nlj->nil", "x e")]
    e = rng.normal(0, 1, (6, 5, 1)).astype(np.float32)  # an axis of size 1 goes with any other
    given = dict(x=x, y=y, w=w, s=square, e=e, r=rng.normal(0, 1, (3, 4)).astype(np.float32))
    nodes = [node("Einsum", names, f"o{index}", equation=equation) for index, (equation, names) in enumerate(equations)]
    expected = [np.einsum(equation, *(given[name].astype(np.float64) for name in names.split())) for equation, names in equations]
    case("einsum", nodes, [value("x", 3, 4), value("y", 4, 2), value("s", 3, 3), value("e", 5, 1)],
         [value(f"o{index}", *array.shape[1:]) for index, array in enumerate(expected)], [x, y, square, e],
         [constant("w", w), constant("r", given["r"])], expected)
    image = rng.normal(0, 1, (4, 4, 3, 5)).astype(np.float32)
    line = rng.normal(0, 1, (4, 4, 5)).astype(np.float32)
    kernels = [constant("k", rng.normal(0, 1, (4, 3, 2, 3))), constant("g", rng.normal(0, 1, (4, 1, 3, 3))), constant("l", rng.normal(0, 1, (4, 2, 3))),
               constant("b", [0.5, -0.5, 2])]
    uses = [("x k b", dict(strides=[2, 3])), ("x k", dict(strides=[2, 2], pads=[0, 1, 1, 0], output_padding=[1, 1])), ("x g", dict(group=2, dilations=[2, 1], pads=[1] * 4)),
            ("x k", dict(strides=[2, 2], auto_pad="SAME_UPPER")), ("x k b", dict(strides=[3, 2], output_shape=[7, 10])), ("y l", dict(strides=[2], output_padding=[1])),
            ("x k b", dict(strides=[3, 3], output_padding=[2, 2]))]
    nodes = [node("ConvTranspose", names, f"o{index}", **attributes) for index, (names, attributes) in enumerate(uses)]
    shapes = images_of(nodes, [value("x", 4, 3, 5), value("y", 4, 5)], kernels, [image, line])
    case("conv_transpose", nodes, [value("x", 4, 3, 5), value("y", 4, 5)], [value(f"o{index}", *shape) for index, shape in enumerate(shapes)], [image, line], kernels)
    constants = [constant("up", [1, 1, 2, 3]), constant("odd", [1, 1, 1.7, 0.6]), constant("two", [7, 2], np.int64),
                 constant("empty", [])]
    modes = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"]
    uses = [(f"x|| {scales}", dict(mode=mode, coordinate_transformation_mode=places)) for mode in ["nearest", "linear"] for places in modes for scales in ["up", "odd"]
            if (places, scales) != ("align_corners", "odd")]
    uses += [("x|| up", dict(nearest_mode=way, coordinate_transformation_mode="asymmetric")) for way in ["floor", "ceil", "round_prefer_ceil"]]
    uses += [("x|||two", dict(mode="linear", axes=[2, 3])), ("x||| two", dict(axes=[-1, 1]))]
    nodes = [helper.make_node("Resize", [name.strip() for name in names.split("|")], [f"o{index}"], **attributes) for index, (names, attributes) in enumerate(uses)]
    nodes += [node("Shape", "x", "shape", end=2), node("Concat", "shape two", "wanted", axis=0), node("Resize", "x empty empty wanted", "torch", mode="linear",
                                                                                                  coordinate_transformation_mode="align_corners")]
    names = [f"o{index}" for index in range(len(uses))] + ["torch"]
    shapes = images_of(nodes, [value("x", 4, 3, 5)], constants, [image], names)
    case("resize", nodes, [value("x", 4, 3, 5)], [value(name, *shape) for name, shape in zip(names, shapes, strict=True)], [image], constants)
    upsample = node("Upsample", "x up", "y", mode="linear")
    case("upsample", [upsample, node("Upsample", "x up", "z")], [value("x", 4, 3, 5)], [value("y", 4, 6, 15), value("z", 4, 6, 15)], [image], constants[:1], opset=9)
    a, b = rng.normal(0, 9, (2, 8, 3)).astype(np.float32)
    a[0], b[0] = [1e9, -1e9, 7], [0.7, 0.7, np.inf]
    a[1, 0], b[1, 1], a[1, 2] = np.nan, 0, np.inf
    case("mod_of_floats", [node("Mod", "a b", "y", fmod=1), node("Mod", "a row", "z", fmod=1)], [value("a", 3), value("b", 3)], [value("y", 3), value("z", 3)],
         [a, b], [constant("row", [6.2831855])], [np.fmod(a, b), np.fmod(a, np.float32(6.2831855))])
    x, mean = large(6, 0.0).reshape(8, 2, 3), 1e-3
    square = (x.astype(np.float64) ** 2).mean(2, keepdims=True)
    both = (x.astype(np.float64) ** 2).mean((1, 2), keepdims=True)
    case("rms_norm", [node("RMSNormalization", "x scale", "y", epsilon=mean), node("RMSNormalization", "x all", "z", axis=1), node("RMSNormalization", "x one", "w")],
         [value("x", 2, 3)], [value(name, 2, 3) for name in "yzw"], [x], [constant("scale", [1, 2, -1]), constant("all", [[1, 2, 3], [4, 5, 6]]), constant("one", [2])],
         [x / np.sqrt(square + mean) * [1, 2, -1], x / np.sqrt(both + 1e-5) * [[1, 2, 3], [4, 5, 6]], x / np.sqrt(square + 1e-5) * 2], opset=23)
    x = rng.normal(0, 1, (8, 4)).astype(np.float32)
    case("gemm_of_three", [node("Gemm", "x w", "c"), node("Gemm", "x w c", "y", beta=0.5, alpha=2.0), node("ReduceSum", "x axis", "sum"), node("Gemm", "x w sum", "z")],
         [value("x", 4)], [value("y", 3), value("z", 3)], [x], [constant("w", rng.normal(0, 1, (4, 3))), constant("axis", [1], np.int64)])


def images_of(nodes, inputs, constants, rows, names=None):
    """Shapes per event of what nodes make."""
    names = names or [made for node in nodes for made in node.output]
    graph = helper.make_graph(nodes, "shapes", inputs, [helper.make_tensor_value_info(name, FLOAT, None) for name in names], constants)
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    given = {info.name: array for info, array in zip(inputs, rows, strict=True)}
    return [array.shape[1:] for array in session.run(None, given)]


def external():
    """The weights of a model in a file beside it."""
    weights = rng.normal(0, 1, (4, 3)).astype(np.float32)
    x = rng.normal(0, 1, (8, 4)).astype(np.float32)
    case("external", [node("MatMul", "x w", "m"), node("Add", "m b", "y")], [value("x", 4)], [value("y", 3)], [x],
         [constant("w", weights), constant("b", [1, 2, 3])])
    model = onnx.load(OUT / "external.onnx")
    (OUT / "external.data").unlink(missing_ok=True)  # it would be appended to
    onnx.save_model(model, OUT / "external.onnx", save_as_external_data=True, location="external.data", size_threshold=0)


def events_elsewhere():
    """The axis of events behind another one, or one with particles or heads."""
    own = np.random.default_rng(1)
    x = own.normal(0, 1, (8, 6, 4)).astype(np.float32)
    ints = lambda **lists: [constant(name, numbers, np.int64) for name, numbers in lists.items()]
    floats = lambda **shapes: [constant(name, own.normal(0, 0.6, shape)) for name, shape in shapes.items()]
    nodes = [node("Reshape", "x flat", "rows"), node("Gemm", "rows w b", "h", transB=1), node("LayerNormalization", "h scale shift", "n"),
             node("Relu", "n", "r"), node("ReduceMax", "r last", "m", keepdims=1), node("Sub", "r m", "d"), node("Reshape", "d apart", "back"),
             node("ReduceSum", "back middle", "y", keepdims=0)]
    case("particles_as_rows", nodes, [value("x", 6, 4)], [value("y", 5)], [x],
         [*ints(flat=[-1, 4], apart=[-1, 6, 5], last=[-1], middle=[1]), *floats(w=(5, 4), b=5, scale=5, shift=5)])
    # Attention as torch.nn.MultiheadAttention has it: particles in front, then events times two heads.
    nodes = [node("Transpose", "x", "t", perm=[1, 0, 2]), node("MatMul", "t in", "qkv"), node("Reshape", "qkv three", "s"),
             node("Unsqueeze", "s first", "u"), node("Transpose", "u", "v", perm=[3, 1, 2, 0, 4]), node("Squeeze", "v fourth", "parts"),
             node("Split", "parts", "p0 p1 p2", num_outputs=3)]
    for at in range(3):
        nodes += [node("Gather", f"p{at} zero", f"g{at}"), node("Reshape", f"g{at} heads", f"h{at}"),
                  node("Transpose", f"h{at}", f"q{at}", perm=[1, 2, 0] if at == 1 else [1, 0, 2])]
    nodes += [node("MatMul", "q0 q1", "qk"), node("Mul", "qk half", "scaled"), node("Softmax", "scaled", "soft"), node("MatMul", "soft q2", "a"),
              node("Transpose", "a", "b", perm=[1, 0, 2]), node("Reshape", "b flat", "c"), node("Gemm", "c out bias", "d"),
              node("Reshape", "d wide", "e"), node("Transpose", "e", "f", perm=[1, 0, 2]), node("Add", "f x", "g"), node("ReduceMean", "g middle", "y", keepdims=0)]
    case("heads_as_events", nodes, [value("x", 6, 4)], [value("y", 4)], [x],
         [*ints(three=[6, -1, 3, 4], first=[0], fourth=[-2], heads=[6, -1, 2], flat=[-1, 4], wide=[6, -1, 4], middle=[1]),
          constant("zero", 0, np.int64), constant("half", 0.7071), *floats(**{"in": (4, 12)}, out=(4, 4), bias=4)], opset=20)
    # What may happen while the particles stand in front.
    nodes = [node("Transpose", "x", "t", perm=[1, 0, 2]), node("Softmax", "t", "s0", axis=0), node("Softmax", "t", "s1", axis=-1),
             node("Add", "s0 table", "a"), node("Concat", "a s1", "c", axis=2), node("Slice", "c one five zero", "l"),
             node("LayerNormalization", "l scale shift", "n"), node("Split", "n halves", "n0 n1", axis=0), node("Gather", "n0 turn", "p", axis=0),
             node("Sum", "p n1", "z"), node("ReduceMean", "z zero", "m", keepdims=0), node("Slice", "n one two zero", "n2"),
             node("Expand", "n2 three", "e"), node("Greater", "e half", "big"), node("Where", "big e half", "w"), node("Tile", "w twice", "v"),
             node("ReduceL2", "v ends", "k", keepdims=0), node("Unsqueeze", "k one", "kk"), node("Concat", "m kk", "y", axis=1)]
    case("particles_in_front", nodes, [value("x", 6, 4)], [value("y", 9)], [x],
         [*ints(one=[1], two=[2], five=[5], zero=[0], halves=[2, 2], turn=[1, 0], three=[3, 1, 8], twice=[2, 1, 1], ends=[0, 2]),
          constant("half", 0.5), *floats(table=(6, 1, 4), scale=8, shift=8)])
    shape = [node("Shape", "x", "shape"), node("Gather", "shape nought", "count"), node("Mul", "count six", "rows"), node("Concat", "rows four", "wanted", axis=0),
             node("Reshape", "x wanted", "r"), node("Tanh", "r", "h"), node("Shape", "h", "again"), node("Slice", "again zero one", "many"),
             node("Div", "many six", "events"), node("Concat", "events rest", "back", axis=0), node("Reshape", "h back", "z"),
             node("Concat", "one events two", "state", axis=0), node("ConstantOfShape", "state", "ones", value=constant("v", [0.25])),
             node("Equal", "state minus", "open"), node("Where", "open one state", "whole"), node("Expand", "row whole", "table"),
             node("Add", "ones table", "sum"), node("Squeeze", "sum zero", "q"), node("Concat", "z q", "y", axis=1)]
    case("sizes_of_batches", shape, [value("x", 6, 4)], [value("y", 26)], [x],
         ints(nought=[0], six=[6], four=[4], zero=[0], one=[1], rest=[24], two=[2], minus=[-1]) + [constant("row", [[[0.5, -1]]])])


def picks():
    """TopK with ties, GatherElements, and the nearest neighbours of ParticleNet."""
    own = np.random.default_rng(2)
    x = own.integers(-3, 4, (8, 3, 6)).astype(np.float32)
    x[1, 0], x[2, 1, :4] = -np.inf, np.inf
    nodes = [node("TopK", "x four", "v0 i0"), node("TopK", "x two", "v1 i1", axis=1, largest=0), node("TopK", "x six", "v2 i2", largest=0)]
    case("top_k", nodes, [value("x", 3, 6)], [value("v0", 3, 4), value("i0", 3, 4, dtype=INT64), value("v1", 2, 6), value("i1", 2, 6, dtype=INT64),
                                              value("v2", 3, 6), value("i2", 3, 6, dtype=INT64)], [x],
         [constant(name, [number], np.int64) for name, number in [("four", 4), ("two", 2), ("six", 6)]])
    whole = np.where(np.isfinite(x), x, 3)
    case("top_k_of_integers", [node("TopK", "x four", "v i", axis=-1)], [value("x", 3, 6, dtype=INT64)],
         [value("v", 3, 4, dtype=INT64), value("i", 3, 4, dtype=INT64)], [whole], [constant("four", [4], np.int64)])
    lost = own.uniform(0.1, 5, (8, 3)).astype(np.float32)
    lost[[1, 4], [0, 2]] = -1
    case("top_k_of_nan", [node("Log", "x", "l"), node("TopK", "l one", "v y")], [value("x", 3)], [value("y", 1, dtype=INT64)], [lost],
         [constant("one", [1], np.int64)], lost=[1, 4])
    x, index = own.normal(0, 1, (8, 3, 6)).astype(np.float32), own.integers(-6, 6, (8, 2, 4)).astype(np.float32)
    case("gather_elements", [node("GatherElements", "x i", "y", axis=2)], [value("x", 3, 6), value("i", 2, 4, dtype=INT64)], [value("y", 2, 4)], [x, index])
    x = own.normal(0, 1, (8, 2, 7)).astype(np.float32)
    nodes = [node("Transpose", "x", "t", perm=[0, 2, 1]), node("MatMul", "t x", "inner"), node("Mul", "x x", "squares"), node("ReduceSum", "squares one", "norm"),
             node("Sub", "norm inner", "half"), node("Sub", "half inner", "d"), node("Transpose", "norm", "turned", perm=[0, 2, 1]), node("Add", "d turned", "distance"),
             node("TopK", "distance four", "v i", largest=0), node("Slice", "i one four two", "near"), node("Unsqueeze", "near one", "n"),
             node("Expand", "n wide", "nn"), node("Unsqueeze", "x two", "u"), node("Expand", "u square", "uu"), node("GatherElements", "uu nn", "found", axis=3),
             node("Unsqueeze", "x three", "centre"), node("Sub", "found centre", "edges"), node("ReduceMax", "edges three", "y", keepdims=0),
             node("Range", "nought limit step", "places"), node("Add", "y places", "z")]
    case("nearest_neighbours", nodes, [value("x", 2, 7)], [value("z", 2, 7)], [x],
         [constant(name, numbers, np.int64) for name, numbers in
          dict(one=[1], two=[2], three=[3], four=[4], wide=[1, 2, 7, 3], square=[1, 1, 7, 1]).items()]
         + [constant("nought", 1.5), constant("limit", -2), constant("step", -0.5)])


def recurrent():
    """LSTM, GRU and RNN, in every direction."""
    own = np.random.default_rng(3)
    x = own.normal(0, 1, (8, 5, 3)).astype(np.float32)
    turns = [node("Transpose", "x", "t", perm=[1, 0, 2])]
    last = [node("Transpose", "y", "p", perm=[2, 0, 1, 3]), node("Reshape", "p flat", "z")]
    for name, gates, directions, attributes in [
        ("lstm", 4, 1, {}), ("lstm_reverse", 4, 1, {"direction": "reverse"}), ("lstm_both", 4, 2, {"direction": "bidirectional"}),
        ("gru", 3, 1, {}), ("gru_of_torch", 3, 2, {"direction": "bidirectional", "linear_before_reset": 1}),
        ("rnn", 1, 2, {"direction": "bidirectional"}), ("rnn_relu", 1, 1, {"activations": ["Relu"]}),
    ]:
        operator = name.split("_")[0].upper()
        ends = ["h", "c"] if operator == "LSTM" else ["h"]
        outputs = [value("z", 5 * directions * 4)] + [value(f"{end}2", directions * 4) for end in ends]
        state = own.normal(0, 0.5, (1, directions, 4)).astype(np.float32) if "_" in name else None
        initial = " with with" if operator == "LSTM" else " with"
        nodes = [*turns, node(operator, "t w r b" + ("" if state is None else " none" + initial), "y " + " ".join(ends), hidden_size=4, **attributes), *last]
        if state is not None:
            # The state is the same for all events, but a value of each.
            nodes[:0] = [node("Shape", "x", "shape", end=1), node("Concat", "shape rest", "size", axis=0), node("Expand", "state size", "all"),
                         node("Transpose", "all", "with", perm=[1, 0, 2])]
            next(n for n in nodes if n.op_type == operator).input[4] = ""
        for end in ends:
            nodes += [node("Transpose", end, f"{end}1", perm=[1, 0, 2]), node("Reshape", f"{end}1 flat", f"{end}2")]
        constants = [constant("w", own.normal(0, 0.6, (directions, gates * 4, 3))), constant("r", own.normal(0, 0.6, (directions, gates * 4, 4))),
                     constant("b", own.normal(0, 0.4, (directions, 2 * gates * 4))), constant("flat", [0, -1], np.int64)]
        if state is not None:
            constants += [constant("state", state), constant("rest", [directions, 4], np.int64)]
        case(name, nodes, [value("x", 5, 3)], outputs, [x], constants)


def attention():
    """The operator Attention: heads apart and in one axis, shared keys, masks."""
    own = np.random.default_rng(4)
    q, k, v = (own.normal(0, 1, (8, heads, rows, width)).astype(np.float32) for heads, rows, width in [(4, 3, 2), (2, 5, 2), (2, 5, 3)])
    four = [value("q", 4, 3, 2), value("k", 2, 5, 2), value("v", 2, 5, 3)]
    case("attention", [node("Attention", "q k v", "y", scale=0.4)], four, [value("y", 4, 3, 3)], [q, k, v], opset=23)
    case("attention_causal", [node("Attention", "q k v", "y", is_causal=1)], four, [value("y", 4, 3, 3)], [q, k, v], opset=23)
    case("attention_masked", [node("Greater", "m zero", "mask"), node("Attention", "q k v mask", "y"), node("Attention", "q k v row", "z")],
         [*four, value("m", 1, 3, 5)], [value("y", 4, 3, 3), value("z", 4, 3, 3)],
         [q, k, v, np.abs(own.normal(0, 1, (8, 1, 3, 5))).astype(np.float32) - 0.3 * np.eye(3, 5, dtype=np.float32)],
         [constant("zero", 0.2), constant("row", [[0, -1, 0.5, -np.inf, 2]] * 3)], opset=23)
    flat = [array.transpose(0, 2, 1, 3).reshape(8, array.shape[2], -1) for array in (q, k, v)]
    case("attention_flat", [node("Attention", "q k v", "y", q_num_heads=4, kv_num_heads=2, softcap=1.5)],
         [value("q", 3, 8), value("k", 5, 4), value("v", 5, 6)], [value("y", 3, 12)], flat, opset=23)

def stacks_of_models():
    """As skl2onnx writes ensembles: models stacked in front of the events, products with a vector, weights chosen from a list by event."""
    own = np.random.default_rng(5)
    x = own.normal(0, 1, (8, 5)).astype(np.float32)
    scores = [part for at in range(3)
              for part in (node("MatMul", f"x w{at}", f"m{at}"), node("Softmax", f"m{at}", f"s{at}"), node("Reshape", f"s{at} front", f"r{at}"))]
    nodes = [*scores, node("Concat", "r0 r1 r2", "stack", axis=0), node("ReduceMean", "stack nought", "p", keepdims=0), node("ArgMax", "p", "best", axis=1),
             node("ArrayFeatureExtractor", "classes best", "class", "ai.onnx.ml"), node("Reshape", "class flat", "label")]
    case("stack_of_models", nodes, [value("x", 5)], [value("label", dtype=INT64), value("p", 2)], [x],
         [*(constant(f"w{at}", own.normal(0, 1, (5, 2))) for at in range(3)), constant("front", [1, -1, 2], np.int64), constant("nought", [0], np.int64),
          constant("flat", [-1], np.int64), constant("classes", [3, -4], np.int64)])
    nodes = [node("MatMul", "x w", "m"), node("Add", "m b", "a"), node("Exp", "a", "e"), node("Reshape", "e column", "y"), node("MatMul", "x w", "z")]
    case("product_with_vector", nodes, [value("x", 5)], [value("y", 1), value("z")], [x],
         [constant("w", own.normal(0, 0.5, 5)), constant("b", [0.25]), constant("column", [-1, 1], np.int64)])
    image = own.normal(0, 1, (8, 3, 5)).astype(np.float32)
    case("rows_with_vector", [node("MatMul", "x w", "y")], [value("x", 3, 5)], [value("y", 3)], [image], [constant("w", own.normal(0, 0.5, 5))])
    nodes = [node("Neg", "x", "n"), node("TopK", "n five", "v order"), node("ArrayFeatureExtractor", "weights order", "chosen", "ai.onnx.ml"),
             node("Reshape", "chosen apart", "w"), node("CumSum", "w one", "sums"), node("ArrayFeatureExtractor", "sums last", "all", "ai.onnx.ml"),
             node("Mul", "all half", "middle"), node("Less", "sums middle", "before"), node("Cast", "before", "b", to=FLOAT),
             node("ArgMin", "b", "place", axis=1), node("GatherElements", "order place", "which", axis=1), node("GatherElements", "x which", "y", axis=1)]
    case("weighted_median", nodes, [value("x", 5)], [value("w", 5), value("y", 1)], [x],
         [constant("weights", [1.0, 1.125, 0.5, 2.25, 0.75]), constant("five", [5], np.int64), constant("apart", [-1, 5], np.int64),
          constant("one", 1, np.int64), constant("last", [4], np.int64), constant("half", 0.5)])
    weights = [own.normal(0, 1, (5, width)).astype(np.float32) for width in (2, 3)]
    nodes = [node("MatMul", "x a", "p"), node("MatMul", "x b", "q"), node("SequenceConstruct", "p q", "list")]
    case("list_of_tensors", nodes, [value("x", 5)], [helper.make_tensor_sequence_value_info("list", FLOAT, None)], [x],
         [constant("a", weights[0]), constant("b", weights[1])], [x @ weights[0], x @ weights[1]])


if __name__ == "__main__":
    for part in [offsets, integers, missing, functions_of_numbers, ends_and_dead_ends, as_frameworks_write_them, external, events_elsewhere, picks,
                 recurrent, attention, own_functions, quantised, in_double_precision, sums_and_images, labels_and_fronts, stacks_of_models]:
        part()
    print(f"{len(list(OUT.glob('*.onnx')))} graphs, {sum(path.stat().st_size for path in OUT.iterdir()) / 1e3:.0f} kB in {OUT}")
