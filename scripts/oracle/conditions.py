"""Conditions of lines: random ones, as text and as what they mean.

Numbers are f64: raw * scale + offset, in this order, each step rounded. Comparisons are those of IEEE 754; `min` and `max` ignore a NaN
beside a number; sums go from left to right.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from frames import Field, Schema

OR, AND, COMPARE, SUM, PRODUCT, UNARY, PRIMARY = range(7)
COMPARISONS = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal,
}  # fmt: skip
ARITHMETIC = {"+": (SUM, np.add), "-": (SUM, np.subtract), "*": (PRODUCT, np.multiply), "/": (PRODUCT, np.divide)}


@dataclass(frozen=True)
class Expression:
    """`value(events)` has one row per event; `width` 0 is one number or truth value per row, else an array of so many."""

    text: str
    level: int
    width: int
    value: Callable[[np.ndarray], np.ndarray]
    reads: frozenset[tuple[str, int | None]] = frozenset()

    def at(self, level: int) -> str:
        """The text as an operand of something that binds this tightly."""
        return self.text if self.level >= level else f"({self.text})"


def physical(field: Field, raw: np.ndarray) -> np.ndarray:
    return raw.astype(np.float64) * field.scale + field.offset


def at_least(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(b), a, np.where(a > b, a, b))


def at_most(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(b), a, np.where(a < b, a, b))


def from_left(function: Callable, columns: list[np.ndarray]) -> np.ndarray:
    total = columns[0]
    for column in columns[1:]:
        total = function(total, column)
    return total


def aligned(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One number per event beside an array per event."""
    if a.ndim < b.ndim:
        return a[:, None], b
    return (a, b[:, None]) if b.ndim < a.ndim else (a, b)


