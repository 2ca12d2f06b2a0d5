"""What single particles leave in the detector: calorimeter tower deposits and muon candidates.

Transverse momenta and energies are in GeV, lengths in m, angles in rad.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROWS, COLUMNS = 114, 72
TOWER_ETA = 0.087
TOWER_PHI = 2 * np.pi / COLUMNS

FIELD_T = 3.8
CALORIMETER_RADIUS = 1.29
CALORIMETER_HALF_LENGTH = 3.17
HADRON_MIP_GEV = 0.3
EM_SPREAD_TOWERS = 0.12
HADRON_SPREAD = 0.25
MUON_MAX_ETA = 2.4
MUON_MIN_PT = 2.5

NEUTRINOS = (12, 14, 16)
PION_LOSS = 1.29 * 0.1396 / 7.80
"""Path to the calorimeter times mass over c tau: the chance to decay in flight is this over pt."""
KAON_LOSS = 1.29 * 0.4937 / 3.71 * 0.64


class Particles(NamedTuple):
    """Stable particles of many events, flat; `event` is the event number of each."""

    event: Ints
    pdg: Ints
    charge: Floats
    pt: Floats
    eta: Floats
    phi: Floats


class Deposits(NamedTuple):
    """Transverse energy in GeV per event and tower, one entry for each tower that was hit."""

    event: Ints
    row: NDArray[np.uint8]
    column: NDArray[np.uint8]
    em: NDArray[np.float32]
    had: NDArray[np.float32]


class MuonCandidates(NamedTuple):
    """True muons (chance 1) and hadrons that may decay to one before the calorimeter (small chance)."""

    event: Ints
    pt: NDArray[np.float32]
    eta: NDArray[np.float32]
    phi: NDArray[np.float32]
    chance: NDArray[np.float32]


def impact(pt: Floats, eta: Floats, phi: Floats, charge: Floats) -> tuple[Floats, Floats]:
    """(eta, phi) where a particle from the origin meets the barrel or the endcap; loopers end up in the endcap."""
    slope = np.sinh(eta)
    to_endcap = CALORIMETER_HALF_LENGTH / np.maximum(np.abs(slope), 1e-6)
    diameter = 2 * pt / (0.3 * FIELD_T * np.maximum(np.abs(charge), 1e-6))
    reach = CALORIMETER_RADIUS / diameter
    to_barrel = np.where(reach < 1, diameter * np.arcsin(np.minimum(reach, 1)), np.inf)
    path = np.minimum(to_barrel, to_endcap)
    turn = np.where(charge == 0, 0.0, path / diameter)
    radius = np.where(charge == 0, path, np.abs(diameter * np.sin(turn)))
    eta_hit = np.arcsinh(path * slope / np.maximum(radius, 1e-3))
    return eta_hit, phi - np.sign(charge) * turn


def measured_et(pt: Floats, eta: Floats, is_em: NDArray[np.bool_], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Electromagnetic and hadronic transverse energy seen of each particle: response and resolution."""
    energy = np.maximum(pt * np.cosh(eta), 1e-3)
    gauss = rng.standard_normal(len(pt))
    em_seen = pt * (1 + gauss * np.hypot(0.05 / np.sqrt(energy), 0.01))
    response = 1 - 0.4 * np.exp(-energy / 8)
    had_seen = pt * np.maximum(response * (1 + gauss * np.hypot(1.0 / np.sqrt(energy), 0.05)), 0)
    starts_early = rng.random(len(pt)) < 0.45
    mip_share = np.minimum(HADRON_MIP_GEV / energy, 1)
    em_share = np.where(starts_early, rng.uniform(0.1, 0.8, len(pt)), mip_share)
    em = np.where(is_em, em_seen, had_seen * em_share)
    had = np.where(is_em, 0.0, had_seen * (1 - em_share))
    return np.maximum(em, 0), had


def deposits(particles: Particles, rng: np.random.Generator) -> Deposits:
    """Tower deposits of all particles but muons and neutrinos."""
    kind = np.abs(particles.pdg)
    particles = Particles(*(field[~np.isin(kind, (13, *NEUTRINOS))] for field in particles))
    eta, phi = impact(particles.pt, particles.eta, particles.phi, particles.charge)
    inside = np.abs(eta) < TOWER_ETA * ROWS / 2
    event, pdg, _, pt, _, _ = (field[inside] for field in particles)
    eta, phi = eta[inside], phi[inside]
    is_em = np.isin(np.abs(pdg), (11, 22))
    em, had = measured_et(pt, eta, is_em, rng)

    x = eta / TOWER_ETA + ROWS / 2
    y = np.mod(phi, 2 * np.pi) / TOWER_PHI
    row, column = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    dx, dy = x - row - 0.5, y - column - 0.5
    across_eta = np.abs(dx) > np.abs(dy)
    edge = 0.5 - np.maximum(np.abs(dx), np.abs(dy))
    shared = np.where(is_em, 0.5 * np.exp(-edge / EM_SPREAD_TOWERS), HADRON_SPREAD)
    next_row = np.clip(row + np.where(across_eta, np.sign(dx), 0).astype(np.int64), 0, ROWS - 1)
    next_column = column + np.where(across_eta, 0, np.sign(dy)).astype(np.int64)

    rows = np.concatenate([row, next_row])
    columns = np.concatenate([column, next_column]) % COLUMNS
    weight = np.concatenate([1 - shared, shared])
    return _sum_by_tower(np.tile(event, 2), rows, columns, np.tile(em, 2) * weight, np.tile(had, 2) * weight)


def _sum_by_tower(event: Ints, row: Ints, column: Ints, em: Floats, had: Floats) -> Deposits:
    """One entry per event and tower, in this order; entries below 20 MeV are dropped."""
    key = (event * ROWS + row) * COLUMNS + column
    towers, where = np.unique(key, return_inverse=True)
    em_sum = np.bincount(where, em, len(towers))
    had_sum = np.bincount(where, had, len(towers))
    keep = em_sum + had_sum > 0.02
    cell = towers[keep] % (ROWS * COLUMNS)
    return Deposits(
        towers[keep] // (ROWS * COLUMNS),
        (cell // COLUMNS).astype(np.uint8),
        (cell % COLUMNS).astype(np.uint8),
        em_sum[keep].astype(np.float32),
        had_sum[keep].astype(np.float32),
    )


def muon_candidates(particles: Particles, rng: np.random.Generator) -> MuonCandidates:
    """Muons, and charged pions and kaons with the chance and momentum share of a decay in flight."""
    kind = np.abs(particles.pdg)
    seen = np.isin(kind, (13, 211, 321)) & (np.abs(particles.eta) < MUON_MAX_ETA) & (particles.pt > MUON_MIN_PT)
    event, _, _, pt, eta, phi = (field[seen] for field in particles)
    kind = kind[seen]
    lowest_share = np.select([kind == 211, kind == 321], [0.57, 0.05], 1.0)
    loss = np.select([kind == 211, kind == 321], [PION_LOSS, KAON_LOSS], np.inf)
    chance = np.minimum(loss / pt, 1)
    muon_pt = pt * rng.uniform(lowest_share, 1.0)
    keep = muon_pt > MUON_MIN_PT
    columns = (field[keep].astype(np.float32) for field in (muon_pt, eta, phi, chance))
    return MuonCandidates(event[keep], *columns)
