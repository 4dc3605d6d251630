"""Reading and writing the listings of one seller account.

Amazon keeps one quantity for seller, SKU and fulfilment channel, and shows it in each marketplace of the region
(https://github.com/amzn/selling-partner-api-docs/issues/3167, checked 2026-11-26). So a listing is its SKU, whichever
of the account's marketplaces it is read in, and is written once, in a marketplace where it was read. The `attributes`
of a marketplace are what was last submitted there (selling-partner-api-models/issues/4356 and 5327), and never read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from oneshelf.clock import Clock
from oneshelf.connectors.amazon import parse
from oneshelf.connectors.amazon.account import Account
from oneshelf.connectors.amazon.api import SellingPartnerApi, is_success, refuse
from oneshelf.connectors.amazon.cursor import StockCursor
from oneshelf.connectors.amazon.parse import ListingRow
from oneshelf.connectors.amazon.patches import quantity_patch
from oneshelf.domain.identity import ChannelSku
from oneshelf.errors import invariant
from oneshelf.sdk.fault import OutcomeUnknownError, ReauthenticateError, RetryLaterError
from oneshelf.sdk.message import Refused, StockPage, StockReading, StockWrite, Throttled, Unknown, WriteOutcome

BATCH_MAX = 20
RESULTS_MAX = 1000  # "The maximum number of items (SKUs) that can be returned and paged through is 1000."
# One lost reply is bad luck. After two in a batch the way to Amazon is broken, and each more costs a deadline.
LOST_REPLIES_MAX = 2
PAUSE_S = 1.0
# One process takes each sweep of all listings, any other may not have read for days: what it saw so long ago counts as
# not read. It is two sweeps, so that whoever does sweep asks for nothing twice.
SEEN_S_MAX = 7200.0

# `issues`: why an accepted quantity is not applied is told with the listing, and nowhere else.
_DATA = "summaries,fulfillmentAvailability,issues"


@dataclass(frozen=True, slots=True)
class Seen:
    """What the last reading showed of a listing: whether it is the seller's own, where it was read, and when."""

    is_merchant: bool
    marketplace_id: str
    at: float


