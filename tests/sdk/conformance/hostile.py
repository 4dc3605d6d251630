"""Connectors that break one rule each, wrapped around an honest one; and declarations that are not true.

None of them is part of the engine. Each names the check of the suite that has to catch it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import httpx2

from oneshelf.clock import Clock
from oneshelf.domain.account import StockState
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.errors import InvariantError, MalformedError
from oneshelf.sdk.capability import Capability, Limit, WriteKind
from oneshelf.sdk.conformance.bench import ADDRESS
from oneshelf.sdk.contract import Connector, ConnectorKind, Setting
from oneshelf.sdk.fault import ChannelFault, ReauthenticateError, RefusedError, RetryLaterError
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.message import (
    Accepted,
    Applied,
    ChannelConfig,
    Delivery,
    Finding,
    Heard,
    Message,
    OrderPage,
    Refused,
    Request,
    StockFile,
    StockPage,
    StockReading,
    StockWrite,
    Subscriptions,
    Throttled,
    UnitMove,
    Unknown,
    WriteOutcome,
)
from oneshelf.sdk.secret_store import SecretStore
from oneshelf.sdk.simulator import Simulator

Readings = tuple[StockReading, ...]
Outcomes = tuple[WriteOutcome, ...]


class Hostile:
    """Does what the honest one does, but for what a subclass changes."""

    def __init__(self, honest: Any, *, config: ChannelConfig, http: ChannelHttp, clock: Clock) -> None:
        self.honest = honest
        self.config = config
        self.http = http
        self.clock = clock
        self.kept: dict[Any, Any] = {}

    def verify(self, request: Request) -> Delivery:
        return self.honest.verify(request)  # type: ignore[no-any-return]  # `honest` is a connector of any kind

    def parse(self, delivery: Delivery) -> tuple[Message, ...]:
        messages: tuple[Message, ...] = self.honest.parse(delivery)
        return tuple(self.told(one) if isinstance(one, OrderSnapshot) else one for one in messages)

    def told(self, order: OrderSnapshot) -> OrderSnapshot:
        return order

    async def poll_orders(
        self, cursor: str | None, *, since: datetime | None = None, asked_at: datetime | None = None
    ) -> OrderPage:
        return await self.honest.poll_orders(cursor, since=since, asked_at=asked_at)  # type: ignore[no-any-return]  # `honest` is a connector of any kind

    async def fetch_stock(self, cursor: str | None) -> StockPage:
        return await self.honest.fetch_stock(cursor)  # type: ignore[no-any-return]  # `honest` is a connector of any kind

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> Readings:
        return await self.honest.read_stock(channel_skus)  # type: ignore[no-any-return]  # `honest` is a connector of any kind

    async def push(self, writes: Sequence[StockWrite]) -> Outcomes:
        return await self.honest.push(writes)  # type: ignore[no-any-return]  # `honest` is a connector of any kind

    async def preflight(self) -> tuple[Finding, ...]:
        return await self.honest.preflight()  # type: ignore[no-any-return]  # `honest` is a connector of any kind

    async def remembers_key(self, channel_sku: ChannelSku, units: int, *, key: Any) -> bool | None:
        return await self.honest.remembers_key(channel_sku, units, key=key)  # type: ignore[no-any-return]  # `honest` is a connector of any kind

    async def fetch_order(self, order_id: str) -> Delivery | None:
        return await self.honest.fetch_order(order_id)  # type: ignore[no-any-return]  # `honest` is a connector of any kind

    async def move_units(self, move: UnitMove) -> WriteOutcome:
        return await self.honest.move_units(move)  # type: ignore[no-any-return]  # `honest` is a connector of any kind


@dataclass(frozen=True)
class HostileKind:
    """A kind whose connectors are hostile, or whose declaration is not true."""

    honest: ConnectorKind
    hostile: type[Hostile] | None = None
    lies: Mapping[str, Any] = field(default_factory=dict)
    blank_help: bool = False

    @property
    def name(self) -> str:
        return self.honest.name

    @property
    def title(self) -> str:
        return self.honest.title

    @property
    def capability(self) -> Capability:
        return replace(self.honest.capability, **self.lies)

    @property
    def settings(self) -> tuple[Setting, ...]:
        return tuple(replace(one, help="") if self.blank_help else one for one in self.honest.settings)

    def open(
        self,
        config: ChannelConfig,
        *,
        channel: Channel,
        http: ChannelHttp,
        clock: Clock,
        store: SecretStore | None = None,
    ) -> Connector:
        honest = self.honest.open(config, channel=channel, http=http, clock=clock, store=store)
        if self.hostile is None:
            return honest
        return self.hostile(honest, config=config, http=http, clock=clock)

    def simulator(
        self, *, seed: int, speed: float, clock: Clock, webhook_client: httpx2.AsyncClient | None = None
    ) -> Simulator:
        return self.honest.simulator(seed=seed, speed=speed, clock=clock, webhook_client=webhook_client)


@dataclass(frozen=True)
class Violation:
    """One rule that is broken. `of`: the honest kind within."""

    name: str
    caught_by: str
    hostile: type[Hostile] | None = None
    of: str = "corner"
    lies: Mapping[str, Any] = field(default_factory=dict)
    blank_help: bool = False

    def kind(self, honest: ConnectorKind) -> HostileKind:
        return HostileKind(honest, self.hostile, self.lies, self.blank_help)


VIOLATIONS: list[Violation] = []


def breaks(caught_by: str, *, of: str = "corner") -> Callable[[type[Hostile]], type[Hostile]]:
    """Add a hostile connector: its docstring says what it does."""

    def add(hostile: type[Hostile]) -> type[Hostile]:
        VIOLATIONS.append(Violation(str(hostile.__doc__), caught_by, hostile, of))
        return hostile

    return add


# Readings -----------------------------------------------------------------------------------------------------


@breaks("a_whole_batch_is_read_at_once")
class _ReadsTwenty(Hostile):
    """reads the first twenty of a batch"""

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> Readings:
        return await super().read_stock(channel_skus[:20])


@breaks("an_ended_listing_sells_nothing")
class _ShowsTheDead(Hostile):
    """shows one unit of what is gone"""

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> Readings:
        readings = await super().read_stock(channel_skus)
        known = {one.channel_sku for one in readings}
        return (*readings, *(StockReading(sku, 1) for sku in channel_skus if sku not in known))


@breaks("a_foreign_edit_is_read")
class _ReadsOnce(Hostile):
    """reads each listing once and remembers it"""

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> Readings:
        return tuple(self.kept.setdefault(one.channel_sku, one) for one in await super().read_stock(channel_skus))


@breaks("a_sale_is_read")
class _HidesSales(Hostile):
    """shows ten where fewer are left"""

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> Readings:
        return tuple(replace(one, units=max(10, one.units or 0)) for one in await super().read_stock(channel_skus))


@breaks("a_reading_names_the_sellers_sku")
class _HasNoSku(Hostile):
    """names the listing in the place of the seller's SKU"""

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> Readings:
        return tuple(replace(one, merchant_sku=one.channel_sku) for one in await super().read_stock(channel_skus))


