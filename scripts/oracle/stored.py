"""Decision records in MCAP files: SPEC.md section 5, read with the `mcap` package."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mcap.reader import make_reader

from frames import crc32c
from models import TOLERANCE

RECORD = struct.Struct("<4sHHQQQQQIIHHHBBBBHHBBIIII")
assert RECORD.size == 88
NOT_FINITE, DEADLINE, NOT_A_NUMBER = 2, 3, 5
"""Faults."""


@dataclass(frozen=True)
class Record:
    """A decision record. Two are equal if every byte that SPEC.md fixes is."""

    event_id: int
    time_ns: int
    menu_hash: int
    schema_id: int
    run: int
    segment: int
    source_id: int
    rung: int
    fault: int
    guilty_model: int
    flags: int
    passed: int
    kept: int
    scores: tuple[float, ...]
    """Of events that the lines decided."""
    event: bytes
    payload: bytes
    engine: int = 0
    model_hash: int = 0

    def difference(self, other: Record) -> str | None:
        for name in self.__dataclass_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            close = name == "scores" and len(mine) == len(theirs) and all(abs(a - b) <= TOLERANCE for a, b in zip(mine, theirs))
            if mine != theirs and not close:
                show = shown if isinstance(mine, bytes) else (lambda v: f"{v:#x}" if name in ("passed", "kept") else str(v))
                return f"{name} {show(theirs)} instead of {show(mine)}"
        return None

    def place(self) -> str:
        return f"run {self.run} segment {self.segment} source {self.source_id} event {self.event_id}"


def shown(data: bytes) -> str:
    return data.hex() if len(data) <= 600 else f"{data[:300].hex()}... of {len(data)} bytes"


def parse(data: bytes, lines: int, in_error_stream: bool) -> Record:
    """Reads one record and checks everything in it that does not depend on the event."""
    (
        magic, version, header_len, event_id, time_ns, menu_hash, model_hash, schema_id, run, segment, source_id, n_words, n_scores,
        engine, rung, fault, guilty_model, block_index, block_last, flags, unit, event_len, payload_len, zero, crc,
    ) = RECORD.unpack_from(data)  # fmt: skip
    assert (magic, version, header_len) == (b"TAMR", 2, 88), "the fixed bytes of a record"
    assert unit in (range(1, 6) if engine in (1, 255) else (0,)), "the vector unit of flex, and of nothing else"
    assert crc == crc32c(data[:84] + data[88:]), "the CRC of a record"
    assert zero == 0, "bytes without a meaning"
    assert n_words == (lines + 63) // 64, f"{n_words} words for {lines} lines"
    assert in_error_stream or (block_index, block_last) == (0, 0), "only the error stream knows blocks"
    assert block_index <= block_last, "an event beyond the end of its block"
    at, words = RECORD.size, 8 * n_words
    passed = int.from_bytes(data[at : at + words], "little")
    kept = int.from_bytes(data[at + words : at + 2 * words], "little")
    at += 2 * words
    scores, behind = data[at : at + 4 * n_scores], data[at + 4 * n_scores :]
    assert len(behind) == event_len + payload_len, "the lengths of an event record and its payload"
    assert fault != DEADLINE or np.isnan(np.frombuffer(scores, "<f4")).all(), "an event that was late has no scores"
    return Record(
        event_id, time_ns, menu_hash, schema_id, run, segment, source_id, rung, fault, guilty_model, flags, passed, kept,
        struct.unpack(f"<{n_scores}f", scores) if not fault else (), behind[:event_len], behind[event_len:], engine, model_hash,
    )  # fmt: skip


def read(path: Path, stream: str, lines: int, menu: bytes, schema: bytes) -> list[Record]:
    """The records of a file in the order in which they are stored. It must carry schema and menu, byte for byte."""
    records = []
    with open(path, "rb") as file:
        reader = make_reader(file, validate_crcs=True)
        attached = [a.data for a in reader.iter_attachments()]
        assert menu in attached and schema in attached, f"{path.name}: schema or menu is not attached"
        for _, channel, message in reader.iter_messages(log_time_order=False):
            assert channel.message_encoding == "x-tamis-record", f"{path.name}: encoding {channel.message_encoding}"
            record = parse(message.data, lines, stream == "error")
            assert message.log_time == record.time_ns, f"{path.name}: log_time {message.log_time} for {record.place()}"
            records.append(record)
    return records
