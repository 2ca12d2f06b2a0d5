"""Random schemas, and records of events that fit them."""

from __future__ import annotations

import random

import numpy as np

from frames import Field, Schema

CONDITIONS_ON_LISTS = True
"""Lines and models read lists. Off until menus can; so are the two others."""
CONDITIONS_ON_64_BITS = True
CONDITIONS_ON_PAYLOADS = True

SCALES = [1.0, 1.0, 0.5, 0.25, 2.0, -0.5, 0.1, 0.01, 0.0435, 1e-3, -0.3]
OFFSETS = [0.0, 0.0, 0.0, 1.0, -7.5, 0.1, 100.0]
WORDS = ["pt", "eta", "phi", "q", "met", "time", "adc", "tot"]
NARROW = ["u8", "i8", "u16", "i16", "i16", "u32", "i32", "f16", "f32"]
WIDE = ["u64", "i64", "f64"]


def draw_schema(rng: random.Random, everything: bool = False) -> Schema:
    """With `everything` it has payloads, and a list whose count may be too high."""
    fields = []
    for k in range(rng.choice([1, 2, 3, 5, 8, 20])):
        dtype = rng.choice(NARROW)
        length = rng.choice([0, 0, 1, 2, 4, 10])
        fields.append(draw_field(rng, f"c{k}.{rng.choice(WORDS)}", dtype, length))
    for k in range(rng.choice([0, 0, 1, 2])):
        fields.append(draw_field(rng, f"w{k}.{rng.choice(WORDS)}", rng.choice(WIDE), rng.choice([0, 0, 3])))
    for k in range(rng.choice([0, 1, 2])):
        fields += draw_list(rng, f"l{k}", rng.choice([1, 2, 3, 12, 12, 255, 256]))
    fields += draw_list(rng, "all", 12) if everything else []
    rng.shuffle(fields)
    return Schema.of(f"oracle-{rng.randrange(1000)}", fields, everything or rng.random() < 0.5)


def draw_field(rng: random.Random, name: str, dtype: str, length: int, is_list: bool = False) -> Field:
    plain = dtype.startswith("f") and rng.random() < 0.7
    scale, offset = (1.0, 0.0) if plain else (rng.choice(SCALES), rng.choice(OFFSETS))
    return Field(name, dtype, length, scale, offset, is_list)


def draw_list(rng: random.Random, name: str, most: int) -> list[Field]:
    """One of one field without a dot, or one of several, which may lie anywhere in a record."""
    words = rng.sample(WORDS, rng.choice([1, 2, 3]))
    names = [name] if rng.random() < 0.3 else [f"{name}.{word}" for word in words]
    return [draw_field(rng, each, rng.choice(NARROW + WIDE), most, True) for each in names]


def asked(field: Field) -> bool:
    """May a line or a model read it?"""
    return (CONDITIONS_ON_LISTS or not field.is_list) and (CONDITIONS_ON_64_BITS or field.dtype not in WIDE)


def draw_events(rng: random.Random, schema: Schema, n: int, odd: bool) -> np.ndarray:
    """`n` records. Small numbers and the edges of each type occur often, so that equality happens; `odd` allows NaN and infinities."""
    np_rng = np.random.default_rng(rng.getrandbits(64))
    events = np.zeros(n, schema.dtype)
    for field in schema.fields:
        events[field.name] = draw_column(np_rng, events.dtype[field.name].base, events[field.name].shape, odd)
    for name, fields in schema.lists.items():
        most = fields[0].length
        counts = np.where(np_rng.random(n) < 0.3, np_rng.choice([0, most], n), np_rng.integers(0, most, n, endpoint=True))
        events[name] = counts
        behind = np.arange(most) >= counts[:, None]
        for field in fields:
            events[field.name][behind] = 0
    return events


def draw_column(rng: np.random.Generator, dtype: np.dtype, shape: tuple[int, ...], odd: bool) -> np.ndarray:
    if dtype.kind == "f":
        column = np.round(rng.exponential(30.0, shape), rng.integers(0, 4)) * rng.choice([1.0, 1.0, -1.0], shape)
        if odd:
            special = np.array([np.nan, np.nan, np.nan, np.inf, -np.inf, -0.0, np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal])
            column = np.where(rng.random(shape) < 0.1, rng.choice(special, shape), column)
        return column.astype(dtype)
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    # Two neighbours that no f64 tells apart.
    edges = [low, high, 0] + [2**53, 2**53 + 1, high - 1] * (dtype.itemsize == 8)
    small = rng.integers(max(low, -20), min(high, 100), shape, endpoint=True).astype(dtype)
    large = rng.integers(low, high, shape, dtype.newbyteorder("="), endpoint=True).astype(dtype)
    edge = rng.choice(np.array(edges, dtype), shape)
    which = rng.random(shape)
    return np.where(which < 0.7, small, np.where(which < 0.95, large, edge)).astype(dtype)
