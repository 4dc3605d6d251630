"""The breaker as `push`, `feed` and `reconcile` call it: nothing is written past it, and it is no step of its own.

The decision is made in the transaction that records what will be written, with the channel's row locked: two engines
cannot let half a limit go each, and a crash leaves the hold and the intents as they belong together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import timedelta

from oneshelf.domain.breaker import HoldReason, in_words, is_truncated, reason_to_hold
from oneshelf.domain.identity import Channel
from oneshelf.domain.listing import Listing
from oneshelf.storage import breakers, publishing
from oneshelf.storage.breakers import Standing
from oneshelf.storage.database import Transaction, now
from oneshelf.storage.listings import ListingKey
from oneshelf.telemetry import get_logger

CHECK_AGAIN_S = 10.0
PUT_OFF_S = 60.0

log = get_logger(__name__)


async def look(tx: Transaction, channel: Channel) -> Standing:
    """How the channel stands before anything of it is claimed. A hold for which nothing is left ends here."""
    seen = await breakers.standing(tx, channel, every_s=CHECK_AGAIN_S)
    if seen.held in {None, HoldReason.TRUNCATED} or not seen.is_due:
        return seen
    seen = await breakers.standing(tx, channel, is_locked=True, every_s=CHECK_AGAIN_S)
    if seen.held in {HoldReason.ZEROED, HoldReason.CHANGED}:
        counted = await breakers.count(tx, channel, window_s=seen.limits.window_s)
        if counted.waiting == 0:
            await breakers.end_hold(tx, channel, lets_go=False)
            log.info("channel.hold_ended", channel=channel, words="what it stopped for was taken back")
            return seen._replace(held=None)
        await breakers.keep_holding(tx, channel)
    return seen


async def keep_back(tx: Transaction, standing: Standing, claimed: Sequence[Listing]) -> list[Listing]:
    """Of listings claimed just now, those that a held channel may be written to. The others are given back."""
    if standing.held is None or not claimed:
        return list(claimed)
    found = await breakers.changes(tx, standing.channel, [listing.channel_sku for listing in claimed])
    rest = [one for one in claimed if one.channel_sku in found and found[one.channel_sku].passes_a_hold]
    kept = {listing.key for listing in rest}
    at = await now(tx)
    back = [replace(one, next_at=at + timedelta(seconds=PUT_OFF_S)) for one in claimed if one.key not in kept]
    await publishing.save(tx, back)
    return rest


async def lock(tx: Transaction, channel: Channel) -> Standing:
    """How the channel stands, until this transaction ends. Before any listing is locked."""
    return await breakers.standing(tx, channel, is_locked=True, every_s=CHECK_AGAIN_S)


async def pass_writes(tx: Transaction, standing: Standing, listings: Iterable[Listing]) -> set[ListingKey]:
    """Of these locked listings, those that may be written now. Where they are too much, the channel is held.

    Only where one of them changes without an order behind it is the channel counted as a whole.
    """
    keys = {listing.channel_sku: listing.key for listing in listings if not listing.shows_what_is_desired}
    found = await breakers.changes(tx, standing.channel, keys) if keys else {}
    by_hand = [(sku, change.is_zero) for sku, change in found.items() if change.is_by_hand]
    held = standing.held
    if held is None and by_hand:
        held = await _judge(tx, standing)
        if held is None:
            await breakers.let_go(tx, standing.channel, by_hand)
    return {keys[sku] for sku, change in found.items() if held is None or change.passes_a_hold}


async def _judge(tx: Transaction, standing: Standing) -> HoldReason | None:
    """Hold the channel if what waits and what went lately is too much. Causes are looked for only where it may be."""
    channel, limits = standing.channel, standing.limits
    if reason_to_hold(await breakers.most(tx, channel, window_s=limits.window_s), limits) is None:
        return None
    counted = await breakers.count(tx, channel, window_s=limits.window_s)
    held = reason_to_hold(counted.figures, limits)
    if held is not None:
        figures = asdict(counted.figures)
        since = counted.zeroed_since if held is HoldReason.ZEROED else counted.changed_since
        await breakers.hold(tx, channel, held, figures, since=since)
        _say(channel, held, figures)
    return held


async def record_sweep(tx: Transaction, channel: Channel, seen: int) -> None:
    """A whole sweep saw so many listings. Too few hold the channel until a later one sees them again."""
    standing, before = await breakers.swept(tx, channel, seen)
    if is_truncated(seen=seen, before=before, limits=standing.limits):
        if standing.held is None:
            figures = {"seen": seen, "before": before}
            await breakers.hold(tx, channel, HoldReason.TRUNCATED, figures, since=None)
            _say(channel, HoldReason.TRUNCATED, figures)
        return
    await breakers.swept_whole(tx, channel)
    if standing.held is HoldReason.TRUNCATED:
        await breakers.end_hold(tx, channel, lets_go=False)
        log.info("channel.hold_ended", channel=channel, words="the channel shows its listings again")


def _say(channel: Channel, reason: HoldReason, figures: dict[str, int]) -> None:
    log.warning("channel.held", channel=channel, reason=reason.value, words=in_words(reason, figures))
