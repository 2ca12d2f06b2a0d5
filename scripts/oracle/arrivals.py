"""What arrives before anything is decided: frames, losses, repeated events and missing ids, pass by pass, as far as a run took them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from frames import ID_MAX, Schema
from identity import Identity
from reading import Finding, Good, Lost, Reader, Said, schema_in_use

Place = tuple[int, int]
"""Run and segment."""


@dataclass
class Books:
    """Units and events of one segment, or of a whole run."""

    counts: Counter = field(default_factory=Counter)
    passed: Counter = field(default_factory=Counter)
    kept: Counter = field(default_factory=Counter)

    def add(self, other: Books) -> None:
        for mine, theirs in ((self.counts, other.counts), (self.passed, other.passed), (self.kept, other.kept)):
            mine.update(theirs)

    def lose(self, cause: str, units: int) -> None:
        self.counts["received"] += units
        self.counts[f"corrupt.{cause}"] += units

    def lose_frame(self, cause: str, size: int) -> None:
        self.counts[f"frames.corrupt.{cause}"] += 1
        self.counts["frames.bytes_corrupt"] += size


@dataclass(frozen=True)
class Admitted:
    """The events of a good frame that did not come before."""

    frame: Good
    ids: np.ndarray
    events: np.ndarray
    times: np.ndarray
    payloads: np.ndarray
    """Of bytes, as objects."""
    missing: int
    """By how much the number of missing ids changes."""
    turn: int = 0
    """The pass that they came in."""

    @property
    def event_bytes(self) -> list[bytes]:
        """The records as they arrived."""
        return [event.tobytes()[: self.frame.header.stride] for event in self.events]

    def shifted(self, turn: int, span: int) -> Admitted:
        """In a later pass its ids are others, unless they would not fit."""
        if max(self.frame.body.ids) + turn * span > ID_MAX:
            return replace(self, turn=turn)
        return replace(self, ids=self.ids + np.uint64(turn * span), turn=turn)

    def only(self, which: np.ndarray) -> Admitted:
        parts = {name: getattr(self, name)[which] for name in ("ids", "events", "times", "payloads")}
        return replace(self, **parts)


@dataclass(frozen=True)
class Taken:
    """How far a run came that was stopped, by its own words: frames and lost stretches, and bytes."""

    frames: int
    size: int


@dataclass
class Arrivals:
    """The books of what arrived, and the events that are to be decided."""

    segments: dict[Place, Books] = field(default_factory=lambda: defaultdict(Books))
    admitted: list[Admitted] = field(default_factory=list)
    usable: bool = True
    """The stream begins with the schema of the menu."""
    whole: bool = True
    """Nothing was left."""


class Recording:
    """A stream that can be played again and again. Every pass finds the same frames; only where early losses are booked may differ."""

    def __init__(self, data: bytes, schema: Schema):
        self.data, self.schema = data, schema
        self.passes: dict[Place, list[tuple[Finding, Admitted | None]]] = {}
        self.ends: dict[Place, Place] = {}

    def play(self, passes: int) -> Iterator[tuple[Finding, Admitted | None]]:
        place, span = (0, 0), 0
        for turn in range(passes):
            found = self.once(place)
            if not turn:
                span = span_of([finding for finding, _ in found if isinstance(finding, Good)])
            for finding, admitted in found:
                yield finding, admitted and admitted.shifted(turn, span)
            place = self.ends[place]

    def once(self, place: Place) -> list[tuple[Finding, Admitted | None]]:
        """A pass that begins after a frame of this run and segment."""
        if place not in self.passes:
            reader, identity = Reader(self.data, place, self.schema), Identity()
            self.passes[place] = [(f, admit(f, identity) if isinstance(f, Good) else None) for f in reader.findings()]
            self.ends[place] = reader.place
        return self.passes[place]


def admit(frame: Good, identity: Identity) -> Admitted:
    body = frame.body
    fresh, missing = identity.take(frame.header, body.ids)
    payloads = np.empty(len(body.ids), object)
    payloads[:] = body.payloads
    return Admitted(frame, np.array(body.ids, np.uint64), body.rows, body.times, payloads, missing).only(fresh)


def span_of(frames: list[Good]) -> int:
    """How many ids there are from the lowest to the highest."""
    ids = [id for frame in frames for id in frame.body.ids]
    return max(ids) - min(ids) + 1 if ids else 0


def events_in(data: bytes, schema: Schema) -> np.ndarray:
    """The events of all good frames, repeated ones included."""
    frames = [f for f in Reader(data, schema=schema).findings() if isinstance(f, Good) and f.header.schema_id == schema.id]
    return np.concatenate([f.body.rows for f in frames] or [np.zeros(0, schema.rows)])


def arrive(data: bytes, schema: Schema, passes: int, taken: Taken | None = None) -> Arrivals:
    """All that arrives; of a run that was stopped the first frames and stretches, as many as it took.

    A schema frame behind the last of them may have been taken, too. Of a lost stretch that was the last it may have seen a part.
    """
    arrivals = Arrivals(usable=schema_in_use(data) == schema)
    found = Recording(data, schema).play(passes if arrivals.usable else 0)
    books, last, said, size, frames = arrivals.segments[0, 0], None, 0, 0, 0
    for finding, admitted in found:
        if taken and frames == taken.frames and not (isinstance(finding, Said) and size + said + finding.size <= taken.size):
            arrivals.whole = False
            break
        if isinstance(finding, Said):
            said += finding.size
            continue
        frames += 1
        books, last = arrivals.segments[finding.place], finding
        book(books, finding, admitted, said)
        size, said = size + finding.size + said, 0
        if admitted and len(admitted.ids):
            arrivals.admitted.append(admitted)
    books.counts["frames.bytes"] += said
    if taken and isinstance(last, Lost) and 0 < size + said - taken.size < last.size:
        arrivals.whole = False
        for key in ("frames.bytes", "frames.bytes_corrupt"):
            books.counts[key] -= size + said - taken.size
    return arrivals


def book(books: Books, finding: Good | Lost, admitted: Admitted | None, said: int) -> None:
    """A frame or stretch, with the schema frames before it."""
    books.counts["frames.received"] += 1
    books.counts["frames.bytes"] += finding.size + said
    if admitted is None:
        books.lose(finding.cause, finding.units)
        books.lose_frame(finding.cause, finding.size)
        return
    books.counts["missing"] += admitted.missing
    repeated = finding.header.n_events - len(admitted.ids)
    if repeated:
        books.lose("dup", repeated)
    if not len(admitted.ids):
        books.lose_frame("dup", finding.size)
    books.counts["received"] += len(admitted.ids)
