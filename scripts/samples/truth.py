"""Generator truth of signal events, kept outside the sample files, for turn-on curves only."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .response import NEUTRINOS, Floats, Particles

JET_RADIUS = 0.4
JET_MIN_PT = 10.0
LEPTON_MIN_PT = 2.0
MAX_ETA = 3.0
INPUT_MIN_PT = 0.3


class Truth(NamedTuple):
    """Leptons (pdg 11, 13) and jets (pdg 0) with pt in GeV; `event` is the event number of each."""

    event: NDArray[np.int64]
    pdg: NDArray[np.int64]
    pt: Floats
    eta: Floats
    phi: Floats


def truth_objects(particles: Particles, prompt: NDArray[np.bool_], events: int) -> Truth:
    """Prompt electrons and muons, and jets of all visible particles, of `events` events."""
    kind = np.abs(particles.pdg)
    chosen = prompt & np.isin(kind, (11, 13)) & (particles.pt > LEPTON_MIN_PT) & (np.abs(particles.eta) < MAX_ETA)
    leptons = np.column_stack(
        [field[chosen] for field in (particles.event, kind, particles.pt, particles.eta, particles.phi)]
    )
    visible = ~np.isin(kind, (13, *NEUTRINOS)) & (particles.pt > INPUT_MIN_PT) & (np.abs(particles.eta) < MAX_ETA + 1)
    parts = [leptons]
    for event in range(events):
        mine = visible & (particles.event == event)
        jets = cluster(particles.pt[mine], particles.eta[mine], particles.phi[mine], JET_RADIUS)
        jets = jets[(jets[:, 0] > JET_MIN_PT) & (np.abs(jets[:, 1]) < MAX_ETA)]
        parts.append(np.column_stack([np.full(len(jets), event), np.zeros(len(jets)), jets]))
    table = np.concatenate(parts)
    return Truth(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2], table[:, 3], table[:, 4])


@njit
def _nearest(i: int, n: int, pt: Floats, eta: Floats, phi: Floats) -> tuple[int, float]:
    """Index of the nearest neighbour of i in eta and phi, and the squared distance."""
    best, nearest = np.inf, i
    for j in range(n):
        if j != i:
            dphi = np.abs(phi[i] - phi[j]) % (2 * np.pi)
            dphi = min(dphi, 2 * np.pi - dphi)
            distance = (eta[i] - eta[j]) ** 2 + dphi**2
            if distance < best:
                best, nearest = distance, j
    return nearest, best


@njit
def cluster(pt: Floats, eta: Floats, phi: Floats, radius: float) -> Floats:
    """Jets as rows of (pt, eta, phi), grown from the hardest input by its nearest neighbours within the radius.

    This is the order of anti-kT around the hardest input; the arrays are used as working space.
    """
    n = len(pt)
    jets = np.empty((n, 3))
    found = 0
    while n > 0:
        i = np.argmax(pt[:n])
        nearest, distance = _nearest(i, n, pt, eta, phi)
        if distance < radius**2:
            total = pt[i] + pt[nearest]
            weight = pt[nearest] / total
            turn = (phi[nearest] - phi[i] + np.pi) % (2 * np.pi) - np.pi
            pt[i], eta[i], phi[i] = total, eta[i] + weight * (eta[nearest] - eta[i]), phi[i] + weight * turn
            gone = nearest
        else:
            jets[found] = pt[i], eta[i], phi[i]
            found += 1
            gone = i
        n -= 1
        pt[gone], eta[gone], phi[gone] = pt[n], eta[n], phi[n]
    return jets[:found]
