"""Frames and schemas as SPEC.md sections 2 and 4 describe them: the writing half."""

from __future__ import annotations

import hashlib
import struct
import tomllib
from dataclasses import dataclass, replace
from itertools import accumulate

import google_crc32c
import numpy as np

HEADER = struct.Struct("<4sHHQQQIIIIIHHII")
HEADER_LEN = 64
SCHEMA, SPARSE_IDS, IDS, TIMES, PAYLOADS = 1, 2, 4, 8, 16
BODY_MAX, PLAIN_BODY_MAX = 65 << 20, 16 << 20
"""Of frames with payloads, and without."""
EVENT_MAX = 64 << 20
SCHEMA_MAX = 64 << 10
EVENTS_MAX = 65_536
ID_MAX = (1 << 64) - 1
DTYPES = {
    "u8": "u1", "i8": "i1", "u16": "<u2", "i16": "<i2", "u32": "<u4", "i32": "<i4", "u64": "<u8", "i64": "<i8", "f16": "<f2", "f32": "<f4",
    "f64": "<f8",
}  # fmt: skip
PAYLOAD_LEN = "payload.len"


def crc32c(data: bytes) -> int:
    return google_crc32c.value(bytes(data))


assert crc32c(b"123456789") == 0xE3069283


def short_hash(text: bytes) -> int:
    """The first 8 bytes of SHA-256 as a little-endian integer: `schema_id` and `menu_hash`."""
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little")


@dataclass(frozen=True)
class Field:
    """One field of an event record. `length` 0 is a scalar; of a list it is the most elements."""

    name: str
    dtype: str
    length: int = 0
    scale: float = 1.0
    offset: float = 0.0
    is_list: bool = False

    def toml(self) -> str:
        lines = ["[[field]]", f'name = "{self.name}"', f'dtype = "{self.dtype}"']
        if self.length:
            lines.append(f'len = "0..{self.length}"' if self.is_list else f"len = {self.length}")
        if self.scale != 1.0:
            lines.append(f"scale = {self.scale!r}")
        if self.offset != 0.0:
            lines.append(f"offset = {self.offset!r}")
        return "\n".join(lines) + "\n"

    @classmethod
    def of(cls, said: dict) -> Field:
        length, is_list = said.get("len", 0), isinstance(said.get("len"), str)
        most = int(length.removeprefix("0..")) if is_list else length
        return cls(said["name"], said["dtype"], most, float(said.get("scale", 1.0)), float(said.get("offset", 0.0)), is_list)

    @property
    def list(self) -> str | None:
        """The name of the list that it belongs to."""
        return (self.name.rpartition(".")[0] or self.name) if self.is_list else None

    @property
    def count(self) -> str | None:
        """The column that says how many elements the list has."""
        return f"#{self.list}" if self.is_list else None


class Schema:
    """A schema text and what it says."""

    def __init__(self, text: bytes):
        document = tomllib.loads(text.decode())
        self.text = text
        self.id = short_hash(text)
        self.fields = [Field.of(said) for said in document["field"]]
        self.has_payloads = "payload" in document
        columns: dict[str, tuple] = {}
        for f in self.fields:
            if f.is_list and f.count not in columns:
                columns[f.count] = (f.count, "u1" if f.length <= 255 else "<u2")
            columns[f.name] = (f.name, DTYPES[f.dtype], (f.length,)) if f.length else (f.name, DTYPES[f.dtype])
        self.dtype = np.dtype(list(columns.values()))
        """An event record."""
        self.rows = np.dtype([*columns.values(), *([(PAYLOAD_LEN, "<u4")] if self.has_payloads else [])])
        """What a menu may ask of an event: its record, and the length of its payload behind it."""
        self.stride = self.dtype.itemsize

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self.text == other.text

    @classmethod
    def of(cls, name: str, fields: list[Field], has_payloads: bool = False) -> Schema:
        last = ['[payload]\ndoc = "Raw."\n'] if has_payloads else []
        return cls((f'name = "{name}"\n\n' + "\n".join([*(f.toml() for f in fields), *last])).encode())

    @property
    def lists(self) -> dict[str, list[Field]]:
        """The fields of each list, by the column of its count."""
        found: dict[str, list[Field]] = {}
        for f in self.fields:
            if f.is_list:
                found.setdefault(f.count, []).append(f)
        return found


@dataclass(frozen=True)
class Frame:
    """A frame before it is bytes. What is None follows from the rest, as it should; anything else is written as it stands."""

    records: bytes
    """Or the text of a schema."""
    schema_id: int
    first_event_id: int = 0
    time_ns: int = 0
    run: int = 0
    segment: int = 0
    n_events: int = 0
    stride: int = 0
    source_id: int = 0
    flags: int = 0
    """Those of the parts of the body are added."""
    ids: tuple[int, ...] | None = None
    times: tuple[int, ...] | None = None
    payloads: tuple[bytes, ...] | None = None
    ends: tuple[int, ...] | None = None
    magic: bytes = b"TAMF"
    version: int = 2
    header_len: int = HEADER_LEN
    body_len: int | None = None
    body_crc: int | None = None
    header_crc: int | None = None
    less: int = 0
    """Flags that are missing, or too many."""

    def but(self, **changes) -> Frame:
        return replace(self, **changes)

    def with_ids(self, ids: list[int]) -> Frame:
        return self.but(ids=tuple(ids), first_event_id=ids[0])

    def with_times(self, times: list[int]) -> Frame:
        return self.but(times=tuple(times), time_ns=times[0])

    @property
    def event_ids(self) -> tuple[int, ...] | range:
        return self.ids or range(self.first_event_id, self.first_event_id + self.n_events)

    @property
    def body(self) -> bytes:
        """Section 2.1."""
        parts = [column("Q", self.ids or ()), column("Q", self.times or ())]
        if self.payloads is not None:
            ends = accumulate(map(len, self.payloads)) if self.ends is None else self.ends
            parts.append(column("I", tuple(ends)))
        return b"".join([*parts, self.records, *(self.payloads or ())])

    def encode(self) -> bytes:
        body = self.body
        length = len(body) if self.body_len is None else self.body_len
        body_crc = crc32c(body) if self.body_crc is None else self.body_crc
        there = (self.ids and IDS or 0) | (self.times and TIMES or 0) | (PAYLOADS if self.payloads is not None else 0)
        head = HEADER.pack(
            self.magic, self.version, self.header_len, self.schema_id, self.first_event_id, self.time_ns, self.run, self.segment,
            self.n_events, self.stride, length, self.source_id, (self.flags | there) ^ self.less, body_crc, 0,
        )[:60]  # fmt: skip
        header_crc = crc32c(head) if self.header_crc is None else self.header_crc
        return padded(head + struct.pack("<I", header_crc) + body)


def column(form: str, numbers: tuple[int, ...]) -> bytes:
    return struct.pack(f"<{len(numbers)}{form}", *numbers)


def schema_frame(schema: Schema) -> Frame:
    return Frame(schema.text, schema.id, flags=SCHEMA)


def event_frame(schema: Schema, events: np.ndarray, payloads: list[bytes] | None = None, **header) -> Frame:
    """A schema that has payloads gets empty ones without any."""
    parts = tuple(payloads or [b""] * len(events)) if schema.has_payloads else None
    return Frame(events.tobytes(), schema.id, n_events=len(events), stride=schema.stride, payloads=parts, **header)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 64)
