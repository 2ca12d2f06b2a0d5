"""The sample files: which crossings they hold, and the rows of hardware integers for these."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from . import library, level1
from .processes import HARD, MINIMUM_BIAS, SEED, SIGNALS, Process

MEAN_PILE_UP, PILE_UP_SIGMA, PILE_UP_RANGE = 60.0, 10.0, (20.0, 100.0)
ZERO_BIAS_SHARE = 2 / 3
"""The first part of every hard process serves all files but the mixed one, which has the rest to itself.

All files share minimum bias: with a part each, the small difference in mean activity would show in the rates.
"""

CHUNK = 3564
QUICK_DIVISOR = 50


@dataclass(frozen=True)
class Sample:
    """One file. `signal` is a label (0 for none); `mixed` adds `signal_share` of all signals in equal parts."""

    name: str
    run: int
    events: int
    signal: int = 0
    mixed: bool = False
    signal_share: float = 0.0


Item = TypeVar("Item", Process, Sample)

SAMPLES = (
    Sample("l1-zerobias", 410001, 200_000),
    Sample("l1-mixed", 410002, 100_000, mixed=True, signal_share=0.01),
    Sample("l1-ato4l", 410011, 5_000, signal=1),
    Sample("l1-lqbtau", 410012, 5_000, signal=2),
    Sample("l1-htautau", 410013, 5_000, signal=3),
    Sample("l1-hptaunu", 410014, 5_000, signal=4),
)


@dataclass(frozen=True)
class Plan:
    """All that is generated and written; `quick` divides every number of events by 50."""

    processes: tuple[Process, ...]
    samples: tuple[Sample, ...]

    def process(self, label: int) -> Process:
        """The signal with this label."""
        return next(process for process in self.processes if process.label == label)


def plan(quick: bool) -> Plan:
    """The full plan, or a small one for a smoke test."""
    processes = (MINIMUM_BIAS, *HARD, *SIGNALS)
    divisor = QUICK_DIVISOR if quick else 1
    return Plan(
        tuple(_fewer(process, divisor) for process in processes),
        tuple(_fewer(sample, divisor) for sample in SAMPLES),
    )


def _fewer(item: Item, divisor: int) -> Item:
    """The same with fewer events, but at least three."""
    return type(item)(**{**vars(item), "events": max(item.events // divisor, 3)})


class Builder:
    """Makes rows from the cached libraries; every worker process has one."""

    def __init__(self, cache: Path, the_plan: Plan) -> None:
        processes = the_plan.processes
        self.plan = the_plan
        self.library, sizes, sigmas = library.load(cache, list(processes))
        starts = np.concatenate([[0], np.cumsum(sizes)])
        self.first_signal = {process.label: int(start) for process, start in zip(processes, starts) if process.label}
        background = [i for i, process in enumerate(processes) if not process.label]
        self.starts, self.sizes = starts[background], np.array(sizes)[background]
        chance = np.array(sigmas)[background] / sigmas[0]
        chance[0] = 1 - chance[1:].sum()
        self.chance = chance

    def mixture(self, mixed: bool) -> level1.Mixture:
        """The collisions that a file may use, with their natural shares; minimum bias comes first."""
        split = np.floor(self.sizes * ZERO_BIAS_SHARE).astype(np.int64)
        first = self.starts + split if mixed else self.starts.copy()
        size = self.sizes - split if mixed else split
        first[0], size[0] = self.starts[0], self.sizes[0]
        cumulative = np.cumsum(self.chance)
        cumulative[-1] = 1.0
        return level1.Mixture(first, size, cumulative)

    def signals(self, sample: Sample) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
        """The signal collision (-1 for none) and the label of every crossing of a file."""
        collision = np.full(sample.events, -1)
        label = np.full(sample.events, sample.signal, np.int16)
        if sample.signal:
            collision = self.first_signal[sample.signal] + np.arange(sample.events)
        if sample.mixed:
            kinds = sorted(self.first_signal)
            each = int(sample.events * sample.signal_share) // len(kinds)
            places = np.random.default_rng([SEED, sample.run]).permutation(sample.events)[: each * len(kinds)]
            for kind, mine in zip(kinds, places.reshape(len(kinds), each)):
                used = next(other.events for other in self.plan.samples if other.signal == kind)
                collision[mine] = self.first_signal[kind] + used + np.arange(each)
                label[mine] = kind
        return collision, label

    def rows(self, sample: Sample, chunk: int) -> level1.Rows:
        """The rows of one chunk of a file, from the chunk's own seed."""
        rng = np.random.default_rng([SEED, sample.run, chunk])
        collision, label = (part[chunk * CHUNK : (chunk + 1) * CHUNK] for part in self.signals(sample))
        pile_up = np.clip(rng.normal(MEAN_PILE_UP, PILE_UP_SIGMA, len(label)), *PILE_UP_RANGE)
        return level1.simulate(rng, self.library, self.mixture(sample.mixed), pile_up, collision, label)


_builder: Builder


def _start_worker(cache: Path, the_plan: Plan) -> None:
    global _builder
    _builder = Builder(cache, the_plan)


def _rows(sample: Sample, chunk: int) -> level1.Rows:
    return _builder.rows(sample, chunk)


def simulate(cache: Path, the_plan: Plan, jobs: int) -> Iterator[tuple[Sample, level1.Rows]]:
    """All rows of each file in turn."""
    with ProcessPoolExecutor(jobs, initializer=_start_worker, initargs=(cache, the_plan)) as pool:
        for sample in the_plan.samples:
            chunks = range(-(-sample.events // CHUNK))
            yield sample, np.concatenate(list(pool.map(_rows, [sample] * len(chunks), chunks)))
