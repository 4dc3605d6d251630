"""Who may sell how many of a guarded SKU's units: shares of what is available, and how to get there safely.

The units that all listings of a SKU may sell never grow beyond what is available: a listing is raised by what is free
alone, and what another gives up is free once its cut is proved. So no delay and no lost message sells a unit twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from heapq import heapify, heappop, heappush
from typing import TypeVar
from uuid import UUID

from oneshelf.domain.identity import ChannelSku, Sku
from oneshelf.domain.listing import Listing, empty, intend

Key = TypeVar("Key", bound=Hashable)
# Another listing is cut for one that can sell nothing, or that is short of more than this part of its share.
TOLERANCE_SHARE = Fraction(1, 4)


class Mode(StrEnum):
    """How the listings of a SKU share its units."""

    POOLED = "pooled"  # each shows all that is available
    GUARDED = "guarded"  # what they may sell adds up to what is available
    AUTO = "auto"  # guarded while scarce
    FROZEN = "frozen"  # nothing is sold anywhere


class Standing(StrEnum):
    """Whether a listing can be given another figure."""

    OPEN = "open"  # nothing is in flight, and what it may sell is what it shows
    WAITING = "waiting"  # a write or a doubt has to be settled first
    SHUT = "shut"  # it is not written: the channel is not live, or the listing is parked


@dataclass(frozen=True, slots=True, kw_only=True)
class Seller:
    """A listing that sells guarded SKUs. Figures are its own units (packs).

    `needs`: SKU -> units of it in one. `rights`: what may still be sold off it as far as anyone can tell; `in_suspense`
    of these are sold for certain, their order is not known. `cap`: the most that policies let it show. `weight`: its
    part of the sales. `is_blind`: it can be raised from zero alone, so a raise costs it the sales of a while.
    """

    needs: Mapping[Sku, int]
    rights: int
    in_suspense: int
    cap: int
    standing: Standing
    weight: Fraction = Fraction(1)
    is_blind: bool = False

    @property
    def shown(self) -> int:
        """What it shows, if it is open."""
        return self.rights - self.in_suspense


class _Room:
    """What is free of each SKU: available, and not to be sold off any listing."""

    def __init__(self, sellers: Mapping[Key, Seller], available: Mapping[Sku, int]) -> None:
        self.free = Counter(available)
        for seller in sellers.values():
            self.take(seller, seller.rights)

    def take(self, seller: Seller, units: int) -> None:
        for sku, each in seller.needs.items():
            self.free[sku] -= units * each

    def of(self, seller: Seller) -> int:
        """How many units of the listing are free; negative where its SKUs are promised twice."""
        return min(self.free[sku] // each for sku, each in seller.needs.items())


def desired(sellers: Mapping[Key, Seller], available: Mapping[Sku, int]) -> dict[Key, int]:
    """What each open listing should show now: `listing -> its own units`. `available`: what all may sell together.

    Whoever has too much is cut at once. A raise takes what is free now; what it lacks beyond comes when others have
    been cut, which is when this is asked again.
    """
    shares = _shares(sellers, available)
    room = _Room(sellers, available)
    lacking = {key for key, share in shares.items() if _lacks(sellers[key], share, room)}
    figures = {
        key: _kept(sellers[key], share, is_over=room.of(sellers[key]) < 0 or _is_near(key, lacking, sellers))
        for key, share in shares.items()
    }
    for key in sorted(shares, key=lambda key: (key not in lacking, sellers[key].shown / sellers[key].weight)):
        _raise(key, figures, sellers[key], shares[key], room)
    for key in sorted(shares, key=lambda key: -sellers[key].weight):
        # The rest of a pack, or what others may not show: nobody else is going to ask for it.
        if key not in lacking and not _is_near(key, lacking, sellers) and not _has_waiting(key, sellers):
            _raise(key, figures, sellers[key], sellers[key].cap, room)
    return figures


def _kept(seller: Seller, share: int, *, is_over: bool) -> int:
    return min(seller.shown, share if is_over else seller.cap)


def _raise(key: Key, figures: dict[Key, int], seller: Seller, goal: int, room: _Room) -> None:
    if figures[key] < seller.shown:
        return  # It is being cut.
    more = min(goal - figures[key], room.of(seller))
    if more <= 0 or (seller.is_blind and seller.shown > 0 and not _is_much(more, seller.shown)):
        return
    figures[key] += more
    room.take(seller, more)


def _lacks(seller: Seller, share: int, room: _Room) -> bool:
    """Whether others have to give something up for it."""
    could_show = seller.shown + max(0, room.of(seller))
    return share > could_show and (could_show == 0 or _is_much(share - could_show, share))


def _is_much(units: int, of_units: int) -> bool:
    return units > 1 and units > of_units * TOLERANCE_SHARE


def _is_near(key: Key, lacking: set[Key], sellers: Mapping[Key, Seller]) -> bool:
    """Whether another listing lacks what this one sells."""
    mine = sellers[key].needs.keys()
    return any(other != key and not mine.isdisjoint(sellers[other].needs) for other in lacking)


def _has_waiting(key: Key, sellers: Mapping[Key, Seller]) -> bool:
    mine = sellers[key].needs.keys()
    return any(one.standing is Standing.WAITING and not mine.isdisjoint(one.needs) for one in sellers.values())


def _shares(sellers: Mapping[Key, Seller], available: Mapping[Sku, int]) -> dict[Key, int]:
    """Each open listing's share; of a bundle, what its scarcest component allows.

    One that waits has its share as well, or it would come back to nothing each time. Of equal claims to a unit, the one
    that has it keeps it.
    """
    claimants = {key: one for key, one in sellers.items() if one.standing is not Standing.SHUT}
    holders_first = sorted(claimants, key=lambda key: -claimants[key].shown / claimants[key].weight)
    shares = {key: one.cap for key, one in claimants.items()}
    for sku, units in available.items():
        elsewhere = sum(
            (one.rights if one.standing is Standing.SHUT else one.in_suspense) * one.needs.get(sku, 0)
            for one in sellers.values()
        )
        of_sku = {key: claimants[key] for key in holders_first if sku in claimants[key].needs}
        parts = split(
            max(0, units - elsewhere),
            {key: one.weight * one.needs[sku] for key, one in of_sku.items()},
            {key: one.cap * one.needs[sku] for key, one in of_sku.items()},
        )
        for key, part in parts.items():
            shares[key] = min(shares[key], part // of_sku[key].needs[sku])
    return {key: share for key, share in shares.items() if claimants[key].standing is Standing.OPEN}


class Free:
    """What may be granted to the listings of one channel.

    `needs`: its listing -> guarded SKU -> units of it in one; a listing without any is not in it. `free`: SKU -> units.
    `refused`: SKUs of which a listing was to be raised by more.
    """

    def __init__(self, needs: Mapping[ChannelSku, Mapping[Sku, int]], free: Mapping[Sku, int]) -> None:
        self._needs = needs
        self._free = dict(free)
        self.refused: set[Sku] = set()

    def counts(self, channel_sku: ChannelSku) -> bool:
        """Whether the listing sells units of a guarded SKU."""
        return channel_sku in self._needs

    def intend(self, listing: Listing, *, op_id: UUID, now: datetime, is_compared: bool) -> Listing | None:
        """The listing with its next write; None where what it should show is no longer free.

        What cannot be compared is written to zero first, since it may bury what was sold until it is applied.
        """
        needs = self._needs.get(listing.channel_sku)
        if needs is None or listing.desired_units is None or listing.belief is None or listing.rights is None:
            return intend(listing, op_id=op_id, now=now, is_compared=is_compared)
        if not is_compared and listing.rights > listing.suspense_units and listing.desired_units > 0:
            return empty(listing, op_id=op_id, now=now)
        more = listing.desired_units + listing.suspense_units - listing.rights
        # A reading that is higher than what facts say counts as if it could be sold, and pays for no raise: where the
        # listings have more than there is, nothing is free.
        is_raise = listing.desired_units > listing.belief
        if is_raise and any(more * each > self._free[sku] for sku, each in needs.items()):
            self.refused.add(listing.sku)
            return None
        for sku, each in needs.items():
            self._free[sku] -= max(0, more) * each
        return intend(listing, op_id=op_id, now=now, is_compared=is_compared, is_strict=not is_compared)


def split(units: int, weights: Mapping[Key, Fraction], caps: Mapping[Key, int]) -> dict[Key, int]:
    """Whole units in proportion to weights, none above its cap, by Webster's method (divisors 1, 3, 5, …).

    What is left when all are at their caps is given to nobody. Of equal claims the first in `weights` wins.
    """
    given = {key: min(caps[key], least) for key, least in _at_least(units, weights)}
    order = {key: place for place, key in enumerate(weights)}
    heap = [(-weights[key] / (2 * given[key] + 1), order[key], key) for key in weights if given[key] < caps[key]]
    heapify(heap)
    for _ in range(units - sum(given.values())):
        if not heap:
            break
        _, place, key = heappop(heap)
        given[key] += 1
        if given[key] < caps[key]:
            heappush(heap, (-weights[key] / (2 * given[key] + 1), place, key))
    return given


def _at_least(units: int, weights: Mapping[Key, Fraction]) -> Iterator[tuple[Key, int]]:
    """What each gets in any case, whatever the others' caps: so that only the rest is given one by one."""
    total = sum(weights.values(), Fraction(0))
    for key, weight in weights.items():
        yield key, max(0, int(units * weight / total) - len(weights))


def scarcest(available: Iterable[int]) -> int:
    """Units at the scarcest of the places that sell a SKU: a place that has none has nothing to guard."""
    return min((units for units in available if units > 0), default=0)


def is_guarded(
    mode: Mode,
    *,
    was_guarded: bool,
    available: int,
    threshold: int,
    is_tight: bool = False,
    is_exempt: bool = False,
) -> bool:
    """Whether what the listings of a SKU may sell is bounded by what is available. Of `auto`: while scarce.

    Back to the pool only at half as much again as the threshold, so that it does not change with every sale.
    `is_tight`: a channel that sells it forgives no more cancellations, so it counts as scarce. `is_exempt` from `auto`:
    a person allows to be short (a backorder, a preorder, a floor), or a listing is only watched, so that nobody can
    bound what is sold there.
    """
    if mode is Mode.AUTO:
        is_scarce = available <= threshold or (was_guarded and 2 * available < 3 * threshold)
        return (is_scarce or is_tight) and not is_exempt
    return mode is not Mode.POOLED
