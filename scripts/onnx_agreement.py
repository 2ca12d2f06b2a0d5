#!/usr/bin/env python3
"""Compare Tamis with ONNX Runtime: the same ONNX files, the same random events, every score.

For every .onnx file of the folders: random inputs become a recording with one f32 field per input of the graph, the file is imported, `tamis
score` computes the scores, and ONNX Runtime computes them from the same numbers. A difference is |a - b| / max(1, |b|), b from ONNX
Runtime; labels (integer outputs) must be equal. Events that are stored beside a file (NAME.io.npz with arrays named as the graph's inputs
and outputs, or NAME.safetensors with input.K and output.K) are scored too and compared with what is stored.

    cargo build --release
    pip install -r scripts/requirements-models.txt
    python3 scripts/onnx_agreement.py --tamis target/release/tamis crates/graph/tests/models
    TAMIS_DEVICE=auto python3 scripts/onnx_agreement.py ...     # on the fused kernels where they know the model

Needs numpy, onnx, onnxruntime and safetensors. Exit status 1: a file is refused, above the gate, or has another label.
"""

import argparse
import dataclasses
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from safetensors.numpy import load_file

GATE = 1e-5
INTEGERS = (onnx.TensorProto.INT64, onnx.TensorProto.INT32)


@dataclasses.dataclass
class Graph:
    """A model as the comparison sees it."""

    path: Path
    proto: onnx.ModelProto
    inputs: list[str]
    shapes: list[tuple[int, ...]]
    """Of the inputs, without the batch."""
    outputs: list[str]
    labels: list[bool]
    """Which outputs are integers."""
    batch: int | None
    """The batch that is baked in, if one is."""


@dataclasses.dataclass
class Row:
    """A line of the table."""

    file: str
    operators: str
    outputs: str = ""
    events: int = 0
    apart: float = math.nan
    labels: int = 0
    stored: str = "-"
    verdict: str = ""

    def fields(self) -> list[str]:
        """As text, in the order of the heading."""
        number = "-" if math.isnan(self.apart) else f"{self.apart:.1e}"
        events = f"{self.events:,}"
        return [self.file, self.operators, self.outputs, events, number, str(self.labels), self.stored, self.verdict]


HEADING = ["file", "operators", "outputs", "events", "max. difference", "other labels", "stored vectors", "verdict"]


class Refused(Exception):
    """Tamis or ONNX Runtime did not do its part."""


def attribute(node: onnx.NodeProto, name: str):
    """An attribute's value, None if it is not there."""
    found = [helper.get_attribute_value(a) for a in node.attribute if a.name == name]
    if not found:
        return None
    return numpy_helper.to_array(found[0]) if isinstance(found[0], onnx.TensorProto) else found[0]


