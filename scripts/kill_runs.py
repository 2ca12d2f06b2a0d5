#!/usr/bin/env python3
"""kill -9 at random moments: everything that the ledger of a killed run called stored or durable is in its files.

    pip install mcap zstandard
    scripts/kill_runs.py TAMIS [KILLS] [SEED]

Each round plays a recording of many short segments through a menu of two streams, with a random way of making records durable and of beginning
new files, and kills the process after a random time. Then the files are read with the Python package `mcap`, finished ones and `.part` alike, and
compared with the ledger, line by line:

* a stream's records are numbered from 0 without gaps, over all its files, and no fewer than the ledger ever called stored or durable;
* a segment that has its line has at least as many records in each stream as the line says, and all of them;
* `tamis recover` and `tamis verify` find the same number of records.

Ends with 1 at the first thing that is missing.
"""

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


def check(out: Path, tamis: str):
    """What is wrong, and how much was there."""
    lines, wrong, sizes = ledger(out), [], {"lines": 0, "stored": 0, "durable": 0, "found": 0}
    for stream in ("most", "few"):
        found, segments, numbers = 0, Counter(), []
        for path in files(out, stream):
            here = list(read(path))
            numbers += [number for number, _ in here]
            segments.update(place for _, place in here)
            if path.name.endswith(".part") and here:
                recovered = json.loads(subprocess.run([tamis, "recover", path, "--json"], capture_output=True).stdout)
                if recovered["records"] != len(here):
                    wrong.append(f"{path.name}: {len(here)} records here, {recovered['records']} recovered")
        found = len(numbers)
        if numbers != list(range(found)):
            wrong.append(f"{stream}: the numbers of records have gaps")
        stored = durable = 0
        said = Counter()
        for line in lines:
            for entry in line.get("streams", []) + line.get("storage", []):
                if entry["name"] != stream or line.get("final"):
                    continue
                stored, durable = max(stored, entry["stored"]), max(durable, entry["durable"])
                if "end" in entry:
                    said[line["run"], line["segment"]] += entry["events"]
                    if entry["stored"] < entry["end"]:
                        wrong.append(f"{stream}: segment {line['segment']} has its line before it is stored")
        if found < stored or found < durable:
            wrong.append(f"{stream}: {stored} stored, {durable} durable in the ledger, {found} in the files")
        for place, events in said.items():
            if segments[place] < events:
                wrong.append(f"{stream}: segment {place}: {events} in the ledger, {segments[place]} in the files")
        sizes = {"lines": len(lines), "stored": sizes["stored"] + stored, "durable": sizes["durable"] + durable, "found": sizes["found"] + found}
    return wrong, sizes


def main():
    tamis = str(Path(sys.argv[1]).resolve())
    kills, seed = (int(word) for word in (sys.argv[2:] + ["200", "1"][len(sys.argv) - 2 :])[:2])
    dice = random.Random(seed)
    work = Path(tempfile.mkdtemp(prefix="tamis-kill-"))
    (work / "schema.toml").write_text(SCHEMA)
    (work / "menu.toml").write_text(MENU)
    subprocess.run(
        [tamis, "gen", "--schema", "schema.toml", "--events", "400k", "--segment-events", "500", "--frame-events", "50", "--out", "in.tmf"],
        cwd=work, check=True, capture_output=True,
    )  # fmt: skip
    sums, ended = Counter(), 0
    for kill in range(kills):
        out = work / f"out-{kill}"
        durable, rotate = dice.choice(DURABLE), dice.choice(["200kB", "3MB", "1GiB"])
        pace = dice.choice(["flat", "200kHz", "1MHz"])
        words = [tamis, "replay", "in.tmf", "--menu", "menu.toml", "--out", str(out), "--repeat", "1000"]
        words += ["--durable", durable, "--rotate", rotate, "--pace", pace]
        process = subprocess.Popen(words, cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(dice.uniform(0.02, 1.5))
        ended += process.poll() is not None
        process.kill()
        process.wait()
        wrong, sizes = check(out, tamis) if out.exists() else ([], Counter())
        sums.update(sizes)
        if wrong:
            print(f"kill {kill} (seed {seed}, {durable}, rotate {rotate}, pace {pace}): {out}")
            sys.exit("\n".join(wrong))
        shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(work)
    print(f"{kills} kills ({ended} runs had ended): {sums['lines']} lines of ledgers, {sums['stored']} records called stored,")
    print(f"{sums['durable']} durable, {sums['found']} in the files; nothing that a ledger said is missing")


if __name__ == "__main__":
    main()
