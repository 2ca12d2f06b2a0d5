"""How a recording is played: what must not change anything, and what changes only when, how far, or which events are too late."""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass

from pace import Pace

EVENTS_STOPPED_MAX = 8_000
"""Of a run that is as fast as it can be until it is stopped."""


@dataclass(frozen=True)
class Stop:
    """Somebody ends the run."""

    signals: tuple[int, ...]
    """One: what was taken is decided. Two: what is undecided is dropped. SIGKILL: nothing is said any more."""
    after_s: float
    share: float
    """How much of the input a pipe gives before it falls silent."""
    waits: bool
    """Until the run has read all that the pipe gave."""

    @classmethod
    def draw(cls, rng: random.Random) -> Stop:
        signals = rng.sample([signal.SIGINT, signal.SIGTERM], rng.choice([1, 1, 2])) if rng.random() < 0.8 else [signal.SIGKILL]
        return cls(tuple(signals), rng.uniform(0, 0.25), rng.choice([1.0, rng.random()]), rng.random() < 0.6)

    @property
    def drops(self) -> bool:
        return len(self.signals) > 1

    @property
    def kills(self) -> bool:
        return signal.SIGKILL in self.signals


@dataclass(frozen=True)
class Way:
    compressed: bool
    piped: bool
    workers: int
    batch: int
    durable: str
    device: str
    rotate: str | None
    passes: int
    """`--repeat`. A pipe cannot be played again."""
    verified: bool
    """`tamis verify` must agree, too."""
    pace: Pace | None = None
    deadline: str | None = None
    stop: Stop | None = None

    @classmethod
    def draw(cls, rng: random.Random, events: int) -> Way:
        """For a recording of about so many events."""
        stop = Stop.draw(rng) if rng.random() < 0.16 else None
        is_killed = bool(stop and stop.kills)
        is_paced = rng.random() < (0.6 if stop else 0.12)
        piped = rng.random() < 0.3
        passes = 1 if piped else rng.choice([1, 1, 1, 1, 2, 3])
        if stop and not piped:
            passes = rng.choice([1, 3, 30]) if is_paced else min(200, max(2, EVENTS_STOPPED_MAX // events))
        seconds = rng.uniform(0.2, 1.0) if stop else rng.uniform(0.02, 0.1) / passes
        return cls(
            compressed=rng.random() < 0.3,
            piped=piped,
            workers=rng.choice([1, 1, 2, 3]),
            batch=rng.choice([1, 2, 7, 64, 300, 4096]),
            durable=rng.choice(["close", "never", "never", "every=1ms"] + ["every=1ms"] * 8 * is_killed),
            device=rng.choice(["flex", "fused"]),
            rotate=rng.choice([None, None, None, "20kB"]),
            passes=passes,
            verified=rng.random() < (0.5 if stop else 0.25),
            pace=Pace.draw(rng, events, seconds) if is_paced else None,
            deadline=rng.choice(["1ns", "100us", "1ms", "5ms", "1000s"]) if rng.random() < 0.12 and not is_killed else None,
            stop=stop,
        )

    def options(self) -> list[str]:
        options = ["--workers", str(self.workers), "--batch", str(self.batch), "--durable", self.durable, "--device", self.device]
        options += ["--rotate", self.rotate] if self.rotate else []
        options += ["--pace", self.pace.word] if self.pace else []
        options += ["--deadline", self.deadline] if self.deadline else []
        return options + (["--repeat", str(self.passes)] if self.passes > 1 else [])

    @property
    def drops(self) -> bool:
        return bool(self.stop and self.stop.drops)

    @property
    def needs_witness(self) -> bool:
        """Nobody can predict which events it decides in time."""
        return bool(self.drops or self.deadline)
