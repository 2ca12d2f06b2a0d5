"""Which events a run dropped or decided too late: nobody can predict it, but its records say it.

A menu with a witness keeps every event that is decided, in one stream of its own or in the error stream. So an event without a record there was
dropped, and the record of one that was late says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arrivals import Admitted
from stored import DEADLINE, Record

WITNESS = "all"
"""The stream."""


@dataclass(frozen=True)
class Fates:
    """A truth per event that was admitted."""

    dropped: np.ndarray
    late: np.ndarray

    @classmethod
    def of(cls, admitted: list[Admitted], streams: dict[str, list[Record]]) -> Fates:
        """Looks for each event, in the order in which they arrived, at the next record of both streams.

        A record that is never reached stays, and shows as a difference.
        """
        keys = [key for a in admitted for key in keys_of(a)]
        left = [list(reversed(streams.get(stream, []))) for stream in (WITNESS, "error")]
        dropped, late = np.ones(len(keys), bool), np.zeros(len(keys), bool)
        for i, key in enumerate(keys):
            for records in left:
                if records and key_of(records[-1]) == key:
                    dropped[i], late[i] = False, records.pop().fault == DEADLINE
                    break
        return cls(dropped, late)


def keys_of(admitted: Admitted) -> list[tuple]:
    head = admitted.frame.header
    return [(head.source_id, head.run, head.segment, id, event) for id, event in zip(admitted.ids.tolist(), admitted.event_bytes)]


def key_of(record: Record) -> tuple:
    return record.source_id, record.run, record.segment, record.event_id, record.event
