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
RECORD = struct.Struct("<4sHHQQQQQIIHHHBBBBHHBxIII")
SCHEMA, SPARSE_IDS, IDS, TIMES, PAYLOADS = 1, 2, 4, 8, 16


class Kind:
    """A schema: its text, how a record is packed, and the events that the streams have."""

    def __init__(self, text, record, names, events, scales=None, offsets=None, has_payloads=False):
        self.text, self.record, self.names, self.events = text, struct.Struct(record), names, events
        self.scales, self.offsets = scales or {}, offsets or {}
        self.has_payloads = has_payloads
        assert all(len(event) == len(names) for event in events)

    def id(self):
        return int.from_bytes(hashlib.sha256(self.text).digest()[:8], "little")

    def pack(self, events):
        return b"".join(self.record.pack(*event) for event in events)

    def physical(self, event):
        """The numbers of the fields, counts left out, in record order."""
        named = [(name, number) for name, number in zip(self.names, event) if not name.startswith("#")]
        return [float(number) * self.scales.get(name, 1.0) + self.offsets.get(name, 0.0) for name, number in named]

    def integers(self, event):
        """The raw integers, counts left out, in record order."""
        named = zip(self.names, event)
        return [str(number) for name, number in named if not name.startswith("#") and isinstance(number, int)]

    def counts(self, event):
        return [str(number) for name, number in zip(self.names, event) if name.startswith("#")]


PLAIN = Kind(
    b"""\
name = "golden"
doc = "One field of every type, and two lists."

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
name = "hits.x"
dtype = "u8"
len = "0..2"

[[field]]
name = "a.u64"
dtype = "u64"

[[field]]
name = "hits.t"
dtype = "i16"
len = "0..2"

[[field]]
name = "a.i64"
dtype = "i64"

[[field]]
name = "a.f16"
dtype = "f16"

[[field]]
name = "a.f32"
dtype = "f32"
len = 2

[[field]]
name = "a.f64"
dtype = "f64"

[[field]]
name = "long"
dtype = "i8"
len = "0..256"

[[field]]
name = "truth.label"
dtype = "u8"
role = "truth"
""",
    "<B3bH2hIi" + "B2B" + "Q" + "2h" + "qe2fd" + "H256b" + "B",
    ["a.u8"] + ["a.i8"] * 3 + ["a.u16"] + ["a.i16"] * 2 + ["a.u32", "a.i32"] + ["#hits"] + ["hits.x"] * 2 + ["a.u64"]
    + ["hits.t"] * 2 + ["a.i64", "a.f16"] + ["a.f32"] * 2 + ["a.f64", "#long"] + ["long"] * 256 + ["truth.label"],
    [
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0, *[0] * 256, 0),
        (255, -128, 127, -1, 65535, -32768, 32767, 4294967295, -2147483648, 2, 255, 1, 2**64 - 1, -32768, 0, -(2**63), 65504.0,
         3.4028234663852886e38, -0.0, 1.7976931348623157e308, 256, *[-k % 100 for k in range(256)], 1),
        (1, 2, 3, 4, 5, 6, -7, 8, 9, 1, 0, 0, 2**53 + 1, 7, 0, 2**53 + 1, -0.333251953125, 1.401298464324817e-45,
         0.10000000149011612, 0.1, 1, -5, *[0] * 255, 2),
        (7, 1, 1, 1, 7, 7, 7, 7, 7, 0, 0, 0, 2**63, 0, 0, 2**63 - 1, 6.103515625e-05, -1.5, 2.5, 5e-324, 0, *[0] * 256, 3),
    ],
    {"a.u16": 0.5, "a.i16": -0.25}, {"a.i16": 10.0})

RAW = Kind(
    b"""\
name = "golden-raw"

[[field]]
name = "adc"
dtype = "u16"

[payload]
doc = "Bytes of the front end."
""",
    "<H", ["adc"], [(1,), (2,), (3,), (65535,)], has_payloads=True)


