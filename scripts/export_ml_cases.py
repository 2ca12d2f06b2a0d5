#!/usr/bin/env python3
"""Make the small models of crates/graph/tests/ml: every operator of ai.onnx.ml that is supported, in all its settings, on random numbers.

A file holds many nodes that look at the same events; its outputs have the names of the cases. Beside every NAME.onnx stands NAME.safetensors
with input.0 and output.0, output.1, ...: the answers of ONNX Runtime. Class names that are text stand there as places in the list of the node. Not needed to build or test: the files are committed.

    pip install onnx==1.23.2 onnxruntime==1.32.0 safetensors numpy
    python3 scripts/export_ml_cases.py                          # writes crates/graph/tests/ml
    python3 scripts/export_ml_cases.py --out DIR --seeds 300    # more models, for a search
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from safetensors.numpy import save_file

FOLDER = Path(__file__).resolve().parent.parent / "crates/graph/tests/ml"
FILE_MAX = 20_000
PACK = 17_000
EVENTS = 32
FEATURES = 5
ML = "ai.onnx.ml"
MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]
LINKS = ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"]


def number(rng):
    """A 32-bit number that the file gives back unchanged."""
    return float(np.float32(rng.normal() / 2))


def events(rng, missing=False):
    """Many values that are thresholds too, some missing or infinite."""
    values = rng.integers(-6, 7, size=(EVENTS, FEATURES)) / 2 + rng.choice([0, 0, 0.1], size=(EVENTS, FEATURES))
    values = values.astype(np.float32)
    values[rng.random(values.shape) < 0.05] = -0.0
    values[:2] = 0
    if missing:
        values[rng.random(values.shape) < 0.15] = np.nan
        values[rng.random(values.shape) < 0.05] = np.inf
        values[rng.random(values.shape) < 0.05] = -np.inf
    return values


def tree(rng, depth, modes, grow_all=False):
    """Nodes as (mode, feature, threshold, missing is true, yes, no); a leaf is None."""
    nodes = []

    def grow(depth):
        at = len(nodes)
        nodes.append(None)
        if depth > 0 and (grow_all or rng.random() < 0.85):
            mode = modes[rng.integers(len(modes))]
            feature, threshold = int(rng.integers(FEATURES)), float(rng.integers(-4, 5) / 2)
            missing = int(rng.random() < 0.5)
            yes = grow(depth - 1)
            nodes[at] = (mode, feature, threshold, missing, yes, grow(depth - 1))
        return at

    grow(depth)
    return nodes


def lists(rng, kind, ids_of, trees, modes, missing, depth=4, sign=0, shuffle=False):
    """The attributes of nodes and weights; ids_of(tree) says which outputs its leaves name. sign: +1 for weights above 0."""
    keys = ["treeids", "nodeids", "modes", "featureids", "values", "missing_value_tracks_true", "truenodeids", "falsenodeids"]
    attributes = {f"nodes_{key}": [] for key in keys}
    weights = {f"{kind}_{key}": [] for key in ["treeids", "nodeids", "ids", "weights"]}
    for index in range(trees):
        # The first tree may be a lone leaf.
        nodes = tree(rng, 0 if index == 0 and trees > 3 else depth, modes)
        for at, node in enumerate(nodes):
            mode, feature, threshold, is_true, yes, no = node or ("LEAF", 0, 0.0, 0, 0, 0)
            row = [index, at, mode, feature, threshold, is_true, yes, no]
            for key, value in zip(keys, row):
                attributes[f"nodes_{key}"].append(value)
            if node is None:
                for output in ids_of(index):
                    weight = number(rng) * (0.5 if not sign else 0.3)
                    row = [index, at, output, float(np.float32(abs(weight) if sign else weight))]
                    for key, value in zip(["treeids", "nodeids", "ids", "weights"], row):
                        weights[f"{kind}_{key}"].append(value)
    if not missing:
        del attributes["nodes_missing_value_tracks_true"]
    if shuffle:
        order = rng.permutation(len(weights[f"{kind}_ids"]))
        weights = {key: [values[at] for at in order] for key, values in weights.items()}
    return attributes | weights


class Writer:
    """Collects nodes and writes them in packs: models of many nodes that all look at the same events."""

    def __init__(self, folder, seed):
        self.folder, self.seed = folder, seed
        self.packs, self.written, self.cases = {}, {}, 0
        rng = np.random.default_rng([seed, 0])
        integers = rng.integers(-5, 6, size=(EVENTS, FEATURES))
        self.events = {"plain": events(rng), "missing": events(rng, True), "integers": integers}

    def node(self, name, operator, on, attributes, version, outputs=1, labels=None):
        """One node on the events `on`; `labels` is the list that text answers count in."""
        names = [name, f"{name}.scores"][:outputs]
        self.add(name, [helper.make_node(operator, ["x"], names, domain=ML, **attributes)], names, on, version, labels)

    def add(self, name, nodes, names, on, version, labels=None, initializers=()):
        key = (on, version)
        size = sum(node.ByteSize() for node in nodes)
        pack = self.packs.setdefault(key, ([], [], {}, []))
        if sum(node.ByteSize() for node in pack[0]) + size > PACK:
            self.write(key)
            pack = self.packs.setdefault(key, ([], [], {}, []))
        pack[0].extend(nodes)
        pack[1].extend(names)
        pack[2][name] = labels
        pack[3].extend(initializers)
        self.cases += 1

    def close(self):
        for key in list(self.packs):
            self.write(key)

    def write(self, key):
        nodes, names, labels, initializers = self.packs.pop(key)
        on, version = key
        inputs = self.events[on]
        self.written[key] = number = self.written.get(key, 0) + 1
        kinds = {np.dtype("float32"): TensorProto.FLOAT, np.dtype("int64"): TensorProto.INT64}
        given = helper.make_tensor_value_info("x", kinds[inputs.dtype], ["N", FEATURES])
        # What a node gives is left to the run time, then written down.
        graph = helper.make_graph(nodes, "cases", [given], [onnx.ValueInfoProto(name=name) for name in names], initializers)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(ML, version)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="")
        # With several threads the trees are added in parts, and the last bits depend on how many there are.
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        tensors = {"input.0": inputs}
        for at, (info, answer) in enumerate(zip(model.graph.output, session.run(None, {"x": inputs}))):
            kind = TensorProto.STRING if answer.dtype.kind == "O" else kinds[answer.dtype]
            info.CopyFrom(helper.make_tensor_value_info(info.name, kind, ["N", *answer.shape[1:]]))
            if answer.dtype.kind == "O":
                places = [labels[info.name].index(text) for text in answer.ravel()]
                answer = np.array(places, np.int64).reshape(answer.shape)
            tensors[f"output.{at}"] = np.ascontiguousarray(answer)
        content = model.SerializeToString()
        path = self.folder / f"{on}-{version}-{number}{f'-seed{self.seed}' if self.seed else ''}.onnx"
        path.write_bytes(content)
        save_file(tensors, path.with_suffix(".safetensors"))
        sizes = [path.stat().st_size, path.with_suffix(".safetensors").stat().st_size]
        assert max(sizes) < FILE_MAX, f"{path}: {sizes} bytes"


def classifier(writer, name, rng, classes, ids_of, base, link, sign, trees=5, modes=MODES[:1], missing=False, text=False, labels=None, **more):
    attributes = lists(rng, "class", ids_of, trees, modes, missing, sign=sign, **more)
    attributes["post_transform"] = link
    words = [f"class {at}" for at in range(classes)] if text else None
    if text:
        attributes["classlabels_strings"] = words
    else:
        attributes["classlabels_int64s"] = labels or list(range(classes))
    if base:
        attributes["base_values"] = [number(rng) for _ in range(base)]
    writer.node(name, "TreeEnsembleClassifier", "missing" if missing else "plain", attributes, 3, outputs=2, labels=words)


def classifiers(writer, rng):
    first, second, both, turns = (lambda _: [0]), (lambda _: [1]), (lambda _: [0, 1]), (lambda tree: [tree % 2])
    for link, sign, base in itertools.product(LINKS[:4], [0, 1], [0, 1]):
        classifier(writer, f"two-one-{link.lower()}-{'plus' if sign else 'mixed'}-{base}", rng, 2, first, base, link, sign, labels=[-1, 1])
    for (kind, ids), link, sign in itertools.product(dict(second=second, both=both, turns=turns).items(), LINKS, [0, 1]):
        base = 0 if kind == "second" else int(rng.integers(2))
        classifier(writer, f"two-{kind}-{link.lower()}-{'plus' if sign else 'mixed'}", rng, 2, ids, base, link, sign, missing=sign == 1)
    classifier(writer, "two-text", rng, 2, first, 0, "LOGISTIC", 0, text=True)
    for link, base in itertools.product(LINKS, [0, 4]):
        classifier(writer, f"four-{link.lower()}-{base}", rng, 4, lambda tree: [tree % 4], base, link, base == 0, trees=9, labels=[3, 1, 7, 5], shuffle=True)
    classifier(writer, "three-forest", rng, 3, lambda _: [0, 1, 2], 0, "NONE", 1, text=True, modes=MODES, missing=True)
    # Class 2 is named by some leaves, class 3 by none; weights below 0, so that those not named would be the largest.
    attributes = lists(rng, "class", lambda _: [0], 3, MODES[:1], False, sign=1)
    attributes["class_weights"] = [-weight for weight in attributes["class_weights"]]
    attributes["class_ids"] = [int(rng.integers(3)) for _ in attributes["class_ids"]]
    attributes |= {"classlabels_int64s": [0, 1, 2, 3], "post_transform": "NONE"}
    writer.node("four-sometimes", "TreeEnsembleClassifier", "plain", attributes, 1, outputs=2)
    attributes = lists(rng, "class", lambda _: [0, 1, 2], 3, ["BRANCH_LT"], False) | {"classlabels_int64s": [0, 1, 2]}
    writer.node("integers", "TreeEnsembleClassifier", "integers", attributes, 3, outputs=2)


def regressors(writer, rng):
    for aggregate, targets in itertools.product(["SUM", "AVERAGE", "MIN", "MAX"], [1, 3]):
        for base in [0, targets]:
            link = "NONE" if targets == 1 else LINKS[rng.integers(4)]
            ids = (lambda tree: [tree % targets]) if rng.random() < 0.5 else (lambda tree: list(range(targets)))
            attributes = lists(rng, "target", ids, 7, MODES, base > 0)
            attributes |= {"n_targets": targets, "aggregate_function": aggregate, "post_transform": link}
            if base:
                attributes["base_values"] = [number(rng) for _ in range(base)]
            writer.node(f"regressor-{aggregate.lower()}-{targets}-{base}", "TreeEnsembleRegressor", "missing" if base else "plain", attributes, 3)
    for mode in MODES:
        attributes = lists(rng, "target", lambda _: [0], 3, [mode], mode != "BRANCH_LEQ") | {"n_targets": 1}
        writer.node(f"mode-{mode[7:].lower()}", "TreeEnsembleRegressor", "missing", attributes, 1)
    # As many trees as a real model has, of one split each.
    attributes = lists(rng, "target", lambda _: [0], 101, MODES[:1], False, depth=1) | {"n_targets": 1}
    writer.node("many", "TreeEnsembleRegressor", "plain", attributes, 3)
    chain(writer, rng)


def chain(writer, rng):
    """A tree of one branch, 40 deep."""
    depth = 40
    ids = list(range(2 * depth + 1))
    inner = [at % 2 == 0 and at < 2 * depth for at in ids]
    attributes = {
        "nodes_treeids": [0] * len(ids),
        "nodes_nodeids": ids,
        "nodes_modes": ["BRANCH_LEQ" if it else "LEAF" for it in inner],
        "nodes_featureids": [at % FEATURES if it else 0 for at, it in zip(ids, inner)],
        "nodes_values": [-3.0 + at / depth if it else 0.0 for at, it in zip(ids, inner)],
        "nodes_truenodeids": [at + 1 if it else 0 for at, it in zip(ids, inner)],
        "nodes_falsenodeids": [at + 2 if it else 0 for at, it in zip(ids, inner)],
        "target_treeids": [0] * (depth + 1),
        "target_nodeids": [at for at, it in zip(ids, inner) if not it],
        "target_ids": [0] * (depth + 1),
        "target_weights": [number(rng) for _ in range(depth + 1)],
        "n_targets": 1,
    }
    writer.node("chain", "TreeEnsembleRegressor", "plain", attributes, 3)


def ensembles(writer, rng):
    """TreeEnsemble of version 5, with sets."""
    names = {0: "none", 3: "softmax_zero", 4: "probit"}
    for aggregate, link, targets in [(0, 0, 1), (1, 0, 1), (1, 0, 3), (1, 3, 2), (2, 0, 2), (3, 0, 2), (1, 4, 2)]:
        keys = ["modes", "featureids", "splits", "missing_value_tracks_true", "truenodeids", "trueleafs", "falsenodeids", "falseleafs"]
        rows, leaf_targets, leaf_weights, members, roots = [], [], [], [], []
        for _ in range(4):
            nodes = tree(rng, 4, list(range(7)), grow_all=True)
            inner = {at: len(rows) + rank for rank, at in enumerate(at for at, node in enumerate(nodes) if node)}
            roots.append(len(rows))

            def place(at):
                if nodes[at]:
                    return inner[at], 0
                leaf_targets.append(int(rng.integers(targets)))
                leaf_weights.append(number(rng))
                return len(leaf_targets) - 1, 1

            for node in filter(None, nodes):
                mode, feature, threshold, missing, yes, no = node
                if mode == 6:
                    # ONNX Runtime knows sets of integers only.
                    chosen = rng.choice(np.arange(4.0), size=rng.integers(1, 4), replace=False)
                    members += [*chosen.tolist(), float("nan")]
                rows.append([mode, feature, threshold, missing, *place(yes), *place(no)])
        columns = {f"nodes_{key}": [row[at] for row in rows] for at, key in enumerate(keys)}
        tensor = lambda kind, values: helper.make_tensor("t", kind, [len(values)], values)
        columns["nodes_modes"] = tensor(TensorProto.UINT8, columns["nodes_modes"])
        columns["nodes_splits"] = tensor(TensorProto.FLOAT, columns["nodes_splits"])
        columns |= {"tree_roots": roots, "n_targets": targets, "leaf_targetids": leaf_targets, "aggregate_function": aggregate, "post_transform": link}
        columns |= {"leaf_weights": tensor(TensorProto.FLOAT, leaf_weights)}
        if members:
            columns["membership_values"] = tensor(TensorProto.FLOAT, members)
        writer.node(f"ensemble-{aggregate}-{names[link]}-{targets}", "TreeEnsemble", "missing", columns, 5)


def linear(writer, rng):
    for classes, link in itertools.product([1, 2, 3], LINKS):
        if classes == 1 and link == "PROBIT":
            continue
        attributes = {
            "coefficients": [number(rng) for _ in range(classes * FEATURES)],
            "intercepts": [number(rng) for _ in range(classes)],
            "post_transform": link,
        }
        words = ["no", "yes", "maybe"][: max(2, classes)]
        text = link == "SOFTMAX"
        attributes |= {"classlabels_strings": words} if text else {"classlabels_ints": [-1, 1, 4][: max(2, classes)]}
        writer.node(f"linear-classes-{classes}-{link.lower()}", "LinearClassifier", "plain", attributes, 1, outputs=2, labels=words)
    for targets, link in [(1, "NONE"), (1, "PROBIT"), (3, "NONE"), (3, "LOGISTIC"), (3, "SOFTMAX"), (2, "SOFTMAX_ZERO")]:
        attributes = {"coefficients": [number(rng) for _ in range(targets * FEATURES)], "targets": targets, "post_transform": link}
        if rng.random() < 0.5:
            attributes["intercepts"] = [number(rng) for _ in range(targets)]
        writer.node(f"linear-targets-{targets}-{link.lower()}", "LinearRegressor", "plain", attributes, 1)


def features(writer, rng):
    values = [number(rng) for _ in range(2 * FEATURES)]
    scales = {"offset": values[:FEATURES], "scale": values[FEATURES:]}
    writer.node("scaler", "Scaler", "missing", scales, 1)
    writer.node("scaler-one", "Scaler", "integers", {"offset": [0.5], "scale": [3.0]}, 1)
    for norm in ["MAX", "L1", "L2"]:
        writer.node(f"normalizer-{norm.lower()}", "Normalizer", "plain", {"norm": norm}, 1)
    writer.node("normalizer-integers", "Normalizer", "integers", {"norm": "L2"}, 1)
    writer.node("binarizer", "Binarizer", "plain", {"threshold": 0.5}, 1)
    imputed = {"imputed_value_floats": [number(rng) for _ in range(FEATURES)], "replaced_value_float": float("nan")}
    writer.node("imputer", "Imputer", "missing", imputed, 1)
    writer.node("imputer-one", "Imputer", "plain", {"imputed_value_floats": [7.0], "replaced_value_float": 1.0}, 1)
    columns = helper.make_tensor("chosen", TensorProto.INT64, [3], [4, 0, 0])
    node = helper.make_node("ArrayFeatureExtractor", ["x", "chosen"], ["columns"], domain=ML)
    writer.add("columns", [node], ["columns"], "plain", 1, initializers=[columns])
    node = helper.make_node("FeatureVectorizer", ["x", "x"], ["vectorizer"], domain=ML, inputdimensions=[FEATURES, FEATURES])
    writer.add("vectorizer", [node], ["vectorizer"], "plain", 1)


def labels(writer, rng):
    """Words only exist between a classifier and an encoder."""
    writer.node("encoder-int-float", "LabelEncoder", "integers", {"keys_int64s": [1, 4, -2, 1], "values_floats": [0.5, 1.5, 2.5, 9.0], "default_float": 7.0}, 2)
    words = ["a", "b", "c", "?"]
    keys = {"keys_int64s": [0, 3, 5], "values_strings": words[:3], "default_string": "?"}
    writer.node("encoder-int-text", "LabelEncoder", "integers", keys, 2, labels=words)
    writer.node("encoder-float-int", "LabelEncoder", "plain", {"keys_floats": [0.0, 1.5, -2.0], "values_int64s": [10, 20, 30]}, 2)
    tensor = lambda kind, values: helper.make_tensor("t", kind, [len(values)], values)
    attributes = {"keys_tensor": tensor(TensorProto.INT64, [0, 1, 2]), "values_tensor": tensor(TensorProto.INT64, [5, 6, 7])}
    attributes["default_tensor"] = tensor(TensorProto.INT64, [99])
    writer.node("encoder-tensors", "LabelEncoder", "integers", attributes, 4)
    first = {"coefficients": [number(rng) for _ in range(3 * FEATURES)], "intercepts": [0.0] * 3, "classlabels_strings": ["u", "v", "w"]}
    linear = helper.make_node("LinearClassifier", ["x"], ["word", "scores"], domain=ML, **first)
    encoder = helper.make_node("LabelEncoder", ["word"], ["encoder-text-int"], domain=ML, keys_strings=["w", "u"], values_int64s=[8, 4], default_int64=-5)
    writer.add("encoder-text-int", [linear, encoder], ["encoder-text-int", "scores"], "plain", 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--seeds", type=int, default=1, help="how many sets of models")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    onnxruntime.set_default_logger_severity(3)
    for seed in range(options.seeds):
        writer = Writer(options.out, seed)
        for at, make in enumerate([classifiers, regressors, ensembles, linear, features, labels]):
            make(writer, np.random.default_rng([seed, at + 1]))
        writer.close()
        print(f"{writer.cases} cases in {options.out}")


if __name__ == "__main__":
    main()
