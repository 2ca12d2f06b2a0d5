#!/usr/bin/env python3
"""Make the level-1 sample files of data-samples: Pythia collisions, pile-up, a parametrised detector and trigger.

Not needed to build, test or run Tamis. The result depends on nothing but the code and the pinned packages:
every shard of generated collisions and every orbit of crossings has its own fixed seed, whatever --jobs says.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from samples import crossings, frames, library, plots, report
from samples.crossings import Plan

REPOSITORY = Path(__file__).resolve().parent.parent
SCHEMA = REPOSITORY / "data-samples" / "schemas" / "l1.toml"
START = time.monotonic()


def say(text: str) -> None:
    """A progress line with the minutes since the start."""
    print(f"[{(time.monotonic() - START) / 60:5.1f} min] {text}", flush=True)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the .tmf.zst files and plots/")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "tamis-samples",
        help="folder for generated collisions, about 0.6 GB; used again by later runs (default: %(default)s)",
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes to use (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a smoke test with 50 times fewer events")
    parser.add_argument("--only-plots", action="store_true", help="read the files in --out; remake plots and table")
    return parser.parse_args()


def generate(cache: Path, plan: Plan, jobs: int) -> None:
    """Fill the cache with all shards of all processes."""
    tasks = [(process, shard, n) for process in plan.processes for shard, n in process.shards()]
    with ProcessPoolExecutor(jobs) as pool:
        running = {pool.submit(library.make_shard, cache, *task): task for task in tasks}
        for done, future in enumerate(as_completed(running), 1):
            future.result()
            process, shard, n = running[future]
            say(f"collisions {done}/{len(tasks)}: {process.name} shard {shard}, {n} events")


def write_files(out: Path, cache: Path, plan: Plan, jobs: int) -> None:
    """Simulate and write all sample files."""
    schema = SCHEMA.read_bytes()
    for sample, rows in crossings.simulate(cache, plan, jobs):
        path = out / f"{sample.name}.tmf.zst"
        frames.write(path, schema, sample.run, rows)
        say(f"{path}: {len(rows)} events, {path.stat().st_size / 1e6:.2f} MB")


def main() -> int:
    """Generate, write, read back; returns the exit status."""
    options = arguments()
    plan = crossings.plan(options.quick)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        options.cache.mkdir(parents=True, exist_ok=True)
        generate(options.cache, plan, options.jobs)
        if not options.only_plots:
            write_files(options.out, options.cache, plan, options.jobs)
        events = report.read_all(options.out, plan)
        plots.make_all(options.out / "plots", options.cache, plan, events)
        report.write_table(options.out, events)
        say("all files read back; plots made")
    except (OSError, RuntimeError, ValueError) as error:
        print(f"make_samples: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