def trees(proto: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes that are tree ensembles."""
    return [node for node in proto.graph.node if node.op_type.startswith("TreeEnsemble")]


def splits(node: onnx.NodeProto) -> tuple[np.ndarray, np.ndarray]:
    """Feature and threshold of every inner node of the trees."""
    features = np.asarray(attribute(node, "nodes_featureids"))
    if node.op_type == "TreeEnsemble":
        return features, np.asarray(attribute(node, "nodes_splits"), dtype=np.float32)
    values = attribute(node, "nodes_values")
    values = attribute(node, "nodes_values_as_tensor") if values is None else values
    inner = np.array([mode != b"LEAF" for mode in attribute(node, "nodes_modes")])
    return features[inner], np.asarray(values, dtype=np.float32)[inner]


def width(proto: onnx.ModelProto) -> int:
    """Number of features of a file that does not say it."""
    if not trees(proto):
        raise Refused("the file leaves the shape of its input open")
    return 1 + max(int(splits(node)[0].max()) for node in trees(proto))


def read(path: Path) -> Graph:
    """Inputs, outputs and what the file says about the batch."""
    proto = onnx.load(path)
    constants = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in constants]
    shapes, batch = [], None
    for value in inputs:
        first, *rest = value.type.tensor_type.shape.dim
        batch = first.dim_value or batch
        shapes.append(tuple(dim.dim_value or width(proto) for dim in rest))
    labels = [value.type.tensor_type.elem_type in INTEGERS for value in proto.graph.output]
    outputs = [value.name for value in proto.graph.output]
    return Graph(path, proto, [value.name for value in inputs], shapes, outputs, labels, batch)


def tree_inputs(graph: Graph, events: int, generator: np.random.Generator) -> np.ndarray:
    """Numbers around the thresholds, some exactly on one, some missing if a tree knows what to do with those."""
    pairs = [splits(node) for node in trees(graph.proto)]
    features, thresholds = (np.concatenate(part) for part in zip(*pairs, strict=True))
    (columns,) = graph.shapes[0]
    x = generator.standard_normal((events, columns)).astype(np.float32)
    for column in range(columns):
        own = thresholds[features == column]
        if len(own):
            spread = max(float(np.std(own)), 1e-3 * float(np.abs(own).max()), 1e-6)
            x[:, column] = generator.choice(own, events) + x[:, column] * np.float32(spread)
            exact = generator.random(events) < 0.1
            x[exact, column] = generator.choice(own, int(exact.sum()))
    if any(np.any(attribute(node, "nodes_missing_value_tracks_true") or 0) for node in trees(graph.proto)):
        x[generator.random(x.shape) < 0.05] = np.nan
    return x


def centre(graph: Graph) -> tuple[np.ndarray | float, np.ndarray | float]:
    """Where and how wide the inputs are, if a Scaler at the entry says so."""
    for node in graph.proto.graph.node:
        if node.op_type == "Scaler" and node.input[0] == graph.inputs[0]:
            return np.array(attribute(node, "offset")), 1.0 / np.array(attribute(node, "scale"))
    return 0.0, 1.0


def random_inputs(graph: Graph, events: int, seed: int) -> list[np.ndarray]:
    """Seeded events: one array per input."""
    generator = np.random.default_rng(seed)
    if trees(graph.proto) and len(graph.shapes) == 1 and trees(graph.proto)[0].input[0] == graph.inputs[0]:
        return [tree_inputs(graph, events, generator)]
    offset, scale = centre(graph)
    draw = (generator.standard_normal((events, *shape)) * scale + offset for shape in graph.shapes)
    return [x.astype(np.float32) for x in draw]


def stored(graph: Graph) -> tuple[list[np.ndarray], dict[int, np.ndarray]]:
    """Inputs beside the file, and the outputs to find there by position."""
    npz, tensors = graph.path.with_suffix(".io.npz"), graph.path.with_suffix(".safetensors")
    if npz.exists():
        arrays = dict(np.load(npz))
        inputs, outputs = [arrays.get(name) for name in graph.inputs], [arrays.get(name) for name in graph.outputs]
    elif tensors.exists():
        arrays = load_file(tensors)
        inputs = [arrays.get(f"input.{at}") for at in range(len(graph.inputs))]
        outputs = [arrays.get(f"output.{at}") for at in range(len(graph.outputs))]
    else:
        return [], {}
    if any(value is None for value in inputs):
        raise Refused(f"the vectors beside it lack an input: {sorted(arrays)}")
    found = {at: value for at, value in enumerate(outputs) if value is not None}
    if not found:
        raise Refused(f"the vectors beside it lack all outputs: {sorted(arrays)}")
    return inputs, found


def session(proto: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """ONNX Runtime on one thread: the same sums in every run."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def unbaked(graph: Graph) -> onnx.ModelProto:
    """The file with a symbolic batch."""
    proto = onnx.ModelProto()
    proto.CopyFrom(graph.proto)
    del proto.graph.value_info[:]
    for value in [*proto.graph.input, *proto.graph.output]:
        if value.name in graph.inputs or value.name in graph.outputs:
            value.type.tensor_type.shape.dim[0].dim_param = "N"
    return proto


def pieces(graph: Graph, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """ONNX Runtime on the file as it is, as many events at a time as it wants; the last piece is filled up with zeros."""
    batch, events = graph.batch, len(inputs[0])
    engine, parts = session(graph.proto), []
    for start in range(0, events, batch):
        part = [x[start : start + batch] for x in inputs]
        rows = len(part[0])
        part = [np.concatenate([x, np.zeros((batch - rows, *x.shape[1:]), x.dtype)]) for x in part]
        parts.append([y[:rows] for y in engine.run(None, dict(zip(graph.inputs, part, strict=True)))])
    return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]


def reference(graph: Graph, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """What ONNX Runtime computes."""
    if graph.batch is None:
        return session(graph.proto).run(None, dict(zip(graph.inputs, inputs, strict=True)))
    if graph.batch <= 1024:
        return pieces(graph, inputs)
    return session(unbaked(graph)).run(None, dict(zip(graph.inputs, inputs, strict=True)))


def tamis(binary: Path, *arguments: str | Path) -> None:
    """One call of the command line."""
    done = subprocess.run([binary, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or f"exit {done.returncode}").splitlines()
        raise Refused(f"`tamis {' '.join(map(str, arguments[:2]))}`: {' '.join(line.strip() for line in lines)}")


def scores(binary: Path, graph: Graph, inputs: list[np.ndarray]) -> np.ndarray:
    """What Tamis computes: [events, scores]."""
    events = len(inputs[0])
    with tempfile.TemporaryDirectory(prefix="tamis-agreement-") as name:
        folder = Path(name)
        fields = [f'[[field]]\nname = "x{at}"\ndtype = "f32"\nlen = {math.prod(s)}\n' for at, s in enumerate(graph.shapes)]
        (folder / "schema.toml").write_text('name = "agreement"\n' + "\n".join(fields))
        np.save(folder / "x.npy", np.concatenate([x.reshape(events, -1) for x in inputs], axis=1).astype("<f4"))
        schema = ("--schema", folder / "schema.toml")
        tamis(binary, "convert", folder / "x.npy", *schema, "--out", folder / "events.tmf")
        tamis(binary, "model", "import", graph.path, *schema, "--out", folder / "bundle")
        tamis(binary, "score", "--model", folder / "bundle", folder / "events.tmf", "--out", folder / "scores.npy")
        found = np.load(folder / "scores.npy")
    if found.ndim != 2 or len(found) != events:
        raise Refused(f"scores.npy has shape {found.shape} for {events} events")
    return found


def split(graph: Graph, found: np.ndarray, wanted: list[np.ndarray]) -> list[np.ndarray]:
    """The columns of each output."""
    widths = [value.size // len(value) for value in wanted]
    if sum(widths) != found.shape[1]:
        raise Refused(f"{found.shape[1]} scores per event; the outputs have {widths}")
    return np.split(found, np.cumsum(widths)[:-1], axis=1)


def distance(found: np.ndarray, wanted: np.ndarray) -> float:
    """Largest |found - wanted| / max(1, |wanted|); equal if both are not a number or the same infinity."""
    wanted = wanted.reshape(len(wanted), -1).astype(np.float64)
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted)))
    return float(np.nan_to_num(apart, nan=math.inf, posinf=math.inf).max(initial=0.0))


def compare(graph: Graph, found: list[np.ndarray], wanted: dict[int, np.ndarray]) -> tuple[float, int]:
    """Largest difference of the numbers, count of other labels."""
    apart, others = 0.0, 0
    for at, values in wanted.items():
        if graph.labels[at]:
            others += int((found[at] != values.reshape(len(values), -1)).any(axis=1).sum())
        else:
            apart = max(apart, distance(found[at], values))
    return apart, others


def examine(path: Path, options: argparse.Namespace) -> Row:
    """One file, from random numbers to the verdict."""
    row = Row(path.name, "?")
    try:
        graph = read(path)
        row.operators = " ".join(sorted({node.op_type for node in graph.proto.graph.node}))
        inputs, row.events = random_inputs(graph, options.events, options.seed), options.events
        beside, known = stored(graph)
        if beside:
            inputs = [np.concatenate([x, y.astype(np.float32)]) for x, y in zip(inputs, beside, strict=True)]
        wanted = reference(graph, inputs)
        row.outputs = " ".join(str(list(value.shape[1:])) + "i" * label for value, label in zip(wanted, graph.labels))
        found = split(graph, scores(options.tamis, graph, inputs), wanted)
        row.apart, row.labels = compare(graph, found, dict(enumerate(wanted)))
        agree = row.apart <= GATE and row.labels == 0
        if known:
            apart, labels = compare(graph, [y[options.events :] for y in found], known)
            row.stored = f"{len(beside[0])}: {apart:.1e}" + (f", {labels} other labels" if labels else "")
            agree = agree and apart <= GATE and labels == 0
        row.verdict = "agrees" if agree else "DIFFERS"
    except Exception as error:  # noqa: BLE001  (one file must not hide the others)
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        row.verdict = f"FAILED: {first}".replace("|", "/")
    return row


def table(rows: list[Row]) -> str:
    """A markdown table."""
    cells = [HEADING, *(row.fields() for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(HEADING))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def main() -> int:
    """All files of all folders; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="folder of .onnx files, or one file")
    parser.add_argument("--tamis", type=Path, required=True, help="the binary, built with --release")
    parser.add_argument("--events", type=int, default=10_000, help="random events per file (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the random events (default: %(default)s)")
    options = parser.parse_args()
    options.tamis = options.tamis.resolve()
    files = [path for folder in options.folders for path in (sorted(folder.glob("*.onnx")) if folder.is_dir() else [folder])]
    if not files:
        print("onnx_agreement: no .onnx file in the folders", file=sys.stderr)
        return 1
    rows = [examine(path, options) for path in files]
    good = sum(row.verdict == "agrees" for row in rows)
    print(table(rows))
    print(f"\n{good} of {len(rows)} agree: differences |a - b| / max(1, |b|) are at most {GATE:.0e}, every label is the same.")
    print(f"b is ONNX Runtime {onnxruntime.__version__}; outputs are shapes per event, i marks integers.")
    return 0 if good == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
