"""Runs that are killed: their files are the beginning of what a whole run stores, and hold all that the ledger had called stored or durable."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mcap.exceptions import EndOfFile, InvalidMagic
from mcap.records import Message
from mcap.stream_reader import StreamReader

import claims
from books import Expected
from claims import Claim
from menus import Menu
from stored import Record, parse


@dataclass
class Killed:
    """What a killed run left."""

    streams: dict[str, list[Record]]
    files: dict[str, list[int]]
    """Records of a stream up to the end of each file that was closed."""
    claims: list[Claim]


def left_in(out: Path, menu: Menu) -> Killed:
    killed = Killed({}, {}, [])
    for stream in [*menu.streams, "error"]:
        records, ends = killed.streams.setdefault(stream, []), killed.files.setdefault(stream, [])
        for path in sorted(out.glob(f"it-{stream}-[0-9]*.mcap*")):
            records += (parse(data, len(menu.lines), stream == "error") for data in whole_chunks(path))
            ends += [len(records)] if path.suffix == ".mcap" else []
    for text in (out / "it.ledger.jsonl").read_text().splitlines(keepends=True):
        if text.endswith("\n"):
            killed.claims += claims.of_line(json.loads(text))
    return killed


def whole_chunks(path: Path) -> Iterator[bytes]:
    """The records of a file up to its torn end."""
    with open(path, "rb") as file:
        try:
            yield from (record.data for record in StreamReader(file, validate_crcs=True).records if isinstance(record, Message))
        except (EndOfFile, InvalidMagic, struct.error):
            return


def differences(expected: Expected, found: Killed, way: str) -> Iterator[str]:
    """`expected` are the records of the whole run, `way` is that of `--durable`."""
    for stream, theirs in found.streams.items():
        mine = expected.streams.get(stream, [])
        if len(theirs) > len(mine):
            yield f"stream {stream}: {len(theirs)} records of {len(mine)}"
        for k, (ours, other) in enumerate(zip(mine, theirs)):
            if wrong := ours.difference(other):
                yield f"stream {stream}, record {k} ({ours.place()}): {wrong}"
        said = [claim for claim in found.claims if claim.stream == stream]
        for wrong in (*claims.of_storage(said, len(theirs), found.files[stream], way), *claims.of_segments(said, theirs)):
            yield f"ledger, stream {stream}: {wrong}"
        if sum(claim.events for claim in said) > len(theirs):
            yield f"stream {stream}: the lines of segments have {sum(claim.events for claim in said)} events, the files {len(theirs)}"
