"""Plots that show whether the samples are sane, made from the written files read back."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from .crossings import Plan
from .library import load_truth
from .readback import Events
from .truth import Truth

CROSSING_RATE_KHZ = 11.2455 * 2760
"""Filled crossings per ms: 2760 bunches that turn 11,245.5 times a second."""

NAMES = {
    "l1-zerobias": "zero-bias", "l1-ato4l": r"A $\to$ 4l", "l1-lqbtau": r"LQ $\to$ b$\tau$",
    "l1-htautau": r"h$^0\to\tau\tau$", "l1-hptaunu": r"h$^+\to\tau\nu$",
}
OBJECTS = (("jets", "jet"), ("egammas", "e/gamma"), ("muons", "muon"))
TURN_ONS = (
    ("l1-ato4l", "egammas", 11, (8, 15, 25), 2.4, 0.2),
    ("l1-ato4l", "muons", 13, (5, 12, 22), 2.3, 0.2),
    ("l1-lqbtau", "jets", 0, (30, 60, 100), 2.5, 0.4),
)


def make_all(folder: Path, cache: Path, plan: Plan, events: dict[str, Events]) -> None:
    """Make every plot as a PNG in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rates(folder / "rates.png", events["l1-zerobias"])
    turn_ons(folder / "turn-on.png", cache, plan, events)
    angles(folder / "angles.png", events["l1-zerobias"])
    signals(folder / "signals.png", events)


def leading(events: Events, name: str) -> NDArray[np.float64]:
    """pt in GeV of the hardest object of a kind, or of the missing ET; 0 for none."""
    pt = events[f"{name}.pt"]
    return pt if pt.ndim == 1 else pt[:, 0]


def rates(path: Path, events: Events) -> None:
    """Zero-bias rate against the threshold on the leading object."""
    figure, axes = plt.subplots(figsize=(7, 5))
    per_event = CROSSING_RATE_KHZ / len(events.records)
    for (name, title), marker in zip((*((n, f"leading {t}") for n, t in OBJECTS), ("met", "missing ET")), "os^d"):
        pt = leading(events, name)
        thresholds = np.concatenate([np.arange(3, 40, 1.0), np.arange(40, 100, 4.0), np.arange(100, 400, 15.0)])
        passed = np.array([(pt >= cut).sum() for cut in thresholds])
        seen = (passed > 0) & (thresholds >= pt[pt > 0].min())
        rate, error = passed[seen] * per_event, np.sqrt(passed[seen]) * per_event
        axes.errorbar(thresholds[seen], rate, error, fmt=marker, ms=3.5, lw=1, label=title)
    axes.axhline(per_event, color="grey", lw=0.8, ls=":")
    axes.text(200, per_event * 0.95, "one event", color="grey", va="top", fontsize=8)
    axes.set(xlabel="threshold [GeV]", ylabel="rate [kHz]", yscale="log", xlim=(0, 400))
    title = f"Zero-bias, {len(events.records):,} crossings, mean pile-up 60, 2760 filled bunches (31.0 MHz)"
    axes.set_title(title, fontsize=10)
    axes.legend(frameon=False)
    _save(figure, path)


def turn_ons(path: Path, cache: Path, plan: Plan, events: dict[str, Events]) -> None:
    """Efficiency of thresholds against the true pt."""
    figure, all_axes = plt.subplots(1, 3, figsize=(12, 3.8), sharey=True)
    for axes, (sample, name, pdg, cuts, max_eta, radius) in zip(all_axes, TURN_ONS):
        label = next(s.signal for s in plan.samples if s.name == sample)
        truth = load_truth(cache, plan.process(label))
        true_pt, found_pt = matched(events[sample], truth, name, pdg, max_eta, radius)
        edges = np.geomspace(3, 300, 26) if pdg == 0 else np.geomspace(2, 100, 22)
        for cut in cuts:
            _efficiency(axes, true_pt, found_pt >= cut, edges, f"> {cut} GeV")
        kind = dict(OBJECTS)[name]
        axes.set(xlabel=f"true {kind} pt [GeV]", xscale="log", ylim=(0, 1.08), title=f"{kind} in {NAMES[sample]}")
        axes.axhline(1, color="grey", lw=0.8, ls=":")
        axes.legend(frameon=False, loc="lower right", title="level-1 pt")
    all_axes[0].set_ylabel("efficiency")
    _save(figure, path)


