"""What is generated: the Pythia processes, how many events of each, and their seeds."""

from dataclasses import dataclass

ENERGY_GEV = 13600.0
HARD_SCALE_GEV = 20.0
"""Collisions whose hardest scatter is above this come from the HardQCD slices, the others from minimum bias."""

SHARD_EVENTS = 4000
SEED = 4_100_000
"""Every generator seed is SEED + 1000 * process number + shard number."""


@dataclass(frozen=True)
class Process:
    """One Pythia set-up. `number` fixes the seeds; `label` is truth.label (0 for a part of zero-bias)."""

    name: str
    number: int
    events: int
    settings: tuple[str, ...]
    label: int = 0
    max_hard_scale_gev: float | None = None

    def shards(self) -> list[tuple[int, int]]:
        """(shard number, events) pairs that make up this process."""
        starts = range(0, self.events, SHARD_EVENTS)
        return [(i, min(SHARD_EVENTS, self.events - start)) for i, start in enumerate(starts)]

    def seed(self, shard: int) -> int:
        """Pythia seed of one shard."""
        return SEED + 1000 * self.number + shard


def _qcd(number: int, events: int, low_gev: float, high_gev: float | None) -> Process:
    """QCD 2 -> 2 with the scatter's transverse momentum between two values in GeV."""
    top = -1.0 if high_gev is None else high_gev
    settings = ("HardQCD:all = on", f"PhaseSpace:pTHatMin = {low_gev}", f"PhaseSpace:pTHatMax = {top}")
    return Process(f"qcd{low_gev:.0f}", number, events, settings)


MINIMUM_BIAS = Process("minbias", 1, 72_000, ("SoftQCD:inelastic = on",), max_hard_scale_gev=HARD_SCALE_GEV)

HARD = (
    _qcd(2, 16_000, HARD_SCALE_GEV, 30.0),
    _qcd(3, 12_000, 30.0, 50.0),
    _qcd(4, 6_000, 50.0, 80.0),
    _qcd(5, 1_500, 80.0, 120.0),
    _qcd(6, 450, 120.0, 200.0),
    _qcd(7, 150, 200.0, None),
    Process("wz", 8, 150, ("WeakSingleBoson:all = on", "PhaseSpace:mHatMin = 40.0")),
)

SIGNALS = (
    Process("ato4l", 11, 5_250, (
        "Higgs:useBSM = on", "HiggsBSM:gg2A3 = on", "36:m0 = 50.0", "36:mMin = 45.0", "36:mMax = 55.0",
        "36:onMode = off", "36:addChannel = 1 1.0 100 23 23", "23:mMin = 4.0", "23:onMode = off", "23:onIfAny = 11 13",
    ), label=1),
    Process("lqbtau", 12, 5_250, (
        "LeptoQuark:gg2LQLQbar = on", "LeptoQuark:qqbar2LQLQbar = on", "42:m0 = 80.0", "42:mMin = 60.0",
        "42:chargeType = -4", "42:0:products = 5 15",
    ), label=2),
    Process("htautau", 13, 5_250, (
        "HiggsSM:gg2H = on", "25:m0 = 60.0", "25:mMin = 50.0", "25:onMode = off", "25:onIfMatch = 15 -15",
    ), label=3),
    Process("hptaunu", 14, 5_250, (
        "Higgs:useBSM = on", "HiggsBSM:ffbar2H+- = on", "37:m0 = 60.0", "37:mWidth = 0.1", "37:doForceWidth = on",
        "37:mMin = 50.0", "37:mMax = 70.0", "37:oneChannel = 1 1.0 100 -15 16",
    ), label=4),
)
