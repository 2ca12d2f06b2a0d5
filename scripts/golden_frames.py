#!/usr/bin/env python3
"""Writes the golden vectors of crates/event/golden from SPEC.md alone.

Nothing here comes from the Rust code: the two meet only in the bytes. Standard library only.

    python3 scripts/golden_frames.py          # writes crates/event/golden/
    python3 scripts/golden_frames.py --check  # compares, changes nothing
"""

import hashlib
import math
import pathlib
import struct
import sys

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "crates/event/golden"
# SPEC.md section 2, in the order of the table.
HEADER = struct.Struct("<4sHHQQQIIIIIHHI")
# SPEC.md section 5, up to and without the CRC.
RECORD = struct.Struct("<4sHHQQQQQIIHHHBBBBHHBxI")
SCHEMA, SPARSE_IDS = 1, 2

SCHEMA_TEXT = b"""\
name = "golden"
doc = "One field of every type."

[[field]]
name = "a.u8"
dtype = "u8"

[[field]]
name = "a.i8"
dtype = "i8"
len = 3

[[field]]
name = "a.u16"
dtype = "u16"
scale = 0.5

[[field]]
name = "a.i16"
dtype = "i16"
len = 2
scale = -0.25
offset = 10.0

[[field]]
name = "a.u32"
dtype = "u32"

[[field]]
name = "a.i32"
dtype = "i32"

[[field]]
name = "a.f16"
dtype = "f16"

[[field]]
name = "a.f32"
dtype = "f32"
len = 2

[[field]]
name = "truth.label"
dtype = "u8"
role = "truth"
"""
PAYLOAD = struct.Struct("<B3bH2hIie2fB")
EVENTS = [
    (0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0),
    (255, -128, 127, -1, 65535, -32768, 32767, 4294967295, -2147483648, 65504.0, 3.4028234663852886e38, -0.0, 1),
    (1, 2, 3, 4, 5, 6, -7, 8, 9, -0.333251953125, 1.401298464324817e-45, 0.10000000149011612, 2),
    (7, 1, 1, 1, 7, 7, 7, 7, 7, 6.103515625e-05, -1.5, 2.5, 3),
]
SCALES = [1.0] * 4 + [0.5, -0.25, -0.25] + [1.0] * 6
OFFSETS = [0.0] * 5 + [10.0, 10.0] + [0.0] * 6


