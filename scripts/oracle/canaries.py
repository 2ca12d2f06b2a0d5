"""Is the oracle itself awake? Faults that are planted after the expectation was made; each of them must show as a difference.

Two sorts: the input changes by one thing before the run, as if tamis had read it wrongly; and what a right run left changes by one thing,
as if tamis had counted or stored it wrongly.
"""

from __future__ import annotations

import random
import shutil
import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import runs
import spoils
from check import difference
from frames import SPARSE_IDS, Frame, Schema, event_frame, schema_frame
from kills import Killed
from menus import Line, Menu
from pace import Pace
from runs import Broken, Outcome
from schemas import draw_events
from spoils import Spoil
from ways import Stop, Way
from witness import WITNESS

SOURCES, FRAMES, FRAME_EVENTS = 3, 12, 10
EVENTS = FRAMES * FRAME_EVENTS


def blind(binary: Path, seeds: list[str], schemas: list[Schema]) -> list[str]:
    """The canaries that were not found."""
    return [f"{name}, seed {seed}" for seed, schema in zip(seeds, schemas) for name in blind_in(binary, random.Random(seed), schema)]


def blind_in(binary: Path, rng: random.Random, schema: Schema) -> list[str]:
    lines = [Line("each", "pass-through", 1, ["s"]), Line("half", "pass-through", 2, ["s", "t"]), Line("third", "random", 1, ["t"], every=3)]
    menu = Menu([*lines, Line(WITNESS, "pass-through", 1, [WITNESS])], ["s", "t", WITNESS], rng, [], None)
    frames = recording(rng, schema)
    way = replace(Way.draw(rng, EVENTS), passes=1, deadline=None, stop=None)
    paced = replace(way, durable="close", rotate=None, pace=Pace(0.02, EVENTS / 0.02))
    silent = replace(way, piped=True, compressed=False, pace=None, deadline="1ns", stop=Stop((signal.SIGINT,), 0.0, 0.6, True))
    dropping = replace(silent, stop=replace(silent.stop, signals=(signal.SIGINT, signal.SIGTERM)))
    whole, stopped = (Lab(binary, encoded(frames), schema, menu, way) for way in (paced, silent))
    try:
        found, found_stopped = whole.run(whole.data), stopped.run(stopped.data)
    except Broken as error:
        return [f"no fault was planted, but: {error}"]
    if sound := whole.difference(found) or stopped.difference(found_stopped):
        return [f"no fault was planted, but: {sound}"]
    unseen = [plant.__name__ for plant in PLANTS if whole.sees_nothing(encoded(plant(rng, frames)))]
    unseen += whole.unseen(rng, found, spoils.OF_WHOLE)
    unseen += whole.unseen(rng, Killed(found.streams, found.files, found.claims), spoils.OF_KILL)
    unseen += stopped.unseen(rng, found_stopped, spoils.OF_STOP)
    unseen += replace(stopped, way=dropping).unseen(rng, found_stopped, spoils.OF_DROPS_AND_DEADLINE)
    if replace(stopped, way=replace(silent, deadline="1000s")).difference(found_stopped) is None:
        unseen.append("late after 1000 s")
    return unseen


@dataclass(frozen=True)
class Lab:
    """A recording, and what is expected of it."""

    binary: Path
    data: bytes
    schema: Schema
    menu: Menu
    way: Way

    def run(self, data: bytes) -> Outcome:
        folder = Path(tempfile.mkdtemp(prefix="tamis-canary-"))
        try:
            return runs.run(self.binary, folder, data, self.menu, self.schema, self.way)
        finally:
            shutil.rmtree(folder)

    def difference(self, found: Outcome | Killed) -> str | None:
        return difference(self.data, self.schema, self.menu, self.way, found)

    def unseen(self, rng: random.Random, found: Outcome | Killed, faults: list[Spoil]) -> list[str]:
        return [spoil.__name__ for spoil in faults if self.difference(spoils.spoiled(found, spoil, rng)) is None]

    def sees_nothing(self, data: bytes) -> bool:
        """Other bytes go in, and nobody notices."""
        try:
            return self.difference(self.run(data)) is None
        except Broken:
            return False


def recording(rng: random.Random, schema: Schema) -> list[Frame]:
    """Whole frames with gaps, in two segments; some with columns. The last one has a count that is too high."""
    frames = [schema_frame(schema)]
    for k in range(FRAMES):
        events = draw_events(rng, schema, FRAME_EVENTS, False)
        payloads = [rng.randbytes(rng.randint(1, 50)) for _ in events]
        first = k // SOURCES * 12
        frame = event_frame(
            schema, events, payloads, first_event_id=first, source_id=k % SOURCES, run=5, segment=2 * k // FRAMES, time_ns=k,
        )  # fmt: skip
        if k % 4 > 1:
            frame = frame.with_ids(rng.sample(range(first, first + 12), FRAME_EVENTS))
        if k % 4 in (1, 2):
            frame = frame.with_times([k + 7 * i for i in range(FRAME_EVENTS)])
        frames.append(frame)
    return [*frames, with_count(schema, frames[-1].but(source_id=SOURCES), 1000)]


