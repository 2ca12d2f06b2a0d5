"""Which events came before, and which ids never came: SPEC.md section 3.1."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from frames import SPARSE_IDS
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

    def add(self, ids: range, dense: bool) -> None:
        if dense:
            empty = self.high < self.low
            self.low, self.high = (ids[0], ids[-1]) if empty else (min(self.low, ids[0]), max(self.high, ids[-1]))
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
        """A dense frame began at 2^32 or more."""
        self.missing = 0

    def first_of(self, head: Header) -> int:
        """The extended first id of a frame."""
        first = head.first_event_id
        if head.flags & SPARSE_IDS:
            return first
        self.wide |= first >= WRAP
        if self.wide or self.whole.high < 0:
            return first
        turns, within = divmod(self.whole.high, WRAP)
        if within >= 3 << 30 and first < 1 << 30:
            return first + (turns + 1) * WRAP
        if within < 1 << 30 and first >= 3 << 30 and turns > 0:
            return first + (turns - 1) * WRAP
        return first + turns * WRAP

    def take(self, head: Header) -> tuple[np.ndarray, int]:
        """Which events of a frame are new, and by how much the number of missing ids changes."""
        first = self.first_of(head)
        ids = range(first, first + head.n_events)
        segment = self.segments[head.segment]
        fresh = np.array([i not in segment for i in ids])
        self.start_again |= any(i in self.whole for i, new in zip(ids, fresh) if new)
        for span in (segment, self.whole):
            span.add(ids, not head.flags & SPARSE_IDS)
        before, self.missing = self.missing, self.count_missing()
        return fresh, self.missing - before

    def count_missing(self) -> int:
        if self.start_again:
            return sum(segment.missing for segment in self.segments.values())
        return self.whole.missing


class Identity:
    """Every source in every run."""

    def __init__(self):
        self.numbers: dict[tuple[int, int], Numbers] = defaultdict(Numbers)

    def take(self, head: Header) -> tuple[np.ndarray, int]:
        return self.numbers[head.source_id, head.run].take(head)
