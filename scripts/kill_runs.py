#!/usr/bin/env python3
"""kill -9 at random moments: everything that the ledger of a killed run called stored or durable is in its files.

    pip install mcap zstandard
    scripts/kill_runs.py TAMIS [KILLS] [SEED]

Each round plays a recording of many short segments through a menu of two streams, with a random way of making records durable and of beginning
new files, and kills the process after a random time. Then the files are read with the Python package `mcap`, finished ones and `.part` alike, and
compared with the ledger, line by line:

* a stream's records are numbered from 0 without gaps, over all its files, and no fewer than the ledger ever called stored or durable;
* a segment that has its line has at least as many records in each stream as the line says, and all of them; segments that share a line have
  as many together, and a stream as many as all lines;
* `tamis recover` and `tamis verify` find the same number of records.

Canaries: of some runs the ledger is made to say one record too much, or a file is cut. A canary that the check does not find ends the script.

Ends with 1 at the first thing that is missing.
"""

import argparse
import json
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from mcap.exceptions import EndOfFile, InvalidMagic
from mcap.records import Message
from mcap.stream_reader import StreamReader

SCHEMA = 'name = "t"\n[[field]]\nname = "x"\ndtype = "u16"\n[[field]]\nname = "y"\ndtype = "u16"\nlen = 40\n'
MENU = """name = "kill"
[[stream]]
name = "most"
[[stream]]
name = "few"
[[line]]
name = "most"
when = "x < 50000"
streams = ["most"]
[[line]]
name = "few"
kind = "random"
every = 20
streams = ["few", "most"]
"""
STREAMS = ("most", "few")
DURABLE = ["every=1ms", "every=20ms", "every=200ms", "close", "never"]


def read(path: Path):
    """Numbers and segments of the records in the whole chunks of a file."""
    with path.open("rb") as file:
        try:
            for record in StreamReader(file, validate_crcs=True).records:
                if isinstance(record, Message):
                    assert record.data[:4] == b"TAMR", f"{path}: what is this record?"
                    yield record.sequence, struct.unpack_from("<II", record.data, 48)
        except (EndOfFile, InvalidMagic, struct.error):
            return  # the torn end of a killed process


def files(out: Path, stream: str):
    """Of a stream, in order; the one that was being written last."""
    number = 1
    while True:
        whole = out / f"in-{stream}-{number:04}.mcap"
        part = whole.with_name(whole.name + ".part")
        if whole.exists():
            yield whole
        else:
            if part.exists():
                yield part
            return
        number += 1


def ledger(out: Path):
    """The whole lines. The last may be torn."""
    text = (out / "in.ledger.jsonl").read_text() if (out / "in.ledger.jsonl").exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def places(out: Path, stream: str) -> tuple[list[int], Counter]:
    """Numbers of the records of a stream, and how many there are of each segment."""
    numbers, segments = [], Counter()
    for path in files(out, stream):
        here = list(read(path))
        numbers += [number for number, _ in here]
        segments.update(place for _, place in here)
    return numbers, segments


def said_of(lines: list[dict], stream: str):
    """Every entry about a stream, with its line."""
    for line in lines:
        for entry in line.get("streams", []) + line.get("storage", []):
            if entry["name"] == stream and not line.get("final"):
                yield line, entry


def check(out: Path):
    """What is wrong, and how much was there."""
    lines, wrong, sizes = ledger(out), [], Counter()
    for stream in STREAMS:
        numbers, segments = places(out, stream)
        found = len(numbers)
        if numbers != list(range(found)):
            wrong.append(f"{stream}: the numbers of records have gaps")
        stored = durable = events = 0
        alone = Counter()
        for line, entry in said_of(lines, stream):
            stored, durable = max(stored, entry["stored"]), max(durable, entry["durable"])
            if "end" not in entry:
                continue
            events += entry["events"]
            if entry["stored"] < entry["end"]:
                wrong.append(f"{stream}: a line comes before it is stored: {line}")
            if "segments" not in line:
                alone[line["run"], line["segment"]] += entry["events"]
                continue
            first, last = ((line[key]["run"], line[key]["segment"]) for key in ("from", "to"))
            there = sum(n for place, n in segments.items() if first <= place <= last)
            if there < entry["events"]:
                wrong.append(f"{stream}: segments {first} to {last}: {entry['events']} in the ledger, {there} in the files")
        if found < max(stored, durable, events):
            wrong.append(f"{stream}: {stored} stored, {durable} durable, {events} in the ledger, {found} in the files")
        for place, said in alone.items():
            if segments[place] < said:
                wrong.append(f"{stream}: segment {place}: {said} in the ledger, {segments[place]} in the files")
        sizes.update(stored=stored, durable=durable, found=found)
    sizes.update(lines=len(lines), shared=sum("segments" in line for line in lines))
    return wrong, sizes


def check_recovery(out: Path, tamis: str) -> list[str]:
    """Which unfinished files `tamis recover` does not bring back to the record."""
    wrong = []
    for path in sorted(out.glob("*.part")):
        if records := len(list(read(path))):
            done = subprocess.run([tamis, "recover", path, "--json"], capture_output=True)
            recovered = json.loads(done.stdout)["records"] if done.stdout else done.stderr.decode().strip()
            if recovered != records:
                wrong.append(f"{path.name}: {records} records here, recovered: {recovered}")
    return wrong


