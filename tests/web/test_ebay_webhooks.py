"""A channel that first asks whether an address is ours, and signs with keys that have to be fetched: eBay, for real."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import httpx2
import psycopg
import pytest

from oneshelf.clock import SystemClock
from oneshelf.connectors.ebay import CONNECTOR
from oneshelf.connectors.ebay.simulator import EbaySimulator
from oneshelf.domain.identity import Channel
from oneshelf.flow.channel import OpenChannel
from oneshelf.sdk.contract import Subscribes
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.limits import Unlimited
from oneshelf.sdk.message import ChannelConfig
from oneshelf.sdk.simulator import CatalogueItem
from web.paper import Shop, open_shop

EBAY = Channel("my-ebay")
PUBLIC_URL = "http://127.0.0.1:8700"
ADDRESS = f"{PUBLIC_URL}/webhooks/{EBAY}"


@dataclass
class Stall:
    """The engine's web server with an eBay channel, and the simulated eBay that calls it."""

    shop: Shop
    simulator: EbaySimulator
    channel: OpenChannel

    async def deliver(self) -> list[int]:
        """Let eBay send all that it has to send; the statuses that it got."""
        before, due = len(self.statuses), sorted(self.simulator._timers, key=lambda timer: timer[:2])
        self.simulator._timers.clear()
        for _at, _number, action in due:
            await action()
        return self.statuses[before:]

    @property
    def statuses(self) -> list[int]:
        return self.shop.app.state.webhook_statuses  # type: ignore[no-any-return]  # a state has members of any type


@pytest.fixture
async def stall(dsn: str) -> AsyncIterator[Stall]:
    clock = SystemClock()
    async with open_shop(dsn) as shop:
        await shop.connect(EBAY)
        shop.app.state.engine = replace(shop.app.state.engine, public_url=PUBLIC_URL)
        shop.app.state.webhook_statuses = []
        inner = httpx2.ASGITransport(shop.app)

        class Line(httpx2.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
                answer = await inner.handle_async_request(request)
                shop.app.state.webhook_statuses.append(answer.status_code)
                return answer

        async with httpx2.AsyncClient(transport=Line()) as out:
            simulator = EbaySimulator(seed=7, speed=1.0, clock=clock, webhook_client=out)
            simulator.stock_catalogue([CatalogueItem("MUG", "Mug", 9)])
            account = simulator.account(address="http://127.0.0.1:1")
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(simulator.app())) as into:
                http = ChannelHttp(into, clock=clock, limiter=Unlimited())
                config = ChannelConfig(EBAY, account.settings, account.secrets)
                connector = CONNECTOR.open(config, channel=EBAY, http=http, clock=clock)
                channel = OpenChannel(EBAY, "ebay", connector, CONNECTOR.capability)
                shop.channels[EBAY] = channel
                simulator._notifications.alert_email = "me@shelf.example"
                yield Stall(shop, simulator, channel)


def topics(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as connection:
        return [topic for (topic,) in connection.execute("select topic from inbox order by inbox_id").fetchall()]


async def test_ebay_asks_whether_the_address_is_ours_and_sends_there(stall: Stall, dsn: str) -> None:
    assert isinstance(stall.channel.connector, Subscribes)
    kept = await stall.channel.connector.keep_subscriptions(ADDRESS)
    assert kept.created
    assert not kept.refused
    stall.simulator.place([("MUG", 1)])
    assert 200 in await stall.deliver()
    assert "ORDER_CONFIRMATION" in topics(dsn)
    assert "interpret" in stall.shop.woken


async def test_a_question_that_is_no_challenge_finds_nothing(stall: Stall) -> None:
    for path in (f"/webhooks/{EBAY}", f"/webhooks/{EBAY}?challenge_code="):
        assert (await stall.shop.client.get(path)).status_code == 404
    assert (await stall.shop.client.get("/webhooks/nobody?challenge_code=1")).status_code == 404


async def test_a_channel_that_asks_no_questions_is_not_answered(stall: Stall) -> None:
    await stall.shop.connect("paper")
    assert (await stall.shop.client.get("/webhooks/paper?challenge_code=1")).status_code == 404


async def test_without_a_public_address_the_one_that_was_called_is_answered_for(stall: Stall) -> None:
    engine = stall.shop.app.state.engine
    stall.shop.app.state.engine = replace(engine, public_url="")
    answer = await stall.shop.client.get(f"/webhooks/{EBAY}?challenge_code=abc")
    token = stall.simulator.account(address="").secrets["verification_token"]
    called = str(answer.request.url.copy_with(query=None))
    expected = hashlib.sha256(f"abc{token}{called}".encode()).hexdigest()
    assert answer.json() == {"challengeResponse": expected}
    assert answer.headers["content-type"] == "application/json"


async def test_a_delivery_whose_key_cannot_be_had_is_to_be_sent_again(stall: Stall, dsn: str) -> None:
    assert isinstance(stall.channel.connector, Subscribes)
    await stall.channel.connector.keep_subscriptions(ADDRESS)
    stall.simulator.place([("MUG", 1)])
    stall.simulator.switches.set({"server_error": 1.0})
    assert set(await stall.deliver()) == {412}
    assert topics(dsn) == []
    stall.simulator.switches.set({"server_error": 0.0})
    assert set(await stall.deliver()) == {200}
    assert topics(dsn) == ["ORDER_CONFIRMATION"]


@pytest.mark.parametrize("fault", ["webhook_wrong_seller", "webhook_tampered"])
async def test_what_is_not_ours_is_refused_and_not_stored(stall: Stall, dsn: str, fault: str) -> None:
    assert isinstance(stall.channel.connector, Subscribes)
    await stall.channel.connector.keep_subscriptions(ADDRESS)
    stall.simulator.switches.set({fault: 1.0})
    stall.simulator.place([("MUG", 1)])
    assert sorted(await stall.deliver()) == [200, 401]
    assert topics(dsn) == ["ORDER_CONFIRMATION"]
