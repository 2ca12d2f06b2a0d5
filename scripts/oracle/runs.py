"""One run of `tamis replay`, and everything that it left, as plain values."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import zstandard

import claims
import kills
import stored
from arrivals import Books, Place
from claims import Claim
from frames import Schema, schema_frame
from kills import Killed
from menus import Menu
from stops import Stopped, stopped
from stored import Record
from ways import Way


PATIENCE_S = 600
"""A run takes milliseconds; on a machine that does much else a minute."""


FILES_VERIFIED_MAX = 30
"""For each file the models are made anew, which takes a debug build about a second."""


class Broken(Exception):
    """The run, or what it left, cannot be read at all."""

    def __init__(self, what: str, exit: int | None = None):
        super().__init__(what)
        self.exit = exit


@dataclass
class Outcome:
    exit: int
    total: Books
    segments: dict[Place, Books]
    """Of those that have lines of their own."""
    shared: bool
    """Some segments share a line."""
    streams: dict[str, list[Record]]
    files: dict[str, list[int]]
    """Records of a stream up to the end of each of its files."""
    claims: list[Claim]
    report: dict
    stopped: Stopped | None


def run(binary: Path, folder: Path, data: bytes, menu: Menu, schema: Schema, way: Way) -> Outcome | Killed:
    """Replays `data` in `folder`, which is new, and reads what comes of it."""
    (folder / "menu.toml").write_bytes(menu.text)
    for bundle in menu.bundles:
        bundle.write(folder / bundle.name)
    least = len(schema_frame(schema).encode())
    if way.compressed:
        data = zstandard.ZstdCompressor().compress(data)
        least = len(data)
    name = folder / ("input.tmf.zst" if way.compressed else "input.tmf")
    name.write_bytes(data)
    source = "-" if way.piped else str(name)
    out = folder / "out"
    command = [str(binary), "replay", source, "--menu", str(folder / "menu.toml"), "--out", str(out), "--name", "it", "--json", *way.options()]
    (folder / "command").write_text(" ".join(command) + (f" < {name}" if way.piped else "") + (f"; {way.stop}" if way.stop else "") + "\n")
    end = None
    if way.stop:
        given = data[: max(least, int(len(data) * way.stop.share))] if way.piped else None
        end = patiently(command, lambda: stopped(command, given, way.stop, PATIENCE_S))
    done = end.done if end else ended(command, data if way.piped else b"")
    is_killed = bool(way.stop and way.stop.kills and done.returncode == -signal.SIGKILL)
    if not is_killed and done.returncode not in (0, 75):
        raise Broken(f"exit {done.returncode}: {done.stderr.decode(errors='replace').strip()[:500]}", done.returncode)
    try:
        outcome = kills.left_in(out, menu) if is_killed else outcome_of(out, done, menu, schema, end)
    except (AssertionError, OSError, ValueError, KeyError) as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
    if way.verified and len(list(out.iterdir())) <= FILES_VERIFIED_MAX:
        (verify_killed if is_killed else verify)(binary, out)
    return outcome


def outcome_of(out: Path, done: subprocess.CompletedProcess[bytes], menu: Menu, schema: Schema, end: Stopped | None) -> Outcome:
    code, report = done.returncode, json.loads(done.stdout)
    lines = [json.loads(text) for text in (out / "it.ledger.jsonl").read_text().splitlines()]
    segments, shared = read_lines(lines, menu)
    assert lines[-1]["ledger"] == report["ledger"], "the last line of the ledger file is not the report"
    assert report["exit"] == code, f"exit {code}, but the report says {report['exit']}"
    total = books_of(report, menu)
    check_lines(segments, shared, total)
    streams, files = read_streams(out, report, menu, schema)
    said = [claim for line in lines[:-1] for claim in claims.of_line(line)]
    return Outcome(code, total, segments, bool(shared), streams, files, said, report, end)


def ended(command: list[str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return patiently(command, lambda: subprocess.run(command, input=data, capture_output=True, timeout=PATIENCE_S))


def patiently(command: list[str], go):
    try:
        return go()
    except subprocess.TimeoutExpired as error:
        raise Broken(f"{command[1]} does not end within {PATIENCE_S} s") from error


def verify(binary: Path, out: Path) -> None:
    """The stored events must be decided again as they were, and the ledger must find its files complete."""
    for files in (sorted(out.glob("*.mcap")), [out / "it.ledger.jsonl"]):
        done = ended([str(binary), "verify", *map(str, files)]) if files else None
        if done and done.returncode != 0:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()[:500]
            raise Broken(f"verify of {files[0].name} ends with {done.returncode}: {said}")


def verify_killed(binary: Path, out: Path) -> None:
    """Nothing may be wrong but that the run was killed."""
    done = ended([str(binary), "verify", str(out / "it.ledger.jsonl"), "--json"])
    findings = [finding for file in json.loads(done.stdout)["files"] for finding in file["findings"]]
    strange = [finding for finding in findings if "never closed" not in finding and "there is no final line" not in finding]
    if done.returncode != 76 or strange:
        raise Broken(f"verify of a killed run ends with {done.returncode}: {strange}")


def books_of(document: dict, menu: Menu) -> Books:
    """The books as the report and every line of the ledger file state them."""
    books = Books(Counter(flat(document["ledger"])))
    numbers = {line.name: k for k, line in enumerate(menu.lines)}
    lines = document["lines"]
    named = [numbers[line["name"]] for line in lines]
    if "segment" in document or "from" in document:
        assert named == sorted(set(named)) and all(line["passed"] for line in lines), "a line of the ledger names those that counted something"
    else:
        assert named == list(range(len(menu.lines))), "the report names every line"
    books.passed = Counter({k: line["passed"] for k, line in zip(named, lines)})
    books.kept = Counter({k: line.get("accepted", line.get("kept")) for k, line in zip(named, lines)})
    return books


def flat(ledger: dict, prefix: str = "") -> dict[str, int]:
    """`corrupt.dup` and so on. Rungs are left out: they say once more what was decided."""
    counts = {}
    for key, value in ledger.items():
        if isinstance(value, dict):
            counts |= flat(value, f"{prefix}{key}.")
        elif isinstance(value, int):
            counts[prefix + key] = value
    return counts


def read_lines(lines: list[dict], menu: Menu) -> tuple[dict[Place, Books], list[Books]]:
    """Lines of one run and segment add up; some may share a line; the last line is the report."""
    segments: dict[Place, Books] = {}
    shared: list[Books] = []
    assert [bool(line.get("final")) for line in lines] == [False] * (len(lines) - 1) + [True], "the last line is the final one, and no other"
    for line in lines[:-1]:
        if "from" in line:
            shared.append(books_of(line, menu))
        elif "ledger" in line:
            segments.setdefault((line["run"], line["segment"]), Books()).add(books_of(line, menu))
    return segments, shared


def check_lines(segments: dict[Place, Books], shared: list[Books], total: Books) -> None:
    """All lines together are the report, but for storage, which no line has."""
    sum_of_lines = Books()
    for books in (*segments.values(), *shared):
        sum_of_lines.add(books)
    for key in total.counts.keys() | sum_of_lines.counts.keys():
        there, said = sum_of_lines.counts[key], total.counts[key]
        assert key.startswith("storage.") or there == said, f"the lines of the ledger have {key} {there}, the report {said}"


def read_streams(out: Path, report: dict, menu: Menu, schema: Schema) -> tuple[dict[str, list[Record]], dict[str, list[int]]]:
    named = {Path(file).name for stream in report["streams"] for file in stream["files"]}
    there = {path.name for path in out.iterdir()} - {"it.ledger.jsonl"}
    assert named == there, f"the report names {sorted(named)}, the folder holds {sorted(there)}"
    streams, files = {}, {}
    for stream in report["streams"]:
        name, records, ends = stream["name"], [], []
        for file in stream["files"]:
            records += stored.read(Path(file), name, len(menu.lines), menu.text, schema.text)
            ends.append(len(records))
        assert len(records) == stream["events"], f"{name}: {len(records)} records, the report says {stream['events']}"
        streams[name], files[name] = records, ends
    return streams, files
