"""Writing quantities: by the API that made the listing, and what eBay says of each row.

An answer means accepted, no more: only a reading proves it. Never is an inventory item put as a whole: that would wipe
what the request leaves out, https://developer.ebay.com/api-docs/sell/inventory/resources/inventory_item/methods/
createOrReplaceInventoryItem (checked 2026-11-26).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from oneshelf.clock import Clock
from oneshelf.connectors.ebay import inventory, trading
from oneshelf.connectors.ebay.api import INVENTORY, EbayApi, is_success, refuse
from oneshelf.connectors.ebay.day import is_day_used_up, seconds_to_the_next_day
from oneshelf.connectors.ebay.inventory import BATCH_MAX, RowResult
from oneshelf.connectors.ebay.json_reading import error_words
from oneshelf.connectors.ebay.listings import LOOK_ALL_S, Listings
from oneshelf.connectors.ebay.shelf import InInventory, InTrading, Place
from oneshelf.connectors.ebay.zero import ZeroStrategy
from oneshelf.domain.identity import ChannelSku
from oneshelf.errors import MalformedError, invariant
from oneshelf.sdk.bisect import push_each
from oneshelf.sdk.fault import (
    OutcomeUnknownError,
    ReauthenticateError,
    RefusedError,
    RetryLaterError,
)
from oneshelf.sdk.http import Reply
from oneshelf.sdk.message import Accepted, Refused, StockWrite, Throttled, Unknown, UsedUp, WriteOutcome

PAUSE_S = 1.0
CONCURRENT_S = 2.0
# One lost reply is bad luck. After two in a batch the way to eBay is broken, and each more costs a deadline.
LOST_REPLIES_MAX = 2

Send = Callable[[Sequence[StockWrite]], Awaitable[Sequence[WriteOutcome]]]


class Pusher:
    """Writes figures. What it knows of listings is what `Listings` has read."""

    def __init__(self, api: EbayApi, listings: Listings, *, clock: Clock) -> None:
        self._api = api
        self._listings = listings
        self._clock = clock
        self._zero = ZeroStrategy(api, listings, clock=clock)
        # What is not as it was read, by eBay's own word, and what was read for this push.
        self._doubted: set[ChannelSku] = set()
        self._read: frozenset[ChannelSku] = frozenset()

    async def push(self, writes: Sequence[StockWrite]) -> tuple[WriteOutcome, ...]:
        """See `sdk.contract.Connector.push`."""
        invariant(len(writes) <= BATCH_MAX, f"{len(writes)} listings in one push to eBay")
        unread_s = await self._read_unread(writes)
        outcomes: dict[StockWrite, WriteOutcome] = {}
        for write in writes:
            if (refusal := self._guard(write.channel_sku, unread_s=unread_s)) is not None:
                outcomes[write] = refusal
        # Where the way to eBay is broken, it is the first write that tells.
        left = [write for write in writes if write not in outcomes]
        batches = sorted(self._batches(left), key=lambda batch: writes.index(batch[1][0]))
        lost_count = 0
        for count, (send, batch) in enumerate(batches):
            if lost_count >= LOST_REPLIES_MAX:
                outcomes.update(dict.fromkeys(batch, Throttled(PAUSE_S)))
                continue
            done, is_lost = await self._sent(send, batch, is_first=count == 0)
            outcomes.update(zip(batch, done, strict=True))
            lost_count += is_lost
        taken = {write.channel_sku: write.units for write, told in outcomes.items() if isinstance(told, Accepted)}
        self._listings.note_figures(taken)
        return tuple(outcomes[write] for write in writes)

    async def _read_unread(self, writes: Sequence[StockWrite]) -> float | None:
        """Look up listings of which we do not know where they are written. The seconds to wait where eBay is busy."""
        skus = [write.channel_sku for write in writes]
        unread = [sku for sku in skus if sku in self._doubted or self._listings.memory.place(sku) is None]
        self._read = frozenset(unread)
        if not unread:
            return None
        try:
            await self._listings.read(unread)
        except RetryLaterError as busy:
            return busy.retry_after_s
        self._doubted -= self._read
        return None

    def _doubt(self, channel_sku: ChannelSku, words: str) -> WriteOutcome:
        """eBay says that it is not on sale: it may have ended since it was read, so it is read again, once."""
        if channel_sku in self._read:
            return Refused(words)
        self._doubted.add(channel_sku)
        return Throttled(PAUSE_S)

    def _guard(self, channel_sku: ChannelSku, *, unread_s: float | None) -> WriteOutcome | None:
        """None where the listing may be written."""
        place = self._listings.memory.place(channel_sku)
        if isinstance(place, str):
            return Refused(f"{channel_sku}: {place}")
        if place is None and unread_s is not None:
            return Throttled(unread_s)
        if place is None and not self._listings.is_known_absent():
            return Throttled(LOOK_ALL_S)
        if place is None:
            return Refused(f"eBay shows no listing on sale under {channel_sku}: list it, or relist it, at eBay")
        return None

    def _place(self, write: StockWrite) -> Place:
        place = self._listings.memory.place(write.channel_sku)
        invariant(isinstance(place, InInventory | InTrading), f"{write.channel_sku} was let through without a place")
        assert isinstance(place, InInventory | InTrading)  # noqa: S101  # for the type checker
        return place

    def _batches(self, writes: Sequence[StockWrite]) -> list[tuple[Send, list[StockWrite]]]:
        """What goes in a call each."""
        live: dict[type, list[StockWrite]] = {InInventory: [], InTrading: []}
        batches: list[tuple[Send, list[StockWrite]]] = []
        for write in writes:
            place = self._place(write)
            if place.is_live:
                live[type(place)].append(write)
            else:
                batches.append((self._return_to_sale, [write]))
        if live[InInventory]:
            batches.append((self._send_rows, live[InInventory]))
        nodes = live[InTrading]
        most = trading.NODES_MAX
        batches.extend((self._send_nodes, nodes[at : at + most]) for at in range(0, len(nodes), most))
        return batches

    async def _sent(
        self, send: Send, batch: Sequence[StockWrite], *, is_first: bool
    ) -> tuple[Sequence[WriteOutcome], bool]:
        """The outcomes of one batch, and whether its reply was lost. A fault is raised where nothing was sent yet."""
        try:
            return await push_each(send, batch), False
        except OutcomeUnknownError as lost:
            return (Unknown(str(lost)),) * len(batch), True
        except MalformedError as unread:
            return (Unknown(str(unread)),) * len(batch), True
        except RetryLaterError as busy:
            return (Throttled(busy.retry_after_s),) * len(batch), False
        except (ReauthenticateError, RefusedError):
            if is_first:
                raise
            # Something of this push has been sent; the next one begins with this refusal, and raises it.
            return (Throttled(PAUSE_S),) * len(batch), False

    # The Inventory API ---------------------------------------------------------------------------------------

    async def _send_rows(self, writes: Sequence[StockWrite]) -> Sequence[WriteOutcome]:
        """One bulkUpdatePriceQuantity. Raises RefusedError where eBay refuses all of it."""
        places = [self._place(write) for write in writes]
        rows = [
            (place.item, place.offers, write.units)
            for place, write in zip(places, writes, strict=True)
            if isinstance(place, InInventory)
        ]
        reply = await self._api.write(
            "bulkUpdatePriceQuantity",
            "POST",
            f"{inventory.PATH}/bulk_update_price_quantity",
            budget=INVENTORY,
            json=inventory.update(rows),
        )
        _refuse_write("bulkUpdatePriceQuantity", reply)
        results = inventory.results_of(reply.document())
        return [await self._of_rows(write, row[0].sku, results) for write, row in zip(writes, rows, strict=True)]

    async def _of_rows(self, write: StockWrite, sku: str, results: Sequence[RowResult]) -> WriteOutcome:
        place = self._place(write)
        offer_ids = {offer.offer_id for offer in place.offers} if isinstance(place, InInventory) else set()
        mine = [row for row in results if row.offer_id in offer_ids or (row.sku == sku and not row.offer_id)]
        told = {row.offer_id for row in mine}
        if not offer_ids <= told:
            return Unknown("eBay answered without a word on this offer")
        failed = [row for row in mine if not row.is_done]
        if not failed:
            return Accepted()
        words = "; ".join(row.words for row in failed)
        codes = frozenset(code for row in failed for code in row.codes)
        is_about_zero = inventory.INVALID_QUANTITY in codes or is_day_used_up(words)
        if write.units == 0 and is_about_zero and isinstance(place, InInventory):
            return await self._zero.take_off_sale(write.channel_sku, place, words)
        if inventory.is_in_doubt(mine):
            return Unknown(words)
        return self._refusal(write.channel_sku, codes, words)

    def _refusal(self, channel_sku: ChannelSku, codes: frozenset[int], words: str) -> WriteOutcome:
        if inventory.CONCURRENT in codes:
            return Throttled(CONCURRENT_S)
        if is_day_used_up(words):
            return UsedUp(seconds_to_the_next_day(self._clock.now()), words)
        if inventory.OFFER_UNAVAILABLE in codes:
            return self._doubt(channel_sku, words)
        if inventory.SKU_UNKNOWN & codes:
            self._listings.memory.forget(channel_sku)
        return Refused(words)

    # The Trading API -----------------------------------------------------------------------------------------

    async def _send_nodes(self, writes: Sequence[StockWrite]) -> Sequence[WriteOutcome]:
        """One ReviseInventoryStatus. Raises RefusedError where eBay refuses all of several nodes."""
        places = [place for write in writes if isinstance(place := self._place(write), InTrading)]
        rows = [(place.item_id, place.sku, write.units) for place, write in zip(places, writes, strict=True)]
        answer = await self._api.trading_write("ReviseInventoryStatus", trading.revise(rows))
        problems = trading.errors_in(answer)
        if trading.is_failure(answer) and len(writes) > 1:
            raise RefusedError(f"ReviseInventoryStatus: {trading.words_of(problems)}")
        done = trading.revised(answer)
        outcomes: list[WriteOutcome] = []
        for write, place in zip(writes, places, strict=True):
            is_done = (place.item_id, place.sku) in done or (
                not place.sku and any(item_id == place.item_id for item_id, _ in done)
            )
            if is_done and not trading.is_failure(answer):
                self._listings.note_variation(write.channel_sku, place, units=write.units)
                outcomes.append(Accepted())
            else:
                outcomes.append(await self._of_node(write, place, problems, is_alone=len(writes) == 1))
        return outcomes

    async def _of_node(
        self, write: StockWrite, place: InTrading, problems: Sequence[trading.Problem], *, is_alone: bool
    ) -> WriteOutcome:
        own = [one for one in problems if is_alone or _is_about(one, place)]
        if not own and len(problems) != 1:
            return Unknown(f"eBay answered without a word on {write.channel_sku}")
        own = own or list(problems)
        words, codes = trading.words_of(own), {problem.code for problem in own}
        if any(problem.is_systems for problem in own):
            return Unknown(words)
        if write.units == 0 and (is_day_used_up(words) or any(trading.is_about_zero(problem) for problem in own)):
            return await self._zero.end(write.channel_sku, place, words)
        if is_day_used_up(words):
            return UsedUp(seconds_to_the_next_day(self._clock.now()), words)
        if codes & trading.GONE:
            return self._doubt(write.channel_sku, words)
        if codes & trading.OTHER_WORLD:
            # It has become a listing of the other world: the next attempt looks it up anew.
            self._listings.memory.forget(write.channel_sku)
        return Refused(words)

    # Back on sale --------------------------------------------------------------------------------------------

    async def _return_to_sale(self, writes: Sequence[StockWrite]) -> Sequence[WriteOutcome]:
        """One listing that was taken off sale while there was nothing left."""
        (write,) = writes
        place = self._place(write)
        if not write.units:
            # It shows nothing, and is to show nothing; unless another process has brought it back meanwhile.
            return [Throttled(PAUSE_S) if await self._is_back(write.channel_sku) else Accepted()]
        if isinstance(place, InTrading):
            told = await self._zero.relist(write.channel_sku, place, write.units)
        else:
            told = await self._zero.publish(write.channel_sku, place, write.units)
        if isinstance(told, Refused) and await self._is_back(write.channel_sku):
            # Of an offer the item has the quantity by now, which may show.
            return [Throttled(PAUSE_S) if isinstance(place, InTrading) else Unknown(told.words)]
        return [told]

    async def _is_back(self, channel_sku: ChannelSku) -> bool:
        """Whether another process has put it on sale since this one saw that it was not."""
        await self._listings.read([channel_sku])
        place = self._listings.memory.place(channel_sku)
        return isinstance(place, InInventory | InTrading) and place.is_live


def _refuse_write(operation: str, reply: Reply) -> None:
    """Raise RefusedError, or OutcomeUnknownError where nobody can tell, unless the answer is a success."""
    if not is_success(reply) and (reply.status < 400 or reply.status == 408):
        raise OutcomeUnknownError(f"{operation}: {reply.status} {error_words(reply.body)}")
    refuse(operation, reply)


def _is_about(problem: trading.Problem, place: InTrading) -> bool:
    """Whether an error may be about this listing. An error that names no SKU is about any variation."""
    if place.item_id not in problem.about and place.item_id not in problem.words:
        return False
    return not place.sku or place.sku in problem.about or problem.about <= {place.item_id}
