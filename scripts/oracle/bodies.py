"""The body of an event frame: SPEC.md section 2.1, the columns of section 3, the lists of section 4."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from frames import EVENT_MAX, HEADER_LEN, IDS, PAYLOAD_LEN, PAYLOADS, TIMES, Schema


@dataclass(frozen=True)
class Layout:
    """Where the parts of a body lie."""

    n: int
    flags: int
    """`IDS` and `TIMES` count."""
    stride: int
    has_payloads: bool

    @property
    def times_at(self) -> int:
        return 8 * self.n if self.flags & IDS else 0

    @property
    def ends_at(self) -> int:
        return self.times_at + (8 * self.n if self.flags & TIMES else 0)

    @property
    def records_at(self) -> int:
        return self.ends_at + (4 * self.n if self.has_payloads else 0)

    @property
    def payloads_at(self) -> int:
        """All that is there without payloads."""
        return self.records_at + self.n * self.stride

    def length(self, data: bytes, frame_at: int) -> int | None:
        """How long the body of the frame that starts here is by this layout, if the last of `ends` can be read."""
        if not self.has_payloads or not self.n:
            return self.payloads_at
        last_at = frame_at + HEADER_LEN + self.records_at - 4
        last = data[last_at : last_at + 4]
        return self.payloads_at + int.from_bytes(last, "little") if len(last) == 4 else None


class Body:
    """The parts of a body whose length the header allows."""

    def __init__(self, head, data: bytes, schema: Schema):
        self.head, self.data, self.schema = head, data, schema
        self.layout = Layout(head.n_events, head.flags, schema.stride, schema.has_payloads)

    def column(self, flag: int, at: int, form: str) -> np.ndarray | None:
        return np.frombuffer(self.data, form, self.head.n_events, at) if self.head.flags & flag else None

    @cached_property
    def id_column(self) -> np.ndarray | None:
        return self.column(IDS, 0, "<u8")

    @cached_property
    def time_column(self) -> np.ndarray | None:
        return self.column(TIMES, self.layout.times_at, "<u8")

    @cached_property
    def ends(self) -> np.ndarray | None:
        ends = self.column(PAYLOADS, self.layout.ends_at, "<u4")
        return None if ends is None else ends.astype(np.int64)

    @cached_property
    def records(self) -> np.ndarray:
        return np.frombuffer(self.data, self.schema.dtype, self.head.n_events, self.layout.records_at)

    @property
    def cause(self) -> str | None:
        """What is wrong with it."""
        if self.columns_are_wrong():
            return "columns"
        return "count" if self.counts_are_wrong() else None

    def columns_are_wrong(self) -> bool:
        if self.id_column is not None and int(self.id_column[0]) != self.head.first_event_id:
            return True
        if self.time_column is not None and int(self.time_column[0]) != self.head.time_ns:
            return True
        if self.ends is None:
            return False
        lens = np.diff(self.ends, prepend=0)
        return bool(
            (lens < 0).any() or self.layout.payloads_at + self.ends[-1] != len(self.data) or (lens + self.schema.stride > EVENT_MAX).any()
        )

    def counts_are_wrong(self) -> bool:
        for name, fields in self.schema.lists.items():
            counts = self.records[name].astype(int)
            if (counts > fields[0].length).any():
                return True
            behind = np.arange(fields[0].length) >= counts[:, None]
            for field in fields:
                # A negative zero is not 0 in all bytes.
                raw = self.records[field.name]
                if (np.ascontiguousarray(raw).view(f"<u{raw.dtype.itemsize}").reshape(raw.shape)[behind] != 0).any():
                    return True
        return False

    @cached_property
    def ids(self) -> list[int]:
        """The ids of its events as they are written."""
        if self.id_column is not None:
            return self.id_column.tolist()
        return list(range(self.head.first_event_id, self.head.first_event_id + self.head.n_events))

    @cached_property
    def times(self) -> np.ndarray:
        if self.time_column is not None:
            return self.time_column
        return np.full(self.head.n_events, self.head.time_ns, np.uint64)

    @cached_property
    def payloads(self) -> list[bytes]:
        if self.ends is None:
            return [b""] * self.head.n_events
        at = [self.layout.payloads_at + int(end) for end in (0, *self.ends)]
        return [self.data[a:b] for a, b in zip(at, at[1:])]

    @cached_property
    def rows(self) -> np.ndarray:
        """The events as a menu sees them."""
        rows = np.zeros(self.head.n_events, self.schema.rows)
        for name in self.schema.dtype.names:
            rows[name] = self.records[name]
        if self.ends is not None:
            rows[PAYLOAD_LEN] = np.diff(self.ends, prepend=0)
        return rows
