"""What can happen to a recording on its way: flipped bits, lost and foreign bytes, frames of other versions and schemas, columns and
counts that lie, frames in frames."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from frames import BODY_MAX, IDS, PAYLOADS, PLAIN_BODY_MAX, SCHEMA, SCHEMA_MAX, SPARSE_IDS, TIMES, Field, Frame, Schema, event_frame, schema_frame
from schemas import draw_events

Pieces = list[bytes]
"""The encoded frames; a piece may become anything."""


def damaged(rng: random.Random, schema: Schema, frames: list[Frame]) -> tuple[bytes, list[str]]:
    """The recording as bytes, and the words of what was done to it."""
    pieces = [frame.encode() for frame in frames]
    done, before = [], None
    for _ in range(rng.choice([0, 0, 0, 1, 2, 5, 15, 15])):
        at = rng.randrange(1, len(pieces)) if rng.random() < 0.99 and len(pieces) > 1 else 0
        if before is not None and rng.random() < 0.3:
            # Where a frame ends is told by the one behind it: both are damaged.
            at = min(before + rng.choice([0, 1, 1]), len(pieces) - 1)
        before = at
        kind = rng.choice(list(KINDS))
        done.append(f"{kind} at {at}")
        KINDS[kind](rng, schema, frames[min(at, len(frames) - 1)], pieces, at)
    data = b"".join(pieces)
    if rng.random() < 0.1:
        done.append("cut")
        data = data[: rng.randrange(len(data) + 1)]
    return data, done


def flip(rng: random.Random, piece: bytes, low: int, high: int) -> bytes:
    """One flipped bit in the bytes from `low` to before `high`."""
    if high <= low or low >= len(piece):
        return piece
    changed = bytearray(piece)
    changed[rng.randrange(low, min(high, len(piece)))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def flip_header(rng, schema, frame, pieces, at):
    """Anywhere, or in what says how long the frame is."""
    pieces[at] = flip(rng, pieces[at], *rng.choice([(0, 64), (40, 56), (40, 56)]))


def flip_body(rng, schema, frame, pieces, at):
    """In the columns, or anywhere."""
    columns = 64 + 20 * frame.n_events
    pieces[at] = flip(rng, pieces[at], 64, min(64 + len(frame.body), rng.choice([columns, 1 << 40])))


def flip_padding(rng, schema, frame, pieces, at):
    pieces[at] = flip(rng, pieces[at], 64 + len(frame.body), len(pieces[at]))


def lose_bytes(rng, schema, frame, pieces, at):
    piece = pieces[at]
    low = rng.randrange(len(piece) + 1)
    pieces[at] = piece[:low] + piece[low + rng.choice([1, 7, 64, 128, 1000, 10**6]) :]


def add_bytes(rng, schema, frame, pieces, at):
    piece, foreign = pieces[at], rng.choice([rng.randbytes, bytes])(rng.choice([1, 3, 64, 500]))
    low = rng.choice([0, rng.randrange(len(piece) + 1)])
    pieces[at] = piece[:low] + foreign + piece[low:]


def add_magic(rng, schema, frame, pieces, at):
    """Bytes that look like the beginning of a header."""
    pieces[at] = rng.randbytes(rng.randrange(70)) + b"TAMF" * rng.randint(1, 3) + rng.randbytes(rng.randrange(70)) + pieces[at]


def tear_header(rng, schema, frame, pieces, at):
    pieces[at] = pieces[at][: rng.randrange(1, 64)]


def lose_frame(rng, schema, frame, pieces, at):
    pieces[at] = b""


def swap_frames(rng, schema, frame, pieces, at):
    other = rng.randrange(1, len(pieces)) if len(pieces) > 1 else 0
    pieces[at], pieces[other] = pieces[other], pieces[at]


def other_version(rng, schema, frame, pieces, at):
    """Frames of a writer of another time, whole and right in their way, one or many in a row."""
    change = rng.choice([{"version": 3}, {"version": 0}, {"header_len": 128}, {"version": 0xFFFF}, None, None])
    other = frame.but(**change) if change else frame.but(version=1, ids=None, times=None, payloads=None)
    pieces[at] = other.encode() * rng.choice([1, 1, 3, 20]) + rng.choice([b"", pieces[at]])


def wrong_header(rng, schema, frame, pieces, at):
    """A field that contradicts the rules under a right `header_crc`."""
    longer = frame.stride + rng.choice([1, -1, 64])
    body = len(frame.body)
    pieces[at] = rng.choice([
        frame.but(body_len=rng.choice([BODY_MAX, PLAIN_BODY_MAX]) + rng.choice([1, 64, 1 << 30])),
        frame.but(n_events=0),
        frame.but(n_events=0, body_len=0),
        frame.but(stride=0),
        frame.but(n_events=frame.n_events + 1),
        frame.but(n_events=65_537),
        frame.but(body_len=body + rng.choice([1, 4, 64])),
        frame.but(body_len=max(0, body - rng.choice([1, 4, 64]))),
        frame.but(body_len=rng.randrange(body + 1)),
        frame.but(stride=max(longer, 1)),
        frame.but(stride=max(longer, 1), records=bytes(frame.n_events * max(longer, 1))),
        frame.but(first_event_id=2**64 - 1),
        frame.but(less=1 << rng.randrange(5, 16)),
        frame.but(less=SCHEMA),
        frame.but(less=rng.choice([IDS, TIMES, PAYLOADS, IDS | TIMES])),
        frame.but(payloads=None if schema.has_payloads else (b"",) * frame.n_events),
    ]).encode()  # fmt: skip


def wrong_columns(rng, schema, frame, pieces, at):
    """Columns that contradict the header or the length, with right checksums. A schema frame has none."""
    n = frame.n_events
    if not n:
        return
    kinds = [
        frame.but(ids=tuple(frame.event_ids), first_event_id=frame.event_ids[0] ^ 1 << rng.randrange(64)),
        frame.but(times=(frame.time_ns,) * n, time_ns=frame.time_ns ^ 1 << rng.randrange(40)),
    ]
    if frame.payloads is not None:
        sizes = [len(payload) for payload in frame.payloads]
        ends = [sum(sizes[: k + 1]) for k in range(n)]
        lie = rng.randrange(n)
        ends[lie] = rng.choice([max(0, ends[lie] - 1), ends[lie] + 1, 0, 2**32 - 1, rng.getrandbits(32), rng.randrange(ends[-1] + 1)])
        kinds += [frame.but(ends=tuple(ends))] * 3
    pieces[at] = rng.choice(kinds).encode()


def wrong_counts(rng, schema, frame, pieces, at):
    """A list with more elements than it may have, or with something behind the last one."""
    if not (schema.lists and frame.n_events):
        return
    events = np.frombuffer(frame.records, schema.dtype).copy()
    name, fields = rng.choice(list(schema.lists.items()))
    event, field = rng.randrange(len(events)), rng.choice(fields)
    if rng.random() < 0.4:
        most = np.iinfo(schema.dtype[name]).max
        events[name][event] = rng.choice([min(field.length + 1, most), most])
    elif rng.random() < 0.5:
        events[name][event] = max(0, int(events[name][event]) - 1)
    else:
        raw = bytearray(events[field.name][event].tobytes())
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        events[field.name][event] = np.frombuffer(bytes(raw), schema.dtype[field.name].base)
    pieces[at] = frame.but(records=events.tobytes()).encode()


def wrong_schema_frame(rng, schema, frame, pieces, at):
    whole = schema_frame(schema)
    text = rng.choice([b"no schema", b'name = "x"\n', b"\xff\xfe", schema.text + b"\n", schema.text[:-1]])
    pieces[at] = rng.choice([
        whole.but(records=b""),
        whole.but(records=text),
        whole.but(records=text, schema_id=Frame(text, 0).schema_id),
        whole.but(records=bytes(SCHEMA_MAX + 1)),
        whole.but(n_events=1),
        whole.but(flags=SCHEMA | rng.choice([SPARSE_IDS, IDS, TIMES, PAYLOADS])),
        whole.but(stride=8),
    ]).encode() + pieces[at]  # fmt: skip


def same_schema_again(rng, schema, frame, pieces, at):
    """Whole, or with a bit that flipped somewhere."""
    piece = schema_frame(schema).encode()
    pieces[at] = rng.choice([piece, flip(rng, piece, 0, 64), flip(rng, piece, 40, 64), flip(rng, piece, 64, len(piece))]) + pieces[at]


def foreign_frames(rng, schema, frame, pieces, at):
    """Good frames of another schema, with or without its schema frame."""
    other = Schema.of("foreign", [Field("x", "u16", rng.choice([0, 3]))], rng.random() < 0.5)
    if rng.random() < 0.3:
        other = Schema(schema.text.replace(b"oracle", b"orakel"))
    some = event_frame(other, draw_events(rng, other, rng.randint(1, 9), False), run=frame.run, segment=frame.segment)
    begin = schema_frame(other).encode() if rng.random() < 0.5 else b""
    pieces[at] = begin + some.encode() * rng.randint(1, 3) + pieces[at]


def nested(rng, schema, frame, pieces, at):
    """Whole frames in the body of a frame, which itself may be damaged. The frames inside have ids of their own."""
    inner = b"".join(
        event_frame(schema, draw_events(rng, schema, rng.randint(1, 4), False), first_event_id=777_000 + 10 * k, run=frame.run,
                    segment=frame.segment + rng.choice([0, 0, 9]) & 0xFFFFFFFF, source_id=frame.source_id).encode()
        for k in range(rng.randint(1, 5))
    )  # fmt: skip
    inner = bytes(rng.choice([0, 0, 1, 64])) + inner
    n = -(-len(inner) // schema.stride)
    if schema.has_payloads and frame.n_events and rng.random() < 0.7:
        parts = list(frame.payloads)
        parts[rng.randrange(len(parts))] = inner
        outer = frame.but(payloads=tuple(parts))
    else:
        parts = (b"",) * n if schema.has_payloads else None
        records = inner.ljust(n * schema.stride, b"\0")
        outer = frame.but(records=records, n_events=n, stride=schema.stride, ids=None, times=None, payloads=parts)
    piece = outer.encode()
    pieces[at] = rng.choice([
        piece,
        flip(rng, piece, 64, 64 + len(outer.body)),
        flip(rng, piece, 0, 64),
        flip(rng, piece, 64, 64 + len(outer.body))[: rng.randrange(64, len(piece) + 1)],
        piece[: rng.randrange(len(piece) + 1)],
    ])  # fmt: skip


Kind = Callable[[random.Random, Schema, Frame, Pieces, int], None]
KINDS: dict[str, Kind] = {
    f.__name__: f
    for f in (
        flip_header, flip_body, flip_padding, lose_bytes, add_bytes, add_magic, tear_header, lose_frame, swap_frames, other_version,
        wrong_header, wrong_columns, wrong_counts, wrong_schema_frame, same_schema_again, foreign_frames, nested,
    )
}  # fmt: skip
