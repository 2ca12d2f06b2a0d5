"""Conditions of lines: random ones, as text and as what they mean."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

import decimals
from decimals import Column, Truth
from frames import PAYLOAD_LEN, Field, Schema
from schemas import CONDITIONS_ON_PAYLOADS, asked

OR, AND, COMPARE, SUM, PRODUCT, UNARY, PRIMARY = range(7)
SCORE_GAP = 2e-3
COMPARISONS = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal,
}  # fmt: skip
LEVELS = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT}


class Rows:
    """Events and their scores: what conditions are asked about. A column by the name of its field or score."""

    def __init__(self, events: np.ndarray, scores: dict[str, np.ndarray]):
        self.events, self.scores = events, scores

    def __len__(self) -> int:
        return len(self.events)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.scores[name] if name in self.scores else self.events[name]

    def only(self, which: np.ndarray) -> Rows:
        return Rows(self.events[which], {name: column[which] for name, column in self.scores.items()})


@dataclass(frozen=True)
class Expression:
    """`value(rows)` is a number or a truth per event; with a `width` above 0 an array of so many."""

    text: str
    level: int
    width: int
    value: Callable[[Rows], Column | Truth]
    reads: frozenset[tuple[str, int | None]] = frozenset()

    def at(self, level: int) -> str:
        """The text as an operand of something that binds this tightly."""
        return self.text if self.level >= level else f"({self.text})"


def number_of(field: Field, raw: np.ndarray) -> Column:
    of = decimals.of_floats if raw.dtype.kind == "f" else decimals.of_integers
    return of(raw, field.scale, field.offset)


def elements_of(field: Field, rows: Rows) -> Column:
    """All elements of an array, or those that the events have of a list."""
    column = number_of(field, rows[field.name])
    return replace(column, there=np.arange(field.length) < rows[field.count][:, None]) if field.is_list else column


REDUCTIONS = {
    "sum": decimals.total,
    "count": decimals.count,
    "min": lambda array: decimals.extreme("min", decimals.split(array)),
    "max": lambda array: decimals.extreme("max", decimals.split(array)),
}


class Author:
    """Writes conditions on the fields of a schema and on scores.

    `rows` are the events that will be decided, so that cuts lie among them; `scores` are all that any model gives to any of them.
    """

    def __init__(self, rng: random.Random, schema: Schema, rows: Rows, scores: dict[str, np.ndarray]):
        self.rng, self.rows, self.scores = rng, rows, scores
        self.fields = [f for f in schema.fields if asked(f)]
        self.arrays = [f for f in self.fields if f.length]
        self.has_payloads = schema.has_payloads and CONDITIONS_ON_PAYLOADS

    def condition(self, depth: int) -> Expression:
        """One truth value per event, of which the oracle is sure for all that will be decided."""
        while True:
            found = self.any_condition(depth)
            if not found.value(self.rows).doubt.any():
                return found

    def any_condition(self, depth: int) -> Expression:
        kind = self.rng.random()
        if depth and kind < 0.35:
            return self.logic(self.rng.choice(["&&", "||"]), self.condition(depth - 1), self.condition(depth - 1))
        if depth and kind < 0.45:
            return self.negation(self.condition(depth - 1))
        if kind < 0.75 or not depth:
            return self.cut()
        return self.comparison(self.number(depth - 1), self.number(depth - 1))

    def cut(self) -> Expression:
        """An element or a score against a literal: what menus are made of."""
        if self.scores and self.rng.random() < 0.5:
            return self.score_cut()
        element = self.element()
        literal = self.literal(element)
        flipped = self.rng.random() < 0.2
        return self.comparison(literal, element) if flipped else self.comparison(element, literal)

    def score_cut(self) -> Expression:
        """A score against a literal that is far from every score, because engines may differ in the last digits."""
        name = self.rng.choice(list(self.scores))
        scores = np.sort(self.scores[name][np.isfinite(self.scores[name])])
        edges = np.concatenate([[-0.1], scores, [1.1]])
        wide = np.flatnonzero(np.diff(edges) > SCORE_GAP)
        at = int(self.rng.choice(wide))
        cut = self.constant(float(np.round((edges[at] + edges[at + 1]) / 2, 6)))
        return self.comparison(Expression(name, PRIMARY, 0, lambda rows: decimals.of_scores(rows[name])), cut)

    def comparison(self, a: Expression, b: Expression) -> Expression:
        sign = self.rng.choice(list(COMPARISONS))
        function = COMPARISONS[sign]
        return self.binary(f" {sign} ", COMPARE, lambda x, y: decimals.compare(function, x, y), a, b, associative=False)

    def arithmetic(self, a: Expression, b: Expression) -> Expression:
        sign = self.rng.choice(list(LEVELS))
        # A menu that divides by a literal zero is refused.
        sign = "*" if sign == "/" and not b.text.strip("-0.") else sign
        return self.binary(f" {sign} ", LEVELS[sign], lambda x, y: decimals.arithmetic(sign, x, y), a, b)

    def logic(self, sign: str, a: Expression, b: Expression) -> Expression:
        level, function = (AND, decimals.both) if sign == "&&" else (OR, decimals.either)
        return self.binary(f" {sign} ", level, function, a, b)

    @staticmethod
    def negation(a: Expression) -> Expression:
        return Expression(f"!{a.at(UNARY)}", UNARY, a.width, lambda rows: decimals.neither(a.value(rows)), a.reads)

    @staticmethod
    def binary(sign: str, level: int, function: Callable, a: Expression, b: Expression, associative: bool = True) -> Expression:
        text = a.at(level if associative else level + 1) + sign + b.at(level + 1)
        return Expression(text, level, max(a.width, b.width), lambda rows: function(a.value(rows), b.value(rows)), a.reads | b.reads)

    def number(self, depth: int) -> Expression:
        """One number per event."""
        kind = self.rng.random()
        if not depth or kind < 0.25:
            return self.element()
        if kind < 0.35:
            return self.constant()
        if kind < 0.6:
            return self.arithmetic(self.number(depth - 1), self.number(depth - 1))
        if kind < 0.7:
            return self.prefix(self.number(depth - 1), self.rng.choice(["-", "abs"]))
        if kind < 0.8:
            return self.extreme([self.number(depth - 1) for _ in range(self.rng.randint(2, 3))])
        return self.reduction(depth) if self.arrays else self.element()

    def array(self, depth: int, like: Field) -> Expression:
        """An array of numbers per event."""
        kind = self.rng.random()
        if not depth or kind < 0.5:
            return self.whole(self.rng.choice([f for f in self.arrays if (f.length, f.list) == (like.length, like.list)]))
        if kind < 0.65:
            return self.prefix(self.array(depth - 1, like), self.rng.choice(["-", "abs"]))
        other = self.array(depth - 1, like) if kind < 0.8 else self.number(0)
        return self.arithmetic(self.array(depth - 1, like), other)

    def truths(self, depth: int, like: Field) -> Expression:
        """An array of truth values per event."""
        if depth and self.rng.random() < 0.4:
            other = self.truths(depth - 1, like) if self.rng.random() < 0.8 else self.condition(0)
            return self.logic(self.rng.choice(["&&", "||"]), self.truths(depth - 1, like), other)
        array = self.array(depth, like)
        return self.comparison(array, self.literal(array))

    def reduction(self, depth: int) -> Expression:
        like = self.rng.choice(self.arrays)
        if like.is_list and self.rng.random() < 0.2:
            return Expression(f"count({like.list})", PRIMARY, 0, lambda rows: decimals.of_integers(rows[like.count], 1.0, 0.0))
        name = self.rng.choice(["sum", "min", "max", "count", "count"])
        inner = self.truths(depth - 1, like) if name == "count" else self.array(depth - 1, like)
        value = REDUCTIONS[name]
        return Expression(f"{name}({inner.text})", PRIMARY, 0, lambda rows: value(inner.value(rows)), inner.reads)

    def extreme(self, numbers: list[Expression]) -> Expression:
        name = self.rng.choice(["min", "max"])
        text = f"{name}({', '.join(n.text for n in numbers)})"
        reads = frozenset().union(*(n.reads for n in numbers))
        return Expression(text, PRIMARY, 0, lambda rows: decimals.extreme(name, [n.value(rows) for n in numbers]), reads)

    @staticmethod
    def prefix(a: Expression, name: str) -> Expression:
        if name == "abs":
            return Expression(f"abs({a.text})", PRIMARY, a.width, lambda rows: a.value(rows).map(np.abs), a.reads)
        return Expression(f"-{a.at(UNARY)}", UNARY, a.width, lambda rows: a.value(rows).map(np.negative), a.reads)

    def element(self) -> Expression:
        """Of a list also one that the event does not have: its raw number is 0."""
        if self.has_payloads and self.rng.random() < 0.1:
            return Expression(PAYLOAD_LEN, PRIMARY, 0, lambda rows: decimals.of_integers(rows[PAYLOAD_LEN], 1.0, 0.0))
        field = self.rng.choice(self.fields)
        if not field.length:
            reads = frozenset({(field.name, None)})
            return Expression(field.name, PRIMARY, 0, lambda rows: number_of(field, rows[field.name]), reads)
        at = self.rng.randrange(field.length)
        reads = frozenset({(field.name, at)})
        return Expression(f"{field.name}[{at}]", PRIMARY, 0, lambda rows: number_of(field, rows[field.name][:, at]), reads)

    @staticmethod
    def whole(field: Field) -> Expression:
        reads = frozenset((field.name, at) for at in range(field.length))
        return Expression(field.name, PRIMARY, field.length, lambda rows: elements_of(field, rows), reads)

    def constant(self, number: float | None = None) -> Expression:
        if number is None:
            number = self.rng.choice([0.0, 1.0, 2.0, 0.5, float(self.rng.randint(0, 300)), round(self.rng.uniform(0, 50), 2)])
        text = f"{abs(number):.17g}" if self.rng.random() < 0.3 else repr(abs(number))
        return self.written(number < 0, text.removesuffix(".0") if self.rng.random() < 0.5 else text)

    @staticmethod
    def written(negative: bool, text: str) -> Expression:
        sign, level = ("-", UNARY) if negative else ("", PRIMARY)
        return Expression(sign + text, level, 0, lambda rows: decimals.of_literal(sign + text, len(rows)))

    def literal(self, of: Expression) -> Expression:
        """A number at or near what `of` gives for some event."""
        column = of.value(self.rows)
        if column.kind == decimals.EXACT and column.values.size and self.rng.random() < 0.3:
            # With all its digits, or the next one.
            steps = int(self.rng.choice(column.values.ravel())) + self.rng.choice([-1, 0, 1])
            return self.written(steps < 0, f"{Decimal(abs(steps)).scaleb(-column.places):f}")
        values = column.floats().ravel()
        values = values[np.isfinite(values)]
        number = float(self.rng.choice(values)) if len(values) else 1.0
        kind = self.rng.random()
        if kind < 0.2:
            number = float(np.round(number, self.rng.randint(0, 3)))
        elif kind < 0.4:
            with np.errstate(over="ignore"):
                number = float(np.nextafter(number, self.rng.choice([-np.inf, np.inf])))
        return self.constant(number if np.isfinite(number) else 1.0)
