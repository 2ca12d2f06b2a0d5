"""Graphs built operator by operator: old style, the newest trees, and what must be refused."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .entry import Model, Refused, normal

FLOAT = TensorProto.FLOAT
ML = "ai.onnx.ml"


def value(name: str, *shape: int | str, dtype: int = FLOAT) -> onnx.ValueInfoProto:
    """A typed input or output."""
    return helper.make_tensor_value_info(name, dtype, shape)


def model(graph: onnx.GraphProto, opsets: dict[str, int], ir: int) -> onnx.ModelProto:
    """A graph with the operator sets that it uses."""
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir, producer_name="")


def tensors(seed: int, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Seeded weights by name."""
    generator = np.random.default_rng(seed)
    return {name: generator.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def old_style() -> Model:
    """IR 3, opset 9: initializers are inputs too, Softmax flattens, BatchNormalization between transposes."""
    weights = tensors(1, w0=(9, 12), b0=(12,), w1=(2, 3, 3), b1=(2,), scale=(3,), bias=(3,), mean=(3,), w2=(6, 4), b2=(4,))
    weights["var"] = np.random.default_rng(2).uniform(0.5, 2, 3).astype(np.float32)
    shape = numpy_helper.from_array(np.array([0, 4, 3], np.int64), "shape")
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["h0"]),
        helper.make_node("Add", ["h0", "b0"], ["h1"]),
        helper.make_node("Reshape", ["h1", "shape"], ["h2"]),
        helper.make_node("Transpose", ["h2"], ["h3"], perm=[0, 2, 1]),
        helper.make_node("BatchNormalization", ["h3", "scale", "bias", "mean", "var"], ["h4"], epsilon=1e-3),
        helper.make_node("Relu", ["h4"], ["h5"]),
        helper.make_node("Conv", ["h5", "w1", "b1"], ["h6"], auto_pad="SAME_UPPER", kernel_shape=[3], strides=[2]),
        helper.make_node("Clip", ["h6"], ["h7"], min=-0.8, max=0.9),
        helper.make_node("Concat", ["h7", "h6"], ["h8"], axis=2),
        helper.make_node("Slice", ["h8"], ["h9"], axes=[2], starts=[1], ends=[4]),
        helper.make_node("Flatten", ["h9"], ["h10"]),
        helper.make_node("Gemm", ["h10", "w2", "b2"], ["h11"], alpha=0.5),
        helper.make_node("Unsqueeze", ["h11"], ["h12"], axes=[1]),
        helper.make_node("Softmax", ["h12"], ["h13"], axis=1),
        helper.make_node("Squeeze", ["h13"], ["y"], axes=[1]),
    ]
    initializers = [numpy_helper.from_array(array, name) for name, array in weights.items()] + [shape]
    inputs = [value("x", "N", 9)] + [value(name, *array.shape) for name, array in weights.items()]
    inputs.append(value("shape", 3, dtype=TensorProto.INT64))
    graph = helper.make_graph(nodes, "old", inputs, [value("y", "N", 4)], initializers)
    doc = "IR 3, opset 9, initializers listed as inputs; attributes that later became inputs; Softmax on the flattened rest"
    return Model("old_style", doc, model(graph, {"": 9}, 3), [normal(3, 9)])


def features() -> Model:
    """Integers beside floats: gather, cast, comparison of axes, arg max."""
    columns = numpy_helper.from_array(np.array([5, 0, 3], np.int64), "columns")
    two = numpy_helper.from_array(np.array(2.0, np.float32), "two")
    parts = numpy_helper.from_array(np.array([2, 4], np.int64), "parts")
    axis = numpy_helper.from_array(np.array([1], np.int64), "axis")
    nodes = [
        helper.make_node("Gather", ["x", "columns"], ["some"], axis=1),
        helper.make_node("Abs", ["some"], ["size"]),
        helper.make_node("Sqrt", ["size"], ["root"]),
        helper.make_node("Split", ["x", "parts"], ["front", "back"], axis=1),
        helper.make_node("Pow", ["back", "two"], ["square"]),
        helper.make_node("ReduceSum", ["square", "axis"], ["sum"], keepdims=1),
        helper.make_node("ReduceMax", ["back", "axis"], ["max"], keepdims=1),
        helper.make_node("Neg", ["front"], ["minus"]),
        helper.make_node("Exp", ["minus"], ["exp"]),
        helper.make_node("Concat", ["root", "sum", "max", "exp"], ["scores"], axis=1),
        helper.make_node("ArgMax", ["scores"], ["best"], axis=1, keepdims=0),
    ]
    outputs = [value("scores", "N", 7), value("best", "N", dtype=TensorProto.INT64)]
    graph = helper.make_graph(nodes, "features", [value("x", "N", 6)], outputs, [columns, two, parts, axis])
    doc = "Gather, Split, reductions, ArgMax: floats [7] and one integer; opset 18"
    return Model("features", doc, model(graph, {"": 18}, 9), [normal(4, 6)])


