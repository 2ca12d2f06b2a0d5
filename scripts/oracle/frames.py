"""Frames and schemas as SPEC.md sections 2 and 4 describe them: the writing half."""

from __future__ import annotations

import hashlib
import struct
import tomllib
from dataclasses import dataclass, replace

import google_crc32c
import numpy as np

HEADER = struct.Struct("<4sHHQQQIIIIIHHII")
HEADER_LEN = 64
SCHEMA, SPARSE_IDS = 1, 2
PAYLOAD_MAX = 16 << 20
SCHEMA_MAX = 64 << 10
EVENTS_MAX = 65_536
ID_MAX = (1 << 64) - 1
DTYPES = {"u8": "u1", "i8": "i1", "u16": "<u2", "i16": "<i2", "u32": "<u4", "i32": "<i4", "f16": "<f2", "f32": "<f4"}


def crc32c(data: bytes) -> int:
    return google_crc32c.value(bytes(data))


assert crc32c(b"123456789") == 0xE3069283


def short_hash(text: bytes) -> int:
    """The first 8 bytes of SHA-256 as a little-endian integer: `schema_id` and `menu_hash`."""
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little")


@dataclass(frozen=True)
class Field:
    """One field of an event record. `length` 0 is a scalar."""

    name: str
    dtype: str
    length: int = 0
    scale: float = 1.0
    offset: float = 0.0

    def toml(self) -> str:
        lines = ["[[field]]", f'name = "{self.name}"', f'dtype = "{self.dtype}"']
        if self.length:
            lines.append(f"len = {self.length}")
        if self.scale != 1.0:
            lines.append(f"scale = {self.scale!r}")
        if self.offset != 0.0:
            lines.append(f"offset = {self.offset!r}")
        return "\n".join(lines) + "\n"


class Schema:
    """A schema text and what it says."""

    def __init__(self, text: bytes):
        document = tomllib.loads(text.decode())
        self.text = text
        self.id = short_hash(text)
        self.fields = [
            Field(f["name"], f["dtype"], f.get("len", 0), float(f.get("scale", 1.0)), float(f.get("offset", 0.0)))
            for f in document["field"]
        ]
        columns = [(f.name, DTYPES[f.dtype], (f.length,)) if f.length else (f.name, DTYPES[f.dtype]) for f in self.fields]
        self.dtype = np.dtype(columns)
        self.stride = self.dtype.itemsize

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self.text == other.text

    @classmethod
    def of(cls, name: str, fields: list[Field]) -> Schema:
        return cls((f'name = "{name}"\n\n' + "\n".join(f.toml() for f in fields)).encode())


@dataclass(frozen=True)
class Frame:
    """A frame before it is bytes. What is None follows from the payload, as it should; anything else is written as it stands."""

    payload: bytes
    schema_id: int
    first_event_id: int = 0
    time_ns: int = 0
    run: int = 0
    segment: int = 0
    n_events: int = 0
    stride: int = 0
    source_id: int = 0
    flags: int = 0
    magic: bytes = b"TAMF"
    version: int = 1
    header_len: int = HEADER_LEN
    payload_len: int | None = None
    payload_crc: int | None = None
    header_crc: int | None = None

    def but(self, **changes) -> Frame:
        return replace(self, **changes)

    @property
    def ids(self) -> range:
        return range(self.first_event_id, self.first_event_id + self.n_events)

    def encode(self) -> bytes:
        length = len(self.payload) if self.payload_len is None else self.payload_len
        payload_crc = crc32c(self.payload) if self.payload_crc is None else self.payload_crc
        head = HEADER.pack(
            self.magic, self.version, self.header_len, self.schema_id, self.first_event_id, self.time_ns, self.run, self.segment,
            self.n_events, self.stride, length, self.source_id, self.flags, payload_crc, 0,
        )[:60]  # fmt: skip
        header_crc = crc32c(head) if self.header_crc is None else self.header_crc
        return padded(head + struct.pack("<I", header_crc) + self.payload)


def schema_frame(schema: Schema) -> Frame:
    return Frame(schema.text, schema.id, flags=SCHEMA)


def event_frame(schema: Schema, events: np.ndarray, **header) -> Frame:
    return Frame(events.tobytes(), schema.id, n_events=len(events), stride=schema.stride, **header)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 64)
