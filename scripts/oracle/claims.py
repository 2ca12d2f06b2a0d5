"""What the ledger file says of storage while a run goes on (crates/app/src/journal.rs has its form): all of it must be in the files.

`end` counts the records of a stream up to the last one of a segment, `stored` those that survive the end of the process, `durable` those that
survive a loss of power.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from arrivals import Place
from stored import Record


@dataclass
class Claim:
    """What a line says of a stream: how far it is stored; and of a segment, or of those that share the line, how many events it was given."""

    stream: str
    stored: int
    durable: int
    segments: tuple[Place, Place] | None = None
    events: int = 0
    end: int = 0


def of_line(line: dict) -> Iterator[Claim]:
    # A kill may come when the run has said its last word.
    if line.get("final"):
        return
    ends = [(at["run"], at["segment"]) for at in (line.get("from", line), line.get("to", line)) if "segment" in at]
    for said in line.get("streams", []):
        yield Claim(said["name"], said["stored"], said["durable"], tuple(ends), said["events"], said["end"])
    for said in line.get("storage", []):
        yield Claim(said["name"], said["stored"], said["durable"])


def wrong(claims: list[Claim], stream: str, records: list[Record], files: list[int], durable: int, way: str) -> Iterator[str]:
    """What the files do not confirm. `files` are the numbers of records up to the end of each; `durable` is what the report says."""
    claims = [claim for claim in claims if claim.stream == stream]
    yield from of_storage(claims, len(records), files, way)
    yield from of_segments(claims, records)
    last = claims[-1].durable if claims else 0
    kept = 0 if way == "never" else len(records)
    if (last, durable) != (kept, kept):
        yield f"{last} called durable at last, and {durable} in the report, instead of {kept}"
    if sum(claim.events for claim in claims) != len(records):
        yield f"the lines of segments have {sum(claim.events for claim in claims)} events of {len(records)}"


def of_storage(claims: list[Claim], records: int, files: list[int], way: str) -> Iterator[str]:
    stored = durable = 0
    for claim in claims:
        if not stored <= claim.stored <= records or not durable <= claim.durable <= claim.stored:
            yield f"{claim.stored} called stored and {claim.durable} durable of {records}, {stored} and {durable} before"
        if not claim.events <= claim.end <= claim.stored:
            yield f"a line with {claim.events} events up to {claim.end} when {claim.stored} were stored"
        if way == "close" and claim.durable not in (0, *files):
            yield f"{claim.durable} called durable, which is the end of no file: {files}"
        stored, durable = claim.stored, claim.durable


def of_segments(claims: list[Claim], records: list[Record]) -> Iterator[str]:
    """Up to its `end` a stream has all events that lines up to there say of a segment. Segments that share lines are looked at together."""
    places = np.array([number(record.run, record.segment) for record in records], np.uint64)
    said = Counter()
    # A line waits for all streams, so that a later part of a segment can have its line first.
    for claim in sorted((claim for claim in claims if claim.segments), key=lambda claim: claim.end):
        first, last = claim.segments
        said[claim.segments] += claim.events
        there = int(((places[: claim.end] >= number(*first)) & (places[: claim.end] <= number(*last))).sum())
        if there < said[claim.segments]:
            yield f"segments {first} to {last}: {said[claim.segments]} in the ledger, {there} among the first {claim.end} records"


def number(run: int, segment: int) -> np.uint64:
    return np.uint64(run << 32 | segment)
