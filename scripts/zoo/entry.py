"""What a model of the zoo is, and how it becomes files."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import save_file

FILE_MAX = 50_000
"""Bytes of the largest file that may be committed."""

ROWS = 64
ROW_NUMBERS_MAX = 4_096
"""At most this many numbers of input: wide models have fewer rows."""


@dataclass
class Model:
    """One graph with inputs, and what the framework that made it says about them."""

    name: str
    doc: str
    proto: onnx.ModelProto
    inputs: list[np.ndarray]
    expected: list[np.ndarray | None] = field(default_factory=list)
    """Outputs of the framework itself, by position; None where it has none to compare."""
    tolerance: float = 1e-4
    pieces: bool = False
    """The batch is baked in: ONNX Runtime gets one row at a time."""


@dataclass
class Refused:
    """A graph that an import must refuse, and what the refusal must name."""

    name: str
    doc: str
    proto: onnx.ModelProto


def rows(shape: tuple[int, ...]) -> int:
    """How many rows of this shape go into a file."""
    return max(8, min(ROWS, ROW_NUMBERS_MAX // int(np.prod(shape))))


def normal(seed: int, *shape: int) -> np.ndarray:
    """Seeded standard normal numbers: as many rows of this shape as a file holds."""
    return np.random.default_rng(seed).standard_normal((rows(shape), *shape), dtype=np.float32)


def strip(proto: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """Take out what depends on machine and moment: source lines and paths of the exporter's code, random graph names."""

    def clean(graph: onnx.GraphProto) -> None:
        del graph.metadata_props[:]
        graph.doc_string = ""
        for part in [*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]:
            del part.metadata_props[:]
            part.doc_string = ""
        for node in graph.node:
            for attribute in node.attribute:
                attribute.doc_string = ""
                if attribute.type == onnx.AttributeProto.GRAPH:
                    clean(attribute.g)

    clean(proto.graph)
    proto.graph.name = name
    proto.opset_import.sort(key=lambda opset: opset.domain)
    del proto.metadata_props[:]
    for function in proto.functions:
        del function.metadata_props[:]
        for node in function.node:
            del node.metadata_props[:]
            node.doc_string = ""
    proto.doc_string = ""
    return proto


def run(proto: onnx.ModelProto, inputs: list[np.ndarray], pieces: bool = False) -> list[np.ndarray]:
    """What ONNX Runtime makes of the inputs, one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    if not pieces:
        return session.run(None, dict(zip(names, inputs, strict=True)))
    one_by_one = [
        session.run(None, {name: value[row : row + 1] for name, value in zip(names, inputs, strict=True)})
        for row in range(len(inputs[0]))
    ]
    return [np.concatenate(outputs) for outputs in zip(*one_by_one, strict=True)]


def difference(found: np.ndarray, wanted: np.ndarray) -> float:
    """Largest |found - wanted| / max(1, |wanted|)."""
    wanted = np.asarray(wanted, dtype=np.float64).reshape(found.shape)
    return float(np.max(np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted))))


def save_tensors(path: Path, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> None:
    """Write `input.K` and `output.K`: float32 or int64, row for row."""
    tensors = {f"input.{at}": value for at, value in enumerate(inputs)}
    tensors |= {f"output.{at}": value for at, value in enumerate(outputs)}
    for name, value in tensors.items():
        if value.dtype not in (np.float32, np.int64):
            raise ValueError(f"{path.name}: {name} is {value.dtype}")
        if name.startswith("output") and not np.isfinite(value).all():
            raise ValueError(f"{path.name}: {name} is not finite")
        if len(value) != len(inputs[0]):
            raise ValueError(f"{path.name}: {name} has {len(value)} rows, not {len(inputs[0])}")
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, path)


def save(model: Model, folder: Path) -> None:
    """Write the graph and its vectors, after a comparison with the framework."""
    proto = strip(model.proto, model.name)
    onnx.checker.check_model(proto)
    outputs = run(proto, model.inputs, model.pieces)
    for at, (found, wanted) in enumerate(zip(outputs, model.expected)):
        if wanted is not None and (apart := difference(found, wanted)) > model.tolerance:
            raise ValueError(f"{model.name}: output {at} is {apart:.1e} away from the framework")
    (folder / f"{model.name}.onnx").write_bytes(proto.SerializeToString(deterministic=True))
    save_tensors(folder / f"{model.name}.safetensors", model.inputs, outputs)
