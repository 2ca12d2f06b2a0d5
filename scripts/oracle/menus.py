"""Menus: lines with conditions, prescales by hash (SPEC.md section 6), streams."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from conditions import Author, Expression
from frames import Schema, short_hash

GOLDEN = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1


def fnv1a64(name: str) -> int:
    total = 0xCBF29CE484222325
    for byte in name.encode():
        total = (total ^ byte) * 0x100000001B3 & MASK
    return total


def drawn(name: str, n: int, run: int, ids: np.ndarray) -> np.ndarray:
    """Which events a prescale of `n` keeps for the line of this name."""
    seed = np.uint64(fnv1a64(name) ^ (run * GOLDEN & MASK))
    z = seed + (ids + np.uint64(1)) * np.uint64(GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) <= np.uint64(MASK // n)


@dataclass(frozen=True)
class Line:
    name: str
    kind: str
    prescale: int
    streams: list[str]
    when: Expression | None = None
    every: int = 1

    def toml(self, rng: random.Random) -> str:
        keys = [f'name = "{self.name}"', f"streams = {self.streams}"]
        if self.kind != "cut" or rng.random() < 0.2:
            keys.append(f'kind = "{self.kind}"')
        if self.prescale > 1 or rng.random() < 0.2:
            keys.append(f"prescale = {self.prescale}")
        if self.when:
            keys.append(f'when = "{self.when.text}"')
        if self.kind == "random":
            keys.append(f"every = {self.every}")
        rng.shuffle(keys)
        return "[[line]]\n" + "\n".join(keys) + "\n"

    @property
    def condition(self) -> str:
        return self.when.text if self.when else f"{self.kind}, every {self.every}"

    def passed(self, run: int, ids: np.ndarray, events: np.ndarray) -> np.ndarray:
        if self.kind == "random":
            return drawn(f"{self.name}#random", self.every, run, ids)
        return np.ones(len(ids), bool) if self.when is None else self.when.value(events)

    def kept(self, run: int, ids: np.ndarray, passed: np.ndarray) -> np.ndarray:
        return passed & drawn(self.name, self.prescale, run, ids)


class Menu:
    def __init__(self, lines: list[Line], streams: list[str], rng: random.Random):
        self.lines, self.streams = lines, streams
        parts = [f'name = "oracle"\nrate = "{rng.randint(1, 40)}MHz"\n']
        tables = [f'[[stream]]\nname = "{s}"\n' for s in streams] + [line.toml(rng) for line in lines]
        self.text = "\n".join(parts + tables).encode()
        self.hash = short_hash(self.text)

    @property
    def reads(self) -> frozenset[tuple[str, int | None]]:
        """The elements of fields that any line reads."""
        return frozenset().union(*(line.when.reads for line in self.lines if line.when))


def draw(rng: random.Random, schema: Schema, events: np.ndarray) -> Menu:
    """A menu of 1 to 12 lines, now and then of more than one word of line bits."""
    streams = [f"s{i}" for i in range(rng.randint(1, 4))]
    author = Author(rng, schema, events)
    count = rng.choice([1, 2, 3, 5, 8, 12]) if rng.random() < 0.92 else rng.choice([64, 65, 130])
    lines = []
    for k in range(count):
        kind = rng.choices(["cut", "random", "pass-through"], [8, 1, 1])[0]
        when = author.condition(rng.choice([0, 0, 1, 2, 3])) if kind == "cut" else None
        prescale = 1 if rng.random() < 0.6 else rng.choice([2, 3, 7, 100, 10**6, 2**62])
        into = rng.sample(streams, rng.randint(1, len(streams)))
        lines.append(Line(f"line-{k}", kind, prescale, into, when, rng.choice([1, 2, 5, 50])))
    return Menu(lines, streams, rng)