def with_count(schema: Schema, frame: Frame, count: int) -> Frame:
    """Of the first event, for every list."""
    events = np.frombuffer(frame.records, schema.dtype).copy()
    for name, fields in schema.lists.items():
        events[name][0] = min(count, int(np.iinfo(schema.dtype[name]).max))
        for field in fields:
            events[field.name][0] = 0
    return frame.but(records=events.tobytes())


def encoded(frames: list[Frame]) -> bytes:
    return b"".join(frame.encode() for frame in frames)


def some(rng: random.Random, frames: list[Frame], having: str | None = None, **changes: Callable[[Frame], object]) -> list[Frame]:
    """One good frame, that has a column, has other values in its header, or other bytes."""
    at = rng.choice([k for k, frame in enumerate(frames[:-1]) if k and (not having or getattr(frame, having))])
    frame = frames[at]
    return [*frames[:at], frame.but(**{name: change(frame) for name, change in changes.items()}), *frames[at + 1 :]]


def a_frame_is_lost(rng, frames):
    at = rng.randrange(1, len(frames))
    return frames[:at] + frames[at + 1 :]


def a_frame_comes_twice(rng, frames):
    at = rng.randrange(1, len(frames))
    return frames[: at + 1] + frames[at:]


def two_frames_change_places(rng, frames):
    at = rng.randrange(1, len(frames) - 2)
    return [*frames[:at], frames[at + 1], frames[at], *frames[at + 2 :]]


def a_byte_of_an_event(rng, frames):
    """Of a number, so that no list is spoiled; in the frame of the lowest field, a count stands for it."""
    frame = frames[1]
    schema = Schema(frames[0].records)
    events = np.frombuffer(frame.records, schema.dtype).copy()
    raw = events[next(field.name for field in schema.fields if not field.is_list)].reshape(len(events), -1)
    raw[0, 0] = raw[0, 0] + 1 if raw[0, 0] < 1 else 0
    return [frames[0], frame.but(records=events.tobytes()), *frames[2:]]


def a_byte_of_a_payload(rng, frames):
    return some(rng, frames, payloads=lambda f: (*f.payloads[:3], bytes([f.payloads[3][0] ^ 1]) + f.payloads[3][1:], *f.payloads[4:]))


def payloads_change_places(rng, frames):
    return some(rng, frames, payloads=lambda f: (*f.payloads[:-2], f.payloads[-1], f.payloads[-2]))


def ids_move_by_one(rng, frames):
    """Of a frame without a column; the numbers of its events follow."""
    at = rng.choice([k for k, frame in enumerate(frames[:-1]) if k and not frame.ids])
    return [*frames[:at], frames[at].but(first_event_id=frames[at].first_event_id + 1), *frames[at + 1 :]]


def ids_of_a_column_change_places(rng, frames):
    return some(rng, frames, "ids", ids=lambda f: (f.ids[0], *f.ids[:0:-1]))


def ids_of_a_column_in_order(rng, frames):
    """As if nobody had read the column."""
    return some(rng, frames, "ids", ids=lambda f: None)


def another_time(rng, frames):
    """Of a frame without a column."""
    at = rng.choice([k for k, frame in enumerate(frames[:-1]) if k and not frame.times])
    return [*frames[:at], frames[at].but(time_ns=frames[at].time_ns + 1), *frames[at + 1 :]]


def the_time_of_the_frame(rng, frames):
    return some(rng, frames, "times", times=lambda f: None)


def a_count_is_not_looked_at(rng, frames):
    return [*frames[:-1], with_count(Schema(frames[0].records), frames[-1], 0)]


def another_source(rng, frames):
    return some(rng, frames, source_id=lambda f: f.source_id + SOURCES)


def another_run(rng, frames):
    return some(rng, frames, run=lambda f: f.run + 1)


def another_segment(rng, frames):
    return some(rng, frames, segment=lambda f: f.segment + 1)


def gaps_do_not_count(rng, frames):
    return [frames[0], *(frame.but(flags=SPARSE_IDS) for frame in frames[1:])]


def a_wrong_checksum(rng, frames):
    return some(rng, frames, body_crc=lambda f: 1)


def bytes_between_frames(rng, frames):
    return [*frames[:3], Frame(b"", 0, magic=b"NONE"), *frames[3:]]


PLANTS = [
    a_frame_is_lost, a_frame_comes_twice, two_frames_change_places, a_byte_of_an_event, a_byte_of_a_payload, payloads_change_places,
    ids_move_by_one, ids_of_a_column_change_places, ids_of_a_column_in_order, another_time, the_time_of_the_frame, a_count_is_not_looked_at,
    another_source, another_run, another_segment, gaps_do_not_count, a_wrong_checksum, bytes_between_frames,
]  # fmt: skip