def crc32c(data):
    """Bit by bit, as RFC 3720 describes it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def frame(kind, body, **given):
    """One frame; `given` overrides header fields before the header checksum."""
    at = {
        "magic": b"TAMF", "version": 2, "header_len": 64, "schema_id": kind.id(), "first": 0, "time_ns": 0,
        "run": 0, "segment": 0, "n_events": 0, "stride": 0, "body_len": len(body), "source_id": 0,
        "flags": 0, "body_crc": crc32c(body),
    }
    at.update(given)
    header = HEADER.pack(*at.values())
    assert len(header) == 60
    return header + struct.pack("<I", crc32c(header)) + body + bytes(-len(body) % 64)


def schema_frame(kind):
    return frame(kind, kind.text, flags=SCHEMA)


def column(form, numbers):
    return struct.pack(f"<{len(numbers)}{form}", *numbers)


def events_frame(kind, events, ids=None, times=None, payloads=None, ends=None, **given):
    """An event frame. Without `payloads` a kind that has them gets empty ones; `ends` may lie."""
    body = column("Q", ids or []) + column("Q", times or [])
    flags = given.pop("flags", 0) | (IDS if ids else 0) | (TIMES if times else 0)
    if kind.has_payloads:
        payloads = payloads or [b""] * len(events)
        true_ends = [sum(map(len, payloads[:k + 1])) for k in range(len(payloads))]
        body += column("I", true_ends if ends is None else ends)
        flags |= PAYLOADS
    body += kind.pack(events) + b"".join(payloads or [])
    if ids:
        given.setdefault("first", ids[0])
    if times:
        given.setdefault("time_ns", times[0])
    return frame(kind, body, **{"n_events": len(events), "stride": kind.record.size, "flags": flags, **given})


def flipped(data, byte):
    return data[:byte] + bytes([data[byte] ^ 0x10]) + data[byte + 1:]


def toml_value(value):
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(one) for one in value) + "]"
    if isinstance(value, bytes):
        return f'"{value.hex()}"'
    # TOML integers are signed 64-bit: ids are written as text.
    return repr(value) if isinstance(value, float) else f'"{value}"'


def stream(kind, frames):
    data, text = schema_frame(kind), [f'schema_id = "{kind.id()}"', f'stride = "{kind.record.size}"']
    for events, given in frames:
        data += events_frame(kind, events, **given)
        about = {"flags": 0, "first": 0, "time_ns": 0, "run": 0, "segment": 0, "source_id": 0, **given}
        if about.get("ids"):
            about["first"] = about["ids"][0]
        if about.get("times"):
            about["time_ns"] = about["times"][0]
        text.append("\n[[frame]]")
        text += [f"{key} = {toml_value(value)}" for key, value in about.items()]
        for name, of in [("events", kind.physical), ("integers", kind.integers), ("counts", kind.counts)]:
            text.append(f"{name} = [\n" + "".join(f"    {toml_value(of(event))},\n" for event in events) + "]")
    return data, "\n".join(text) + "\n"


def good_stream():
    events = PLAIN.events
    return stream(PLAIN, [
        (events[:3], dict(first=1000, time_ns=25_000, run=7, segment=3, source_id=5)),
        (events[3:], dict(first=2**64 - 1, time_ns=2**63, run=0xFFFFFFFF, segment=4, source_id=0xFFFF, flags=SPARSE_IDS)),
        (events[1:], dict(ids=[9, 2**64 - 1, 0], run=8, flags=SPARSE_IDS)),
        (events[:2], dict(first=5, times=[3, 2], run=8)),
        (events[:3], dict(ids=[70, 72, 71], times=[2**64 - 1, 0, 1], run=8)),
    ])


def raw_stream():
    events = RAW.events
    return stream(RAW, [
        (events[:3], dict(first=1, payloads=[b"", b"\x00\xff", bytes(range(100))])),
        (events[:1], dict(first=10)),
        (events[2:], dict(ids=[30, 20], times=[4, 5], payloads=[b"TAMF" * 30, b""])),
        (events[:2], dict(ids=[41, 40], payloads=[b"a", b"bc"])),
        (events[:1], dict(first=50, times=[9], payloads=[b"d"])),
    ])


def defects(kind, parts, last):
    """Every part, each followed by a good frame; the stream ends inside a frame of two events."""
    data, text = schema_frame(kind), []
    for number, (cause, events, part) in enumerate(parts):
        data += part + events_frame(kind, kind.events[3:], first=100 + number)
        text.append(f'[[part]]\ncause = "{cause}"\nevents = {events}\nthen_id = {100 + number}\n')
    text.append('[[part]]\ncause = "torn"\nevents = 2\n')
    return data + last[:100], "\n".join(text)


def defect_stream():
    """Every cause of SPEC.md section 3 that a scanner can see where events have no payloads."""
    two = PLAIN.events[:2]
    other = b'name = "other"\n'
    whole = events_frame(PLAIN, two, first=10)
    size = PLAIN.record.size
    # Where the counts and the lists are in a record.
    hits, long = 18, 59

    def spoiled(at, value):
        return (PLAIN.pack(two)[:at] + bytes([value]) + PLAIN.pack(two)[at + 1:])

    def of_records(records, **given):
        return frame(PLAIN, records, n_events=2, stride=size, **given)

    assert spoiled(size + hits, 2) == PLAIN.pack(two) and spoiled(size + long + 1, 1) == PLAIN.pack(two)
    return defects(PLAIN, [
        ("magic", 0, flipped(whole, 0)),
        ("magic", 0, b"these bytes are no frame"),
        ("version", 0, events_frame(PLAIN, two, version=1)),
        ("version", 0, events_frame(PLAIN, two, version=3)),
        ("version", 0, events_frame(PLAIN, two, header_len=128)),
        ("header", 0, flipped(whole, 20)),
        ("header", 0, flipped(whole, 63)),
        ("oversize", 0, events_frame(PLAIN, two, body_len=16 * 2**20 + 1)),
        ("oversize", 0, events_frame(PLAIN, two, body_len=2**31)),
        ("zero", 0, frame(PLAIN, b"")),
        ("zero", 0, events_frame(PLAIN, two, stride=0)),
        ("zero", 0, frame(PLAIN, b"", flags=SCHEMA)),
        ("length", 0, events_frame(PLAIN, two, body_len=0)),
        ("length", 0, events_frame(PLAIN, two, body_len=1)),
        ("length", 0, events_frame(PLAIN, two, n_events=3)),
        ("length", 0, events_frame(PLAIN, two, first=2**64 - 1)),
        ("length", 0, events_frame(PLAIN, two, flags=32)),
        ("length", 0, events_frame(PLAIN, two, flags=IDS)),
        ("length", 0, events_frame(PLAIN, two, ids=[1, 2], times=[1, 2], n_events=1)),
        ("length", 0, events_frame(PLAIN, two, flags=PAYLOADS)),
        ("length", 0, events_frame(PLAIN, two, n_events=1, stride=2 * size)),
        ("length", 0, frame(PLAIN, b"#" * 65_537, flags=SCHEMA)),
        ("length", 0, frame(PLAIN, PLAIN.text, flags=SCHEMA | SPARSE_IDS)),
        ("torn", 2, whole[:600]),
        ("crc", 2, flipped(whole, 64)),
        ("crc", 2, events_frame(PLAIN, two, body_crc=0)),
        ("schema", 2, events_frame(PLAIN, two, schema_id=1)),
        ("schema", 0, frame(PLAIN, other, flags=SCHEMA, schema_id=int.from_bytes(hashlib.sha256(other).digest()[:8], "little"))),
        ("schema", 0, frame(PLAIN, other, flags=SCHEMA)),
        ("columns", 2, events_frame(PLAIN, two, ids=[5, 6], first=4)),
        ("columns", 2, events_frame(PLAIN, two, times=[5, 6], time_ns=6)),
        ("columns", 2, events_frame(PLAIN, two, ids=[5, 6], times=[5, 6], time_ns=6)),
        # A count beyond the most, by one and by much; an element behind the last one, in both fields of a list.
        ("count", 2, of_records(spoiled(size + hits, 3))),
        ("count", 2, of_records(spoiled(hits, 255))),
        ("count", 2, of_records(spoiled(long + 1, 2))),
        ("count", 2, of_records(spoiled(hits + 1, 1))),
        ("count", 2, of_records(spoiled(size + hits, 1))),
        ("count", 2, of_records(spoiled(hits + 12, 0x80))),
        ("count", 2, of_records(spoiled(long + 257, 1))),
    ], whole)


def raw_defect_stream():
    """What can be wrong with payloads."""
    two, payloads = RAW.events[:2], [b"x" * 40, b"y" * 50]
    whole = events_frame(RAW, two, payloads=payloads, first=10)

    def lying(*ends, **given):
        return events_frame(RAW, two, payloads=payloads, ends=ends, **given)

    return defects(RAW, [
        ("crc", 2, flipped(whole, 64)),
        ("crc", 2, flipped(whole, 150)),
        ("header", 0, flipped(whole, 50)),
        ("header", 0, flipped(whole, 40)),
        ("header", 0, flipped(whole, 54)),
        ("oversize", 0, events_frame(RAW, two, payloads=payloads, body_len=65 * 2**20 + 1)),
        ("length", 0, events_frame(RAW, two, payloads=payloads, body_len=11)),
        ("length", 0, frame(RAW, RAW.pack(two), n_events=2, stride=2)),
        ("length", 0, events_frame(RAW, two, payloads=payloads, n_events=50)),
        ("columns", 2, lying(41, 40)),
        ("columns", 2, lying(91, 90)),
        ("columns", 2, lying(40, 89)),
        ("columns", 2, lying(40, 91)),
        ("columns", 2, lying(2**32 - 1, 90)),
        ("columns", 2, lying(40, 2**32 - 1)),
        ("columns", 2, lying(0, 0)),
        ("columns", 2, lying(40, 89, ids=[1, 2], times=[3, 4])),
        ("torn", 2, whole[:100]),
    ], whole)


def record(kind, event, payload, words, scores, **given):
    fields = dict(
        magic=b"TAMR", version=2, header_len=88, event_id=1002, time_ns=25_000, menu_hash=0x1122334455667788,
        model_hash=0x99AABBCCDDEEFF00, schema_id=kind.id(), run=7, segment=3, source_id=5, n_words=2, n_scores=3,
        engine=1, rung=0, fault=0, guilty_model=0, block_index=0, block_last=0, flags=0, event_len=kind.record.size,
        payload_len=len(payload), zero=0)
    fields.update(given)
    front = RECORD.pack(*fields.values())
    assert len(front) == 84
    body = struct.pack("<4Q3f", *words, *scores) + kind.pack([event]) + payload
    data = front + struct.pack("<I", crc32c(front + body)) + body
    text = [f"{key} = {toml_value(value)}" for key, value in fields.items() if key != "magic"]
    text += [f"passed = {toml_value(words[:2])}", f"kept = {toml_value(words[2:])}", f"scores = {toml_value(scores)}"]
    text += [f"payload = {toml_value(payload)}"]
    return data, "\n".join(text) + "\n"


def decision_record():
    return record(PLAIN, PLAIN.events[2], b"", [1 << 63, 5, 1 << 63, 4], [0.25, -1.5, 3.0], rung=2)


def error_record():
    """Event 513 of a full block of 65,536, scored by a stand-in at rung 1 until the second model gave an infinity."""
    return record(
        RAW, RAW.events[2], b"raw data", [0, 0, 0, 0], [0.25, -1.5, math.inf], rung=1, fault=2, guilty_model=1, block_index=512,
        block_last=65_535, flags=1)


def main():
    assert crc32c(b"123456789") == 0xE3069283
    note = "# Written by scripts/golden_frames.py from SPEC.md. Do not edit.\n"
    files = {}
    for name, (data, text) in {
        "stream.tmf": good_stream(), "raw.tmf": raw_stream(), "defects.tmf": defect_stream(),
        "raw_defects.tmf": raw_defect_stream(), "record.bin": decision_record(), "error.bin": error_record(),
    }.items():
        files[name] = data
        files[name.split(".")[0] + ".toml"] = (note + text).encode()
    if sys.argv[1:] == ["--check"]:
        wrong = [name for name, data in files.items() if (FOLDER / name).read_bytes() != data]
        sys.exit(f"these differ from SPEC.md: {', '.join(wrong)}" if wrong else 0)
    for name, data in files.items():
        (FOLDER / name).write_bytes(data)


main()
