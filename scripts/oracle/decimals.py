"""Numbers in the conditions of lines: SPEC.md section 7.

Whole numbers are Python's, which have no bounds. Where SPEC.md bounds them, the oracle computes in f64 all the way as well, and has nothing to
say where the two disagree (`doubt`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import reduce

import numpy as np

EXACT, F16, F32, F64 = "exact", "f16", "f32", "f64"
WHOLE_MAX, PLACES_MAX = 1 << 53, 22
OPERATIONS = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}


def quotient(a: int, b: int) -> float:
    """Rounded once; x / 0 as IEEE 754 has it. A whole number has no negative zero."""
    if b:
        return a / b if a or b > 0 else -0.0
    return float("nan") if not a else float("inf") if a > 0 else float("-inf")


QUOTIENT = np.frompyfunc(quotient, 2, 1)


@dataclass(frozen=True)
class Column:
    """A number per event, or an array of them. Exact `values` are whole numbers of `10**-places`, as objects; others are f64."""

    kind: str
    values: np.ndarray
    rough: np.ndarray
    """The same computed in f64 all the way."""
    single: bool = False
    literal: bool = False
    sure: bool = True
    """Whatever it was computed of is exact in an f64."""
    places: int = 0
    most: int = 0
    """No exact value is larger."""
    written: tuple[int, int] | None = None
    """Of a literal: its digits and places as they are written."""
    there: np.ndarray | None = None
    """Of the elements of a list: those that the event has. Of a number: whether it is one, and not the smallest of none. None: all."""

    def floats(self) -> np.ndarray:
        return QUOTIENT(self.values, 10**self.places).astype(np.float64) if self.kind == EXACT else self.values

    def scaled(self, places: int) -> np.ndarray:
        return self.values * 10 ** (places - self.places)

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> Column:
        """Numbers of the same kind: chosen among these, or with another sign."""
        return replace(self, values=function(self.values), rough=function(self.rough), literal=False, written=None)

    @property
    def nan(self) -> np.ndarray:
        return np.zeros(self.values.shape, bool) if self.kind == EXACT else np.isnan(self.values)


def exact(values: np.ndarray, places: int, most: int, rough: np.ndarray, sure: bool = True, literal: bool = False) -> Column:
    return Column(EXACT, values, rough, literal=literal, sure=sure and most <= WHOLE_MAX and places <= PLACES_MAX, places=places, most=most)


def digits(text: str) -> tuple[int, int]:
    """A decimal as a whole number and its places."""
    sign, numerals, exponent = Decimal(text).as_tuple()
    number = int("".join(map(str, numerals))) * (-1 if sign else 1)
    while exponent < 0 and number % 10 == 0:
        number, exponent = number // 10, exponent + 1
    return (number * 10**exponent, 0) if exponent >= 0 else (number, -exponent)


def of_integers(raw: np.ndarray, scale: float, offset: float) -> Column:
    # A field of 64 bits is exact, whatever its bounds.
    if raw.dtype.itemsize == 8:
        return replace(in_steps(raw, scale, offset), sure=True)
    return in_steps(raw, scale, offset)


def in_steps(raw: np.ndarray, scale: float, offset: float) -> Column:
    (a, a_places), (b, b_places) = digits(repr(scale)), digits(repr(offset))
    places = max(a_places, b_places)
    a, b = a * 10 ** (places - a_places), b * 10 ** (places - b_places)
    info = np.iinfo(raw.dtype)
    most = max(abs(int(info.min) * a + b), abs(int(info.max) * a + b))
    return exact(raw.astype(object) * a + b, places, most, raw.astype(np.float64) * scale + offset)


def of_floats(raw: np.ndarray, scale: float, offset: float) -> Column:
    values = raw.astype(np.float64)
    if (scale, offset) == (1.0, 0.0):
        return Column({2: F16, 4: F32, 8: F64}[raw.dtype.itemsize], values, values, single=raw.dtype.itemsize < 8)
    with np.errstate(all="ignore"):
        # Without an offset nothing is added, and a zero keeps its sign.
        values = values * scale + offset if offset else values * scale
    return Column(F64, values, values, single=raw.dtype.itemsize < 8)


def of_scores(scores: np.ndarray) -> Column:
    return Column(F32, scores, scores, single=True)


def of_literal(text: str, rows: int) -> Column:
    written = number, places = digits(text)
    if places > 0:
        number, places = digits(repr(float(text)))
    column = exact(np.full(rows, number, object), places, abs(number), np.full(rows, float(text)), literal=True)
    return replace(column, written=written)


def beside(a: Column, large: Column) -> Column:
    """A literal as it is written, if the other number is large."""
    if a.written is None or not is_large(large):
        return a
    number, places = a.written
    return replace(a, values=np.full(a.values.shape, number, object), places=places)


def aligned(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One number per event beside an array per event."""
    if a.ndim < b.ndim:
        return a[:, None], b
    return (a, b[:, None]) if b.ndim < a.ndim else (a, b)


