"""What a run must give: the books of every segment, the counts of every line, the records of every stream."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np

from frames import Schema
from identity import Identity
from menus import Menu
from reading import Good, Reader, Said
from stored import Record

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
    """The stream begins with its schema."""
    rest: int = 0
    """Bytes of schema frames, where nothing else came."""

    @property
    def total(self) -> Books:
        total = Books()
        for books in self.segments.values():
            total.add(books)
        total.counts["frames.bytes"] += self.rest
        return total


@dataclass
class Admitted:
    """Events of one frame that are to be decided."""

    frame: Good
    ids: np.ndarray
    events: np.ndarray


def expect(data: bytes, schema: Schema, menu: Menu) -> Expected:
    """The whole of it, from the bytes that a run will be given."""
    expected, identity, admitted = Expected(), Identity(), []
    findings = Reader(data).findings()
    first = next(findings, None)
    expected.usable = isinstance(first, Said)
    books, said = None, first.size if expected.usable else 0
    for finding in findings if expected.usable else ():
        if isinstance(finding, Said):
            if books:
                books.counts["frames.bytes"] += finding.size
            else:
                said += finding.size
            continue
        books = expected.segments[finding.place]
        books.counts["frames.received"] += 1
        books.counts["frames.bytes"] += finding.size + said
        said = 0
        if isinstance(finding, Good):
            admitted.append(admit(books, finding, identity, schema))
        else:
            books.lose(finding.cause, finding.units)
            books.lose_frame(finding.cause, finding.size)
    expected.rest = said
    if admitted:
        decide(expected, admitted, menu)
    return expected


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


def decide(expected: Expected, admitted: list[Admitted], menu: Menu) -> None:
    """Every line on every event at once, then the books and records frame by frame."""
    runs = np.concatenate([np.full(len(a.ids), a.frame.header.run, np.uint32) for a in admitted])
    ids = np.concatenate([a.ids for a in admitted])
    events = np.concatenate([a.events for a in admitted])
    passed = np.zeros((len(menu.lines), len(ids)), bool)
    kept = np.zeros_like(passed)
    for k, line in enumerate(menu.lines):
        for run in np.unique(runs):
            of_run = runs == run
            passed[k, of_run] = line.passed(int(run), ids[of_run], events[of_run])
            kept[k, of_run] = line.kept(int(run), ids[of_run], passed[k, of_run])
    at = 0
    for a in admitted:
        here = slice(at, at + len(a.ids))
        at = here.stop
        count(expected.segments[a.frame.place], passed[:, here], kept[:, here])
        store(expected, a, passed[:, here], kept[:, here], menu)


def count(books: Books, passed: np.ndarray, kept: np.ndarray) -> None:
    for k, (line_passed, line_kept) in enumerate(zip(passed.sum(axis=1), kept.sum(axis=1))):
        books.passed[k] += int(line_passed)
        books.kept[k] += int(line_kept)
    accepted = int(kept.any(axis=0).sum())
    books.counts["accepted"] += accepted
    books.counts["rejected"] += kept.shape[1] - accepted


def store(expected: Expected, admitted: Admitted, passed: np.ndarray, kept: np.ndarray, menu: Menu) -> None:
    head = admitted.frame.header
    for i in np.flatnonzero(kept.any(axis=0)):
        record = Record(
            int(admitted.ids[i]), head.time_ns, menu.hash, 0, head.schema_id, head.run, head.segment, head.source_id, 0, 0, 0, 0, 0,
            bits(passed[:, i]), bits(kept[:, i]), b"", admitted.events[i].tobytes(),
        )  # fmt: skip
        for stream in {stream for k in np.flatnonzero(kept[:, i]) for stream in menu.lines[k].streams}:
            expected.streams[stream].append(record)


def bits(flags: np.ndarray) -> int:
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")