class _ProvesItself(Hostile):
    """reads back what it wrote itself"""

    async def push(self, writes: Sequence[StockWrite]) -> Outcomes:
        outcomes = await super().push(writes)
        for write, outcome in zip(writes, outcomes, strict=True):
            if isinstance(outcome, Applied | Accepted):
                self.kept[write.channel_sku] = write.units
        return outcomes

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> Readings:
        readings = await super().read_stock(channel_skus)
        return tuple(replace(one, units=self.kept.get(one.channel_sku, one.units)) for one in readings)


breaks("an_applied_figure_is_read_back")(_ProvesItself)
breaks("an_accepted_write_that_is_never_applied_shows_in_a_reading", of="amazon")(_ProvesItself)


# Writes -------------------------------------------------------------------------------------------------------


@breaks("an_applied_figure_is_shown_at_once")
class _SaysAccepted(Hostile):
    """says accepted where it is applied"""

    async def push(self, writes: Sequence[StockWrite]) -> Outcomes:
        return tuple(Accepted() if one == Applied() else one for one in await super().push(writes))


@breaks("an_accepted_figure_is_shown_within_the_declared_time", of="amazon")
class _SaysApplied(Hostile):
    """says applied where it is accepted"""

    async def push(self, writes: Sequence[StockWrite]) -> Outcomes:
        return tuple(Applied() if one == Accepted() else one for one in await super().push(writes))


@breaks("a_whole_batch_is_written")
class _WritesTwenty(Hostile):
    """refuses what is beyond twenty writes"""

    async def push(self, writes: Sequence[StockWrite]) -> Outcomes:
        return (*(await super().push(writes[:20])), *(Refused("too many") for _ in writes[20:]))


