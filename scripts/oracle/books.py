"""What a run must give: the books of every segment, the counts of every line, the records of every stream."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from arrivals import Admitted, Arrivals, Books, Place
from menus import Menu
from stored import DEADLINE, NOT_A_NUMBER, NOT_FINITE, Record
from verdicts import Verdicts, judge
from witness import Fates

NO_FAULT, NO_MODEL, NO_ENGINE = 0, 255, 0
ENGINES = {"flex": 1, "fused": 3}


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


def expect(arrivals: Arrivals, menu: Menu, device: str = "flex", fates: Fates | None = None) -> Expected:
    """The whole of it, from what arrived; `fates` are those of events that were dropped or late."""
    expected = Expected(arrivals.segments, usable=arrivals.usable)
    if not arrivals.admitted:
        return expected
    events = sum(len(a.ids) for a in arrivals.admitted)
    fates = fates or Fates(np.zeros(events, bool), np.zeros(events, bool))
    decided, at = [], 0
    for a in arrivals.admitted:
        dropped = fates.dropped[at : at + len(a.ids)]
        expected.segments[a.frame.place].counts["dropped.shutdown"] += int(dropped.sum())
        decided.append(a.only(~dropped))
        at += len(a.ids)
    decide(expected, decided, fates.late[~fates.dropped], menu, ENGINES[device] if menu.models else NO_ENGINE)
    return expected


def decide(expected: Expected, admitted: list[Admitted], late: np.ndarray, menu: Menu, engine: int) -> None:
    """Every line on every event at once, then the books and records frame by frame."""
    runs = np.concatenate([np.full(len(a.ids), a.frame.header.run, np.uint32) for a in admitted])
    ids = np.concatenate([a.ids for a in admitted])
    verdicts = judge(runs, ids, np.concatenate([a.events for a in admitted]), late, menu)
    at = 0
    for a in admitted:
        store(expected, a, verdicts.of(slice(at, at + len(a.ids))), menu, engine)
        at += len(a.ids)
    numbers = {place: k for k, place in enumerate(expected.segments)}
    places = np.repeat([numbers[a.frame.place] for a in admitted], [len(a.ids) for a in admitted])
    for k, books in enumerate(expected.segments.values()):
        count(books, verdicts.of(places == k), menu)


def count(books: Books, verdicts: Verdicts, menu: Menu) -> None:
    for k in range(len(menu.lines)):
        books.passed[k] += int(verdicts.passed[k].sum())
        books.kept[k] += int(verdicts.kept[k].sum())
    accepted = int((verdicts.kept.any(axis=0) | verdicts.rescued).sum())
    no_score = 0 if menu.fallback else int((verdicts.guilty >= 0).sum())
    no_time = 0 if menu.fallback else int(verdicts.late.sum())
    no_number = int(verdicts.nan.sum())
    books.counts["accepted"] += accepted
    books.counts["errored.not_finite"] += no_score
    books.counts["errored.deadline"] += no_time
    books.counts["errored.not_a_number"] += no_number
    books.counts["rejected"] += len(verdicts.guilty) - accepted - no_score - no_time - no_number


def store(expected: Expected, admitted: Admitted, verdicts: Verdicts, menu: Menu, engine: int) -> None:
    head = admitted.frame.header
    event_bytes = admitted.event_bytes
    for i in range(len(admitted.ids)):
        streams = {stream for k in np.flatnonzero(verdicts.kept[:, i]) for stream in menu.lines[k].streams}
        guilty, fault, by = int(verdicts.guilty[i]), NO_FAULT, engine
        if verdicts.late[i]:
            guilty, fault, by = NO_MODEL, DEADLINE, NO_ENGINE
        elif guilty >= 0:
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
            int(admitted.ids[i]), int(admitted.times[i]), menu.hash, head.schema_id, head.run, head.segment, head.source_id, int(verdicts.rung[i]),
            fault, max(guilty, 0), 0, bits(verdicts.passed[:, i]), bits(verdicts.kept[:, i]),
            () if fault else tuple(verdicts.scores[i]), event_bytes[i], admitted.payloads[i], by, menu.model_hash,
        )  # fmt: skip
        for stream in streams:
            expected.streams[stream].append(record)


def bits(flags: np.ndarray) -> int:
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")
