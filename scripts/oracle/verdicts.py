"""What the menu decides of events: models, lines, and what the last rung does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

from conditions import Rows
from menus import Menu


@dataclass
class Verdicts:
    """A bit per line and event; for events without scores, what the last rung does."""

    passed: np.ndarray
    kept: np.ndarray
    rung: np.ndarray
    guilty: np.ndarray
    """Index of the first model that gave no score at the last rung with models, or -1."""
    rescued: np.ndarray
    """Kept by `[fallback]`."""
    nan: np.ndarray
    """No line decides, because a number that one needs is a NaN."""
    late: np.ndarray
    """No model was asked, because the deadline had passed."""
    scores: np.ndarray

    def of(self, which: slice | np.ndarray) -> Verdicts:
        by_line = (self.passed[:, which], self.kept[:, which])
        return Verdicts(*by_line, *(a[which] for a in (self.rung, self.guilty, self.rescued, self.nan, self.late, self.scores)))


def judge(runs: np.ndarray, ids: np.ndarray, events: np.ndarray, late: np.ndarray, menu: Menu) -> Verdicts:
    passed = np.zeros((len(menu.lines), len(ids)), bool)
    scores = np.full((sum(len(m.scores) for m in menu.models), len(ids)), np.nan)
    no, zero = np.zeros(len(ids), bool), np.zeros(len(ids), int)
    verdicts = Verdicts(passed, passed.copy(), zero, zero - 1, no, no.copy(), late, scores.T)
    left = ~late
    for k, models in enumerate(menu.rungs):
        verdicts.rung[left | late] = k
        verdicts.guilty[left] = -1
        for m, model in reversed(list(enumerate(models))):
            verdicts.guilty[left & ~model.finite(events)] = m
        here = left & (verdicts.guilty < 0)
        rows = Rows(events[here], menu.score(models, events[here]))
        verdicts.scores[here] = np.array(list(rows.scores.values())).T.reshape(len(rows), len(scores))
        decide_lines(verdicts, here, runs, ids, rows, menu)
        left &= ~here
    if menu.fallback:
        verdicts.rung[left | late] = len(menu.rungs)
        for run in np.unique(runs):
            lost = (left | late) & (runs == run)
            verdicts.rescued[lost] = menu.fallback.kept(int(run), ids[lost])
    return verdicts


def decide_lines(verdicts: Verdicts, here: np.ndarray, runs: np.ndarray, ids: np.ndarray, rows: Rows, menu: Menu) -> None:
    """`rows` are the events that `here` marks. Those that are played again are looked at once."""
    _, first, again = np.unique(rows.events.view(f"V{rows.events.itemsize}"), return_index=True, return_inverse=True)
    once = rows.only(first)
    truths = [line.when.value(once).only(again) if line.when else None for line in menu.lines]
    verdicts.nan[here] = reduce(np.logical_or, [t.unknown for t in truths if t], menu.not_a_number(rows.events))
    for run in np.unique(runs):
        among = (runs[here] == run) & ~verdicts.nan[here]
        of_run = np.flatnonzero(here)[among]
        for k, (line, truth) in enumerate(zip(menu.lines, truths)):
            verdicts.passed[k, of_run] = line.passed(int(run), ids[of_run], truth and truth.only(among))
            verdicts.kept[k, of_run] = line.kept(int(run), ids[of_run], verdicts.passed[k, of_run])