@breaks("an_empty_push_does_nothing")
class _PushesNothing(Hostile):
    """calls the channel to write nothing"""

    async def push(self, writes: Sequence[StockWrite]) -> Outcomes:
        if not writes:
            await self.http.write("corner.call", "GET", f"{ADDRESS}/api/nothing")
        return await super().push(writes)


@breaks("what_is_compared_is_what_the_engine_believes")
class _ComparesWithAGlance(Hostile):
    """reads, and compares with what it has just read"""

    async def push(self, writes: Sequence[StockWrite]) -> Outcomes:
        shown = {one.channel_sku: one.units for one in await super().read_stock([w.channel_sku for w in writes])}
        return await super().push(
            [replace(one, expected_units=shown.get(one.channel_sku) or one.expected_units) for one in writes]
        )


@breaks("a_listing_that_cannot_be_written_is_refused_by_name")
class _NeverGivesUp(Hostile):
    """says try again to what will be refused again"""

    async def push(self, writes: Sequence[StockWrite]) -> Outcomes:
        return tuple(Throttled(1.0) if isinstance(one, Refused) else one for one in await super().push(writes))


@breaks("whether_keys_are_remembered_can_be_tried", of="shopify")
class _RemembersAllKeys(Hostile):
    """says that all keys are remembered"""

    async def remembers_key(self, channel_sku: ChannelSku, units: int, *, key: Any) -> bool | None:
        return True


# Faults -------------------------------------------------------------------------------------------------------


@breaks("refused_credentials_ask_for_a_person")
class _TriesTheKeyAgain(Hostile):
    """says try again where credentials are refused"""

    async def fetch_stock(self, cursor: str | None) -> StockPage:
        try:
            return await super().fetch_stock(cursor)
        except ReauthenticateError as refusal:
            raise RetryLaterError(str(refusal)) from None


@breaks("too_many_requests_is_try_again_when_the_channel_says")
class _IsImpatient(Hostile):
    """waits a tenth of a second, whatever the channel says"""

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> Readings:
        try:
            return await super().read_stock(channel_skus)
        except RetryLaterError as busy:
            raise RetryLaterError(str(busy), retry_after_s=0.1) from None


@breaks("a_channel_that_is_not_reached_has_done_nothing")
class _FearsTheWorst(Hostile):
    """calls unknown what was never sent"""

    async def push(self, writes: Sequence[StockWrite]) -> Outcomes:
        try:
            return await super().push(writes)
        except RetryLaterError as busy:
            return (Unknown(str(busy)),) * len(writes)


@breaks("writes_that_were_not_in_a_lost_request_keep_their_own_outcomes")
class _HopesForTheBest(Hostile):
    """says not written where the reply was lost"""

    async def push(self, writes: Sequence[StockWrite]) -> Outcomes:
        return tuple(Throttled(1.0) if isinstance(one, Unknown) else one for one in await super().push(writes))


@breaks("a_connection_that_fails_while_reading_is_try_again")
class _SeesNothing(Hostile):
    """reads no listings where the channel does not answer"""

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> Readings:
        try:
            return await super().read_stock(channel_skus)
        except RetryLaterError:
            return ()


@breaks("an_unreadable_answer_is_no_answer")
class _TakesNoise(Hostile):
    """takes an unreadable answer for an empty shop"""

    async def fetch_stock(self, cursor: str | None) -> StockPage:
        try:
            return await super().fetch_stock(cursor)
        except MalformedError:
            return StockPage((), None)


@breaks("another_refusal_is_never_taken_for_a_success")
class _HasNoOrders(Hostile):
    """has no orders where the question is refused"""

    async def poll_orders(
        self, cursor: str | None, *, since: datetime | None = None, asked_at: datetime | None = None
    ) -> OrderPage:
        try:
            return await super().poll_orders(cursor, since=since, asked_at=asked_at)
        except RefusedError:
            return OrderPage((), cursor or "0", has_more=False, covered_until=None)


@breaks("every_call_ends_within_its_deadline")
class _NeverStops(Hostile):
    """asks again by itself until there is an answer"""

    async def poll_orders(
        self, cursor: str | None, *, since: datetime | None = None, asked_at: datetime | None = None
    ) -> OrderPage:
        while True:
            try:
                return await super().poll_orders(cursor, since=since, asked_at=asked_at)
            except RetryLaterError:
                continue