class Listings:
    """The listings as they were last read in this process. Only what was read as the seller's own is written."""

    def __init__(self, account: Account, api: SellingPartnerApi, *, clock: Clock) -> None:
        self._account = account
        self._api = api
        self._clock = clock
        self._seen: dict[ChannelSku, Seen] = {}

    def forget(self, channel_skus: Iterable[ChannelSku]) -> None:
        """These are not written before they are read again."""
        for channel_sku in channel_skus:
            self._seen.pop(channel_sku, None)

    def is_own(self, channel_sku: ChannelSku) -> bool | None:
        """Whether the last reading showed it as the seller's own; None: it was not read lately, or is not there."""
        seen = self._lately(channel_sku)
        return None if seen is None else seen.is_merchant

    def _lately(self, channel_sku: ChannelSku) -> Seen | None:
        seen = self._seen.get(channel_sku)
        return seen if seen is not None and self._clock.monotonic() - seen.at < SEEN_S_MAX else None

    # Reading -------------------------------------------------------------------------------------------------

    async def fetch(self, cursor: str | None) -> StockPage:
        """See `sdk.contract.Connector.fetch_stock`. One marketplace after the other: what is in two is told twice."""
        at = StockCursor() if cursor is None else StockCursor.from_text(cursor)
        marketplace_id = self._account.marketplace_ids[min(at.place, len(self._account.marketplace_ids) - 1)]
        query = {**_query(marketplace_id), "sortBy": "createdDate", "sortOrder": "ASC"}
        if at.created_after is not None:
            query["createdAfter"] = parse.instant_text(at.created_after)
        if at.token is not None:
            query["pageToken"] = at.token
        reply = await self._api.read("searchListingsItems", self._api.items_path(), query)
        if reply.status == 400 and at.token is not None:
            # The token died: the slice is read from its beginning.
            return StockPage(readings=(), cursor=at.without_token().text())
        refuse("searchListingsItems", reply)
        answer = parse.listings_answer(reply.document(), code=self._account.merchant_code)
        readings = self._remember(answer.rows, marketplace_id)
        if answer.next_token is not None:
            return StockPage(readings=readings, cursor=at.turned(answer.next_token).text())
        newest_at = max((row.created_at for row in answer.rows if row.created_at is not None), default=None)
        if answer.results_count >= RESULTS_MAX and newest_at is not None:
            return StockPage(readings=readings, cursor=at.sliced(newest_at).text())
        is_last = at.place + 1 >= len(self._account.marketplace_ids)
        return StockPage(readings=readings, cursor=None if is_last else StockCursor(place=at.place + 1).text())

    async def read(self, channel_skus: Sequence[ChannelSku]) -> tuple[StockReading, ...]:
        """See `sdk.contract.Connector.read_stock`. A marketplace is asked for what those before it do not have."""
        invariant(len(channel_skus) <= BATCH_MAX, f"{len(channel_skus)} listings in one reading of Amazon")
        wanted = frozenset(channel_skus)
        missing = set(wanted)
        found: list[tuple[ListingRow, str]] = []
        for marketplace_id in self._account.marketplace_ids:
            rows = [row for row in await self._rows(missing, marketplace_id) if row.reading.channel_sku in missing]
            found.extend((row, marketplace_id) for row in rows)
            missing.difference_update(row.reading.channel_sku for row in rows)
            if not missing:
                break
        self.forget(wanted)
        return tuple(reading for row, place in found for reading in self._remember([row], place))

    async def _rows(self, channel_skus: Iterable[ChannelSku], marketplace_id: str) -> list[ListingRow]:
        # The batch is a list with commas: a SKU that holds one can only be asked for alone.
        single = sorted(sku for sku in channel_skus if "," in sku)
        batch = sorted(set(channel_skus).difference(single))
        rows: list[ListingRow] = []
        if batch:
            rows.extend(await self._read_batch(batch, marketplace_id))
        for sku in single:
            row = await self._read_one(sku, marketplace_id)
            if row is not None:
                rows.append(row)
        return rows

    async def _read_batch(self, channel_skus: Sequence[ChannelSku], marketplace_id: str) -> list[ListingRow]:
        """All pages: a listing that is missing from them is unknown to Amazon, and would be refused for it."""
        query = {**_query(marketplace_id), "identifiersType": "SKU", "identifiers": ",".join(channel_skus)}
        rows: list[ListingRow] = []
        for _page in channel_skus:
            reply = await self._api.read("searchListingsItems", self._api.items_path(), query)
            refuse("searchListingsItems", reply)
            answer = parse.listings_answer(reply.document(), code=self._account.merchant_code)
            rows.extend(answer.rows)
            if answer.next_token is None:
                return rows
            query["pageToken"] = answer.next_token
        raise RetryLaterError("searchListingsItems: more pages than listings were asked for")

    async def _read_one(self, channel_sku: ChannelSku, marketplace_id: str) -> ListingRow | None:
        query = {"marketplaceIds": marketplace_id, "includedData": _DATA}
        reply = await self._api.read("getListingsItem", self._api.item_path(channel_sku), query)
        if reply.status == 404:
            return None
        refuse("getListingsItem", reply)
        return parse.listing_row(reply.document(), code=self._account.merchant_code)

    def _remember(self, rows: Sequence[ListingRow], marketplace_id: str) -> tuple[StockReading, ...]:
        at = self._clock.monotonic()
        for row in rows:
            self._seen[row.reading.channel_sku] = Seen(row.is_merchant, marketplace_id, at)
        return tuple(row.reading for row in rows)

    # Writing -------------------------------------------------------------------------------------------------

    async def push(self, writes: Sequence[StockWrite]) -> tuple[WriteOutcome, ...]:
        """See `sdk.contract.Connector.push`. One listing a call."""
        invariant(len(writes) <= BATCH_MAX, f"{len(writes)} listings in one push to Amazon")
        unread_s = await self._read_unread(writes)
        outcomes: list[WriteOutcome] = []
        stopped_s: float | None = None
        lost_count = 0
        for write in writes:
            seen = self._own(write.channel_sku, unread_s=unread_s)
            if not isinstance(seen, Seen):
                outcome: WriteOutcome = seen
            elif stopped_s is not None:
                outcome = Throttled(stopped_s)
            else:
                outcome = await self._write(write, seen.marketplace_id, is_first=not _were_sent(outcomes))
                if isinstance(outcome, Throttled):
                    stopped_s = outcome.retry_after_s
                lost_count += isinstance(outcome, Unknown)
                if lost_count == LOST_REPLIES_MAX:
                    stopped_s = PAUSE_S
            outcomes.append(outcome)
        return tuple(outcomes)

    async def _read_unread(self, writes: Sequence[StockWrite]) -> float | None:
        """Read who fulfils the listings of which we do not know. The seconds to wait where Amazon is too busy."""
        unread = [write.channel_sku for write in writes if self._lately(write.channel_sku) is None]
        if not unread:
            return None
        try:
            await self.read(unread)
        except RetryLaterError as busy:
            return busy.retry_after_s
        return None

    def _own(self, channel_sku: ChannelSku, *, unread_s: float | None) -> Seen | Refused | Throttled:
        """Where the listing may be written, or why it may not.

        "Writing a quantity to an FBA SKU flips it to seller-fulfilled and strands the stock": only a listing that
        Amazon has shown as the seller's own is written. https://developer-docs.amazon.com/sp-api/changelog/
        clarification-on-how-to-use-the-inventory-feed-type-quantity-attribute (checked 2026-11-23).
        """
        seen = self._lately(channel_sku)
        if seen is None and unread_s is not None:
            return Throttled(unread_s)
        if seen is None:
            return Refused(f"Amazon shows no listing with the SKU {channel_sku}")
        if not seen.is_merchant:
            return Refused(f"{channel_sku} is not seller-fulfilled at Amazon: a quantity would strand its FBA stock")
        return seen

    async def _write(self, write: StockWrite, marketplace_id: str, *, is_first: bool) -> WriteOutcome:
        try:
            reply = await self._api.write(
                "patchListingsItem",
                self._api.item_path(write.channel_sku),
                {"marketplaceIds": marketplace_id, "includedData": "issues"},
                quantity_patch(self._account, write.units),
            )
            if is_success(reply):
                return parse.write_outcome(reply.document())
        except RetryLaterError as busy:
            return Throttled(busy.retry_after_s)
        except OutcomeUnknownError as lost:
            return Unknown(str(lost))
        except ReauthenticateError:
            if is_first:
                raise
            # Something of this batch has been sent; the next batch begins with this refusal and raises it.
            return Throttled(PAUSE_S)
        words = parse.error_words(reply.body)
        if reply.status < 400 or reply.status == 408:
            return Unknown(f"Amazon answered {reply.status}: {words}")
        return Refused(f"{reply.status} {words}")


def _query(marketplace_id: str) -> dict[str, str]:
    return {"marketplaceIds": marketplace_id, "includedData": _DATA, "pageSize": str(BATCH_MAX)}


def _were_sent(outcomes: Sequence[WriteOutcome]) -> bool:
    return any(not isinstance(outcome, Refused | Throttled) for outcome in outcomes)
