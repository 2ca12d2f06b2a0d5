"""Read a .tmf.zst file by the letter of the format page; shares no code with the writer."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import google_crc32c
import numpy as np
import zstandard
from numpy.typing import NDArray

HEADER = np.dtype([
    ("magic", "S4"), ("version", "<u2"), ("header_len", "<u2"), ("schema_id", "<u8"), ("first_event_id", "<u8"),
    ("time_ns", "<u8"), ("run", "<u4"), ("segment", "<u4"), ("n_events", "<u4"), ("stride", "<u4"),
    ("body_len", "<u4"), ("source_id", "<u2"), ("flags", "<u2"), ("body_crc", "<u4"), ("header_crc", "<u4"),
])
DTYPES = {"u8": "<u1", "i8": "<i1", "u16": "<u2", "i16": "<i2", "u32": "<u4", "i32": "<i4"}
DTYPES |= {"u64": "<u8", "i64": "<i8", "f16": "<f2", "f32": "<f4", "f64": "<f8"}


class Events(NamedTuple):
    """All events of a file: raw records, and the schema's fields by name."""

    records: NDArray[Any]
    fields: dict[str, dict[str, Any]]
    run: int
    frames: int
    segments: int

    def __getitem__(self, name: str) -> NDArray[Any]:
        """A field in physical units, with a second axis if it is an array."""
        field = self.fields[name]
        return self.records[name] * field.get("scale", 1.0) + field.get("offset", 0.0)


def read(path: Path) -> Events:
    """Read and check a file; raises ValueError with the file and byte offset of the first fault."""
    with path.open("rb") as file:
        data = zstandard.ZstdDecompressor(max_window_size=2**23).stream_reader(file).read()
    offset, parts, segments = 0, [], set()
    schema_id, fields, layout = None, {}, None
    while offset < len(data):
        header = np.frombuffer(data, HEADER, 1, offset)[0]
        body = data[offset + 64 : offset + 64 + int(header["body_len"])]
        _check(header, data[offset : offset + 60], body, f"{path} at byte {offset}")
        if header["flags"] & 1:
            schema_id = int.from_bytes(hashlib.sha256(body).digest()[:8], "little")
            fields = {field["name"]: field for field in tomllib.loads(body.decode())["field"]}
            layout = np.dtype([_column(field) for field in fields.values()])
        else:
            records = np.frombuffer(body, layout)
            expected = sum(len(part) for part in parts)
            if len(records) != header["n_events"] or header["first_event_id"] != expected:
                raise ValueError(f"{path} at byte {offset}: wrong number of events or first event id")
            if header["time_ns"] != expected * 25 or header["stride"] != layout.itemsize:
                raise ValueError(f"{path} at byte {offset}: wrong time or stride")
            parts.append(records)
            segments.add(int(header["segment"]))
        if header["schema_id"] != schema_id:
            raise ValueError(f"{path} at byte {offset}: unknown schema id")
        offset += 64 + -(-int(header["body_len"]) // 64) * 64
    return Events(np.concatenate(parts), fields, int(header["run"]), len(parts), len(segments))


def _column(field: dict[str, Any]) -> tuple[Any, ...]:
    """Name, type and shape of a schema field for numpy."""
    shape = (field["len"],) if "len" in field else ()
    return field["name"], DTYPES[field["dtype"]], shape


def _check(header: Any, start: bytes, body: bytes, where: str) -> None:
    """Magic, version and both checksums."""
    if header["magic"] != b"TAMF" or header["version"] != 2 or header["header_len"] != 64:
        raise ValueError(f"{where}: not a frame of version 2")
    if google_crc32c.value(start) != header["header_crc"]:
        raise ValueError(f"{where}: wrong header checksum")
    if len(body) != header["body_len"] or google_crc32c.value(body) != header["body_crc"]:
        raise ValueError(f"{where}: wrong body checksum")