@breaks("calls_at_the_same_time_do_not_disturb_each_other")
class _HasOneDesk(Hostile):
    """keeps the question of a reading where another one puts its own"""

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> Readings:
        self.kept["asked"] = channel_skus
        await self.clock.sleep(0.1)
        return await super().read_stock(self.kept["asked"])


@breaks("nothing_is_called_inside_a_transaction")
class _SwallowsBugs(Hostile):
    """hides that it was called inside a transaction"""

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> Readings:
        try:
            return await super().read_stock(channel_skus)
        except InvariantError:
            return ()


@breaks("whatever_the_simulator_knows_ends_in_a_fault_or_an_outcome")
class _Breaks(Hostile):
    """raises something of its own in a storm"""

    async def read_stock(self, channel_skus: Sequence[ChannelSku]) -> Readings:
        try:
            return await super().read_stock(channel_skus)
        except RetryLaterError as busy:
            raise ValueError(str(busy)) from None


# House --------------------------------------------------------------------------------------------------------


@breaks("a_preflight_of_a_good_account_finds_all_good")
class _CriesWolf(Hostile):
    """finds something wrong with a good account"""

    async def preflight(self) -> tuple[Finding, ...]:
        return (*(await super().preflight()), Finding("weather", is_good=False, detail="rain"))


@breaks("secrets_travel_in_headers_or_forms_alone")
class _WritesOnTheEnvelope(Hostile):
    """sends its token in the address"""

    async def fetch_stock(self, cursor: str | None) -> StockPage:
        await self.http.read("corner.call", "GET", f"{ADDRESS}/api/nothing", params={"t": self.config.secrets["token"]})
        return await super().fetch_stock(cursor)


@breaks("it_has_no_clock_and_no_dice_of_its_own")
class _HasAWatch(Hostile):
    """looks at its own watch"""

    async def preflight(self) -> tuple[Finding, ...]:
        return (*(await super().preflight()), Finding("time", is_good=True, detail=str(time.time())))  # noqa: TID251  # what it must not do


# Orders -------------------------------------------------------------------------------------------------------


class _TellsOneLine(Hostile):
    """tells the first line of an order"""

    def told(self, order: OrderSnapshot) -> OrderSnapshot:
        return replace(order, lines=order.lines[:1])


breaks("an_open_order_is_told_line_by_line")(_TellsOneLine)
breaks("an_edited_order_is_told_as_it_is_now")(_TellsOneLine)


@breaks("an_order_is_pending_until_its_payment_is_confirmed", of="amazon")
class _SellsUnpaid(Hostile):
    """tells a pending order as sold"""

    def told(self, order: OrderSnapshot) -> OrderSnapshot:
        return replace(order, is_pending=False)


@breaks("a_part_that_is_cancelled_leaves_the_rest_open")
class _CancelsAll(Hostile):
    """cancels a whole line for a part of it"""

    def told(self, order: OrderSnapshot) -> OrderSnapshot:
        def whole(line: OrderLine) -> OrderLine:
            units = line.units_ordered if line.units_cancelled else 0
            return replace(line, units_cancelled=units, units_relisted=units)

        return replace(order, lines=tuple(map(whole, order.lines)))


@breaks("a_return_after_shipping_cancels_nothing", of="shopify")
class _HidesReturns(Hostile):
    """does not tell that a unit came back and is on sale again"""

    def told(self, order: OrderSnapshot) -> OrderSnapshot:
        return replace(order, lines=tuple(replace(line, units_returned=0) for line in order.lines))


@breaks("what_ships_from_elsewhere_is_not_told_as_ours", of="shopify")
class _HoldsAll(Hostile):
    """tells what leaves from another location as if it left from ours"""

    def told(self, order: OrderSnapshot) -> OrderSnapshot:
        return replace(order, lines=tuple(replace(line, units_elsewhere=0) for line in order.lines))


@breaks("versions_of_an_order_sort_by_age")
class _HasOneVersion(Hostile):
    """gives each state of an order the same version"""

    def told(self, order: OrderSnapshot) -> OrderSnapshot:
        return replace(order, version="1")