def edit(out: Path, wanted, change) -> bool:
    """Changes the last entry of the stream `most` in the ledger that is wanted. Is there one?"""
    lines = ledger(out)
    entries = [(line, entry) for line, entry in said_of(lines, "most") if wanted(line, entry)]
    if entries:
        change(*entries[-1])
        (out / "in.ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return bool(entries)


def one_more(key: str):
    """The ledger says of a stream one record more than there is."""

    def harm(out: Path) -> bool:
        numbers, _ = places(out, "most")
        return edit(out, lambda line, entry: True, lambda line, entry: entry.update({key: len(numbers) + 1}))

    return harm


def one_more_of_segments(shared: bool):
    """The ledger says of a segment, or of those that share a line, one record more than there is."""

    def harm(out: Path) -> bool:
        _, segments = places(out, "most")

        def change(line, entry):
            first, last = ((line.get(key, line)["run"], line.get(key, line)["segment"]) for key in ("from", "to"))
            entry["events"] = sum(n for place, n in segments.items() if first <= place <= last) + 1

        return edit(out, lambda line, entry: "end" in entry and ("segments" in line) == shared, change)

    return harm


def ahead(out: Path) -> bool:
    """A line that was written before its segment was stored."""
    return edit(out, lambda line, entry: "end" in entry, lambda line, entry: entry.update(stored=entry["end"] - 1))


def cut(out: Path) -> bool:
    """The ledger is right, but a file lost its second half."""
    stored = max((entry["stored"] for _, entry in said_of(ledger(out), "most")), default=0)
    path = next(files(out, "most"), None)
    if not path or not 0 < len(list(read(path))) <= stored:
        return False
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    return True


CANARIES = {
    "a record too many called stored": one_more("stored"),
    "a record too many called durable": one_more("durable"),
    "a record too many in a segment": one_more_of_segments(shared=False),
    "a record too many in segments that share a line": one_more_of_segments(shared=True),
    "a line that is ahead": ahead,
    "a file that was cut": cut,
}


def try_canaries(out: Path, left: dict) -> None:
    """Tries those that are left on copies of a run, and takes away those that were found."""
    for name, harm in list(left.items()):
        copy = out.with_name(out.name + "-canary")
        shutil.copytree(out, copy)
        if harm(copy):
            wrong, _ = check(copy)
            if not wrong:
                sys.exit(f"canary not found: {name}: {copy}")
            print(f"  canary found: {name}: {wrong[0][:150]}", flush=True)
            del left[name]
        shutil.rmtree(copy)


def gen(tamis: str, work: Path, name: str, events: str, segment_events: int) -> None:
    words = ["gen", "--schema", "schema.toml", "--events", events, "--segment-events", str(segment_events), "--frame-events", "50", "--out", name]
    (work / name).parent.mkdir()
    subprocess.run([tamis, *words], cwd=work, check=True, stdout=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("tamis", type=Path, help="the program")
    parser.add_argument("kills", type=int, nargs="?", default=200, help="runs that are killed [default: %(default)s]")
    parser.add_argument("seed", type=int, nargs="?", default=1, help="of all that is random but the moment [default: %(default)s]")
    options = parser.parse_args()
    tamis, kills, seed = str(options.tamis.resolve()), options.kills, options.seed
    if not options.tamis.is_file():
        parser.error(f"{options.tamis} is no file; build it with: cargo build --bin tamis")
    dice = random.Random(seed)
    work = Path(tempfile.mkdtemp(prefix="tamis-kill-"))
    (work / "schema.toml").write_text(SCHEMA)
    (work / "menu.toml").write_text(MENU)
    # Segments that have lines of their own, and small ones that share lines.
    gen(tamis, work, "large/in.tmf", "400k", 500)
    gen(tamis, work, "small/in.tmf", "40k", 5)
    sums, ended, left, told = Counter(), 0, dict(CANARIES), time.monotonic()
    for kill in range(kills):
        out = work / f"out-{kill}"
        recording, durable, rotate = dice.choice(["large", "small"]), dice.choice(DURABLE), dice.choice(["200kB", "3MB", "1GiB"])
        pace = dice.choice(["flat", "200kHz", "1MHz"])
        words = [tamis, "replay", f"{recording}/in.tmf", "--menu", "menu.toml", "--out", str(out), "--repeat", "1000"]
        words += ["--durable", durable, "--rotate", rotate, "--pace", pace]
        process = subprocess.Popen(words, cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(dice.uniform(0.02, 1.5))
        ended += process.poll() is not None
        process.kill()
        process.wait()
        if not out.exists():
            continue
        wrong, sizes = check(out)
        sums.update(sizes)
        if not wrong:
            try_canaries(out, left)
            wrong = check_recovery(out, tamis)
        if wrong:
            print(f"kill {kill} (seed {seed}, {recording} segments, {durable}, rotate {rotate}, pace {pace}): {out}")
            sys.exit("\n".join(wrong))
        shutil.rmtree(out, ignore_errors=True)
        if time.monotonic() - told > 5:
            told = time.monotonic()
            print(f"  {kill + 1} of {kills} kills, {sums['found']} records found", flush=True)
    shutil.rmtree(work)
    print(f"{kills} kills ({ended} runs had ended): {sums['lines']} lines of ledgers, {sums['shared']} of them shared, {sums['stored']} records called")
    print(f"stored, {sums['durable']} durable, {sums['found']} in the files; nothing that a ledger said is missing")
    if left:
        sys.exit(f"no run was fit for: {', '.join(left)}; ask for more kills")
    print(f"{len(CANARIES)} canaries found")


if __name__ == "__main__":
    main()
