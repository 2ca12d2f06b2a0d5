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
            result.append(frame if frame.flags & SCHEMA else at_time(frame, time_ns))
        return result

    def least_s(self, admitted: list[Admitted]) -> float:
        """The time until the last frame is due. Times count from the first frame of a pass, and whenever the run is another one."""
        if self.hz is not None:
            return sum(len(a.ids) for a in admitted[:-1]) / self.hz
        clock_ns, since, began_ns, time_ns = 0, None, 0, 0
        for a in admitted:
            head = a.frame.header
            if since != (a.turn, head.run):
                since, began_ns, time_ns = (a.turn, head.run), clock_ns, head.time_ns
            clock_ns = max(clock_ns, began_ns + head.time_ns - time_ns)
        return clock_ns / 1e9


def at_time(frame: Frame, time_ns: int) -> Frame:
    """The same frame at another time. A column begins with it."""
    return frame.but(time_ns=time_ns, times=frame.times and (time_ns, *frame.times[1:]))
