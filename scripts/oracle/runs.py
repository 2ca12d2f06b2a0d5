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
            verified=rng.random() < 0.25,
        )

    def options(self) -> list[str]:
        options = ["--workers", str(self.workers), "--batch", str(self.batch), "--durable", self.durable, "--device", self.device]
        return options + (["--rotate", self.rotate] if self.rotate else [])


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
        segments, final = read_ledger(out / "it.ledger.jsonl", menu)
        streams = read_streams(out, report, menu, schema)
    except (AssertionError, OSError, ValueError, KeyError) as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
    if final["ledger"] != report["ledger"]:
        raise Broken("the last line of the ledger file is not the report")
    if report["exit"] != done.returncode:
        raise Broken(f"exit {done.returncode}, but the report says {report['exit']}")
    if way.verified and any(streams.values()):
        verify(binary, out)
    return Outcome(done.returncode, books_of(report, menu), segments, streams, report["problems"])


def ended(command: list[str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(command, input=data, capture_output=True, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        raise Broken(f"{command[1]} does not end within {PATIENCE_S} s") from error


def verify(binary: Path, out: Path) -> None:
    done = ended([str(binary), "verify", *map(str, sorted(out.glob("*.mcap")))])
    if done.returncode != 0:
        raise Broken(f"verify ends with {done.returncode}: {(done.stderr or done.stdout).decode(errors='replace').strip()[:500]}")


def books_of(document: dict, menu: Menu) -> Books:
    """The books as the report and every line of the ledger file state them."""
    books = Books(Counter(flat(document["ledger"])))
    numbers = {line.name: k for k, line in enumerate(menu.lines)}
    lines = document["lines"]
    named = [numbers[line["name"]] for line in lines]
    if "segment" in document:
        assert named == sorted(set(named)) and all(line["passed"] for line in lines), "a segment names those lines that counted something"
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


def read_ledger(path: Path, menu: Menu) -> tuple[dict[Place, Books], dict]:
    """Lines of one run and segment add up; the last line is the report."""
    segments: dict[Place, Books] = {}
    final = None
    for text in path.read_text().splitlines():
        line = json.loads(text)
        assert final is None, "a line after the last"
        if line.get("final"):
            final = line
        elif "ledger" in line:
            segments.setdefault((line["run"], line["segment"]), Books()).add(books_of(line, menu))
    assert final is not None, "no final line"
    return segments, final


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