def there_in(*columns: Column | Truth) -> np.ndarray | None:
    """What is there in all of them."""
    masks = [c.there for c in columns if c.there is not None]
    return reduce(lambda a, b: np.logical_and(*aligned(a, b)), masks) if masks else None


def arithmetic(sign: str, a: Column, b: Column) -> Column:
    return replace(arithmetic_of_all(sign, a, b), there=there_in(a, b))


def arithmetic_of_all(sign: str, a: Column, b: Column) -> Column:
    operation, sure = OPERATIONS[sign], a.sure and b.sure
    with np.errstate(all="ignore"):
        rough = operation(*aligned(a.rough, b.rough))
        if not a.kind == b.kind == EXACT:
            values = operation(*aligned(a.floats(), b.floats()))
            return Column(F64, values, rough, single=a.single or b.single, sure=sure)
    if sign == "*":
        return exact(np.multiply(*aligned(a.values, b.values)), a.places + b.places, a.most * b.most, rough, sure)
    places = max(a.places, b.places)
    x, y = aligned(a.scaled(places), b.scaled(places))
    most = max(a.most * 10 ** (places - a.places), b.most * 10 ** (places - b.places))
    if sign == "/":
        return Column(F64, QUOTIENT(x, y).astype(np.float64), rough, sure=sure and most <= WHOLE_MAX)
    total = a.most * 10 ** (places - a.places) + b.most * 10 ** (places - b.places)
    return exact(operation(x, y), places, total, rough, sure)


def split(array: Column) -> list[Column]:
    """One column for each element."""
    masks = [None] * array.values.shape[1] if array.there is None else array.there.T
    return [replace(array.map(lambda values, at=at: values[:, at]), there=there) for at, there in enumerate(masks)]


def total(array: Column) -> Column:
    """From left to right, of the elements that are there."""
    if array.there is not None:
        array = replace(array.map(lambda values: np.where(array.there, values, 0)), there=None)
    return reduce(lambda a, b: arithmetic("+", a, b), split(array))


def extreme(name: str, columns: list[Column]) -> Column:
    """The largest or smallest of some numbers; a NaN if one is."""
    return reduce(lambda a, b: larger(name, a, b), columns)


