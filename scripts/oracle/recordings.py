"""Random recordings: many sources, runs and segments, ids with gaps, repeats, overlaps and jumps, dense and sparse frames in any
mixture, with or without columns of ids and times, with payloads."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np

from frames import ID_MAX, SPARSE_IDS, Frame, Schema, event_frame, schema_frame
from schemas import draw_events


@dataclass
class Feed:
    """One source in one run: where its ids are, and what it sent."""

    source: int
    run: int
    segment: int
    cursor: int
    sent: list[Frame] = field(default_factory=list)
    is_repeating: bool = False


BYTES_MAX = 8 << 20
"""Of all payloads of a recording, in all passes."""


@dataclass(frozen=True)
class Habits:
    """How wild a recording is: probabilities per frame."""

    gap: float
    repeat: float
    overlap: float
    back: float
    jump: float
    sparse: float
    turn: float
    ids: float
    times: float
    payloads: list[int]
    """How long they may be."""

    @classmethod
    def draw(cls, rng: random.Random) -> Habits:
        columns = [rng.choice([0, 0, 0.1, 0.5, 1]) for _ in range(2)]
        sizes = rng.choice([[0], [0, 1, 3, 64], [0, 5, 200, 3000], [0, 1000, 100_000]] * 5 + [[0, 10, 4_000_000]])
        if rng.random() < 0.2:
            return cls(*[0.0] * 6, rng.choice([0.0, 0.1]), *columns, sizes)
        often = [0.0, 0.0, 0.02, 0.1, 0.3]
        wild = [rng.choice(often) for _ in range(5)]
        return cls(*wild, rng.choice([0, 0, 0.1, 0.5, 1]), rng.choice(often), *columns, sizes)


def draw_recording(rng: random.Random, schema: Schema, size: int, odd: bool, passes: int = 1) -> list[Frame]:
    """Frames of about `size` events in all, the schema frame first."""
    room = BYTES_MAX // passes
    habits = Habits.draw(rng)
    feeds = draw_feeds(rng)
    longest = rng.choice([1, 3, 20, 100, 400])
    frames, left = [schema_frame(schema)], size
    events = draw_events(rng, schema, size, odd)
    while left > 0:
        feed = rng.choice(feeds)
        if rng.random() < habits.turn:
            turn(rng, feed, feeds)
        frame = next_frame(rng, schema, feed, habits, events[left - min(rng.randint(1, longest), left) : left])
        if schema.has_payloads and not feed.is_repeating:
            frame = frame.but(payloads=draw_payloads(rng, habits, frame.n_events, room))
            room -= sum(map(len, frame.payloads))
        feed.sent.append(frame)
        frames.append(frame)
        left -= frame.n_events
        if rng.random() < 0.01:
            frames.append(schema_frame(schema))
    return frames


def draw_feeds(rng: random.Random) -> list[Feed]:
    starts = [0, 0, 1, 1000, 2**32 - 50, 2**63, ID_MAX - 3000]
    first = rng.choice(starts)
    same = rng.random() < 0.7
    runs = rng.sample([0, 1, 2, 7, 2**32 - 1], rng.choice([1, 1, 1, 2, 3]))
    sources = rng.sample(range(1 << 16), rng.choice([1, 1, 2, 3, 10, 60, 400]))
    segment = rng.choice([0, 1, 2**32 - 5])
    return [Feed(s, run, segment, first if same else rng.choice(starts)) for run in runs for s in sources]


def turn(rng: random.Random, feed: Feed, feeds: list[Feed]) -> None:
    """The next segment, for one source or all at once; seldom back to an earlier one."""
    step = -1 if rng.random() < 0.1 and feed.segment else 1
    segment = min(feed.segment + step, 2**32 - 1)
    together = rng.random() < 0.6
    for each in feeds if together else [feed]:
        each.segment = segment


def next_frame(rng: random.Random, schema: Schema, feed: Feed, habits: Habits, events: np.ndarray) -> Frame:
    n = len(events)
    feed.is_repeating = False
    flags = SPARSE_IDS if rng.random() < habits.sparse else 0
    first, follows = feed.cursor, True
    if rng.random() < habits.gap:
        first += rng.choice([1, 2, 10, 1000])
    elif feed.sent and rng.random() < habits.repeat:
        feed.is_repeating = True
        return rng.choice(feed.sent[-30:]).but(segment=feed.segment)
    elif feed.sent and rng.random() < habits.overlap:
        earlier = rng.choice(feed.sent[-30:])
        first = max(0, rng.choice(earlier.event_ids) + rng.randint(-n, 1))
        follows = first + n > feed.cursor
    elif feed.sent and rng.random() < habits.back:
        first, follows = max(0, first - rng.randint(1, 3000)), False
    elif rng.random() < habits.jump:
        first = max(0, first + rng.choice([2**20, 2**33, 2**40, -(2**20), -(2**33), -(2**40)]))
        follows = rng.random() < 0.5
    first = min(first, ID_MAX - n + 1)
    if follows:
        feed.cursor = min(first + n, ID_MAX)
    frame = event_frame(
        schema, events, first_event_id=first, time_ns=rng.getrandbits(40), run=feed.run, segment=feed.segment, source_id=feed.source,
        flags=flags,
    )  # fmt: skip
    if rng.random() < habits.ids:
        frame = frame.with_ids(draw_ids(rng, feed, first, n, bool(flags)))
    return frame.with_times(draw_times(rng, frame.time_ns, n)) if rng.random() < habits.times else frame


def draw_ids(rng: random.Random, feed: Feed, first: int, n: int, sparse: bool) -> list[int]:
    """A column: the ids of a frame without one in any order, with gaps, ids that came before, and ids twice."""
    step = rng.choice([1, 1, 1, 2]) if not sparse else rng.choice([1, 3, 10**6])
    ids = [min(first + k * step, ID_MAX) for k in range(n)]
    kind = rng.random()
    if kind < 0.4:
        rng.shuffle(ids)
    elif kind < 0.5:
        ids.reverse()
    if sparse and rng.random() < 0.3:
        ids = [rng.choice([rng.getrandbits(64), rng.getrandbits(10), i]) for i in ids]
    for chance, others in ((0.2, ids), (0.2, [i for frame in feed.sent[-5:] for i in frame.event_ids]), (0.05, [0, ID_MAX, 2**32 - 1, 2**32])):
        if rng.random() < chance and others:
            for _ in range(rng.randint(1, 3)):
                ids[rng.randrange(n)] = rng.choice(others)
    return ids


def draw_times(rng: random.Random, first: int, n: int) -> list[int]:
    """They may go back, and be any number."""
    if rng.random() < 0.2:
        return [first, *(rng.choice([0, 2**64 - 1, rng.getrandbits(64)]) for _ in range(n - 1))]
    return [first + k * rng.choice([0, 1, 25]) for k in range(n)]


def draw_payloads(rng: random.Random, habits: Habits, n: int, room: int) -> tuple[bytes, ...]:
    """Noise, zeros, or what looks like headers."""
    payloads = []
    for _ in range(n):
        size = min(rng.choice([0, rng.randint(0, rng.choice(habits.payloads))]), max(room, 0))
        room -= size
        payloads.append(rng.choice([rng.randbytes, bytes, lambda size: (b"TAMF" * (size // 4 + 1))[:size]])(size))
    return tuple(payloads)
