"""Which events came before, and which ids never came: SPEC.md section 3.1."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from frames import IDS, SPARSE_IDS
from reading import Header

WRAP = 1 << 32


class Span:
    """From the lowest to the highest dense id: what came, and what did not."""

    def __init__(self):
        self.low, self.high = 0, -1
        self.inside: set[int] = set()
        self.outside: set[int] = set()

    def __contains__(self, id: int) -> bool:
        return id in self.inside or id in self.outside

    def add(self, ids: list[int], dense: bool) -> None:
        if dense:
            empty = self.high < self.low
            low, high = min(ids), max(ids)
            self.low, self.high = (low, high) if empty else (min(self.low, low), max(self.high, high))
            reached = {i for i in self.outside if self.low <= i <= self.high}
            self.inside |= reached
            self.outside -= reached
        for i in ids:
            (self.inside if self.low <= i <= self.high else self.outside).add(i)

    @property
    def missing(self) -> int:
        return self.high - self.low + 1 - len(self.inside)


class Numbers:
    """The ids of one source in one run, extended where the counter has 32 bits."""

    def __init__(self):
        self.segments: dict[int, Span] = defaultdict(Span)
        self.whole = Span()
        self.start_again = False
        """An id came in two segments."""
        self.wide = False
        """A dense frame without a column began at 2^32 or more."""
        self.counted = -1
        """The highest extended id of these frames."""
        self.missing = 0

    def extended(self, head: Header, ids: list[int]) -> list[int]:
        """The ids of a frame, of a dense one without a column extended."""
        if head.flags & (SPARSE_IDS | IDS):
            return ids
        first = head.first_event_id
        self.wide |= first >= WRAP
        turns, within = divmod(max(self.counted, 0), WRAP)
        if self.wide or self.counted < 0:
            turns = 0
        elif within >= 3 << 30 and first < 1 << 30:
            turns += 1
        elif within < 1 << 30 and first >= 3 << 30 and turns > 0:
            turns -= 1
        ids = [i + turns * WRAP for i in ids]
        self.counted = max(self.counted, ids[-1])
        return ids

    def take(self, head: Header, ids: list[int]) -> tuple[np.ndarray, int]:
        """Which events of a frame are new, and by how much the number of missing ids changes."""
        ids = self.extended(head, ids)
        segment = self.segments[head.segment]
        fresh = np.array(first_times(ids, segment))
        self.start_again |= any(i in self.whole for i, new in zip(ids, fresh) if new)
        for span in (segment, self.whole):
            span.add(ids, not head.flags & SPARSE_IDS)
        before, self.missing = self.missing, self.count_missing()
        return fresh, self.missing - before

    def count_missing(self) -> int:
        if self.start_again:
            return sum(segment.missing for segment in self.segments.values())
        return self.whole.missing


def first_times(ids: Iterable[int], before: Span) -> list[bool]:
    """Which ids came neither before nor earlier in the same frame."""
    here: set[int] = set()
    return [i not in before and not (i in here or here.add(i)) for i in ids]


class Identity:
    """Every source in every run."""

    def __init__(self):
        self.numbers: dict[tuple[int, int], Numbers] = defaultdict(Numbers)

    def take(self, head: Header, ids: list[int]) -> tuple[np.ndarray, int]:
        return self.numbers[head.source_id, head.run].take(head, ids)
