"""What is sold out how, between which channels, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from oneshelf.domain.rights import Mode
from oneshelf.simulation.shops import SPEED, TIMING

UNITS = 40
# Sales from which tau is measured.
QUIET_SALES = 80
# How often the books of the channels are looked at.
LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Place:
    """Channels among which goods are sold. `speed`: how many times faster than documented their delays and limits are.

    `guess_s`: about what tau is; the slow sales come by it. `quiet_s`: nothing can be bought any more once nothing was
    offered for so long.
    """

    kinds: tuple[str, ...]
    speed: float
    timing: Mapping[str, Mapping[str, float]]
    guess_s: float
    quiet_s: float


PLACES = {
    "4 Shopify": Place(("shopify",) * 4, 1.0, {}, guess_s=1.2, quiet_s=8.0),
    "3 Shopify, 1 Amazon": Place((*("shopify",) * 3, "amazon"), SPEED, TIMING, guess_s=6.0, quiet_s=60.0),
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What is sold out how. `clump`: variance of the buyers in any time, as a multiple of their mean; 1 is Poisson."""

    manner: str
    place: str
    load: float
    clump: float = 1.0

    @property
    def mode(self) -> Mode:
        return {"guarded": Mode.GUARDED, "auto": Mode.AUTO, "auto, unknown": Mode.AUTO}.get(self.manner, Mode.POOLED)

    @property
    def is_known(self) -> bool:
        """Whether the engine has seen a week of sales at this rate."""
        return self.manner in {"buffered", "auto"}

    @property
    def is_pooled(self) -> bool:
        return self.mode is Mode.POOLED


@dataclass(frozen=True, slots=True)
class Size:
    """How much is played: `waves` times `at_once` goods are sold out, `units` of each.

    From `quiet_sales` sales tau is measured.
    """

    at_once: int
    waves: int = 1
    units: int = UNITS
    quiet_sales: int = QUIET_SALES


@dataclass(slots=True)
class SellOut:
    """One of them. Seconds are virtual; `sold_at`: channel -> when it sold a unit each. `delays_s`: of single sales."""

    sku: str
    units: int
    rate_per_s: float
    begun_s: float
    sold_at: dict[str, list[float]] = field(default_factory=dict)
    refused: int = 0
    # Buyers that found nothing although not all was sold.
    refused_early: int = 0
    delays_s: list[float] = field(default_factory=list)
    is_over: bool = False
    ended_s: float = 0.0
    _shown_at_first: dict[str, int] = field(default_factory=dict)
    _seen_of_others: dict[str, int] = field(default_factory=dict)
    _empty_since_s: float = -1.0

    @property
    def sold(self) -> int:
        return sum(len(times) for times in self.sold_at.values())

    @property
    def oversold(self) -> int:
        return max(0, self.sold - self.units)

    @property
    def stranded(self) -> int:
        return max(0, self.units - self.sold)

    def begin(self, shown: Mapping[str, int]) -> None:
        self._shown_at_first = dict(shown)
        self.sold_at = {channel: [] for channel in shown}
        self._seen_of_others = dict.fromkeys(shown, 0)

    def look(self, shown: Mapping[str, int], *, now_s: float, quiet_s: float) -> None:
        """What its listings show now. Each unit less than at first is a sale there or one elsewhere that is known."""
        half, sold = self.units // 2, self.sold
        for channel, units in shown.items():
            here, seen = len(self.sold_at[channel]), self._seen_of_others[channel]
            known = min(half, sold - here, self._shown_at_first[channel] - units - here if units else sold - here)
            if known > seen:
                others = sorted(at for other, times in self.sold_at.items() if other != channel for at in times)
                self._seen_of_others[channel] = known
                self.delays_s += [max(0.0, now_s - LOOK_S / 2 - at) for at in others[seen:known]]
        if any(shown.values()):
            self._empty_since_s = -1.0
        elif self._empty_since_s < 0:
            self._empty_since_s = now_s
        elif now_s - self._empty_since_s > quiet_s:
            self.is_over, self.ended_s = True, now_s


@dataclass(slots=True)
class Played:
    """What came of a market."""

    terms: Terms
    seed: int
    tau_s: float
    sellouts: list[SellOut]
    # Of the goods of mode auto, and of those with a buffer: as the engine worked it out.
    thresholds: list[int] = field(default_factory=list)
    buffers: list[int] = field(default_factory=list)
