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

import runs
import spoils
from check import difference
from frames import Frame, Schema, event_frame, schema_frame
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
    """Whole frames with gaps, in two segments."""
    frames = [schema_frame(schema)]
    for k in range(FRAMES):
        events = draw_events(rng, schema, FRAME_EVENTS, False)
        frames.append(event_frame(schema, events, first_event_id=k // SOURCES * 12, source_id=k % SOURCES, run=5, segment=2 * k // FRAMES, time_ns=k))
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


PLANTS = [
    a_frame_is_lost, a_frame_comes_twice, two_frames_change_places, a_byte_of_an_event, ids_move_by_one, another_time, another_source,
    another_run, another_segment, gaps_do_not_count, a_wrong_checksum, bytes_between_frames,
]  # fmt: skip
