"""Purchase orders that buyers send to a channel: late, twice, out of order, cut off; and our answers to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import httpx2
import pytest
from starlette import requests, responses
from starlette.applications import Starlette
from starlette.routing import Route

from domain.shop import BERLIN, key
from flow.shelf_world import CLOCK, Ledger, open_ledger
from oneshelf.connectors.wholesale import CONNECTOR
from oneshelf.connectors.wholesale.simulator import CUSTOMER, FAULTS, WholesaleSimulator
from oneshelf.connectors.wholesale.simulator_documents import OURS, THEIRS
from oneshelf.domain.command import Receive
from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.domain.policy import Scope, rule_of
from oneshelf.files import x12_orders
from oneshelf.flow import allocate, interpret, order, receive, rule
from oneshelf.flow.allocate import Shown
from oneshelf.flow.channel import OpenChannel
from oneshelf.flow.link import Wanted, link_listings
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.limits import Unlimited
from oneshelf.sdk.message import ChannelConfig, Delivery, Request
from oneshelf.sdk.simulator import CatalogueItem
from oneshelf.storage import catalog, inbox
from oneshelf.storage.x12_partners import Partner

pytestmark = [pytest.mark.pg, pytest.mark.timeout(120)]

BUYER = Channel("acme")
PATIENCE_S = 90.0
SECRET = "hush-hush-buyer-of-mine"  # opens nothing


@dataclass
class Buyer:
    """A simulated buyer whose documents wait in `post` until a test hands them in."""

    ledger: Ledger
    channel: OpenChannel
    simulator: WholesaleSimulator
    mailbox: httpx2.AsyncClient
    post: list[Request] = field(default_factory=list)

    async def until_sent(self, count: int) -> None:
        """So many documents are in the post."""
        deadline = CLOCK.monotonic() + PATIENCE_S
        while len(self.post) < count:
            assert CLOCK.monotonic() < deadline, f"{len(self.post)} of {count} documents were sent"
            await CLOCK.sleep(0.01)

    async def until_all_sent(self, stated_count: int) -> None:
        """Each of so many documents is in the post, and what went wrong with some of them on the way besides."""
        deadline = CLOCK.monotonic() + PATIENCE_S
        hits = self.simulator.switches.hits
        while len(self.post) < (count := stated_count + hits["malformed"] + hits["duplicate"]):
            assert CLOCK.monotonic() < deadline, f"not within {PATIENCE_S} s: {len(self.post)} of {count} were sent"
            await CLOCK.sleep(0.01)

    async def hand_in(self, *requests: Request) -> None:
        """They come in at the door, and are worked through."""
        for request in requests:
            await receive.receive_webhook(self.ledger.database, self.channel, request)
            await self.work()

    async def work(self) -> None:
        channels = {BUYER: self.channel}
        assert await interpret.interpret(self.ledger.database, channels) == 0
        while await order.order(self.ledger.database, CLOCK.new_id, channels):
            pass
        await allocate.allocate(self.ledger.database, CLOCK.new_id)

    async def figures(self, number: str) -> list[tuple[int, int, int, int]]:
        """Of each line of an order: ordered, allocated, backordered, cancelled."""
        shown = await allocate.show(self.ledger.database, f"{CUSTOMER}/{number}")
        assert isinstance(shown, Shown), shown
        return [
            (one.units_ordered, one.units_allocated, one.units_backordered, one.units_cancelled) for one in shown.lines
        ]

    async def parked(self) -> list[str]:
        async with self.ledger.database.transaction() as tx:
            return [one.reason for one in await inbox.parked(tx)]


@asynccontextmanager
async def open_buyer(dsn: str) -> AsyncIterator[Buyer]:
    """A buyer who orders mugs and caps, of which 100 and 10 lie in Berlin; wholesale may take all of them."""
    post: list[Request] = []

    async def take(request: requests.Request) -> responses.Response:
        post.append(Request(dict(request.headers), await request.body()))
        return responses.Response(status_code=202)

    door = Starlette(routes=[Route("/webhooks/acme", take, methods=["POST"])])
    async with (
        open_ledger(dsn, {"MUG": 100, "CAP": 10}) as ledger,
        httpx2.AsyncClient(transport=httpx2.ASGITransport(door)) as client,
    ):
        await rule.put_rule(ledger.database, rule_of(Scope(), {"wholesale_percent": 100}), actor="test")
        simulator = CONNECTOR.simulator(seed=3, speed=200.0, clock=CLOCK, webhook_client=client)
        simulator.stock_catalogue([CatalogueItem(sku=sku, title=sku, units=0) for sku in ("MUG", "CAP", "CASE")])
        simulator.connect(address="http://127.0.0.1/webhooks/acme", secret=SECRET)
        account = simulator.account(address="", webhook_secrets=[SECRET])
        async with ledger.database.transaction() as tx:
            new = catalog.NewChannel(
                *(BUYER, "wholesale", BERLIN, account.settings, account.secrets, {}),
                shows_figures=False,
                takes_purchase_orders=True,
            )
            await catalog.add_channel(tx, new)
        config = ChannelConfig(BUYER, account.settings, account.secrets)
        http = ChannelHttp(httpx2.AsyncClient(), clock=CLOCK, limiter=Unlimited())
        connector = CONNECTOR.open(config, channel=BUYER, http=http, clock=CLOCK)
        channel = OpenChannel(BUYER, "wholesale", connector, CONNECTOR.capability, connected_at=CLOCK.now())
        await x12_orders.know_partner(ledger.database, Partner(CUSTOMER, THEIRS, OURS, BERLIN, "004010"))
        async with (
            httpx2.AsyncClient(
                transport=httpx2.ASGITransport(simulator.app()), base_url="http://buyer.example"
            ) as mailbox,
            asyncio.TaskGroup() as group,
        ):
            life = group.create_task(simulator.run())
            yield Buyer(ledger, channel, simulator, mailbox, post)
            life.cancel()


async def test_an_order_is_kept_and_set_aside_and_its_buyer_is_answered(dsn: str) -> None:
    async with open_buyer(dsn) as buyer:
        number = buyer.simulator.place([("MUG", 80), ("CAP", 12)])
        assert number is not None
        await buyer.until_sent(1)
        await buyer.hand_in(buyer.post[0])
        assert sorted(await buyer.figures(number)) == [(12, 10, 2, 0), (80, 80, 0, 0)]
        assert await buyer.parked() == []
        answer = await x12_orders.acknowledge(buyer.ledger.database, f"{CUSTOMER}/{number}")
        advice = await x12_orders.advise(buyer.ledger.database, CUSTOMER)
        for document in (answer, advice):
            assert (await buyer.mailbox.post("/mailbox", content=document.encode())).status_code == 202
        taken: dict[str, Any] = (await buyer.mailbox.get("/_sim/mailbox")).json()
        assert taken["acknowledged"] == {number: {"1": {"IA": 80}, "2": {"IQ": 10, "IB": 2}}}
        assert taken["advised"] == {"MUG": 20, "CAP": 0}
        cut = await buyer.mailbox.post("/mailbox", content=answer[:-40].encode())
        assert cut.status_code == 400
        await buyer.ledger.assert_sound()


@pytest.mark.long
@pytest.mark.parametrize("number_of_orders_before", [0, 1])
async def test_documents_end_the_same_in_whatever_order_they_come(dsn: str, number_of_orders_before: int) -> None:
    """An order, two changes of it and its cancellation; the first order is by X12, the second by JSON."""
    async with open_buyer(dsn) as buyer:
        if number_of_orders_before:
            assert buyer.simulator.place([("CAP", 1)])
            await buyer.until_sent(1)
            await buyer.hand_in(buyer.post.pop())
        for told in permutations(range(4)):
            if told[0] > told[1] > told[2]:
                continue  # Some are enough.
            buyer.post.clear()
            number = buyer.simulator.place([("MUG", 20)])
            assert number is not None
            await buyer.until_sent(1)
            assert buyer.simulator.edit_line(number, "1", 30)
            await buyer.until_sent(2)
            assert buyer.simulator.add_line(number, "CAP", 2)
            await buyer.until_sent(3)
            assert buyer.simulator.cancel(number)
            await buyer.until_sent(4)
            documents = list(buyer.post)
            await buyer.hand_in(*[documents[at] for at in told], documents[told[0]])
            shown = await allocate.show(buyer.ledger.database, f"{CUSTOMER}/{number}")
            assert isinstance(shown, Shown), told
            assert shown.order.state == "closed", told
            assert shown.order.units_allocated == 0, told
            assert await buyer.parked() == [], told
            # The next one is by the other format, and then again by this one.
            assert buyer.simulator.place([("CAP", 1)])
            await buyer.until_sent(5)
        await buyer.ledger.assert_sound()


@pytest.mark.long
async def test_whatever_goes_wrong_on_the_way_each_order_is_kept_as_it_is_wanted(dsn: str) -> None:
    async with open_buyer(dsn) as buyer:
        await buyer.ledger.ask(Receive(key=key(), sku=Sku("MUG"), location=BERLIN, units=900))
        buyer.simulator.switches.set(dict.fromkeys(set(FAULTS) - {"late"}, 0.4))
        for number in range(12):
            placed = buyer.simulator.place([("MUG", 10 + number)])
            assert placed is not None
            if number % 3 == 1:
                assert buyer.simulator.edit_line(placed, "1", 5)
            if number % 3 == 2:
                assert buyer.simulator.cancel(placed)
        await buyer.until_all_sent(12 + 4 + 4)
        await buyer.hand_in(*buyer.post)
        for one in buyer.simulator.orders():
            wanted = 0 if one.status == "cancelled" else one.lines[0].units
            assert [allocated for _, allocated, _, _ in await buyer.figures(one.order_id)] == [wanted], one
        assert buyer.simulator.switches.hits["malformed"] > 0
        assert all("Way out" in reason or "cut off" in reason or "read" in reason for reason in await buyer.parked())
        assert len(await buyer.parked()) == buyer.simulator.switches.hits["malformed"]
        await buyer.ledger.assert_sound()


async def test_an_article_that_nobody_has_named_waits_for_a_person_and_cases_hold_units(dsn: str) -> None:
    async with open_buyer(dsn) as buyer:
        number = buyer.simulator.place([("CASE", 3), ("CAP", 1)])
        assert number is not None
        await buyer.until_sent(1)
        await buyer.hand_in(buyer.post[0])
        [reason] = await buyer.parked()
        assert "oneshelf listing link acme CASE SKU" in reason
        assert await buyer.ledger.rows("select 1 from wholesale_orders") == []
        await link_listings(buyer.ledger.database, [Wanted(BUYER, ChannelSku("CASE"), Sku("MUG"), 12)])
        async with buyer.ledger.database.transaction() as tx:
            await inbox.set_parked_state(tx, None, state="new")
        await buyer.work()
        assert sorted(await buyer.figures(number)) == [(1, 1, 0, 0), (36, 36, 0, 0)]
        assert await buyer.parked() == []
        # Nothing is published to a buyer, and nothing kept back for what they might sell.
        assert await buyer.ledger.rows("select 1 from granted") == []
        assert await buyer.ledger.rows("select 1 from till_allowances") == []


def test_who_sends_what_is_for_another_is_not_read() -> None:
    settings = {"customer": "ACME", "x12_theirs": "ZZ:OTHER", "x12_ours": OURS}
    config = ChannelConfig(BUYER, settings, {"webhook_secret": SECRET})
    http = ChannelHttp(httpx2.AsyncClient(), clock=CLOCK, limiter=Unlimited())
    connector = CONNECTOR.open(config, channel=BUYER, http=http, clock=CLOCK)
    simulator = CONNECTOR.simulator(seed=3, speed=1.0, clock=CLOCK)
    simulator.stock_catalogue([CatalogueItem(sku="MUG", title="", units=0)])
    simulator.place([("MUG", 1)])
    [body] = simulator._waiting.bodies
    with pytest.raises(Exception, match="has to be from ZZ:OTHER"):
        connector.parse(Delivery("", "wholesale/x12", body))
