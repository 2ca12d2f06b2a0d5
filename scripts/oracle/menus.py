"""Menus: lines with conditions, prescales by hash (SPEC.md section 6), streams."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from conditions import Author, Expression, Rows
from decimals import Truth
from frames import Schema, short_hash
from models import Choices, Model

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

    def passed(self, run: int, ids: np.ndarray, truth: Truth | None) -> np.ndarray:
        """`truth` is that of the condition, if there is one."""
        if self.kind == "random":
            return drawn(f"{self.name}#random", self.every, run, ids)
        return np.ones(len(ids), bool) if truth is None else truth.holds

    def kept(self, run: int, ids: np.ndarray, passed: np.ndarray) -> np.ndarray:
        return passed & drawn(self.name, self.prescale, run, ids)


@dataclass(frozen=True)
class Fallback:
    """What becomes of events that no model could score."""

    pass_through: int
    streams: list[str]

    def toml(self) -> str:
        return f"[fallback]\npass_through = {self.pass_through}\nstreams = {self.streams}\n"

    def kept(self, run: int, ids: np.ndarray) -> np.ndarray:
        return drawn("#fallback", self.pass_through, run, ids)


class Menu:
    def __init__(self, lines: list[Line], streams: list[str], rng: random.Random, models: list[Choices], fallback: Fallback | None):
        self.lines, self.streams, self.models, self.fallback = lines, streams, models, fallback
        parts = [f'name = "oracle"\nrate = "{rng.randint(1, 40)}MHz"\n']
        tables = [m.toml() for m in models]
        tables += [f'[[stream]]\nname = "{s}"\n' for s in streams] + [line.toml(rng) for line in lines]
        self.text = "\n".join(parts + tables + ([fallback.toml()] if fallback else [])).encode()
        self.hash = short_hash(self.text)
        self.bundles = [bundle for m in models for bundle in m.bundles]
        self.model_hash = short_hash(b"".join(bundle.hash for bundle in self.bundles)) if models else 0

    @property
    def rungs(self) -> list[list[Model]]:
        """The models of every rung that has any; without models one that has none."""
        return [[m.at(k) for m in self.models] for k in range(max([len(m.bundles) for m in self.models], default=1))]

    def score(self, rung: list[Model], events: np.ndarray) -> dict[str, np.ndarray]:
        """The scores of a rung by their names, in the order of records."""
        return {name: column for m, model in zip(self.models, rung) for name, column in zip(m.scores, model.scores(events).T)}

    def not_a_number(self, events: np.ndarray) -> np.ndarray:
        """The events in which a float that any line names is a NaN."""
        found = np.zeros(len(events), bool)
        for name, at in frozenset().union(*(line.when.reads for line in self.lines if line.when)):
            column = events[name] if at is None else events[name][:, at]
            if column.dtype.kind == "f":
                found |= np.isnan(column)
        return found


def draw(rng: random.Random, schema: Schema, events: np.ndarray, witness: str | None = None) -> Menu:
    """A menu of 1 to 12 lines, now and then of more than one word of line bits. `events` are those that it will decide.

    With a stream as `witness` every event that is decided has a record in it, or in the error stream.
    """
    streams = [f"s{i}" for i in range(rng.randint(1, 4))]
    models = [Choices(f"m{k}", rng, schema, events) for k in range(rng.choice([0, 0, 0, 1, 2]))]
    scores = {name: [b.scores(events)[:, k] for b in m.bundles] for m in models for k, name in enumerate(m.scores)}
    rows = Rows(events, {name: columns[0] for name, columns in scores.items()})
    author = Author(rng, schema, rows, {name: np.concatenate(columns) for name, columns in scores.items()})
    count = rng.choice([1, 2, 3, 5, 8, 12]) if rng.random() < 0.92 else rng.choice([64, 65, 130])
    lines = []
    for k in range(count):
        kind = rng.choices(["cut", "random", "pass-through"], [8, 1, 1])[0]
        when = author.condition(rng.choice([0, 0, 1, 2, 3])) if kind == "cut" else None
        prescale = 1 if rng.random() < 0.6 else rng.choice([2, 3, 7, 100, 10**6, 2**62])
        lines.append(Line(f"line-{k}", kind, prescale, some_of(rng, streams), when, rng.choice([1, 2, 5, 50])))
    fallback = Fallback(rng.choice([1, 2, 10]), some_of(rng, streams)) if models and rng.random() < 0.3 else None
    if witness:
        streams.append(witness)
        lines.append(Line(witness, "pass-through", 1, [witness]))
        fallback = fallback and Fallback(1, [*fallback.streams, witness])
    return Menu(lines, streams, rng, models, fallback)


def some_of(rng: random.Random, streams: list[str]) -> list[str]:
    return rng.sample(streams, rng.randint(1, len(streams)))