@breaks("the_same_bytes_give_the_same_messages")
class _ReadsAnew(Hostile):
    """tells a delivery once, and then says nothing"""

    def parse(self, delivery: Delivery) -> tuple[Message, ...]:
        self.kept[delivery.key] = self.kept.get(delivery.key, 0) + 1
        return super().parse(delivery) if self.kept[delivery.key] == 1 else ()


@breaks("cut_bytes_are_malformed_and_nothing_else")
class _Stumbles(Hostile):
    """breaks over what it cannot read"""

    def parse(self, delivery: Delivery) -> tuple[Message, ...]:
        try:
            return super().parse(delivery)
        except MalformedError as problem:
            raise KeyError(str(problem)) from None


@breaks("every_order_is_told_once_time_has_passed")
class _LosesTheLast(Hostile):
    """forgets the last order of a page"""

    async def poll_orders(
        self, cursor: str | None, *, since: datetime | None = None, asked_at: datetime | None = None
    ) -> OrderPage:
        page = await super().poll_orders(cursor, since=since, asked_at=asked_at)
        return replace(page, deliveries=page.deliveries[:-1])


@breaks("a_repeated_cursor_tells_the_same_or_more")
class _TellsOnce(Hostile):
    """tells each order once in its life"""

    async def poll_orders(
        self, cursor: str | None, *, since: datetime | None = None, asked_at: datetime | None = None
    ) -> OrderPage:
        page = await super().poll_orders(cursor, since=since, asked_at=asked_at)
        new = tuple(one for one in page.deliveries if one.key not in self.kept)
        self.kept.update(dict.fromkeys(one.key for one in new))
        return replace(page, deliveries=new)


# Signatures ---------------------------------------------------------------------------------------------------


@breaks("a_wrong_or_missing_signature_is_refused")
class _LetsTheUnsignedIn(Hostile):
    """takes what bears no signature at all"""

    def verify(self, request: Request) -> Delivery:
        if "x-corner-signature" not in request.headers:
            return Delivery("1", "webhook", request.body)
        return super().verify(request)


@breaks("another_secret_is_refused")
class _LetsAnybodyIn(Hostile):
    """takes what bears any signature"""

    def verify(self, request: Request) -> Delivery:
        return Delivery(str(hash(request.body)), "webhook", request.body)


@breaks("only_the_header_names_matter_that_the_door_hands_on")
class _CountsHeaders(Hostile):
    """gives a delivery another key behind another proxy"""

    def verify(self, request: Request) -> Delivery:
        return replace(super().verify(request), key=f"{len(request.headers)}:{hash(request.body)}")


@breaks("a_channel_without_webhooks_takes_none", of="amazon")
class _TakesWebhooks(Hostile):
    """takes webhooks of a channel that sends none"""

    def verify(self, request: Request) -> Delivery:
        return Delivery("1", "webhook", request.body)


# Files of the whole stock --------------------------------------------------------------------------------------


class _WritesFiles(Hostile):
    """An honest writer of files within."""

    async def begin_stock_file(self, *, asked_at: datetime, since: datetime | None = None) -> StockFile:
        return await self.honest.begin_stock_file(asked_at=asked_at, since=since)  # type: ignore[no-any-return]  # `honest` is a connector of any kind

    async def stock_file(self, file: StockFile) -> StockFile:
        return await self.honest.stock_file(file)  # type: ignore[no-any-return]  # `honest` is a connector of any kind

    async def drop_stock_file(self, file: StockFile) -> None:
        await self.honest.drop_stock_file(file)

    async def read_stock_file(self, file: StockFile, *, after: int = 0) -> AsyncGenerator[Sequence[StockReading]]:
        async with aclosing(self.honest.read_stock_file(file, after=after)) as parts:
            async for some in parts:
                yield self.of_file(some)

    def of_file(self, some: Sequence[StockReading]) -> Sequence[StockReading]:
        return some


@breaks("a_file_of_the_whole_stock_tells_what_is_shown", of="shopify")
class _LeavesOneOut(_WritesFiles):
    """leaves out the last listing of each part of a file"""

    def of_file(self, some: Sequence[StockReading]) -> Sequence[StockReading]:
        return some[:-1]


@breaks("a_file_of_the_whole_stock_tells_what_is_shown", of="shopify")
class _ForgetsStates(_WritesFiles):
    """tells less of a listing in a file than on a page"""

    def of_file(self, some: Sequence[StockReading]) -> Sequence[StockReading]:
        return [replace(one, states=None) for one in some]


