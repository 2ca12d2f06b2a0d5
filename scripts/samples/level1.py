"""Overlay collisions into bunch crossings and reconstruct level-1 objects, as a hardware trigger would.

Towers hold transverse energy in GeV. Rows count along eta, columns along phi.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .library import Library
from .response import COLUMNS, MUON_MAX_ETA, MUON_MIN_PT, ROWS, TOWER_ETA, TOWER_PHI

Tower = NDArray[np.float32]
Rows = NDArray[np.int16]

LSB_GEV = 0.5
ETA_LSB, PHI_STEPS = 0.0435, 144
MUON_ETA_LSB, MUON_PHI_STEPS = 0.010875, 576

MAX_BOOST_ROWS = 3
EM_NOISE, HAD_NOISE = 0.15, 0.25
EM_ZERO_SUPPRESSION, HAD_ZERO_SUPPRESSION = 0.5, 1.0
TOWER_MAX = 127.5

JET_HALF, STRIP = 4, 3
JET_ROWS = 45
JET_SEED, JET_MIN, JET_MAX = 4.0, 15.0, 1023.5
JET_SCALE = 1.2

EGAMMA_ROWS = 29
EGAMMA_SEED, EGAMMA_MIN, EGAMMA_MAX = 2.0, 4.0, 255.5
EGAMMA_SCALE = 1.05
EGAMMA_EFFICIENCY = 0.97

MUON_MAX = 255.5
MUON_PLATEAU, MUON_TURN_ON, MUON_TURN_ON_WIDTH = 0.95, 4.0, 1.0
MUON_ANGLE_SIGMA = 0.02
MUON_TAIL_CHANCE, MUON_TAIL_LOG_SIGMA = 0.03, 0.5
FAKE_MUON_CHANCE = 0.002

MET_TOWER_MIN = 1.0
MET_MAX = 2047.5
COS = np.cos((np.arange(COLUMNS) + 0.5) * TOWER_PHI)
SIN = np.sin((np.arange(COLUMNS) + 0.5) * TOWER_PHI)

MET, EGAMMAS, MUONS, JETS, LABEL, FIELDS = 0, 3, 15, 27, 57, 58
"""First column of each object in a row of 58 integers: pt of all slots, eta of all slots, phi of all slots."""
CAPACITY = 256


class Mixture(NamedTuple):
    """Where the collisions of a crossing come from: component k is collisions [first[k], first[k] + size[k])."""

    first: NDArray[np.int64]
    size: NDArray[np.int64]
    cumulative: NDArray[np.float64]


class Place(NamedTuple):
    """How a library collision is put into a crossing: turned by columns, moved by rows, mirrored in eta."""

    turn: int
    boost: int
    mirrored: bool


class Objects(NamedTuple):
    """Candidates of one kind in one crossing: pt in GeV, eta and phi as hardware integers."""

    pt: NDArray[np.float64]
    eta: NDArray[np.int64]
    phi: NDArray[np.int64]


@njit
def simulate(
    rng: np.random.Generator,
    library: Library,
    mixture: Mixture,
    pile_up: NDArray[np.float64],
    signal: NDArray[np.int64],
    label: NDArray[np.int16],
) -> Rows:
    """Level-1 rows of crossings with mean pile-up `pile_up` and the signal collision `signal` (-1 for none)."""
    rows = np.zeros((len(pile_up), FIELDS), np.int16)
    em = np.empty((ROWS, COLUMNS), np.float32)
    had = np.empty((ROWS, COLUMNS), np.float32)
    jets, egammas, muons = _no_objects(), _no_objects(), _no_objects()
    for i in range(len(pile_up)):
        em[:] = 0
        had[:] = 0
        n_muons = 0
        if signal[i] >= 0:
            as_it_is = Place(0, 0, False)
            _deposit(library, signal[i], as_it_is, em, had)
            n_muons = _add_muons(rng, library, signal[i], as_it_is, muons, n_muons)
        for _ in range(rng.poisson(pile_up[i])):
            k = np.searchsorted(mixture.cumulative, rng.random())
            collision = mixture.first[k] + int(rng.random() * mixture.size[k])
            place = _random_place(rng)
            _deposit(library, collision, place, em, had)
            n_muons = _add_muons(rng, library, collision, place, muons, n_muons)
        n_muons = _add_fake_muon(rng, muons, n_muons)
        total = _digitise(rng, em, had)
        _write_met(total, rows[i])
        _write(egammas, _find_egammas(rng, em, had, total, egammas), rows[i, EGAMMAS:MUONS])
        _write(muons, n_muons, rows[i, MUONS:JETS])
        _write(jets, _find_jets(total, jets), rows[i, JETS:LABEL])
        rows[i, LABEL] = label[i]
    return rows


@njit
def _no_objects() -> Objects:
    """Room for the candidates of one crossing."""
    return Objects(np.zeros(CAPACITY), np.zeros(CAPACITY, np.int64), np.zeros(CAPACITY, np.int64))


@njit
def _random_place(rng: np.random.Generator) -> Place:
    """Any turn, a small boost along the beam, mirrored or not: so that a collision used again looks different."""
    turn = int(rng.random() * COLUMNS)
    boost = int(rng.random() * (2 * MAX_BOOST_ROWS + 1)) - MAX_BOOST_ROWS
    return Place(turn, boost, rng.random() < 0.5)


@njit
def _deposit(library: Library, collision: int, place: Place, em: Tower, had: Tower) -> None:
    """Add a collision to the towers; what a boost moves past the end of the calorimeter is lost."""
    for j in range(library.deposit_start[collision], library.deposit_start[collision + 1]):
        row = int(library.row[j]) + place.boost
        column = int(library.column[j]) + place.turn
        if row < 0 or row >= ROWS:
            continue
        if place.mirrored:
            row = ROWS - 1 - row
        if column >= COLUMNS:
            column -= COLUMNS
        em[row, column] += library.em[j]
        had[row, column] += library.had[j]


@njit
def _digitise(rng: np.random.Generator, em: Tower, had: Tower) -> Tower:
    """Noise, zero suppression, 0.5 GeV steps and 8-bit saturation, in place; returns the sum of both."""
    total = np.empty((ROWS, COLUMNS), np.float32)
    for row in range(ROWS):
        for column in range(COLUMNS):
            e = em[row, column] + EM_NOISE * rng.standard_normal()
            h = had[row, column] + HAD_NOISE * rng.standard_normal()
            e = 0.0 if e < EM_ZERO_SUPPRESSION else min(np.floor(e / LSB_GEV) * LSB_GEV, TOWER_MAX)
            h = 0.0 if h < HAD_ZERO_SUPPRESSION else min(np.floor(h / LSB_GEV) * LSB_GEV, TOWER_MAX)
            em[row, column] = e
            had[row, column] = h
            total[row, column] = e + h
    return total


@njit
def _is_peak(towers: Tower, row: int, column: int, half: int) -> bool:
    """True if no tower in the window is higher; of equal towers the first in eta, then phi, is the peak."""
    height = towers[row, column]
    for dr in range(-half, half + 1):
        for dc in range(-half, half + 1):
            other = towers[row + dr, (column + dc) % COLUMNS]
            before = dr < 0 or (dr == 0 and dc < 0)
            if other > height or (before and other == height):
                return False
    return True


@njit
def _window(towers: Tower, row: int, column: int, half_rows: int, half_columns: int) -> float:
    """Sum of a window of towers."""
    total = 0.0
    for r in range(row - half_rows, row + half_rows + 1):
        for c in range(column - half_columns, column + half_columns + 1):
            total += towers[r, c % COLUMNS]
    return total


@njit
def _find_jets(total: Tower, jets: Objects) -> int:
    """9 x 9 windows around local maxima, less pile-up from the three lower of four 3 x 9 strips beside them."""
    n = 0
    shift = JET_HALF + 1 + STRIP // 2
    for row in range(ROWS // 2 - JET_ROWS, ROWS // 2 + JET_ROWS):
        for column in range(COLUMNS):
            if total[row, column] < JET_SEED or not _is_peak(total, row, column, JET_HALF):
                continue
            strips = np.array([
                _window(total, row - shift, column, STRIP // 2, JET_HALF),
                _window(total, row + shift, column, STRIP // 2, JET_HALF),
                _window(total, row, column - shift, JET_HALF, STRIP // 2),
                _window(total, row, column + shift, JET_HALF, STRIP // 2),
            ])
            pt = JET_SCALE * (_window(total, row, column, JET_HALF, JET_HALF) - strips.sum() + strips.max())
            if pt >= JET_MIN and n < CAPACITY:
                jets.pt[n] = min(pt, JET_MAX)
                jets.eta[n] = 2 * (row - ROWS // 2) + 1
                jets.phi[n] = 2 * column + 1
                n += 1
    return n


@njit
def _find_egammas(rng: np.random.Generator, em: Tower, had: Tower, total: Tower, egammas: Objects) -> int:
    """Two-tower clusters around electromagnetic local maxima, with little hadronic energy and isolated."""
    n = 0
    for row in range(ROWS // 2 - EGAMMA_ROWS, ROWS // 2 + EGAMMA_ROWS):
        for column in range(COLUMNS):
            if em[row, column] < EGAMMA_SEED or not _is_peak(em, row, column, 1):
                continue
            dr, dc = _best_neighbour(em, row, column)
            r, c = row + dr, (column + dc) % COLUMNS
            cluster = em[row, column] + em[r, c]
            hadronic = had[row, column] + had[r, c]
            pt = EGAMMA_SCALE * cluster
            around = _window(total, row, column, 2, 4) - cluster - hadronic
            if pt < EGAMMA_MIN or hadronic > 1.0 + 0.1 * pt or around > 12.0 + 0.5 * pt or n == CAPACITY:
                continue
            if rng.random() < EGAMMA_EFFICIENCY:
                share = em[r, c] / cluster
                egammas.pt[n] = min(pt, EGAMMA_MAX)
                egammas.eta[n] = int(np.rint(2 * (row - ROWS // 2) + 1 + 2 * dr * share))
                egammas.phi[n] = int(np.rint(2 * column + 1 + 2 * dc * share)) % PHI_STEPS
                n += 1
    return n


@njit
def _best_neighbour(em: Tower, row: int, column: int) -> tuple[int, int]:
    """Step to the highest of the four towers beside this one."""
    best, step = -1.0, (0, 0)
    for dr, dc in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        height = em[row + dr, (column + dc) % COLUMNS]
        if height > best:
            best, step = height, (dr, dc)
    return step


@njit
def _add_muons(
    rng: np.random.Generator, library: Library, collision: int, place: Place, muons: Objects, n: int
) -> int:
    """Measure a collision's muon candidates: decay in flight, efficiency, smearing; returns the new count."""
    for j in range(library.muon_start[collision], library.muon_start[collision + 1]):
        if rng.random() > library.muon_chance[j] or n == CAPACITY:
            continue
        pt, eta = library.muon_pt[j], library.muon_eta[j] + place.boost * TOWER_ETA
        if rng.random() > MUON_PLATEAU / (1 + np.exp(-(pt - MUON_TURN_ON) / MUON_TURN_ON_WIDTH * 1.7)):
            continue
        sigma = 0.10 + 0.10 * np.abs(eta) / MUON_MAX_ETA
        measured = pt / max(1 + sigma * rng.standard_normal(), 0.2)
        if rng.random() < MUON_TAIL_CHANCE:
            measured = pt * np.exp(MUON_TAIL_LOG_SIGMA * rng.standard_normal())
        eta = (-eta if place.mirrored else eta) + MUON_ANGLE_SIGMA * rng.standard_normal()
        phi = library.muon_phi[j] + place.turn * TOWER_PHI + MUON_ANGLE_SIGMA * rng.standard_normal()
        n = _add_muon(muons, n, measured, eta, phi)
    return n


