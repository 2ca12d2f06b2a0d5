"""Small dense networks as bundles (crates/model/BUNDLE.md), written and computed here."""

from __future__ import annotations

import hashlib
import json
import random
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from frames import Field, Schema
from schemas import asked


def physical(field: Field, raw: np.ndarray) -> np.ndarray:
    return raw.astype(np.float64) * field.scale + field.offset


TOLERANCE = 1e-4
"""Scores are f32 and lie between 0 and 1; engines add in orders of their own."""


@dataclass(frozen=True)
class Input:
    """A field that goes in, whole. Clipped, so that no number is large."""

    field: Field
    shift: float
    scale: float

    def toml(self) -> str:
        return f'[[input]]\nfield = "{self.field.name}"\nshift = {self.shift!r}\nscale = {self.scale!r}\nclip = [-4.0, 4.0]\n'

    def values(self, events: np.ndarray) -> np.ndarray:
        """Physical values, one row per event."""
        return physical(self.field, events[self.field.name]).reshape(len(events), max(self.field.length, 1))

    def numbers(self, events: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.clip((self.values(events) - self.shift) * self.scale, -4.0, 4.0)


class Model:
    """`dense`: tanh between the layers, sigmoid after the last."""

    def __init__(self, name: str, outputs: list[str], rng: random.Random, schema: Schema, events: np.ndarray):
        np_rng = np.random.default_rng(rng.getrandbits(64))
        self.name, self.outputs = name, outputs
        inputs = [f for f in schema.fields if asked(f) and not f.is_list]
        floats = [f for f in inputs if f.dtype.startswith("f")]
        among = floats if floats and rng.random() < 0.5 else inputs
        fields = rng.sample(among, rng.randint(1, min(4, len(among))))
        self.inputs = [Input(f, round(rng.uniform(-5, 60), 3), rng.choice([0.01, 0.1, 1.0])) for f in fields]
        width = sum(max(f.length, 1) for f in fields)
        self.widths = [width, *(rng.choice([3, 8, 17]) for _ in range(rng.randint(0, 2))), len(self.outputs)]
        pairs = list(zip(self.widths, self.widths[1:]))
        self.layers = [(np_rng.normal(0, 0.6, (b, a)).astype("<f4"), np_rng.normal(0, 0.3, b).astype("<f4")) for a, b in pairs]
        with np.errstate(over="ignore"):
            values = np.concatenate([i.values(events) for i in self.inputs], axis=1).astype(np.float32)
        whole = events[np.isfinite(values).all(axis=1)][:32]
        self.golden = whole if len(whole) else np.zeros(1, schema.rows)

    def finite(self, events: np.ndarray) -> np.ndarray:
        """The events that have scores."""
        return np.isfinite(self.numbers(events)).all(axis=1)

    def numbers(self, events: np.ndarray) -> np.ndarray:
        """What goes into the network."""
        return np.concatenate([i.numbers(events) for i in self.inputs], axis=1)

    def scores(self, events: np.ndarray) -> np.ndarray:
        x = self.numbers(events)
        with np.errstate(all="ignore"):
            for weight, bias in self.layers[:-1]:
                x = np.tanh(x @ weight.T.astype(np.float64) + bias)
            weight, bias = self.layers[-1]
            return 1.0 / (1.0 + np.exp(-(x @ weight.T.astype(np.float64) + bias)))

    @cached_property
    def files(self) -> dict[str, bytes]:
        """The bundle: manifest, weights, golden vectors, in this order."""
        weights = {f"layers.{k}.{part}": t for k, layer in enumerate(self.layers) for part, t in zip(("weight", "bias"), layer)}
        golden = {"inputs": self.golden_values(), "scores": self.scores(self.golden)}
        tensors = {"weights": safetensors(weights), "golden": safetensors(golden)}
        manifest = self.manifest({name: hashlib.sha256(data).hexdigest() for name, data in tensors.items()})
        return {"model.toml": manifest.encode()} | {f"{name}.safetensors": data for name, data in tensors.items()}

    def golden_values(self) -> np.ndarray:
        return np.concatenate([i.values(self.golden) for i in self.inputs], axis=1)

    @cached_property
    def hash(self) -> bytes:
        return hashlib.sha256(b"".join(struct.pack("<Q", len(data)) + data for data in self.files.values())).digest()

    def write(self, folder: Path) -> None:
        folder.mkdir()
        for name, data in self.files.items():
            (folder / name).write_bytes(data)

    def manifest(self, sums: dict[str, str]) -> str:
        head = f"""\
format = 1
name = "{self.name}"
version = "1"
architecture = "dense"
layers = {self.widths}
activation = "tanh"
output_activation = "sigmoid"
outputs = {json.dumps(self.outputs)}
"""
        files = [f'[{name}]\nfile = "{name}.safetensors"\nsha256 = "{total}"\n' for name, total in sums.items()]
        return "\n".join([head, *(i.toml() for i in self.inputs), *files]) + f"tolerance = {TOLERANCE}\n"


class Choices:
    """A model of a menu: its bundle, and the fallbacks of it."""

    def __init__(self, name: str, rng: random.Random, schema: Schema, events: np.ndarray):
        self.name = name
        outputs = [f"s{k}" for k in range(rng.randint(1, 3))]
        count = rng.choice([1, 1, 1, 2, 3])
        self.bundles = [Model(f"{name}_{k}", outputs, rng, schema, events) for k in range(count)]
        self.scores = [f"{name}.{output}" for output in outputs]

    def at(self, rung: int) -> Model:
        return self.bundles[min(rung, len(self.bundles) - 1)]

    def toml(self) -> str:
        first, *others = [bundle.name for bundle in self.bundles]
        return f'[[model]]\nname = "{self.name}"\nbundle = "{first}"\n' + (f"fallback = {others}\n" if others else "")


def safetensors(tensors: dict[str, np.ndarray]) -> bytes:
    header, body = {}, b""
    for name, tensor in tensors.items():
        data = tensor.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body