class Forest:
    """Seeded trees in the layout of `TreeEnsemble`, ai.onnx.ml opset 5."""

    def __init__(self, seed: int, features: int, targets: int) -> None:
        self.generator = np.random.default_rng(seed)
        self.features, self.targets = features, targets
        self.nodes: list[list] = []  # feature, split, mode, missing, true, true is leaf, false, false is leaf
        self.leaves: list[tuple[int, float]] = []

    def grow(self, depth: int) -> tuple[int, int]:
        """Add a subtree; returns its index and whether that is a leaf."""
        if depth == 0 or (depth < 3 and self.generator.random() < 0.2):
            self.leaves.append((int(self.generator.integers(self.targets)), self.generator.normal()))
            return len(self.leaves) - 1, 1
        here = len(self.nodes)
        # Modes 0 to 3: <=, <, >=, >.
        self.nodes.append([int(self.generator.integers(self.features)), self.generator.normal(),
                           int(self.generator.integers(4)), int(self.generator.integers(2))])  # fmt: skip
        self.nodes[here] += self.grow(depth - 1)
        self.nodes[here] += self.grow(depth - 1)
        return here, 0


def tree_ensemble() -> Model:
    """The operator that replaces the older two in ai.onnx.ml 5; a converter of today writes it on request only."""
    forest = Forest(5, features=6, targets=3)
    roots = [forest.grow(4)[0] for _ in range(6)]
    feature, split, mode, missing, yes, yes_leaf, no, no_leaf = zip(*forest.nodes, strict=True)
    targets, weights = zip(*forest.leaves, strict=True)
    node = helper.make_node(
        "TreeEnsemble", ["x"], ["y"], domain=ML, n_targets=3, aggregate_function=1, post_transform=0,
        tree_roots=roots, nodes_featureids=feature, nodes_missing_value_tracks_true=missing,
        nodes_modes=numpy_helper.from_array(np.array(mode, np.uint8), "modes"),
        nodes_splits=numpy_helper.from_array(np.array(split, np.float32), "splits"),
        nodes_truenodeids=yes, nodes_trueleafs=yes_leaf, nodes_falsenodeids=no, nodes_falseleafs=no_leaf,
        leaf_targetids=targets, leaf_weights=numpy_helper.from_array(np.array(weights, np.float32), "weights"),
    )  # fmt: skip
    graph = helper.make_graph([node], "trees", [value("x", "N", 6)], [value("y", "N", 3)])
    inputs = normal(6, 6)
    inputs[np.random.default_rng(7).random(inputs.shape) < 0.1] = np.nan
    doc = "`TreeEnsemble` of ai.onnx.ml 5: 6 trees, 3 targets, four comparisons, a tenth of the input is NaN"
    return Model("tree_ensemble_v5", doc, model(graph, {"": 20, ML: 5}, 10), [inputs])


def quant() -> Refused:
    """A QONNX graph: fixed point by a custom operator."""
    weights = tensors(8, w=(4, 2))
    constants = {"step": np.float32(0.25), "zero": np.float32(0), "bits": np.float32(8)} | weights
    nodes = [
        helper.make_node("Quant", ["x", "step", "zero", "bits"], ["q"], domain="qonnx.custom_op.general",
                         signed=1, narrow=0, rounding_mode="ROUND"),
        helper.make_node("MatMul", ["q", "w"], ["y"]),
    ]  # fmt: skip
    initializers = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "quant", [value("x", "N", 4)], [value("y", "N", 2)], initializers)
    doc = "operator `Quant` of domain `qonnx.custom_op.general`"
    return Refused("quant", doc, model(graph, {"": 13, "qonnx.custom_op.general": 1}, 8))


def branch() -> Refused:
    """Control flow that depends on the events."""
    weights = [numpy_helper.from_array(np.array(0.0, np.float32), "zero")]
    then = helper.make_graph([helper.make_node("Relu", ["x"], ["a"])], "then", [], [value("a", "N", 3)])
    other = helper.make_graph([helper.make_node("Neg", ["x"], ["b"])], "else", [], [value("b", "N", 3)])
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["y"], then_branch=then, else_branch=other),
    ]
    graph = helper.make_graph(nodes, "if", [value("x", "N", 3)], [value("y", "N", 3)], weights)
    return Refused("if", "operator `If`", model(graph, {"": 18}, 9))


def all_models() -> list[Model]:
    """Everything that must run."""
    return [old_style(), features(), tree_ensemble()]


def refused() -> list[Refused]:
    """What must be refused."""
    return [quant(), branch()]
