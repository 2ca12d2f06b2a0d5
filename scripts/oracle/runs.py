"""One run of `tamis replay`, and everything that it left, as plain values."""

from __future__ import annotations

import json
import random
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import zstandard

import stored
from books import Books, Place
from frames import Schema
from menus import Menu
from stored import Record


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
    problems: list[str]


@dataclass(frozen=True)
class Way:
    """How the bytes go in, and what must not change anything."""

    compressed: bool
    piped: bool
    workers: int
    batch: int
    durable: str
    device: str
    rotate: str | None
    passes: int
    """`--repeat`."""
    verified: bool
    """`tamis verify` must agree, too."""

    @classmethod
    def draw(cls, rng: random.Random) -> Way:
        return cls(
            compressed=rng.random() < 0.3,
            piped=rng.random() < 0.3,
            workers=rng.choice([1, 1, 2, 3]),
            batch=rng.choice([1, 2, 7, 64, 300, 4096]),
            durable=rng.choice(["close", "never", "never", "every=1ms"]),
            device=rng.choice(["flex", "fused"]),
            rotate=rng.choice([None, None, None, "20kB"]),
            passes=rng.choice([1, 1, 1, 1, 2, 3]),
            verified=rng.random() < 0.25,
        )

    def options(self) -> list[str]:
        options = ["--workers", str(self.workers), "--batch", str(self.batch), "--durable", self.durable, "--device", self.device]
        options += ["--rotate", self.rotate] if self.rotate else []
        return options + (["--repeat", str(self.passes)] if self.repeats else [])

    @property
    def repeats(self) -> bool:
        """A pipe cannot be played again."""
        return self.passes > 1 and not self.piped


def run(binary: Path, folder: Path, data: bytes, menu: Menu, schema: Schema, way: Way) -> Outcome:
    """Replays `data` in `folder`, which is new, and reads what comes of it."""
    (folder / "menu.toml").write_bytes(menu.text)
    for bundle in menu.bundles:
        bundle.write(folder / bundle.name)
    if way.compressed:
        data = zstandard.ZstdCompressor().compress(data)
    name = folder / ("input.tmf.zst" if way.compressed else "input.tmf")
    name.write_bytes(data)
    source = "-" if way.piped else str(name)
    out = folder / "out"
    command = [str(binary), "replay", source, "--menu", str(folder / "menu.toml"), "--out", str(out), "--name", "it", "--json", *way.options()]
    (folder / "command").write_text(" ".join(command) + (f" < {name}" if way.piped else "") + "\n")
    done = ended(command, data if way.piped else b"")
    if done.returncode not in (0, 75):
        raise Broken(f"exit {done.returncode}: {done.stderr.decode(errors='replace').strip()[:500]}", done.returncode)
    report = json.loads(done.stdout)
    try:
        segments, shared, final = read_ledger(out / "it.ledger.jsonl", menu)
        streams = read_streams(out, report, menu, schema)
    except (AssertionError, OSError, ValueError, KeyError) as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
    if final["ledger"] != report["ledger"]:
        raise Broken("the last line of the ledger file is not the report")
    if report["exit"] != done.returncode:
        raise Broken(f"exit {done.returncode}, but the report says {report['exit']}")
    total = books_of(report, menu)
    check_lines(segments, shared, total)
    if way.verified and len(list(out.iterdir())) <= FILES_VERIFIED_MAX:
        verify(binary, out)
    return Outcome(done.returncode, total, segments, bool(shared), streams, report["problems"])


def ended(command: list[str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(command, input=data, capture_output=True, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        raise Broken(f"{command[1]} does not end within {PATIENCE_S} s") from error


def verify(binary: Path, out: Path) -> None:
    """The stored events must be decided again as they were, and the ledger must find its files complete."""
    for files in (sorted(out.glob("*.mcap")), [out / "it.ledger.jsonl"]):
        done = ended([str(binary), "verify", *map(str, files)]) if files else None
        if done and done.returncode != 0:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()[:500]
            raise Broken(f"verify of {files[0].name} ends with {done.returncode}: {said}")


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


def read_ledger(path: Path, menu: Menu) -> tuple[dict[Place, Books], list[Books], dict]:
    """Lines of one run and segment add up; some may share a line; the last line is the report."""
    segments: dict[Place, Books] = {}
    shared: list[Books] = []
    final = None
    for text in path.read_text().splitlines():
        line = json.loads(text)
        assert final is None, "a line after the last"
        if line.get("final"):
            final = line
        elif "from" in line:
            shared.append(books_of(line, menu))
        elif "ledger" in line:
            segments.setdefault((line["run"], line["segment"]), Books()).add(books_of(line, menu))
    assert final is not None, "no final line"
    return segments, shared, final


def check_lines(segments: dict[Place, Books], shared: list[Books], total: Books) -> None:
    """All lines together are the report, but for storage, which no line has."""
    sum_of_lines = Books()
    for books in (*segments.values(), *shared):
        sum_of_lines.add(books)
    for key in total.counts.keys() | sum_of_lines.counts.keys():
        if not key.startswith("storage.") and sum_of_lines.counts[key] != total.counts[key]:
            raise Broken(f"the lines of the ledger have {key} {sum_of_lines.counts[key]}, the report {total.counts[key]}")


def read_streams(out: Path, report: dict, menu: Menu, schema: Schema) -> dict[str, list[Record]]:
    named = {Path(file).name for stream in report["streams"] for file in stream["files"]}
    there = {path.name for path in out.iterdir()} - {"it.ledger.jsonl"}
    assert named == there, f"the report names {sorted(named)}, the folder holds {sorted(there)}"
    streams = {}
    for stream in report["streams"]:
        paths = [Path(file) for file in stream["files"]]
        records = stored.read(paths, stream["name"], len(menu.lines), menu.text, schema.text)
        assert len(records) == stream["events"], f"{stream['name']}: {len(records)} records, the report says {stream['events']}"
        streams[stream["name"]] = records
    return streams