def larger(name: str, a: Column, b: Column) -> Column:
    """If only one of them is there it is that one."""
    result = larger_of_all(name, a, b)
    if a.there is None and b.there is None:
        return result
    a_there, b_there = (np.ones(len(c.values), bool) if c.there is None else c.there for c in (a, b))
    x, y = (a.scaled(result.places), b.scaled(result.places)) if result.kind == EXACT else (a.floats(), b.floats())

    def choose(both: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.where(a_there & b_there, both, np.where(a_there, x, y))

    return replace(result, values=choose(result.values, x, y), rough=choose(result.rough, a.rough, b.rough), there=a_there | b_there)


def larger_of_all(name: str, a: Column, b: Column) -> Column:
    choose = np.maximum if name == "max" else np.minimum
    rough = choose(a.rough, b.rough)
    if a.kind == b.kind == EXACT:
        places = max(a.places, b.places)
        most = max(a.most * 10 ** (places - a.places), b.most * 10 ** (places - b.places))
        return exact(choose(a.scaled(places), b.scaled(places)), places, most, rough, a.sure and b.sure)
    kinds = {c.kind for c in (a, b) if not c.literal}
    kind = kinds.pop() if len(kinds) == 1 else F64
    x, y = (rounded(a, b), rounded(b, a)) if kind in (F16, F32) else (a.floats(), b.floats())
    return Column(kind, choose(x, y), rough, single=a.single or b.single, sure=a.sure and b.sure)


@dataclass(frozen=True)
class Truth:
    """Where a condition holds, where nobody can say because of a NaN, and where the oracle cannot."""

    holds: np.ndarray
    unknown: np.ndarray
    doubt: np.ndarray
    there: np.ndarray | None = None
    """Of the elements of a list: those that the event has."""

    def only(self, which: np.ndarray) -> Truth:
        return Truth(self.holds[which], self.unknown[which], self.doubt[which])


def compare(function: Callable, a: Column, b: Column) -> Truth:
    """With the smallest of no elements every comparison is false."""
    truth, there = compare_all(function, a, b), there_in(a, b)
    if there is not None:
        _, there = aligned(truth.holds, there)
        truth = Truth(truth.holds & there, truth.unknown & there, truth.doubt & there)
    return replace(truth, there=there_in(*(c for c in (a, b) if c.values.ndim == 2)))


def compare_all(function: Callable, a: Column, b: Column) -> Truth:
    a, b = beside(a, b), beside(b, a)
    unknown = np.logical_or(*aligned(a.nan, b.nan))
    if a.kind == b.kind == EXACT:
        places = max(a.places, b.places)
        x, y = a.scaled(places), b.scaled(places)
    else:
        x, y = rounded(a, b), rounded(b, a)
    holds = function(*aligned(x, y)).astype(bool) & ~unknown
    if by_value(a, b) or by_value(b, a):
        # Python compares an int with a float exactly.
        by_float, (x, y) = holds, (a.values.astype(object), b.values.astype(object))
        holds = function(*aligned(x, y)).astype(bool) & ~unknown
        return Truth(holds, unknown, (holds != by_float) & (not (a.sure and b.sure)))
    exactly = a.kind == b.kind == EXACT and (a.literal or b.literal)
    if (a.sure or (exactly and a.literal)) and (b.sure or (exactly and b.literal)):
        return Truth(holds, unknown, np.zeros_like(holds))
    rough = function(*aligned(a.rough, b.rough)) & ~unknown
    return Truth(holds, unknown, holds != rough)


def is_large(column: Column) -> bool:
    """More than f64 tells apart, in some event?"""
    return column.kind == EXACT and not column.literal and column.most > WHOLE_MAX


def by_value(large: Column, other: Column) -> bool:
    """Is a large number compared with the value of a float, and not in its type?"""
    return is_large(large) and large.places == 0 and (other.kind in (F16, F32) or (other.kind == F64 and not other.single))


def count(array: Truth) -> Column:
    """How many hold of those that are there; a NaN if one is unknown."""
    if array.there is not None:
        array = Truth(array.holds & array.there, array.unknown & array.there, array.doubt & array.there)
    counts = array.holds.sum(axis=1)
    if not array.unknown.any() and not array.doubt.any():
        return exact(counts.astype(object), 0, array.holds.shape[1], counts.astype(np.float64))
    values = np.where(array.unknown.any(axis=1), np.nan, counts)
    return Column(F64, values, np.where(array.doubt.any(axis=1), np.nan, values), sure=not array.doubt.any())


def rounded(a: Column, other: Column) -> np.ndarray:
    """The numbers of `a` in the type in which they are compared with those of `other`."""
    kinds = {c.kind for c in (a, other) if not c.literal}
    with np.errstate(all="ignore"):
        if kinds == {F16}:
            return a.floats().astype(np.float16).astype(np.float64)
        if a.single or other.single:
            return a.floats().astype(np.float32).astype(np.float64)
    return a.floats()


def both(a: Truth, b: Truth) -> Truth:
    """Kleene's `&&`: false if one is false, else unknown if one is."""
    (p, q), (u, v), (d, e) = (aligned(x, y) for x, y in ((a.holds, b.holds), (a.unknown, b.unknown), (a.doubt, b.doubt)))
    return Truth(p & q, (u & (q | v)) | (v & p), d | e, there_in(a, b))


def neither(a: Truth) -> Truth:
    return Truth(~a.holds & ~a.unknown, a.unknown, a.doubt, a.there)


def either(a: Truth, b: Truth) -> Truth:
    return neither(both(neither(a), neither(b)))