@breaks("a_file_that_is_being_written_is_found_again", of="shopify")
class _BeginsAnother(_WritesFiles):
    """drops what is being written and begins another file"""

    async def begin_stock_file(self, *, asked_at: datetime, since: datetime | None = None) -> StockFile:
        await self.drop_stock_file(await super().begin_stock_file(asked_at=asked_at))
        return await super().begin_stock_file(asked_at=asked_at)


@breaks("a_file_that_is_being_written_is_found_again", of="shopify")
class _MakesItYoung(_WritesFiles):
    """tells of an old file that it was asked for now"""

    async def begin_stock_file(self, *, asked_at: datetime, since: datetime | None = None) -> StockFile:
        return replace(await super().begin_stock_file(asked_at=asked_at, since=since), asked_at=asked_at)


@breaks("a_file_that_nobody_read_is_good_for_the_next_one", of="shopify")
class _ForgetsTheDead(_WritesFiles):
    """looks only for files that are being written"""

    async def begin_stock_file(self, *, asked_at: datetime, since: datetime | None = None) -> StockFile:
        return await super().begin_stock_file(asked_at=asked_at)


@breaks("a_file_that_nobody_read_is_good_for_the_next_one", of="shopify")
class _TellsOldNews(_WritesFiles):
    """takes any file that was ever written"""

    async def begin_stock_file(self, *, asked_at: datetime, since: datetime | None = None) -> StockFile:
        return await super().begin_stock_file(asked_at=asked_at, since=asked_at - timedelta(days=1))


@breaks("a_file_is_read_on_from_where_the_last_reader_got_to", of="shopify")
class _StartsOver(_WritesFiles):
    """reads a file from its beginning each time"""

    async def read_stock_file(self, file: StockFile, *, after: int = 0) -> AsyncGenerator[Sequence[StockReading]]:
        async for some in super().read_stock_file(file):
            yield some


@breaks("a_file_that_is_dropped_is_not_written_on", of="shopify")
class _DropsNothing(_WritesFiles):
    """lets a file be written that nobody waits for"""

    async def drop_stock_file(self, file: StockFile) -> None:
        pass


@breaks("a_file_that_breaks_off_is_not_taken_for_whole", of="shopify")
class _TakesHalf(_WritesFiles):
    """takes what came of a file for all of it"""

    async def stock_file(self, file: StockFile) -> StockFile:
        return replace(await super().stock_file(file), reading_count=None)

    async def read_stock_file(self, file: StockFile, *, after: int = 0) -> AsyncGenerator[Sequence[StockReading]]:
        try:
            async for some in super().read_stock_file(file, after=after):
                yield some
        except RetryLaterError:
            return


@breaks("an_order_that_is_asked_for_is_what_a_poll_tells", of="amazon")
class _TellsOfWhoAsked(Hostile):
    """gives an order that is asked for a key of its own"""

    async def fetch_order(self, order_id: str) -> Delivery | None:
        told = await super().fetch_order(order_id)
        return None if told is None else replace(told, key=f"asked:{told.key}")


@breaks("an_order_that_is_not_there_is_none", of="amazon")
class _FailsForWhatIsNotThere(Hostile):
    """refuses the question for an order that is not there yet"""

    async def fetch_order(self, order_id: str) -> Delivery | None:
        told = await super().fetch_order(order_id)
        if told is None:
            raise RefusedError(f"no order {order_id}")
        return told


# News in a queue ----------------------------------------------------------------------------------------------


class _Listens(Hostile):
    @property
    def has_queue(self) -> bool:
        return True

    @property
    def queue_name(self) -> str:
        return self.honest.queue_name  # type: ignore[no-any-return]  # `honest` is a connector of any kind

    async def keep_subscriptions(self, address: str) -> Subscriptions:
        return await self.honest.keep_subscriptions(address)  # type: ignore[no-any-return]  # `honest` is a connector of any kind

    async def hear(self) -> Heard:
        return await self.honest.hear()  # type: ignore[no-any-return]  # `honest` is a connector of any kind

    async def acknowledge(self, receipts: Sequence[str]) -> None:
        await self.honest.acknowledge(receipts)


@breaks("a_sale_is_heard_of_and_is_what_a_poll_tells", of="amazon")
class _HearsOfNoOrder(_Listens):
    """hears of figures alone"""

    async def hear(self) -> Heard:
        heard = await super().hear()
        return replace(heard, deliveries=tuple(one for one in heard.deliveries if b"ORDER_CHANGE" not in one.body))