class Author:
    """Writes conditions on the fields of a schema. `sample` are physical values that occur, so that cuts lie among them."""

    def __init__(self, rng: random.Random, schema: Schema, events: np.ndarray):
        self.rng, self.schema = rng, schema
        self.fields = [f for f in schema.fields]
        self.arrays = [f for f in schema.fields if f.length]
        self.events = events

    def condition(self, depth: int) -> Expression:
        """One truth value per event."""
        kind = self.rng.random()
        if depth and kind < 0.35:
            return self.logic(self.rng.choice(["&&", "||"]), self.condition(depth - 1), self.condition(depth - 1))
        if depth and kind < 0.45:
            return self.negation(self.condition(depth - 1))
        if kind < 0.75 or not depth:
            return self.cut()
        return self.comparison(self.number(depth - 1), self.number(depth - 1))

    def cut(self) -> Expression:
        """An element against a literal: what menus are made of."""
        element = self.element()
        literal = self.literal(element)
        flipped = self.rng.random() < 0.2
        return self.comparison(literal, element) if flipped else self.comparison(element, literal)

    def comparison(self, a: Expression, b: Expression) -> Expression:
        sign = self.rng.choice(list(COMPARISONS))
        return self.binary(f" {sign} ", COMPARE, COMPARISONS[sign], a, b, associative=False)

    def logic(self, sign: str, a: Expression, b: Expression) -> Expression:
        level, function = (AND, np.logical_and) if sign == "&&" else (OR, np.logical_or)
        return self.binary(f" {sign} ", level, function, a, b)

    @staticmethod
    def negation(a: Expression) -> Expression:
        return Expression(f"!{a.at(UNARY)}", UNARY, a.width, lambda events: ~a.value(events), a.reads)

    @staticmethod
    def binary(sign: str, level: int, function: Callable, a: Expression, b: Expression, associative: bool = True) -> Expression:
        def value(events: np.ndarray) -> np.ndarray:
            with np.errstate(all="ignore"):
                return function(*aligned(a.value(events), b.value(events)))

        text = a.at(level if associative else level + 1) + sign + b.at(level + 1)
        return Expression(text, level, max(a.width, b.width), value, a.reads | b.reads)

    def number(self, depth: int) -> Expression:
        """One number per event."""
        kind = self.rng.random()
        if not depth or kind < 0.25:
            return self.element()
        if kind < 0.35:
            return self.constant()
        if kind < 0.6:
            sign = self.rng.choice(list(ARITHMETIC))
            return self.binary(f" {sign} ", *ARITHMETIC[sign], self.number(depth - 1), self.number(depth - 1))
        if kind < 0.7:
            return self.prefix(self.number(depth - 1), self.rng.choice(["-", "abs"]))
        if kind < 0.8:
            return self.extreme([self.number(depth - 1) for _ in range(self.rng.randint(2, 3))])
        return self.reduction(depth) if self.arrays else self.element()

    def array(self, depth: int, width: int) -> Expression:
        """An array of numbers per event."""
        kind = self.rng.random()
        if not depth or kind < 0.5:
            return self.whole(self.rng.choice([f for f in self.arrays if f.length == width]))
        if kind < 0.65:
            return self.prefix(self.array(depth - 1, width), self.rng.choice(["-", "abs"]))
        other = self.array(depth - 1, width) if kind < 0.8 else self.number(0)
        sign = self.rng.choice(list(ARITHMETIC))
        return self.binary(f" {sign} ", *ARITHMETIC[sign], self.array(depth - 1, width), other)

    def truths(self, depth: int, width: int) -> Expression:
        """An array of truth values per event."""
        if depth and self.rng.random() < 0.4:
            other = self.truths(depth - 1, width) if self.rng.random() < 0.8 else self.condition(0)
            return self.logic(self.rng.choice(["&&", "||"]), self.truths(depth - 1, width), other)
        array = self.array(depth, width)
        return self.comparison(array, self.literal(array))

    def reduction(self, depth: int) -> Expression:
        width = self.rng.choice(self.arrays).length
        name = self.rng.choice(["sum", "min", "max", "count", "count"])
        inner = self.truths(depth - 1, width) if name == "count" else self.array(depth - 1, width)
        function = {"sum": np.add, "count": np.add, "min": at_most, "max": at_least}[name]

        def value(events: np.ndarray) -> np.ndarray:
            columns = inner.value(events).astype(np.float64)
            with np.errstate(all="ignore"):
                return from_left(function, [columns[:, i] for i in range(width)])

        return Expression(f"{name}({inner.text})", PRIMARY, 0, value, inner.reads)

    def extreme(self, numbers: list[Expression]) -> Expression:
        name = self.rng.choice(["min", "max"])
        function = at_most if name == "min" else at_least
        text = f"{name}({', '.join(n.text for n in numbers)})"
        reads = frozenset().union(*(n.reads for n in numbers))
        return Expression(text, PRIMARY, 0, lambda events: from_left(function, [n.value(events) for n in numbers]), reads)

    @staticmethod
    def prefix(a: Expression, name: str) -> Expression:
        if name == "abs":
            return Expression(f"abs({a.text})", PRIMARY, a.width, lambda events: np.abs(a.value(events)), a.reads)
        return Expression(f"-{a.at(UNARY)}", UNARY, a.width, lambda events: -a.value(events), a.reads)

    def element(self) -> Expression:
        field = self.rng.choice(self.fields)
        if not field.length:
            reads = frozenset({(field.name, None)})
            return Expression(field.name, PRIMARY, 0, lambda events: physical(field, events[field.name]), reads)
        at = self.rng.randrange(field.length)
        reads = frozenset({(field.name, at)})
        return Expression(f"{field.name}[{at}]", PRIMARY, 0, lambda events: physical(field, events[field.name][:, at]), reads)

    @staticmethod
    def whole(field: Field) -> Expression:
        reads = frozenset((field.name, at) for at in range(field.length))
        return Expression(field.name, PRIMARY, field.length, lambda events: physical(field, events[field.name]), reads)

    def constant(self, number: float | None = None) -> Expression:
        if number is None:
            number = self.rng.choice([0.0, 1.0, 2.0, 0.5, float(self.rng.randint(0, 300)), round(self.rng.uniform(0, 50), 2)])
        text = f"{abs(number):.17g}" if self.rng.random() < 0.3 else repr(abs(number))
        text = text.removesuffix(".0") if self.rng.random() < 0.5 else text
        sign, level = ("-", UNARY) if number < 0 else ("", PRIMARY)
        return Expression(sign + text, level, 0, lambda events: np.full(len(events), number))

    def literal(self, of: Expression) -> Expression:
        """A number at or near what `of` gives for some event."""
        values = of.value(self.events).ravel() if len(self.events) else np.zeros(1)
        values = values[np.isfinite(values)]
        number = float(self.rng.choice(values)) if len(values) else 1.0
        kind = self.rng.random()
        if kind < 0.2:
            number = float(np.round(number, self.rng.randint(0, 3)))
        elif kind < 0.4:
            number = float(np.nextafter(number, self.rng.choice([-np.inf, np.inf])))
        return self.constant(number)
