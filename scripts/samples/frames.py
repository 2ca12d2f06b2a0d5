"""Write rows of level-1 objects as a Tamis stream (frame format 2), compressed with zstd."""

import hashlib
import struct
from pathlib import Path

import google_crc32c
import numpy as np
import zstandard
from numpy.typing import NDArray

ALIGNMENT = 64
HEADER = struct.Struct("<4sHHQQQIIIIIHH")
CRC = struct.Struct("<I")
SCHEMA_FLAG = 1
SOURCE_ID = 1

ORBIT_CROSSINGS = 3564
ORBITS_PER_SEGMENT = 10
CROSSING_NS = 25

ZSTD_LEVEL, ZSTD_WINDOW_LOG = 19, 23


def frame(
    body: bytes, schema_id: int, run: int, segment: int, first_event: int = 0, events: int = 0, flags: int = 0
) -> bytes:
    """One frame: header, body and padding."""
    stride = len(body) // events if events else 0
    time_ns = first_event * CROSSING_NS
    fields = (schema_id, first_event, time_ns, run, segment, events, stride, len(body), SOURCE_ID, flags)
    start = HEADER.pack(b"TAMF", 2, 64, *fields) + CRC.pack(google_crc32c.value(body))
    header = start + CRC.pack(google_crc32c.value(start))
    return header + body + bytes(-len(body) % ALIGNMENT)


def stream(schema: bytes, run: int, rows: NDArray[np.int16]) -> bytes:
    """A schema frame, then one frame for each orbit of up to 3564 crossings."""
    schema_id = int.from_bytes(hashlib.sha256(schema).digest()[:8], "little")
    parts = [frame(schema, schema_id, run, 0, flags=SCHEMA_FLAG)]
    for orbit, first in enumerate(range(0, len(rows), ORBIT_CROSSINGS)):
        block = rows[first : first + ORBIT_CROSSINGS]
        segment = 1 + orbit // ORBITS_PER_SEGMENT
        parts.append(frame(block.astype("<i2").tobytes(), schema_id, run, segment, first, len(block)))
    return b"".join(parts)


def write(path: Path, schema: bytes, run: int, rows: NDArray[np.int16]) -> None:
    """Write `path` (.tmf.zst) by way of a .part file, so that a broken run leaves no half file behind."""
    options = zstandard.ZstdCompressionParameters.from_level(
        ZSTD_LEVEL, window_log=ZSTD_WINDOW_LOG, write_checksum=True, write_content_size=True
    )
    packed = zstandard.ZstdCompressor(compression_params=options).compress(stream(schema, run, rows))
    part = path.with_name(path.name + ".part")
    part.write_bytes(packed)
    part.rename(path)
