"""How fast events are admitted: `--pace` with a rate, or as the times of frames say."""

from __future__ import annotations

import random
from dataclasses import dataclass

from arrivals import Admitted
from frames import SCHEMA, Frame

SLACK_S = 10.0
"""What a run may take beyond its pace and its own lag, on a machine that does much else."""


@dataclass(frozen=True)
class Pace:
    seconds: float
    """For one pass, about."""
    hz: float | None
    """None: as recorded."""

    @classmethod
    def draw(cls, rng: random.Random, events: int, seconds: float) -> Pace:
        return cls(seconds, round(max(events, 1) / seconds, 3) if rng.random() < 0.6 else None)

    @property
    def word(self) -> str:
        if self.hz is None:
            return "recorded"
        return f"{self.hz!r}Hz" if self.hz < 1e3 else f"{self.hz / 1e3!r}kHz"

    def timed(self, rng: random.Random, frames: list[Frame]) -> list[Frame]:
        """The frames with times that go on, now and then a little back."""
        now, step = rng.getrandbits(40), self.seconds * 1e9 / len(frames)
        result = []
        for frame in frames:
            now += int(step * rng.choice([0.5, 1, 1.5]))
            early = rng.random() < 0.1
            time_ns = max(0, now - int(5 * step)) if early else now
            result.append(frame if frame.flags & SCHEMA else at_time(frame, time_ns, int(step / 2) // max(1, frame.n_events), rng))
        return result

    def least_s(self, admitted: list[Admitted]) -> float | None:
        """The time until the last event is due; None if no event has a time. Times count from the first one of a pass, and whenever the run is another
        one. An event whose time is unknown, which is 0, is due at once."""
        if self.hz is not None:
            return sum(len(a.ids) for a in admitted[:-1]) / self.hz if admitted else None
        clock_ns, place, began = None, None, None
        for a in admitted:
            if place != (a.turn, a.frame.header.run):
                place, began = (a.turn, a.frame.header.run), None
            for time_ns in map(int, a.times):
                if time_ns:
                    clock_ns = clock_ns or 0
                    began = began or (clock_ns, time_ns)
                    clock_ns = max(clock_ns, began[0] + time_ns - began[1])
        return None if clock_ns is None else clock_ns / 1e9


def at_time(frame: Frame, time_ns: int, step_ns: int, rng: random.Random) -> Frame:
    """The same frame at another time. A column begins with it, and goes on in steps, now and then a little back."""
    times = [time_ns]
    while len(times) < len(frame.times or ()):
        times.append(max(0, times[-1] + rng.choice([-step_ns, 0, step_ns, step_ns])))
    return frame.but(time_ns=time_ns, times=tuple(times) if frame.times else frame.times)