def crc32c(data):
    """Bit by bit, as RFC 3720 describes it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def schema_id(text):
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little")


def frame(payload, **given):
    """One frame; `given` overrides header fields before the header checksum."""
    at = {
        "magic": b"TAMF", "version": 1, "header_len": 64, "schema_id": schema_id(SCHEMA_TEXT), "first": 0, "time_ns": 0,
        "run": 0, "segment": 0, "n_events": 0, "stride": 0, "payload_len": len(payload), "source_id": 0,
        "flags": 0, "payload_crc": crc32c(payload),
    }
    at.update(given)
    header = HEADER.pack(*at.values())
    assert len(header) == 60
    return header + struct.pack("<I", crc32c(header)) + payload + bytes(-len(payload) % 64)


def events_frame(events, **given):
    payload = b"".join(PAYLOAD.pack(*event) for event in events)
    return frame(payload, **{"n_events": len(events), "stride": PAYLOAD.size, **given})


def flipped(data, byte):
    return data[:byte] + bytes([data[byte] ^ 0x10]) + data[byte + 1:]


def toml_value(value):
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(one) for one in value) + "]"
    # TOML integers are signed 64-bit: ids are written as text.
    return repr(value) if isinstance(value, float) else f'"{value}"'


def good_stream():
    first = dict(first=1000, time_ns=25_000, run=7, segment=3, source_id=5)
    last = dict(first=2**64 - 1, time_ns=2**63, run=0xFFFFFFFF, segment=4, source_id=0xFFFF, flags=SPARSE_IDS)
    frames = [(EVENTS[:3], first), (EVENTS[3:], last)]
    data = frame(SCHEMA_TEXT, flags=SCHEMA) + b"".join(events_frame(events, **given) for events, given in frames)
    text = [f'schema_id = "{schema_id(SCHEMA_TEXT)}"', f'stride = "{PAYLOAD.size}"']
    for events, given in frames:
        text.append("\n[[frame]]")
        text += [f"{key} = {toml_value(value)}" for key, value in {"flags": 0, **given}.items()]
        # Physical values, element by element in record order.
        rows = [[float(v) * s + o for v, s, o in zip(event, SCALES, OFFSETS)] for event in events]
        text.append("events = [\n" + "".join(f"    {toml_value(row)},\n" for row in rows) + "]")
    return data, "\n".join(text) + "\n"


def defect_stream():
    """Every cause of SPEC.md section 3 that a scanner can see, each followed by a good frame."""
    two = EVENTS[:2]
    whole = events_frame(two, first=10)
    parts = [
        ("magic", 0, flipped(whole, 0)),
        ("magic", 0, b"these bytes are no frame"),
        ("version", 0, events_frame(two, version=2)),
        ("version", 0, events_frame(two, header_len=128)),
        ("header", 0, flipped(whole, 20)),
        ("header", 0, flipped(whole, 63)),
        ("oversize", 0, events_frame(two, payload_len=2**24 + 1)),
        ("oversize", 0, events_frame(two, payload_len=2**31)),
        ("zero", 0, frame(b"")),
        ("zero", 0, events_frame(two, stride=0)),
        ("zero", 0, frame(b"", flags=SCHEMA)),
        ("length", 0, events_frame(two, payload_len=0)),
        ("length", 0, events_frame(two, payload_len=1)),
        ("length", 0, events_frame(two, n_events=3)),
        ("length", 0, events_frame(two, first=2**64 - 1)),
        ("length", 0, events_frame(two, flags=4)),
        ("length", 0, events_frame(two, n_events=1, stride=2 * PAYLOAD.size)),
        ("length", 0, frame(b"#" * 65_537, flags=SCHEMA)),
        ("torn", 2, whole[:80]),
        ("crc", 2, flipped(whole, 64)),
        ("crc", 2, events_frame(two, payload_crc=0)),
        ("schema", 2, events_frame(two, schema_id=1)),
        ("schema", 0, frame(b'name = "other"\n', flags=SCHEMA, schema_id=schema_id(b'name = "other"\n'))),
        ("schema", 0, frame(b'name = "other"\n', flags=SCHEMA)),
    ]
    data, text = frame(SCHEMA_TEXT, flags=SCHEMA), []
    for number, (cause, events, part) in enumerate(parts):
        data += part + events_frame(EVENTS[3:], first=100 + number)
        text.append(f'[[part]]\ncause = "{cause}"\nevents = {events}\nthen_id = {100 + number}\n')
    # The stream ends inside a frame.
    data += whole[:100]
    text.append('[[part]]\ncause = "torn"\nevents = 2\n')
    return data, "\n".join(text)


def record(words, scores, **given):
    fields = dict(
        magic=b"TAMR", version=1, header_len=80, event_id=1002, time_ns=25_000, menu_hash=0x1122334455667788,
        model_hash=0x99AABBCCDDEEFF00, schema_id=schema_id(SCHEMA_TEXT), run=7, segment=3, source_id=5, n_words=2, n_scores=3,
        engine=1, rung=0, fault=0, guilty_model=0, block_index=0, block_last=0, flags=0, event_len=PAYLOAD.size)
    fields.update(given)
    front = RECORD.pack(*fields.values())
    assert len(front) == 76
    body = struct.pack("<4Q3f", *words, *scores) + PAYLOAD.pack(*EVENTS[2])
    data = front + struct.pack("<I", crc32c(front + body)) + body
    text = [f"{key} = {toml_value(value)}" for key, value in fields.items() if key != "magic"]
    text += [f"passed = {toml_value(words[:2])}", f"kept = {toml_value(words[2:])}", f"scores = {toml_value(scores)}"]
    return data, "\n".join(text) + "\n"


def decision_record():
    return record([1 << 63, 5, 1 << 63, 4], [0.25, -1.5, 3.0], rung=2)


def error_record():
    """Event 513 of a full block of 65,536, scored by a stand-in at rung 1 until the second model gave an infinity."""
    return record(
        [0, 0, 0, 0], [0.25, -1.5, math.inf], rung=1, fault=2, guilty_model=1, block_index=512, block_last=65_535, flags=1)


def main():
    assert crc32c(b"123456789") == 0xE3069283
    note = "# Written by scripts/golden_frames.py from SPEC.md. Do not edit.\n"
    files = {}
    for name, (data, text) in {
        "stream.tmf": good_stream(), "defects.tmf": defect_stream(), "record.bin": decision_record(),
        "error.bin": error_record(),
    }.items():
        files[name] = data
        files[name.split(".")[0] + ".toml"] = (note + text).encode()
    if sys.argv[1:] == ["--check"]:
        wrong = [name for name, data in files.items() if (FOLDER / name).read_bytes() != data]
        sys.exit(f"these differ from SPEC.md: {', '.join(wrong)}" if wrong else 0)
    for name, data in files.items():
        (FOLDER / name).write_bytes(data)


main()
