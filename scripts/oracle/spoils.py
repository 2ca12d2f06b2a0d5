"""Faults in what a run left, as if tamis had counted, stored or told it wrongly. Each changes one thing of an outcome."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import replace

from kills import Killed
from runs import Outcome
from witness import WITNESS

Spoil = Callable[[random.Random, Outcome | Killed], None]


def spoiled(outcome: Outcome | Killed, spoil: Spoil, rng: random.Random) -> Outcome | Killed:
    """Another outcome with one fault."""
    parts = {name: copy.deepcopy(value) for name, value in outcome.__dict__.items() if name != "streams"}
    other = replace(outcome, streams={name: list(records) for name, records in outcome.streams.items()}, **parts)
    spoil(rng, other)
    return other


def a_count(rng, outcome):
    outcome.total.counts[rng.choice(["received", "rejected", "corrupt.dup", "missing", "frames.received"])] += 1


def an_event_in_another_segment(rng, outcome):
    first, second = sorted(outcome.segments)[:2]
    outcome.segments[first].counts["accepted"] -= 1
    outcome.segments[second].counts["accepted"] += 1


def a_segment_too_many(rng, outcome):
    outcome.segments[9, 9] = copy.deepcopy(next(iter(outcome.segments.values())))


def a_line_that_passed(rng, outcome):
    outcome.total.passed[2] += 1


def a_line_that_kept(rng, outcome):
    next(iter(outcome.segments.values())).kept[1] -= 1


def spoiled_record(name: str, change: Callable[[object], object]):
    def spoil(rng, outcome):
        records = outcome.streams["s"]
        at = rng.randrange(len(records))
        records[at] = replace(records[at], **{name: change(getattr(records[at], name))})

    spoil.__name__ = f"a record with another {name}"
    return spoil


def a_record_less(rng, outcome):
    outcome.streams["t"].pop(rng.randrange(len(outcome.streams["t"])))


def a_record_twice(rng, outcome):
    outcome.streams["t"].append(outcome.streams["t"][-1])


def a_record_too_many(rng, outcome):
    outcome.streams["s"].append(outcome.streams["s"][0])


def records_in_another_order(rng, outcome):
    outcome.streams["s"].reverse()


def a_stream_of_another(rng, outcome):
    outcome.streams["s"], outcome.streams["t"] = outcome.streams["t"], outcome.streams["s"]


def an_exit_code(rng, outcome):
    outcome.exit = 75 - outcome.exit


def a_claim(name: str, change: Callable[[object, Outcome], dict], last: bool = False):
    """The first or last thing that the ledger says of stream `s` when a segment has its line is another."""

    def spoil(rng, outcome):
        claims = [claim for claim in outcome.claims if claim.stream == "s" and claim.segments]
        claim = claims[-1 if last else 0]
        claim.__dict__.update(change(claim, outcome))

    spoil.__name__ = name
    return spoil


def durable_less_at_the_end(rng, outcome):
    for claim in outcome.claims:
        claim.durable = 0


def a_lag_at_no_pace(rng, outcome):
    outcome.report["lag_ns"] = None


def too_fast(rng, outcome):
    outcome.report["throughput"]["seconds"] = 1e-4


def too_slow(rng, outcome):
    outcome.report["throughput"]["seconds"] += 60


def another_end(rng, outcome):
    outcome.report["stopped"] ^= True


def a_frame_less(rng, outcome):
    outcome.total.counts["frames.received"] -= 1


def a_frame_more(rng, outcome):
    outcome.total.counts["frames.received"] += 1


def bytes_that_nobody_gave(rng, outcome):
    outcome.stopped = replace(outcome.stopped, given=outcome.total.counts["frames.bytes"] - 1)


def a_frame_that_was_read_and_left(rng, outcome):
    """As if the pipe had given all of the recording."""
    outcome.stopped = replace(outcome.stopped, given=1 << 30)


def a_drop(rng, outcome):
    outcome.total.counts["dropped.shutdown"] += 1
    outcome.total.counts["accepted"] -= 1


def a_record_dropped(rng, outcome):
    """Of an event that is counted as decided."""
    records = outcome.streams[rng.choice([name for name in (WITNESS, "error") if outcome.streams[name]])]
    records.pop(rng.randrange(len(records)))


def a_late_event_in_time(rng, outcome):
    records = outcome.streams["error"]
    records[-1] = replace(records[-1], fault=0)


SPOILS = [
    a_count, an_event_in_another_segment, a_segment_too_many, a_line_that_passed, a_line_that_kept, a_record_less, a_record_twice,
    records_in_another_order, a_stream_of_another, an_exit_code,
    *(spoiled_record(name, lambda bits: bits ^ 1) for name in ("passed", "kept", "event_id", "time_ns", "menu_hash", "schema_id", "engine")),
    *(spoiled_record(name, lambda data: data[:-1] + bytes([data[-1] ^ 0x80])) for name in ("event", "payload")),
    spoiled_record("payload", lambda payload: payload[:-1]),
]  # fmt: skip
OF_LEDGER = [
    a_claim("more stored than there is", lambda claim, outcome: {"stored": len(outcome.streams["s"]) + 1}, last=True),
    a_claim("more durable than stored", lambda claim, outcome: {"durable": claim.stored + 1}),
    a_claim("durable before the file is closed", lambda claim, outcome: {"durable": 1}),
    a_claim("a segment with an event more", lambda claim, outcome: {"events": claim.events + 1}),
    a_claim("a segment that ends too early", lambda claim, outcome: {"end": claim.end - 1}, last=True),
    a_claim("a line before it is stored", lambda claim, outcome: {"stored": claim.end - 1}),
]  # fmt: skip
OF_WHOLE = [*SPOILS, *OF_LEDGER, durable_less_at_the_end, a_lag_at_no_pace, too_fast, too_slow, another_end]
OF_STOP = [another_end, a_frame_less, a_frame_more, bytes_that_nobody_gave, a_frame_that_was_read_and_left, a_drop]
OF_KILL = [*OF_LEDGER, records_in_another_order, spoiled_record("event_id", lambda id: id ^ 1), a_record_less, a_record_too_many]
OF_DROPS_AND_DEADLINE = [a_frame_less, a_frame_more, a_drop, a_record_dropped, a_late_event_in_time]
