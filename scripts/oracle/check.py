"""Expected and found, side by side: the first difference in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from books import Books, Expected
from menus import Menu
from runs import Outcome
from stored import Record


def difference(expected: Expected, found: Outcome, menu: Menu) -> str | None:
    """None if every count, line bit, record and segment is as it must be."""
    return next(differences(expected, found, menu), None)


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
        yield f"exit {found.exit} instead of {75 if lost else 0}; problems: {found.problems}"
