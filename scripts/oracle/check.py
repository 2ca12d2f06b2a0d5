"""Expected and found, side by side: the first difference in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

import claims
import kills
from arrivals import Arrivals, Books, Taken, arrive
from books import Expected, expect
from frames import Schema
from kills import Killed
from menus import Menu
from pace import SLACK_S
from reading import Good, Reader, Said, schema_in_use
from runs import Outcome
from stored import Record
from ways import Way
from witness import Fates


def difference(data: bytes, schema: Schema, menu: Menu, way: Way, found: Outcome | Killed) -> str | None:
    """None if every count, line bit, record and segment is as it must be."""
    if isinstance(found, Killed):
        return next(kills.differences(expect(arrive(data, schema, way.passes), menu, way.device), found, way.durable), None)
    taken = Taken(found.total.counts["frames.received"], found.total.counts["frames.bytes"]) if way.stop else None
    arrivals = arrive(data, schema, way.passes, taken)
    if not arrivals.usable:
        return f"exit {found.exit} instead of 65: no schema in it"
    fates = fates_of(arrivals, way, found) if way.needs_witness else None
    expected = expect(arrivals, menu, way.device, fates)
    return next(differences(expected, found, menu), None) or next(of_way(data, arrivals, fates, way, found), None)


def fates_of(arrivals: Arrivals, way: Way, found: Outcome) -> Fates:
    """Only a run that is stopped at once may drop anything."""
    fates = Fates.of(arrivals.admitted, found.streams)
    return fates if way.drops else replace(fates, dropped=np.zeros_like(fates.dropped))


def differences(expected: Expected, found: Outcome, menu: Menu) -> Iterator[str]:
    yield from of_books("run", expected.total, found.total, menu)
    # Where segments share lines nobody can tell what each of them has.
    for place in sorted(expected.segments.keys() | found.segments.keys()) if not found.shared else ():
        mine, theirs = expected.segments.get(place, Books()), found.segments.get(place, Books())
        yield from of_books(f"run {place[0]} segment {place[1]}", mine, theirs, menu)
    for stream in [*menu.streams, "error"]:
        yield from of_records(stream, expected.streams.get(stream, []), found.streams.get(stream, []))
    yield from of_exit(expected, found)


def of_books(place: str, mine: Books, theirs: Books, menu: Menu) -> Iterator[str]:
    yield from of_counts(place, mine.counts, theirs.counts)
    names = [line.name for line in menu.lines]
    for what, ours, others in (("passed", mine.passed, theirs.passed), ("kept", mine.kept, theirs.kept)):
        for k, name in enumerate(names):
            if ours[k] != others[k]:
                yield f"{place}: {name} {what} {others[k]} instead of {ours[k]}: {menu.lines[k].condition}"


def of_counts(place: str, mine: Counter, theirs: Counter) -> Iterator[str]:
    keys = sorted((mine.keys() | theirs.keys()) - {"storage.stored", "storage.failed"})
    wrong = [f"{key} {theirs[key]} instead of {mine[key]}" for key in keys if mine[key] != theirs[key]]
    if wrong:
        yield f"{place}: {', '.join(wrong)}"


def of_records(stream: str, mine: list[Record], theirs: list[Record]) -> Iterator[str]:
    for k, (ours, other) in enumerate(zip(mine, theirs)):
        if wrong := ours.difference(other):
            yield f"stream {stream}, record {k} ({ours.place()}): {wrong}"
    if len(mine) != len(theirs):
        yield f"stream {stream}: {len(theirs)} records instead of {len(mine)}"


def of_exit(expected: Expected, found: Outcome) -> Iterator[str]:
    """What is to be stored is stored. Lost or undecided data is 75, and nothing else is."""
    counts = expected.total.counts
    to_store = counts["accepted"] + sum(n for key, n in counts.items() if key.startswith("errored."))
    if found.total.counts["storage.stored"] != to_store:
        yield f"{found.total.counts['storage.stored']} events are stored instead of {to_store}"
    lost = any(n and key.split(".")[0] in ("corrupt", "errored", "dropped", "missing") for key, n in counts.items())
    if found.exit != (75 if lost else 0):
        yield f"exit {found.exit} instead of {75 if lost else 0}; problems: {found.report['problems']}"


def of_way(data: bytes, arrivals: Arrivals, fates: Fates | None, way: Way, found: Outcome) -> Iterator[str]:
    """What the ledger said of storage on the way, and what stop, pace and deadline promise."""
    for stream in found.report["streams"]:
        name, durable = stream["name"], stream["durable"]
        for wrong in claims.wrong(found.claims, name, found.streams[name], found.files[name], durable, way.durable):
            yield f"ledger, stream {name}: {wrong}"
    yield from of_stop(data, arrivals, way, found)
    yield from of_pace(arrivals, way, found)
    if fates and way.deadline in ("1ns", "1000s"):
        late, decided = int(fates.late.sum()), int((~fates.dropped).sum())
        if late != (decided if way.deadline == "1ns" else 0):
            yield f"{late} of {decided} events are late after {way.deadline}"


def of_stop(data: bytes, arrivals: Arrivals, way: Way, found: Outcome) -> Iterator[str]:
    """What a pipe gave is taken up to the last whole frame, and what it did not give is not. A report says that its run was stopped."""
    is_stopped = found.report["stopped"]
    if is_stopped and not way.stop or not is_stopped and not arrivals.whole:
        yield f"stopped is {is_stopped}, {'all' if arrivals.whole else 'not all'} of the input was taken"
    if not found.stopped or not way.piped or way.compressed:
        return
    given, counts = found.stopped.given, found.total.counts
    if counts["frames.bytes"] > given:
        yield f"{counts['frames.bytes']} bytes were taken of {given} that were given"
    if found.stopped.has_read and counts["frames.received"] < (whole := whole_frames(data, given)):
        yield f"{counts['frames.received']} frames were taken of {whole} in the {given} bytes that were read"


def whole_frames(data: bytes, given: int) -> int:
    """Good frames in the first bytes, up to the first loss: of those nobody needs to see more."""
    frames, reader = 0, Reader(data[:given], schema=schema_in_use(data))
    for finding in reader.findings():
        if not isinstance(finding, (Good, Said)) or reader.at % 64:
            break
        frames += isinstance(finding, Good)
    return frames


def of_pace(arrivals: Arrivals, way: Way, found: Outcome) -> Iterator[str]:
    """No event comes before it is due, and none later than the report says. A pipe that is stopped gives the rest at once."""
    lag_ns, seconds = found.report["lag_ns"], found.report["throughput"]["seconds"]
    least = way.pace.least_s(arrivals.admitted) if way.pace else None
    if (lag_ns is None, found.report["pace_held"] is None) != (least is None, least is None):
        yield f"lag {lag_ns} and pace held {found.report['pace_held']} with pace {way.pace}"
    if least is None or way.stop and way.piped:
        return
    if not least <= seconds <= least + lag_ns / 1e9 + SLACK_S:
        yield f"{seconds} s with a lag of {lag_ns} ns, for a pace that takes {least} s"
