"""Generate collisions with Pythia and keep what they leave in the detector, in shards cached on disk."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import awkward as ak
import numpy as np
import pythia8mc
from numpy.typing import NDArray

from . import response, truth
from .processes import ENERGY_GEV, Process
from .response import Deposits, MuonCandidates, Particles

BATCH = 250


class Library(NamedTuple):
    """Collisions in compressed rows: the deposits of collision i are [deposit_start[i], deposit_start[i + 1])."""

    deposit_start: NDArray[np.int64]
    row: NDArray[np.uint8]
    column: NDArray[np.uint8]
    em: NDArray[np.float32]
    had: NDArray[np.float32]
    muon_start: NDArray[np.int64]
    muon_pt: NDArray[np.float32]
    muon_eta: NDArray[np.float32]
    muon_phi: NDArray[np.float32]
    muon_chance: NDArray[np.float32]


def shard_path(cache: Path, process: Process, shard: int, events: int) -> Path:
    """Where a shard is cached; the name changes with everything that decides its content."""
    sources = [Path(module.__file__).read_bytes() for module in (response, truth)]
    text = repr((process.settings, process.max_hard_scale_gev, events, process.seed(shard), ENERGY_GEV))
    digest = hashlib.sha256(b"".join([text.encode(), *sources])).hexdigest()[:12]
    return cache / f"{process.name}-{shard:03d}-{digest}.npz"


def make_shard(cache: Path, process: Process, shard: int, events: int) -> None:
    """Generate one shard unless the cache has it."""
    path = shard_path(cache, process, shard, events)
    if path.exists():
        return
    generator = start_generator(process, process.seed(shard))
    rng = np.random.default_rng(process.seed(shard))
    parts: list[tuple[Deposits, MuonCandidates, truth.Truth | None]] = []
    kept = 0
    while kept < events:
        particles, prompt, n = next_particles(generator, process, events - kept)
        truths = truth.truth_objects(particles, prompt, n) if process.label else None
        columns = (response.deposits(particles, rng), response.muon_candidates(particles, rng), truths)
        parts.append(tuple(_shift(part, kept) for part in columns))
        kept += n
    arrays = _pack(parts, events)
    arrays["sigma_mb"] = np.float64(generator.infoPython().sigmaGen())
    partial = path.with_suffix(".part.npz")
    np.savez(partial, **arrays)
    partial.rename(path)


def start_generator(process: Process, seed: int) -> Any:
    """A Pythia generator for a process, or an error that names the process."""
    generator = pythia8mc.Pythia("", False)
    common = ("Print:quiet = on", f"Beams:eCM = {ENERGY_GEV}", "Random:setSeed = on", f"Random:seed = {seed}")
    for setting in (*common, *process.settings):
        if not generator.readString(setting):
            raise RuntimeError(f"{process.name}: Pythia does not know the setting '{setting}'")
    if not generator.init():
        raise RuntimeError(f"{process.name}: Pythia refused to start with {process.settings}")
    return generator


def next_particles(generator: Any, process: Process, wanted: int) -> tuple[Particles, NDArray[np.bool_], int]:
    """Up to `wanted` events: their stable particles, which of these are prompt, and the number of events."""
    batch = generator.nextBatch(BATCH)
    if len(batch) == 0:
        raise RuntimeError(f"{process.name}: Pythia made no events")
    if process.max_hard_scale_gev is not None:
        batch = batch[batch.info.pT2Hat < process.max_hard_scale_gev**2]
    records = batch.prt[:wanted]
    mothers = records.id[records.mother1]
    final = records.status > 0
    counts = ak.to_numpy(ak.sum(final, axis=1))
    stable = records[final]

    def flat(field: Any) -> NDArray[Any]:
        return ak.to_numpy(ak.flatten(field))

    px, py, pz = (flat(stable.p[axis]) for axis in ("px", "py", "pz"))
    pdg = flat(stable.id).astype(np.int64)
    known, where = np.unique(pdg, return_inverse=True)
    charge = np.array([generator.particleData.charge(int(i)) for i in known])[where]
    pt = np.maximum(np.hypot(px, py), 1e-6)
    event = np.repeat(np.arange(len(counts)), counts)
    prompt = np.abs(flat(mothers[final])) < 100
    return Particles(event, pdg, charge, pt, np.arcsinh(pz / pt), np.arctan2(py, px)), prompt, len(counts)


def _shift(part: Any, events: int) -> Any:
    """The same records with event numbers moved up."""
    return None if part is None else part._replace(event=part.event + events)


def _pack(parts: list[tuple[Deposits, MuonCandidates, truth.Truth | None]], events: int) -> dict[str, NDArray[Any]]:
    """Named arrays of a shard: the fields of `Library`, and truth_* for a signal."""
    deposits, muons, truths = (list(kind) for kind in zip(*parts))
    joined = {name: np.concatenate([getattr(part, name) for part in deposits]) for name in Deposits._fields[1:]}
    for name in MuonCandidates._fields[1:]:
        joined[f"muon_{name}"] = np.concatenate([getattr(part, name) for part in muons])
    for name, kind in (("deposit_start", deposits), ("muon_start", muons)):
        counts = np.bincount(np.concatenate([part.event for part in kind]), minlength=events)
        joined[name] = np.concatenate([[0], np.cumsum(counts)])
    if truths[0] is not None:
        for name in truth.Truth._fields:
            joined[f"truth_{name}"] = np.concatenate([getattr(part, name) for part in truths])
    return joined


def load(cache: Path, processes: list[Process]) -> tuple[Library, list[int], list[float]]:
    """All cached shards of the processes as one library, with each process's events and cross-section in mb."""
    shards, sizes, sigmas = [], [], []
    for process in processes:
        loaded = [dict(np.load(shard_path(cache, process, shard, n))) for shard, n in process.shards()]
        sizes.append(sum(n for _, n in process.shards()))
        sigmas.append(float(np.mean([shard["sigma_mb"] for shard in loaded])))
        shards += loaded
    joined = {}
    for name in Library._fields:
        parts = [shard[name] for shard in shards]
        if name.endswith("_start"):
            counts = np.concatenate([np.diff(part) for part in parts])
            joined[name] = np.concatenate([[0], np.cumsum(counts)])
        else:
            joined[name] = np.concatenate(parts)
    return Library(**joined), sizes, sigmas


def load_truth(cache: Path, process: Process) -> truth.Truth:
    """Generator truth of a signal, event numbers counted through all shards."""
    parts, first = [], 0
    for shard, n in process.shards():
        arrays = np.load(shard_path(cache, process, shard, n))
        part = truth.Truth(*(arrays[f"truth_{name}"] for name in truth.Truth._fields))
        parts.append(_shift(part, first))
        first += n
    return truth.Truth(*(np.concatenate(columns) for columns in zip(*parts)))
