"""Read the written files back and keep the table in the README true."""

import hashlib
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np

from .crossings import Plan
from .readback import Events, read

BEGIN, END = "<!-- begin table -->\n", "<!-- end table -->\n"
PACKAGES = ("pythia8mc", "numpy", "numba", "awkward", "zstandard", "google-crc32c", "matplotlib")


def read_all(out: Path, plan: Plan) -> dict[str, Events]:
    """All files of the plan, checked against it."""
    events = {}
    for sample in plan.samples:
        path = out / f"{sample.name}.tmf.zst"
        events[sample.name] = read(path)
        found = (len(events[sample.name].records), events[sample.name].run)
        if found != (sample.events, sample.run):
            raise ValueError(f"{path}: has (events, run) {found}, expected {(sample.events, sample.run)}")
    return events


def table(out: Path, events: dict[str, Events]) -> str:
    """Markdown: events, labels, frames, size and sha256 of each file, and the versions used."""
    lines = ["| file | run | events | labels | frames | segments | bytes |", "|---|---|---|---|---|---|---|"]
    sums = []
    for name, sample in events.items():
        data = (out / f"{name}.tmf.zst").read_bytes()
        kinds, counts = np.unique(sample.records["truth.label"], return_counts=True)
        labels = ", ".join(f"{kind}: {count:,}" for kind, count in zip(kinds, counts))
        row = (f"`{name}.tmf.zst`", sample.run, f"{len(sample.records):,}", labels)
        lines.append("| " + " | ".join(map(str, (*row, sample.frames, sample.segments, f"{len(data):,}"))) + " |")
        sums.append(f"{hashlib.sha256(data).hexdigest()}  {name}.tmf.zst")
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    made = f"Made with Python {platform.python_version()}, {versions}."
    return "\n".join([*lines, "", made, "", "```", *sums, "```", ""])


def write_table(out: Path, events: dict[str, Events]) -> None:
    """Replace the table between the markers in the README of the folder, or print it where there is no README."""
    readme = out / "README.md"
    if not readme.exists():
        print(table(out, events))
        return
    before, rest = readme.read_text().split(BEGIN)
    after = rest.split(END)[1]
    readme.write_text(before + BEGIN + table(out, events) + END + after)