@njit
def _add_fake_muon(rng: np.random.Generator, muons: Objects, n: int) -> int:
    """Now and then a muon that is not there, with an integral spectrum that falls as pt to the power -2.5."""
    if rng.random() < FAKE_MUON_CHANCE:
        pt = MUON_MIN_PT * (1 - rng.random()) ** (-1 / 2.5)
        n = _add_muon(muons, n, pt, MUON_MAX_ETA * (2 * rng.random() - 1), 2 * np.pi * rng.random())
    return n


@njit
def _add_muon(muons: Objects, n: int, pt: float, eta: float, phi: float) -> int:
    """Append a muon inside the acceptance; returns the new count."""
    if n == CAPACITY or pt < MUON_MIN_PT or np.abs(eta) > MUON_MAX_ETA:
        return n
    muons.pt[n] = min(pt, MUON_MAX)
    muons.eta[n] = int(np.rint(eta / MUON_ETA_LSB))
    muons.phi[n] = int(np.rint(phi / (2 * np.pi) * MUON_PHI_STEPS)) % MUON_PHI_STEPS
    return n + 1


@njit
def _write_met(total: Tower, row: Rows) -> None:
    """Missing transverse energy of all towers above a threshold: (pt, 0, phi)."""
    x = y = 0.0
    for r in range(ROWS):
        for c in range(COLUMNS):
            if total[r, c] >= MET_TOWER_MIN:
                x -= total[r, c] * COS[c]
                y -= total[r, c] * SIN[c]
    row[MET] = int(min(np.hypot(x, y), MET_MAX) / LSB_GEV)
    row[MET + 2] = int(np.rint(np.arctan2(y, x) / (2 * np.pi) * PHI_STEPS)) % PHI_STEPS


@njit
def _write(objects: Objects, n: int, columns: Rows) -> None:
    """The hardest objects into (pt, eta, phi) columns of as many slots as there are."""
    slots = len(columns) // 3
    order = np.argsort(-objects.pt[:n], kind="mergesort")
    for slot in range(min(n, slots)):
        best = order[slot]
        columns[slot] = int(objects.pt[best] / LSB_GEV)
        columns[slots + slot] = objects.eta[best]
        columns[2 * slots + slot] = objects.phi[best]
