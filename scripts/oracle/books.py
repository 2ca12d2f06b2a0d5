"""What a run must give: the books of every segment, the counts of every line, the records of every stream."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np

from conditions import Rows
from frames import ID_MAX, Schema
from identity import Identity
from menus import Menu
from reading import Good, Reader, Said
from stored import Record

NO_FAULT, NOT_FINITE, NOT_A_NUMBER = 0, 2, 5
NO_MODEL = 255
ENGINES = {"flex": 1, "fused": 3}
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


@dataclass
class Expected:
    segments: dict[Place, Books] = field(default_factory=lambda: defaultdict(Books))
    streams: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    usable: bool = True
    """The stream begins with the schema of the menu."""

    @property
    def total(self) -> Books:
        total = Books()
        for books in self.segments.values():
            total.add(books)
        return total


@dataclass
class Admitted:
    """Events of one frame that are to be decided."""

    frame: Good
    ids: np.ndarray
    events: np.ndarray

    def shifted(self, by: int) -> Admitted:
        """In a later pass its ids are others, unless they would not fit."""
        head = self.frame.header
        if head.first_event_id + head.n_events - 1 + by > ID_MAX:
            return self
        return replace(self, ids=self.ids + np.uint64(by))


def events_in(data: bytes, schema: Schema) -> np.ndarray:
    """The events of all good frames, repeated ones included."""
    frames = [f for f in Reader(data).findings() if isinstance(f, Good) and f.header.schema_id == schema.id]
    return np.concatenate([np.frombuffer(f.payload, schema.dtype) for f in frames] or [np.zeros(0, schema.dtype)])


def expect(data: bytes, schema: Schema, menu: Menu, device: str = "flex", passes: int = 1) -> Expected:
    """The whole of it, from the bytes that a run will be given, so many times."""
    first = Reader(data)
    is_said = isinstance(next(first.findings(), None), Said)
    expected = Expected(usable=is_said and first.schema == schema)
    admitted: list[Admitted] = []
    books, said, place, span = None, 0, (0, 0), 0
    for k in range(passes if expected.usable else 0):
        reader, identity, of_pass = Reader(data, place), Identity(), []
        for finding in reader.findings():
            if isinstance(finding, Said):
                said += finding.size
                continue
            books = expected.segments[finding.place]
            books.counts["frames.received"] += 1
            books.counts["frames.bytes"] += finding.size + said
            said = 0
            if isinstance(finding, Good):
                of_pass.append(admit(books, finding, identity, schema))
            else:
                books.lose(finding.cause, finding.units)
                books.lose_frame(finding.cause, finding.size)
        place = reader.place
        span = span or span_of([a.frame for a in of_pass])
        admitted += [a.shifted(k * span) for a in of_pass]
    if said:
        books = books or expected.segments[0, 0]
        books.counts["frames.bytes"] += said
    if admitted:
        decide(expected, admitted, menu, ENGINES[device] if menu.models else 0)
    return expected


def span_of(frames: list[Good]) -> int:
    """How many ids there are from the lowest to the highest."""
    heads = [frame.header for frame in frames]
    return max(h.first_event_id + h.n_events for h in heads) - min(h.first_event_id for h in heads) if heads else 0


def admit(books: Books, frame: Good, identity: Identity, schema: Schema) -> Admitted:
    """Events of a good frame: those that came before are duplicates, the others are decided."""
    head = frame.header
    fresh, missing = identity.take(head)
    books.counts["missing"] += missing
    repeated = int((~fresh).sum())
    if repeated:
        books.lose("dup", repeated)
    if repeated == head.n_events:
        books.lose_frame("dup", frame.size)
    ids = np.uint64(head.first_event_id) + np.arange(head.n_events, dtype=np.uint64)
    books.counts["received"] += head.n_events - repeated
    return Admitted(frame, ids[fresh], np.frombuffer(frame.payload, schema.dtype)[fresh])


@dataclass
class Verdicts:
    """A bit per line and event; for events without scores, what the last rung does."""

    passed: np.ndarray
    kept: np.ndarray
    rung: np.ndarray
    guilty: np.ndarray
    """Index of the first model that gave no score at the last rung with models, or -1."""
    rescued: np.ndarray
    """Kept by `[fallback]`."""
    nan: np.ndarray
    """No line decides, because a number that one needs is a NaN."""
    scores: np.ndarray

    def of(self, which: slice | np.ndarray) -> Verdicts:
        return Verdicts(self.passed[:, which], self.kept[:, which], self.rung[which], self.guilty[which], self.rescued[which], self.nan[which], self.scores[which])


def decide(expected: Expected, admitted: list[Admitted], menu: Menu, engine: int) -> None:
    """Every line on every event at once, then the books and records frame by frame."""
    runs = np.concatenate([np.full(len(a.ids), a.frame.header.run, np.uint32) for a in admitted])
    ids = np.concatenate([a.ids for a in admitted])
    verdicts = judge(runs, ids, np.concatenate([a.events for a in admitted]), menu)
    at = 0
    for a in admitted:
        store(expected, a, verdicts.of(slice(at, at + len(a.ids))), menu, engine)
        at += len(a.ids)
    places = np.repeat([list(expected.segments).index(a.frame.place) for a in admitted], [len(a.ids) for a in admitted])
    for k, books in enumerate(expected.segments.values()):
        count(books, verdicts.of(places == k), menu)


def judge(runs: np.ndarray, ids: np.ndarray, events: np.ndarray, menu: Menu) -> Verdicts:
    passed = np.zeros((len(menu.lines), len(ids)), bool)
    scores = np.full((sum(len(m.scores) for m in menu.models), len(ids)), np.nan)
    no, zero = np.zeros(len(ids), bool), np.zeros(len(ids), int)
    verdicts = Verdicts(passed, passed.copy(), zero, zero.copy(), no, no.copy(), scores.T)
    left = np.ones(len(ids), bool)
    for k, models in enumerate(menu.rungs):
        verdicts.rung[left] = k
        verdicts.guilty[left] = -1
        for m, model in reversed(list(enumerate(models))):
            verdicts.guilty[left & ~model.finite(events)] = m
        here = left & (verdicts.guilty < 0)
        rows = Rows(events[here], menu.score(models, events[here]))
        verdicts.scores[here] = np.array(list(rows.scores.values())).T.reshape(len(rows), len(scores))
        decide_lines(verdicts, here, runs, ids, rows, menu)
        left &= ~here
    if menu.fallback:
        verdicts.rung[left] = len(menu.rungs)
        for run in np.unique(runs):
            lost = left & (runs == run)
            verdicts.rescued[lost] = menu.fallback.kept(int(run), ids[lost])
    return verdicts


def decide_lines(verdicts: Verdicts, here: np.ndarray, runs: np.ndarray, ids: np.ndarray, rows: Rows, menu: Menu) -> None:
    """`rows` are the events that `here` marks."""
    truths = [line.when.value(rows) if line.when else None for line in menu.lines]
    verdicts.nan[here] = reduce(np.logical_or, [t.unknown for t in truths if t], menu.not_a_number(rows.events))
    for run in np.unique(runs):
        among = (runs[here] == run) & ~verdicts.nan[here]
        of_run = np.flatnonzero(here)[among]
        for k, (line, truth) in enumerate(zip(menu.lines, truths)):
            verdicts.passed[k, of_run] = line.passed(int(run), ids[of_run], truth and truth.only(among))
            verdicts.kept[k, of_run] = line.kept(int(run), ids[of_run], verdicts.passed[k, of_run])


def count(books: Books, verdicts: Verdicts, menu: Menu) -> None:
    for k in range(len(menu.lines)):
        books.passed[k] += int(verdicts.passed[k].sum())
        books.kept[k] += int(verdicts.kept[k].sum())
    accepted = int((verdicts.kept.any(axis=0) | verdicts.rescued).sum())
    no_score = 0 if menu.fallback else int((verdicts.guilty >= 0).sum())
    no_number = int(verdicts.nan.sum())
    books.counts["accepted"] += accepted
    books.counts["errored.not_finite"] += no_score
    books.counts["errored.not_a_number"] += no_number
    books.counts["rejected"] += len(verdicts.guilty) - accepted - no_score - no_number


def store(expected: Expected, admitted: Admitted, verdicts: Verdicts, menu: Menu, engine: int) -> None:
    head = admitted.frame.header
    for i in range(len(admitted.ids)):
        streams = {stream for k in np.flatnonzero(verdicts.kept[:, i]) for stream in menu.lines[k].streams}
        guilty, fault = int(verdicts.guilty[i]), NO_FAULT
        if guilty >= 0:
            fault = NOT_FINITE
        elif verdicts.nan[i]:
            guilty, fault = NO_MODEL, NOT_A_NUMBER
        if fault == NOT_A_NUMBER or (fault and not menu.fallback):
            streams = {"error"}
        elif verdicts.rescued[i]:
            streams = set(menu.fallback.streams)
        if not streams:
            continue
        record = Record(
            int(admitted.ids[i]), head.time_ns, menu.hash, head.schema_id, head.run, head.segment, head.source_id, int(verdicts.rung[i]),
            fault, max(guilty, 0), 0, bits(verdicts.passed[:, i]), bits(verdicts.kept[:, i]),
            () if fault else tuple(verdicts.scores[i]), admitted.events[i].tobytes(), engine, menu.model_hash,
        )  # fmt: skip
        for stream in streams:
            expected.streams[stream].append(record)


def bits(flags: np.ndarray) -> int:
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")
