"""Replays random recordings and compares every count and every stored byte with what SPEC.md says.

Some runs keep a pace, have a deadline, or are stopped half way: drained, ended at once, or killed. Nobody can predict how far they come, what
they drop and what is late. They say it themselves, and everything else must follow from that. On Linux, for the state of processes.

    python3 scripts/oracle --cases 1000 --seed 7        # target/debug/tamis
    python3 scripts/oracle --cases 1 --seed 7.123       # one case of a run again, as a failure is reported

Exit code 1 if a case differs; its input stays in --keep.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import canaries
import check
import damage
import menus
import recordings
import runs
from arrivals import events_in
from frames import ID_MAX, Frame, Schema
from kills import Killed
from menus import Menu
from reading import Good, Reader, Said, schema_in_use
from runs import Broken, Outcome
from schemas import draw_schema
from ways import Way
from witness import WITNESS

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Case:
    """Everything follows from the seed."""

    seed: str
    schema: Schema
    frames: list[Frame]
    data: bytes
    damage: list[str]
    menu: Menu
    way: Way

    @classmethod
    def draw(cls, seed: str) -> Case:
        rng = random.Random(seed)
        schema = draw_schema(rng)
        odd = rng.random() < 0.4
        size = rng.choice([1, 30, 300, 300, 1500])
        way = Way.draw(rng, size)
        frames = recordings.draw_recording(rng, schema, size, odd, way.passes)
        if way.pace:
            frames = way.pace.timed(rng, frames)
        data, done = damage.damaged(rng, schema, frames)
        # A recording that begins with another schema is another recording.
        while (in_use := schema_in_use(data)) not in (None, schema):
            data, done = damage.damaged(rng, schema, frames)
        # A run begins with its schema. A pipe that is held open may never give what comes after damage, or the padding behind the schema.
        reader = Reader(data)
        is_said = isinstance(next(reader.findings(), None), Said) and reader.at % 64 == 0
        if not (is_said and in_use):
            way = replace(way, stop=None)
        # Where ids have no room to be shifted, events of several passes look the same.
        ends = [max(f.body.ids) + 1 for f in Reader(data, schema=schema).findings() if isinstance(f, Good)]
        if way.needs_witness and max(ends, default=0) > ID_MAX // 2:
            way = replace(way, passes=1)
        menu = menus.draw(rng, schema, events_in(data, schema), WITNESS if way.needs_witness else None)
        return cls(seed, schema, frames, data, done, menu, way)

    @property
    def usable(self) -> bool:
        return schema_in_use(self.data) == self.schema

    def run(self, binary: Path, folder: Path) -> Outcome | Killed:
        return runs.run(binary, folder, self.data, self.menu, self.schema, self.way)

    def difference(self, found: Outcome | Killed) -> str | None:
        return check.difference(self.data, self.schema, self.menu, self.way, found)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="oracle", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", nargs="?", type=Path, default=REPOSITORY / "target/debug/tamis", help="the tamis to try [default: %(default)s]")
    parser.add_argument("--cases", type=int, default=50, help="how many [default: %(default)s]")
    parser.add_argument("--seed", default="0", help="cases are SEED.0, SEED.1, ...; SEED.N is case N alone [default: %(default)s]")
    parser.add_argument("--keep", type=Path, default=REPOSITORY / "target/oracle", help="folder for inputs that failed [default: %(default)s]")
    parser.add_argument("--canaries", type=int, default=3, help="cases in which faults are planted that must be found [default: %(default)s]")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time [default: %(default)s]")
    return parser.parse_args()


def try_case(binary: Path, keep: Path, seed: str) -> str | None:
    """What is wrong, in one line; None if nothing is."""
    case = Case.draw(seed)
    folder = Path(tempfile.mkdtemp(prefix="tamis-oracle-"))
    try:
        wrong = case.difference(case.run(binary, folder))
    except Broken as error:
        wrong = None if not case.usable and error.exit == 65 else str(error)
    if wrong is None:
        shutil.rmtree(folder)
        return None
    place = keep / seed
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(folder, place)
    done = f" ({', '.join(case.damage)})" if case.damage else ""
    return f"--seed {seed}: {wrong}{done}; input in {place}"


def main() -> int:
    args = arguments()
    if not args.binary.exists():
        print(f"oracle: there is no {args.binary}; build it, or name another", file=sys.stderr)
        return 2
    began = time.monotonic()
    seeds = [args.seed] if "." in args.seed else [f"{args.seed}.{k}" for k in range(args.cases)]
    with ThreadPoolExecutor(args.jobs) as pool:
        failed = 0
        for wrong in pool.map(lambda seed: try_case(args.binary, args.keep, seed), seeds):
            if wrong:
                failed += 1
                print(wrong, flush=True)
    some = seeds[: args.canaries]
    blind = canaries.blind(args.binary, some, [draw_schema(random.Random(seed), everything=True) for seed in some])
    for canary in blind:
        print(f"the oracle is blind: {canary}")
    print(f"{len(seeds)} cases, {failed} failed, {len(blind)} canaries not found; {time.monotonic() - began:.1f} s")
    return 1 if failed or blind else 0


if __name__ == "__main__":
    sys.exit(main())