@breaks("news_is_heard_again_until_it_is_acknowledged", of="amazon")
class _AcknowledgesAtOnce(_Listens):
    """acknowledges what it hears before anybody has stored it"""

    async def hear(self) -> Heard:
        heard = await super().hear()
        if heard.receipts:
            await super().acknowledge(heard.receipts)
        return heard


@breaks("news_is_heard_again_until_it_is_acknowledged", of="amazon")
class _AcknowledgesNothing(_Listens):
    """never acknowledges what is stored"""

    async def acknowledge(self, receipts: Sequence[str]) -> None:
        del receipts


@breaks("news_whose_answer_was_lost_comes_again", of="amazon")
class _FallsOver(_Listens):
    """breaks where an answer of the queue is lost"""

    async def hear(self) -> Heard:
        try:
            return await super().hear()
        except ChannelFault as fault:
            raise KeyError("Messages") from fault


@breaks("a_quiet_queue_is_waited_at", of="amazon")
class _AsksWithoutEnd(_Listens):
    """comes back at once from a queue in which nothing lies"""

    async def hear(self) -> Heard:
        self.kept["hearing"] = hearing = self.kept.get("hearing") or asyncio.ensure_future(super().hear())
        done, _ = await asyncio.wait([hearing], timeout=0.1)
        if not done:
            return Heard((), ())
        del self.kept["hearing"]
        heard: Heard = await hearing
        return heard


@breaks("no_order_is_lost_with_news_that_is_lost_doubled_or_late", of="amazon")
class _BelievesItsNews(_Listens):
    """tells by polls only what its queue told of"""

    async def hear(self) -> Heard:
        heard = await super().hear()
        self.kept["heard"] = self.kept.get("heard", b"") + b"".join(one.body for one in heard.deliveries)
        return heard

    async def poll_orders(
        self, cursor: str | None, *, since: datetime | None = None, asked_at: datetime | None = None
    ) -> OrderPage:
        page = await super().poll_orders(cursor, since=since, asked_at=asked_at)
        heard = self.kept.get("heard", b"")
        orders = [(one, self.parse(one)) for one in page.deliveries]
        known = [one for one, said in orders if any(getattr(each, "order_id", "").encode() in heard for each in said)]
        return replace(page, deliveries=tuple(known))


@breaks("no_order_is_lost_with_news_that_is_lost_doubled_or_late", of="amazon")
class _CountsCopies(_Listens):
    """gives each copy of a message a key of its own"""

    async def hear(self) -> Heard:
        heard = await super().hear()
        pairs = zip(heard.deliveries, heard.receipts, strict=True)
        return replace(heard, deliveries=tuple(replace(one, key=f"{one.key[:60]}{receipt}") for one, receipt in pairs))


# Moves --------------------------------------------------------------------------------------------------------


@breaks("units_move_between_every_two_declared_states", of="shopify")
class _MovesHalf(Hostile):
    """takes units out of one state and puts them into none"""

    async def move_units(self, move: UnitMove) -> WriteOutcome:
        if move.origin is None or move.target is None:
            return await super().move_units(move)
        return await super().move_units(replace(move, target=None, expected={move.origin: move.expected[move.origin]}))


@breaks("units_come_into_each_declared_state_and_leave_it", of="shopify")
class _TakesFromSale(Hostile):
    """takes off sale what comes into another state"""

    async def move_units(self, move: UnitMove) -> WriteOutcome:
        if move.origin is not None or move.target is StockState.AVAILABLE:
            return await super().move_units(move)
        (reading,) = await self.read_stock([move.channel_sku])
        on_sale = {StockState.AVAILABLE: reading.units or 0}
        return await super().move_units(
            replace(move, origin=StockState.AVAILABLE, expected={**on_sale, **move.expected})
        )


@breaks("the_same_move_twice_is_done_once", of="shopify")
class _MovesAgain(Hostile):
    """makes a key of its own for each call, from what it reads then"""

    async def move_units(self, move: UnitMove) -> WriteOutcome:
        return await super().move_units(await self.anew(move))

    async def anew(self, move: UnitMove) -> UnitMove:
        readings = await self.read_stock([move.channel_sku])
        if not readings or readings[0].states is None:
            return move
        states = readings[0].states
        expected = {state: states.get(state, 0) for state in move.expected}
        return replace(move, key=self.clock.new_id(), expected=expected)


