"""Random recordings: many sources, runs and segments, ids with gaps, repeats, overlaps and jumps, dense and sparse frames in any mixture."""

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


@dataclass(frozen=True)
class Habits:
    """How wild the ids of a recording are: probabilities per frame."""

    gap: float
    repeat: float
    overlap: float
    back: float
    jump: float
    sparse: float
    turn: float

    @classmethod
    def draw(cls, rng: random.Random) -> Habits:
        if rng.random() < 0.2:
            return cls(*[0.0] * 6, turn=rng.choice([0.0, 0.1]))
        often = [0.0, 0.0, 0.02, 0.1, 0.3]
        return cls(*(rng.choice(often) for _ in range(5)), sparse=rng.choice([0, 0, 0.1, 0.5, 1]), turn=rng.choice(often))


def draw_recording(rng: random.Random, schema: Schema, size: int, odd: bool) -> list[Frame]:
    """Frames of about `size` events in all, the schema frame first."""
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
    flags = SPARSE_IDS if rng.random() < habits.sparse else 0
    first, follows = feed.cursor, True
    if rng.random() < habits.gap:
        first += rng.choice([1, 2, 10, 1000])
    elif feed.sent and rng.random() < habits.repeat:
        return rng.choice(feed.sent[-30:]).but(segment=feed.segment)
    elif feed.sent and rng.random() < habits.overlap:
        earlier = rng.choice(feed.sent[-30:])
        first = max(0, earlier.first_event_id + rng.randint(-n, earlier.n_events))
        follows = first + n > feed.cursor
    elif feed.sent and rng.random() < habits.back:
        first, follows = max(0, first - rng.randint(1, 3000)), False
    elif rng.random() < habits.jump:
        first = max(0, first + rng.choice([2**20, 2**33, 2**40, -(2**20), -(2**33), -(2**40)]))
        follows = rng.random() < 0.5
    first = min(first, ID_MAX - n + 1)
    if follows:
        feed.cursor = min(first + n, ID_MAX)
    return event_frame(
        schema, events, first_event_id=first, time_ns=rng.getrandbits(40), run=feed.run, segment=feed.segment, source_id=feed.source,
        flags=flags,
    )  # fmt: skip
