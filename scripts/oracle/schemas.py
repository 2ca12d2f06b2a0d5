"""Random schemas, and records of events that fit them."""

from __future__ import annotations

import random

import numpy as np

from frames import Field, Schema

SCALES = [1.0, 1.0, 0.5, 0.25, 2.0, -0.5, 0.1, 0.01, 0.0435, 1e-3, -0.3]
OFFSETS = [0.0, 0.0, 0.0, 1.0, -7.5, 0.1, 100.0]
WORDS = ["pt", "eta", "phi", "q", "met", "time", "adc", "tot"]


def draw_schema(rng: random.Random) -> Schema:
    fields = []
    for k in range(rng.choice([1, 2, 3, 5, 8, 20])):
        dtype = rng.choice(["u8", "i8", "u16", "i16", "i16", "u32", "i32", "f16", "f32"])
        length = rng.choice([0, 0, 1, 2, 4, 10])
        plain = dtype.startswith("f") and rng.random() < 0.7
        scale, offset = (1.0, 0.0) if plain else (rng.choice(SCALES), rng.choice(OFFSETS))
        fields.append(Field(f"c{k}.{rng.choice(WORDS)}", dtype, length, scale, offset))
    return Schema.of(f"oracle-{rng.randrange(1000)}", fields)


def draw_events(rng: random.Random, schema: Schema, n: int, odd: bool) -> np.ndarray:
    """`n` records. Small numbers and the edges of each type occur often, so that equality happens; `odd` allows NaN and infinities."""
    np_rng = np.random.default_rng(rng.getrandbits(64))
    events = np.zeros(n, schema.dtype)
    for field in schema.fields:
        events[field.name] = draw_column(np_rng, events.dtype[field.name].base, events[field.name].shape, odd)
    return events


def draw_column(rng: np.random.Generator, dtype: np.dtype, shape: tuple[int, ...], odd: bool) -> np.ndarray:
    if dtype.kind == "f":
        column = np.round(rng.exponential(30.0, shape), rng.integers(0, 4)) * rng.choice([1.0, 1.0, -1.0], shape)
        if odd:
            special = np.array([np.nan, np.nan, np.nan, np.inf, -np.inf, -0.0, np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal])
            column = np.where(rng.random(shape) < 0.1, rng.choice(special, shape), column)
        return column.astype(dtype)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    small = rng.integers(max(low, -20), min(high, 100), shape, endpoint=True)
    large = rng.integers(low, high, shape, endpoint=True)
    edge = rng.choice(np.array([low, high, 0]), shape)
    which = rng.random(shape)
    return np.where(which < 0.7, small, np.where(which < 0.95, large, edge)).astype(dtype)