def matched(
    events: Events, truth: Truth, name: str, pdg: int, max_eta: float, radius: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """pt of each true object, and of the hardest level-1 object within `radius` in eta and phi (0 for none)."""
    chosen = (truth.pdg == pdg) & (np.abs(truth.eta) < max_eta) & (truth.event < len(events.records))
    event = truth.event[chosen]
    pt, eta, phi = (events[f"{name}.{axis}"][event] for axis in ("pt", "eta", "phi"))
    dphi = np.mod(phi - truth.phi[chosen, None] + np.pi, 2 * np.pi) - np.pi
    near = np.hypot(eta - truth.eta[chosen, None], dphi) < radius
    return truth.pt[chosen], np.where(near, pt, 0).max(axis=1)


def _efficiency(
    axes: Axes, value: NDArray[np.float64], passed: NDArray[np.bool_], edges: NDArray[np.float64], label: str
) -> None:
    """Points with the error of (passed + 1) / (all + 2), which stays above 0 at both ends."""
    everything = np.histogram(value, edges)[0]
    good = np.histogram(value[passed], edges)[0]
    seen = everything >= 5
    share = (good[seen] + 1) / (everything[seen] + 2)
    error = np.sqrt(share * (1 - share) / (everything[seen] + 3))
    centre, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    axes.errorbar(centre[seen], good[seen] / everything[seen], error, half[seen], fmt="o", ms=3, lw=1, label=label)


def angles(path: Path, events: Events) -> None:
    """Eta and phi of all zero-bias objects."""
    figure, all_axes = plt.subplots(2, 3, figsize=(12, 6))
    for (name, title), (top, bottom) in zip(OBJECTS, all_axes.T):
        present = events[f"{name}.pt"] > 0
        eta, phi = events[f"{name}.eta"][present], events[f"{name}.phi"][present]
        top.hist(eta, np.arange(-46, 47) * 0.087, histtype="step")
        top.set(xlabel="eta", title=f"{title}: {present.sum():,}")
        counts = np.histogram(phi, 36, (0, 2 * np.pi))[0]
        edges = np.linspace(0, 2 * np.pi, 37)
        bottom.stairs(counts, edges, label=f"chi2 / ndf = {_chi2_flat(counts):.1f} / {len(counts) - 1}")
        bottom.set(xlabel="phi [rad]", ylim=(0, 1.35 * counts.max()))
        bottom.legend(frameon=False)
    all_axes[0, 0].set_ylabel("objects per 0.087")
    all_axes[1, 0].set_ylabel("objects per 10 degrees")
    _save(figure, path)


def _chi2_flat(counts: NDArray[np.int64]) -> float:
    """Chi square against equal counts."""
    return float(((counts - counts.mean()) ** 2 / counts.mean()).sum())


def signals(path: Path, events: dict[str, Events]) -> None:
    """Signals beside zero-bias."""
    figure, all_axes = plt.subplots(2, 2, figsize=(10, 7))
    bins = {"jets": np.arange(0, 200, 8), "egammas": np.arange(0, 80, 3), "met": np.arange(0, 160, 5)}
    titles = {"jets": "leading jet pt [GeV]", "egammas": "leading e/gamma pt [GeV]", "met": "missing ET [GeV]"}
    for sample, label in NAMES.items():
        style = {"color": "black", "lw": 1.6} if sample == "l1-zerobias" else {"lw": 1.1}
        for axes, name in zip(all_axes.flat, bins):
            pt = np.minimum(leading(events[sample], name), bins[name][-1] - 0.1)
            axes.hist(pt, bins[name], weights=np.full(len(pt), 1 / len(pt)), histtype="step", label=label, **style)
            axes.set(xlabel=titles[name] + " (last bin: all above)", yscale="log")
        leptons = (events[sample]["egammas.pt"] > 8).sum(axis=1) + (events[sample]["muons.pt"] > 5).sum(axis=1)
        share = np.bincount(leptons, minlength=9) / len(leptons)
        all_axes[1, 1].stairs(share, np.arange(len(share) + 1) - 0.5, label=label, **style)
    all_axes[1, 1].set(xlabel="e/gamma above 8 GeV and muons above 5 GeV", yscale="log")
    all_axes[1, 1].legend(frameon=False, fontsize=9)
    all_axes[0, 0].set_ylabel("share of events")
    all_axes[1, 0].set_ylabel("share of events")
    _save(figure, path)


def _save(figure: plt.Figure, path: Path) -> None:
    """Write a small PNG."""
    figure.tight_layout()
    figure.savefig(path, dpi=80, metadata={"Software": None})
    plt.close(figure)
