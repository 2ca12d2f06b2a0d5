"""Is the oracle itself awake? Faults that are planted after the expectation was made; each of them must show as a difference.

Two sorts: the input changes by one thing before the run, as if tamis had read it wrongly; and what a right run left changes by one thing,
as if tamis had counted or stored it wrongly.
"""

from __future__ import annotations

import copy
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import runs
from check import difference
from frames import Frame, Schema, event_frame, schema_frame
from menus import Line, Menu
from runs import Broken, Outcome
from schemas import draw_events
from ways import Way

SOURCES = 3


def blind(binary: Path, seeds: list[str], schemas: list[Schema]) -> list[str]:
    """The canaries that were not found."""
    return [f"{name}, seed {seed}" for seed, schema in zip(seeds, schemas) for name in blind_in(binary, random.Random(seed), schema)]


def blind_in(binary: Path, rng: random.Random, schema: Schema) -> list[str]:
    lines = [Line("all", "pass-through", 1, ["s"]), Line("half", "pass-through", 2, ["s", "t"]), Line("third", "random", 1, ["t"], every=3)]
    menu = Menu(lines, ["s", "t"], rng, [], None)
    frames = recording(rng, schema)
    data = encoded(frames)
    way = replace(Way.draw(rng, 120), passes=1, pace=None, deadline=None, stop=None)

    def wrong(frames: list[Frame]) -> str | None:
        folder = Path(tempfile.mkdtemp(prefix="tamis-canary-"))
        try:
            found.append(runs.run(binary, folder, encoded(frames), menu, schema, way))
            return difference(data, schema, menu, way, found[-1])
        except Broken as error:
            return str(error)
        finally:
            shutil.rmtree(folder)

    found: list[Outcome] = []
    if sound := wrong(frames):
        return [f"no fault was planted, but: {sound}"]
    unseen = [plant.__name__ for plant in PLANTS if wrong(plant(rng, frames)) is None]
    right = found[0]
    for spoil in SPOILS:
        outcome = copy.deepcopy(right)
        spoil(rng, outcome)
        if difference(data, schema, menu, way, outcome) is None:
            unseen.append(spoil.__name__)
    return unseen


def recording(rng: random.Random, schema: Schema) -> list[Frame]:
    """Whole frames with gaps, in two segments."""
    frames = [schema_frame(schema)]
    for k in range(12):
        events = draw_events(rng, schema, 10, False)
        frames.append(event_frame(schema, events, first_event_id=k // SOURCES * 12, source_id=k % SOURCES, run=5, segment=k // 6, time_ns=k))
    return frames


def encoded(frames: list[Frame]) -> bytes:
    return b"".join(frame.encode() for frame in frames)


def some(rng: random.Random, frames: list[Frame], **changes: Callable[[Frame], object]) -> list[Frame]:
    """One frame has other values in its header, or other bytes."""
    at = rng.randrange(1, len(frames))
    frame = frames[at]
    return [*frames[:at], frame.but(**{name: change(frame) for name, change in changes.items()}), *frames[at + 1 :]]


def a_frame_is_lost(rng, frames):
    at = rng.randrange(1, len(frames))
    return frames[:at] + frames[at + 1 :]


def a_frame_comes_twice(rng, frames):
    at = rng.randrange(1, len(frames))
    return frames[: at + 1] + frames[at:]


def two_frames_change_places(rng, frames):
    at = rng.randrange(1, len(frames) - 1)
    return [*frames[:at], frames[at + 1], frames[at], *frames[at + 2 :]]


def a_byte_of_an_event(rng, frames):
    at = rng.randrange(len(frames[1].payload))
    return some(rng, frames, payload=lambda f: f.payload[:at] + bytes([f.payload[at] ^ 1]) + f.payload[at + 1 :])


def ids_move_by_one(rng, frames):
    return some(rng, frames, first_event_id=lambda f: f.first_event_id + 1)


def another_time(rng, frames):
    return some(rng, frames, time_ns=lambda f: f.time_ns + 1)


def another_source(rng, frames):
    return some(rng, frames, source_id=lambda f: f.source_id + SOURCES)


def another_run(rng, frames):
    return some(rng, frames, run=lambda f: f.run + 1)


def another_segment(rng, frames):
    return some(rng, frames, segment=lambda f: f.segment + 1)


def gaps_do_not_count(rng, frames):
    return [frames[0], *(frame.but(flags=2) for frame in frames[1:])]


def a_wrong_checksum(rng, frames):
    return some(rng, frames, payload_crc=lambda f: 1)


def bytes_between_frames(rng, frames):
    return [*frames[:3], Frame(b"", 0, magic=b"NONE"), *frames[3:]]


def a_count(rng, outcome):
    outcome.total.counts[rng.choice(["received", "rejected", "corrupt.dup", "missing", "frames.received"])] += 1


def an_event_in_another_segment(rng, outcome):
    first, second = sorted(outcome.segments)[:2]
    outcome.segments[first].counts["accepted"] -= 1
    outcome.segments[second].counts["accepted"] += 1


def a_segment_too_many(rng, outcome):
    outcome.segments[9, 9] = copy.deepcopy(next(iter(outcome.segments.values())))


def a_line_that_passed(rng, outcome):
    outcome.total.passed[2] += 1


def a_line_that_kept(rng, outcome):
    next(iter(outcome.segments.values())).kept[1] -= 1


def spoiled_record(name: str, change: Callable[[object], object]):
    def spoil(rng, outcome):
        records = outcome.streams["s"]
        at = rng.randrange(len(records))
        records[at] = replace(records[at], **{name: change(getattr(records[at], name))})

    spoil.__name__ = f"a record with another {name}"
    return spoil


def a_record_less(rng, outcome):
    outcome.streams["t"].pop(rng.randrange(len(outcome.streams["t"])))


def a_record_twice(rng, outcome):
    outcome.streams["t"].append(outcome.streams["t"][-1])


def records_in_another_order(rng, outcome):
    outcome.streams["s"].reverse()


def a_stream_of_another(rng, outcome):
    outcome.streams["s"], outcome.streams["t"] = outcome.streams["t"], outcome.streams["s"]


def an_exit_code(rng, outcome):
    outcome.exit = 75 - outcome.exit


PLANTS = [
    a_frame_is_lost, a_frame_comes_twice, two_frames_change_places, a_byte_of_an_event, ids_move_by_one, another_time, another_source,
    another_run, another_segment, gaps_do_not_count, a_wrong_checksum, bytes_between_frames,
]  # fmt: skip
SPOILS = [
    a_count, an_event_in_another_segment, a_segment_too_many, a_line_that_passed, a_line_that_kept, a_record_less, a_record_twice,
    records_in_another_order, a_stream_of_another, an_exit_code,
    *(spoiled_record(name, lambda bits: bits ^ 1) for name in ("passed", "kept", "event_id", "time_ns", "menu_hash", "schema_id", "engine")),
    spoiled_record("event", lambda event: event[:-1] + bytes([event[-1] ^ 0x80])),
]  # fmt: skip
