"""Frames in bytes as SPEC.md section 3 has it: what is a good frame, and what is lost by which cause."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

from bodies import Body, Layout
from frames import (
    BODY_MAX, EVENTS_MAX, HEADER, HEADER_LEN, ID_MAX, IDS, PAYLOADS, PLAIN_BODY_MAX, SCHEMA, SCHEMA_MAX, SPARSE_IDS, TIMES, Schema, crc32c,
    short_hash,
)  # fmt: skip


def most(has_payloads: bool) -> int:
    """Most bytes of a body."""
    return BODY_MAX if has_payloads else PLAIN_BODY_MAX



@dataclass(frozen=True)
class Header:
    magic: bytes
    version: int
    header_len: int
    schema_id: int
    first_event_id: int
    time_ns: int
    run: int
    segment: int
    n_events: int
    stride: int
    body_len: int
    source_id: int
    flags: int
    body_crc: int
    header_crc: int

    @property
    def place(self) -> tuple[int, int]:
        return self.run, self.segment


@dataclass(frozen=True)
class Good:
    """A frame of events in the schema of the stream."""

    header: Header
    body: Body
    place: tuple[int, int]
    size: int


@dataclass(frozen=True)
class Lost:
    """A stretch of bytes without a good frame, or a frame that is not used."""

    cause: str
    units: int
    place: tuple[int, int]
    size: int


@dataclass(frozen=True)
class Said:
    """A schema frame that is right and says nothing new."""

    size: int


Finding = Good | Lost | Said
WHOLE = ("crc", "schema", "columns", "count")
"""Causes of frames that end where they say."""


class Reader:
    """Walks through a stream once, from its first byte to its last."""

    def __init__(self, data: bytes, place: tuple[int, int] = (0, 0), schema: Schema | None = None):
        self.data, self.at = data, 0
        self.schema = schema
        self.place = place
        self.tried_until = 0
        """No header before this byte has its body summed while a stretch is searched."""

    def findings(self) -> Iterator[Finding]:
        while self.at < len(self.data):
            yield self.next()

    def next(self) -> Finding:
        """What stands where a frame is expected."""
        begin, head = self.at, self.header(self.at)
        cause = self.cause_against(begin, head)
        if cause is None:
            return self.take(begin, head)
        if cause in WHOLE:
            end = self.end(begin, head)
        elif head is None:
            end = self.next_sealed(begin + 1)
        elif cause == "torn":
            end = self.behind(begin, begin + HEADER_LEN + head.body_len)
        else:
            end = self.behind_wrong_header(begin, head, cause)
        if self.sealed(begin) and not head.flags & SCHEMA:
            self.place = head.place
        counts = cause in ("torn", *WHOLE) and head is not None and not head.flags & SCHEMA
        self.at = end
        return Lost(cause, head.n_events if counts else 1, self.place, end - begin)

    def take(self, begin: int, head: Header) -> Good | Said:
        self.at = self.end(begin, head)
        if head.flags & SCHEMA:
            self.schema = Schema(self.body(begin, head))
            return Said(self.at - begin)
        self.place = head.place
        return Good(head, Body(head, self.body(begin, head), self.schema), self.place, self.at - begin)

    def header(self, at: int) -> Header | None:
        """The 64 bytes here, whatever they are; None if the stream ends before."""
        raw = self.data[at : at + HEADER_LEN]
        return Header(*HEADER.unpack(raw)) if len(raw) == HEADER_LEN else None

    def body(self, at: int, head: Header) -> bytes:
        return self.data[at + HEADER_LEN : at + HEADER_LEN + head.body_len]

    def end(self, at: int, head: Header) -> int:
        """Where the frame ends by its header, padding included, or the stream does."""
        return min(at + HEADER_LEN + head.body_len + -head.body_len % 64, len(self.data))

    def sealed(self, at: int) -> bool:
        raw = self.data[at : at + HEADER_LEN]
        return len(raw) == HEADER_LEN and raw[:4] == b"TAMF" and crc32c(raw[:60]) == int.from_bytes(raw[60:], "little")

    def cause_against(self, at: int, head: Header | None) -> str | None:
        """The first cause of section 3 that applies here."""
        start = self.data[at : at + 4]
        if start != b"TAMF":
            return "magic"
        if head is None:
            return "torn"
        if cause := self.cause_of_header(at, head):
            return cause
        body = self.body(at, head)
        if len(body) < head.body_len:
            return "torn"
        if crc32c(body) != head.body_crc:
            return "crc" if self.ends_where_it_says(at, head) else "torn"
        if not self.in_use(head, body):
            return "schema"
        return None if head.flags & SCHEMA else Body(head, body, self.schema).cause

    def cause_of_header(self, at: int, head: Header) -> str | None:
        if head.version != 2 or head.header_len != HEADER_LEN:
            return "version"
        if not self.sealed(at):
            return "header"
        if head.body_len > most(bool(head.flags & PAYLOADS)):
            return "oversize"
        is_schema = bool(head.flags & SCHEMA)
        if (is_schema and not head.body_len) or (not is_schema and not (head.n_events and head.stride)):
            return "zero"
        return "length" if self.contradicts(head, is_schema) else None

    def contradicts(self, head: Header, is_schema: bool) -> bool:
        if head.flags & ~(SCHEMA if is_schema else SPARSE_IDS | IDS | TIMES | PAYLOADS):
            return True
        if is_schema:
            return head.body_len > SCHEMA_MAX or head.n_events != 0 or head.stride != 0
        has_payloads = bool(head.flags & PAYLOADS)
        least = Layout(head.n_events, head.flags, head.stride, has_payloads).payloads_at
        wrong = head.body_len < least or (head.body_len > least and not has_payloads) or head.n_events > EVENTS_MAX
        overflow = not head.flags & IDS and head.first_event_id + head.n_events - 1 > ID_MAX
        ours = self.schema is not None and head.schema_id == self.schema.id
        return wrong or overflow or (ours and (head.stride, has_payloads) != (self.schema.stride, self.schema.has_payloads))

    def in_use(self, head: Header, body: bytes) -> bool:
        if not head.flags & SCHEMA:
            return self.schema is not None and head.schema_id == self.schema.id
        if self.schema is not None and body == self.schema.text:
            return head.schema_id == self.schema.id
        try:
            schema = Schema(body)
        except (UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError):
            return False
        return schema.id == head.schema_id and self.schema in (None, schema)

    def ends_where_it_says(self, at: int, head: Header) -> bool:
        return self.ends_after(at, head.body_len)

    def ends_after(self, at: int, body_len: int) -> bool:
        """Does a frame that starts here end where it would with so many bytes of body?"""
        body_end = at + HEADER_LEN + body_len
        end = body_end + -body_len % 64
        return self.starts_header(end) or body_end <= len(self.data) <= end

    def starts_header(self, at: int) -> bool:
        head = self.header(at)
        return head is not None and head.magic == b"TAMF" and (self.sealed(at) or self.lengths_agree(at, head))

    def by_schema(self, at: int, head: Header) -> int | None:
        """How long the body has to be by the schema in use."""
        if self.schema is None:
            return None
        return Layout(head.n_events, head.flags, self.schema.stride, self.schema.has_payloads).length(self.data, at)

    def lengths_agree(self, at: int, head: Header) -> bool:
        if head.flags & SCHEMA and head.n_events == 0 and head.stride == 0:
            return self.sealed(at) and 1 <= head.body_len <= SCHEMA_MAX
        has_payloads = bool(head.flags & PAYLOADS)
        as_it_stands = Layout(head.n_events, head.flags, head.stride, has_payloads).length(self.data, at)
        by_header = head.body_len == as_it_stands and 1 <= head.body_len <= most(has_payloads)
        by_schema = head.body_len == self.by_schema(at, head) and 1 <= head.body_len <= most(self.schema.has_payloads)
        return head.n_events > 0 and (by_header or by_schema)

    def next_sealed(self, at: int) -> int:
        """The next sealed header from `at` on, or the end of the stream."""
        at = self.data.find(b"TAMF", at)
        while at >= 0 and not self.sealed(at):
            at = self.data.find(b"TAMF", at + 1)
        return len(self.data) if at < 0 else at

    def behind_wrong_header(self, begin: int, head: Header, cause: str) -> int:
        if not self.sealed(begin) and any(self.sealed(at) for at in range(begin + 1, begin + HEADER_LEN)):
            return self.next_sealed(begin + 1)
        if self.lengths_agree(begin, head):
            if self.ends_where_it_says(begin, head):
                return self.end(begin, head)
            if cause == "magic":
                return self.next_sealed(begin + 1)
            return self.behind(begin, begin + HEADER_LEN + head.body_len)
        is_text = head.flags & SCHEMA and not head.n_events and not head.stride
        if cause != "magic" and not is_text:
            possible = {n for n in (self.by_schema(begin, head), head.body_len) if n is not None}
            has_payloads = bool(head.flags & PAYLOADS) if self.schema is None else self.schema.has_payloads
            fitting = sorted(n for n in possible if 1 <= n <= most(has_payloads) and self.ends_after(begin, n))
            if len(fitting) == 2 and crc32c(self.data[begin + HEADER_LEN :][: fitting[0]]) == head.body_crc:
                fitting.pop()
            if fitting:
                return min(begin + HEADER_LEN + fitting[-1] + -fitting[-1] % 64, len(self.data))
        return self.next_sealed(begin + 1)

    def behind(self, begin: int, inside_until: int) -> int:
        """The next sealed header that does not lie inside the body which the lost frame announced."""
        at = self.next_sealed(begin + 1)
        while at < min(inside_until, len(self.data)) and not self.reaches_beyond(at, inside_until):
            at = self.next_sealed(at + 1)
        return at

    def reaches_beyond(self, at: int, inside_until: int) -> bool:
        head = self.header(at)
        body_end = at + HEADER_LEN + head.body_len
        if self.cause_of_header(at, head) or body_end <= inside_until:
            return False
        if self.ends_where_it_says(at, head):
            return True
        if at < self.tried_until or body_end > len(self.data):
            return False
        if crc32c(self.body(at, head)) == head.body_crc:
            return True
        self.tried_until = body_end
        return False


def schema_in_use(data: bytes) -> Schema | None:
    """That of the first schema frame that arrived whole. None, and the stream is refused, if there is none, if its text is none of a schema, or if
    these bytes do not begin like a stream."""
    if sum(a == b for a, b in zip(data, b"TAMF")) < 3:
        return None
    reader = Reader(data)
    while reader.at < len(data):
        begin = reader.at
        finding = reader.next()
        if isinstance(finding, Said):
            return reader.schema
        head = reader.header(begin)
        if finding.cause == "schema" and head.flags & SCHEMA and short_hash(reader.body(begin, head)) == head.schema_id:
            return None
    return None