@breaks("a_move_from_another_figure_is_stale", of="shopify")
class _MovesFromWhatIsThere(_MovesAgain):
    """compares with what it reads itself"""

    async def move_units(self, move: UnitMove) -> WriteOutcome:
        kept = self.kept.setdefault(move.key, await self.anew(move))
        return await self.honest.move_units(kept)  # type: ignore[no-any-return]  # `honest` is a connector of any kind


@breaks("more_than_there_are_and_what_is_not_there_are_refused", of="shopify")
class _MovesWhatIsThere(Hostile):
    """moves as many as there are where more are asked for"""

    async def move_units(self, move: UnitMove) -> WriteOutcome:
        if move.origin not in {None, StockState.AVAILABLE} and move.origin:
            held = move.expected[move.origin]
            if held < move.units:
                return await super().move_units(replace(move, units=held)) if held else Applied()
        return await super().move_units(move)


# Declarations that are not true -------------------------------------------------------------------------------


def _lie(caught_by: str, *, of: str = "corner", **lies: Any) -> None:
    said = ", ".join(f"{name}={value!s:.40}" for name, value in lies.items())
    VIOLATIONS.append(Violation(f"{of} declares {said}", caught_by, of=of, lies=lies))


_lie("a_blind_write_is_written_whatever_is_shown", write_kind=WriteKind.BLIND_SET)
_lie("a_foreign_edit_between_reading_and_writing_is_stale", of="amazon", write_kind=WriteKind.COMPARE_AND_SET)
_lie("an_accepted_figure_is_shown_within_the_declared_time", is_applied_when_answered=False)
_lie("an_applied_figure_is_shown_at_once", of="amazon", is_applied_when_answered=True)
_lie("an_accepted_figure_is_shown_within_the_declared_time", of="amazon", apply_s=5.0)
_lie("one_key_is_written_once", key_life_s=3600.0)
_lie("whether_keys_are_remembered_can_be_tried", of="amazon", key_life_s=3600.0)
_lie("a_channel_without_webhooks_takes_none", has_webhooks=False)
_lie("a_signed_webhook_is_taken_with_its_own_bytes", of="amazon", has_webhooks=True)
_lie("a_whole_batch_is_read_at_once", batch_reads=500)
_lie("a_file_of_the_whole_stock_tells_what_is_shown", has_stock_file=True)
_lie("a_file_tells_nothing_older_than_declared", of="amazon", stock_file_age_s=0.0)
_lie("an_order_that_is_asked_for_is_what_a_poll_tells", has_single_orders=True)
_lie("who_shows_nothing_is_told_nothing_at_the_checkout", asks_at_checkout=True)
_lie("a_sale_is_heard_of_and_is_what_a_poll_tells", has_queue=True)
_lie("a_whole_batch_is_written", batch_writes=500)
_lie("units_move_between_every_two_declared_states", movable_states=("available", "damaged"))
_lie("every_listing_is_fetched_page_by_page", page_reads=500)
_lie("an_order_that_shows_late_is_not_claimed_as_covered", orders_lag_s=5.0)
_lie("no_reading_is_older_than_is_declared", stale_s=5.0)
_lie("no_reading_is_older_than_is_declared", of="shopify", stale_s=0.1)
_lie("a_change_of_the_figure_is_announced_unless_it_is_declared_silent", silent_states=("available",))
_lie("the_declared_life_of_a_lost_request_is_long_enough", zombie_s=1.0)
_lie("declared_seconds_and_sizes_can_be_kept", poll_orders_s=0.0)
_lie("a_days_changes_can_all_be_made_and_one_more_waits_for_the_next_day", of="ebay", changes_per_day=100)
_lie("a_days_changes_can_all_be_made_and_one_more_waits_for_the_next_day", changes_per_day=5)
_lie("every_call_takes_from_a_declared_budget", limits=())
_lie("the_declared_limits_keep_the_channel_content", limits=(Limit("corner.call", rate_per_s=1000.0, burst=1000),))
_lie("every_call_takes_from_a_declared_budget", read_limit="corner.read")
_lie("every_call_takes_from_a_declared_budget", of="shopify", read_cost=1.0)
VIOLATIONS.append(Violation("settings without help", "every_setting_explains_itself", blank_help=True))
