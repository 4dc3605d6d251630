"""eBay asks before a buyer pays: who may ask, what is a question, and that the answer is what the ledger has now."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx2
import psycopg
import pytest
import uvicorn
from psycopg import sql

from oneshelf.clock import SystemClock
from oneshelf.connectors.ebay import CONNECTOR, simulator_checkout
from oneshelf.connectors.ebay.simulator import EbaySimulator
from oneshelf.connectors.ebay.simulator_books import Lane
from oneshelf.domain.identity import Channel, ChannelSku, Sku
from oneshelf.domain.rights import Mode
from oneshelf.flow import interpret, plan, post
from oneshelf.flow.channel import OpenChannel
from oneshelf.flow.explain import explain
from oneshelf.sdk.basic import basic
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.limits import Unlimited
from oneshelf.sdk.message import ChannelConfig
from oneshelf.sdk.simulator import CatalogueItem
from oneshelf.storage import catalog, rights
from oneshelf.web import checkout
from web.paper import BERLIN, Shop, open_shop

pytestmark = pytest.mark.pg

EBAY, MUG = Channel("my-ebay"), Sku("MUG")
USER, PASSWORD = "ebay", "of-my-own-choice-20-long"
ADDRESS = f"/checkout/{EBAY}"
Answer = Mapping[str, Any]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a test shares its machine with others an answer may take longer than eBay waits."""
    monkeypatch.setattr(checkout, "ANSWER_S_MAX", 60.0)
    monkeypatch.setattr(simulator_checkout, "ANSWER_S_MAX", 60.0)


@dataclass
class Stall:
    """An engine with five mugs in Berlin, on sale in a paper shop and at eBay, which shows what it was told last."""

    shop: Shop
    connection: psycopg.Connection[Any]

    def open(self, *, location: str = "", is_on: bool = True) -> None:
        """Connect eBay, with the secrets of its check or without."""
        clock = SystemClock()
        settings = {"user_id": "Ab1", "checkout_location": location}
        secrets = {"client_id": "a", "client_secret": "b", "refresh_token": "c", "verification_token": "t" * 32}
        if is_on:
            secrets |= {"checkout_user": USER, "checkout_password": PASSWORD}
        http = ChannelHttp(httpx2.AsyncClient(), clock=clock, limiter=Unlimited())
        connector = CONNECTOR.open(ChannelConfig(EBAY, settings, secrets), channel=EBAY, http=http, clock=clock)
        self.shop.channels[EBAY] = OpenChannel(EBAY, "ebay", connector, CONNECTOR.capability)

    def list(self, channel_sku: str, sku: str | None, *, pack_units: int = 1, merchant_sku: str = "") -> None:
        self.connection.execute(
            "insert into listings (channel, channel_sku, sku, pack_units, merchant_sku, base_units)"
            " values (%s, %s, %s, %s, %s, 5)",
            (EBAY, channel_sku, sku, pack_units, merchant_sku),
        )

    async def post(self, body: object, *, authorization: str | None = None, **headers: str) -> httpx2.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        shown = basic(USER, PASSWORD) if authorization is None else authorization
        told = {"authorization": shown, "content-type": "application/json", **headers}
        return await self.shop.client.post(ADDRESS, content=content, headers=told)

    async def ask(self, units: int, sku: str = "MUG", **more: Any) -> Answer:
        answer = await self.post(question(units, sku, **more))
        assert answer.status_code == 200, answer.text
        told: Answer = answer.json()
        return told

    async def left(self, sku: str = "MUG") -> int:
        """How many can be sold, by asking for one."""
        told = await self.ask(1, sku)
        assert told["isAvailable"] is (told["totalAvailableQuantity"] >= 1)
        return int(told["totalAvailableQuantity"])

    async def shows(self, sku: str = "MUG") -> int:
        """What explaining says that the listing would show now."""
        told = await explain(self.shop.database, (EBAY, ChannelSku(sku)))
        assert told is not None
        assert told.derivation is not None
        return told.derivation.units

    async def metric(self, text: str) -> bool:
        return text in (await self.shop.client.get("/metrics")).text


def question(units: int, sku: str = "MUG", **more: Any) -> dict[str, Any]:
    told = {"locationID": "main", "SKU": sku, "fulfillmentType": "SHIP_TO_HOME", "requestedQuantity": units}
    return {**told, **more}


async def begin(shop: Shop, *, mode: Mode = Mode.POOLED, units: int = 5) -> None:
    paper = await shop.connect("paper")
    await shop.connect(EBAY)
    del shop.channels[EBAY]
    await shop.name_skus("MUG")
    paper.books[ChannelSku("MUG")] = 0
    async with shop.database.transaction() as tx:
        await rights.set_mode(tx, [MUG], mode)
    await shop.command("first", type="receive", sku="MUG", units=units)
    await shop.settle()


@pytest.fixture
async def stall(dsn: str) -> AsyncIterator[Stall]:
    async with open_shop(dsn) as shop:
        await begin(shop)
        with psycopg.connect(dsn, autocommit=True) as connection:
            stall = Stall(shop, connection)
            stall.open()
            stall.list("MUG", "MUG")
            yield stall


# What is answered -------------------------------------------------------------------------------------------------


async def test_what_can_be_sold_now_is_said_in_ebays_words(stall: Stall) -> None:
    before = stall.shop.clock.now().timestamp()
    told = await stall.ask(5)
    assert told == {"isAvailable": True, "lastUpdated": told["lastUpdated"], "totalAvailableQuantity": 5}
    assert before - 60 < told["lastUpdated"] < before + 600
    few = await stall.ask(6)
    assert (few["isAvailable"], few["totalAvailableQuantity"]) == (False, 5)
    assert await stall.metric('oneshelf_checkout_answers_total{answer="too_few",channel="my-ebay"}')
    assert await stall.metric('oneshelf_checkout_seconds_count{channel="my-ebay"}')


async def test_several_are_answered_in_their_order_and_what_is_asked_twice_is_added_up(stall: Stall) -> None:
    await stall.shop.name_skus("CAP")
    stall.list("CAP", "CAP")
    await stall.shop.command("caps", type="receive", sku="CAP", units=2)
    both = [question(3), question(2, "CAP", locationID="other"), question(3)]
    told = (await stall.post(both)).json()
    assert [(one["SKU"], one["locationID"], one["isAvailable"], one["totalAvailableQuantity"]) for one in told] == [
        ("MUG", "main", False, 5),
        ("CAP", "other", True, 2),
        ("MUG", "main", False, 5),
    ]


async def test_what_nobody_can_buy_there_is_a_no_and_is_counted(stall: Stall) -> None:
    stall.list("LOOSE", None)
    no = {"isAvailable": False, "totalAvailableQuantity": 0}
    for sku in ("NOWHERE", "LOOSE", "mug", "MUG "):
        told = await stall.ask(1, sku)
        assert {name: told[name] for name in no} == no, sku
    for mode in ("watch", "paused"):
        async with stall.shop.database.transaction() as tx:
            await catalog.set_mode(tx, EBAY, mode)
        assert await stall.left() == 0
    async with stall.shop.database.transaction() as tx:
        await catalog.set_mode(tx, EBAY, "live")
    assert await stall.left() == 5
    stall.open(location="BER")
    assert await stall.left() == 0
    assert (await stall.ask(1, locationID="BER"))["isAvailable"] is True
    for answer in ("unknown", "not_live", "elsewhere"):
        assert await stall.metric(f'oneshelf_checkout_answers_total{{answer="{answer}",channel="my-ebay"}}'), answer


async def test_it_is_what_planning_would_show_by_pack_buffer_bundle_and_suspense(stall: Stall) -> None:
    run = stall.connection.execute
    stall.list("SIXPACK", "MUG", pack_units=2, merchant_sku="MUG-2")
    assert (await stall.left("SIXPACK"), await stall.left("MUG-2")) == (2, 2)
    await stall.shop.name_skus("DUO", "CAP")
    await stall.shop.command("caps", type="receive", sku="CAP", units=9)
    bundle = {"components": [{"sku": "MUG", "units": 2}, {"sku": "CAP", "units": 3}]}
    assert (await stall.shop.client.put("/v1/bundles/DUO", json=bundle)).is_success
    stall.list("DUO", "DUO")
    assert await stall.left("DUO") == await stall.shows("DUO") == 2
    wish = {"sku": "MUG", "channel": EBAY, "terms": {"buffer_units": 1}}
    assert (await stall.shop.client.put("/v1/policies", json=wish)).is_success
    assert await stall.left() == await stall.shows() == 4
    run("update listings set suspense_units = 2 where channel = 'paper' and channel_sku = 'MUG'")
    assert await stall.left() == await stall.shows() == 2
    assert await stall.left("DUO") == 1


async def test_what_the_others_of_one_call_take_is_gone_in_packs_bundles_and_by_either_name(stall: Stall) -> None:
    await stall.shop.name_skus("CAP", "DUO", "TRIO")
    await stall.shop.command("caps", type="receive", sku="CAP", units=9)
    for bundle, parts in (("DUO", {"MUG": 2, "CAP": 1}), ("TRIO", {"MUG": 1, "CAP": 2})):
        body = {"components": [{"sku": sku, "units": units} for sku, units in parts.items()]}
        assert (await stall.shop.client.put(f"/v1/bundles/{bundle}", json=body)).is_success
        stall.list(bundle, bundle)
    stall.list("v1|6|0", "MUG", pack_units=2, merchant_sku="SIX")

    async def answers(**wanted: int) -> list[tuple[bool, int]]:
        body = [question(units, {"PACK": "v1|6|0"}.get(name, name)) for name, units in wanted.items()]
        told = (await stall.post(body)).json()
        return [(one["isAvailable"], one["totalAvailableQuantity"]) for one in told]

    # Five mugs and nine caps.
    assert await answers(MUG=3, DUO=1) == [(True, 5), (True, 2)]
    assert await answers(MUG=4, DUO=1) == [(False, 5), (False, 2)]
    assert await answers(DUO=2, TRIO=1) == [(True, 2), (True, 4)]
    assert await answers(DUO=2, TRIO=2) == [(False, 2), (False, 4)]
    assert await answers(MUG=1, SIX=2) == [(True, 5), (True, 2)]
    assert await answers(MUG=2, SIX=2, CAP=1) == [(False, 5), (False, 2), (False, 0)]
    assert await answers(SIX=1, PACK=1) == [(True, 2), (True, 2)]
    assert await answers(SIX=1, PACK=2) == [(False, 2), (False, 2)]
    # One that does not touch the mugs is not turned away with them.
    stall.list("CAP", "CAP")
    assert await answers(MUG=9, CAP=9) == [(False, 5), (True, 9)]
    # Nor does what nobody can buy here take any.
    assert await answers(MUG=5, NOWHERE=1) == [(True, 5), (False, 0)]
    backorder = {"sku": "MUG", "location": BERLIN, "cap_units": 3, "kind": "preorder"}
    assert (await stall.shop.client.put("/v1/backorders", json=backorder)).is_success
    assert await answers(MUG=6, DUO=1) == [(True, 8), (True, 4)]
    assert await answers(MUG=7, DUO=1) == [(False, 8), (False, 4)]


@pytest.mark.long
async def test_a_call_is_a_yes_in_all_its_lines_where_one_reservation_of_them_would_be_granted(stall: Stall) -> None:
    """Held against the ledger, which decides by rules of its own."""
    seed = Random().randrange(2**32)
    print(f"seed {seed}")
    draw, client = Random(seed), stall.shop.client
    await stall.shop.name_skus("CAP", "DUO", "TRIO")
    await stall.shop.command("more", type="receive", sku="MUG", units=7)
    await stall.shop.command("caps", type="receive", sku="CAP", units=9)
    for bundle, parts in (("DUO", {"MUG": 2, "CAP": 1}), ("TRIO", {"MUG": 1, "CAP": 2})):
        body = {"components": [{"sku": sku, "units": units} for sku, units in parts.items()]}
        assert (await client.put(f"/v1/bundles/{bundle}", json=body)).is_success
        stall.list(bundle, bundle)
    stall.list("CAP", "CAP")
    stall.list("SIX", "MUG", pack_units=2)
    seen = set()
    for number in range(60):
        wanted = {name: draw.randint(1, 4) for name in ("MUG", "CAP", "DUO", "TRIO", "SIX") if draw.random() < 0.6}
        if not wanted:
            continue
        told = (await stall.post([question(units, name) for name, units in wanted.items()])).json()
        lines = [
            {"sku": "MUG" if name == "SIX" else name, "location": BERLIN, "units": units * (2 if name == "SIX" else 1)}
            for name, units in wanted.items()
        ]
        held = await client.post(
            "/v1/reservations",
            json={"kind": "hold", "ttl_s": 600, "lines": lines},
            headers={"idempotency-key": f"{seed}-{number}"},
        )
        assert held.status_code in {200, 201, 409}, held.text
        is_yes = all(one["isAvailable"] for one in told)
        assert is_yes is held.is_success, (wanted, told, held.json())
        seen.add(is_yes)
        if held.is_success:
            release = f"/v1/reservations/{held.json()['figures']['reservation_id']}/release"
            freed = await client.post(release, json={}, headers={"idempotency-key": f"{seed}-{number}-free"})
            assert freed.is_success, freed.text
    assert seen == {True, False}


async def test_what_the_others_of_one_call_take_is_gone_from_a_pool_too(stall: Stall) -> None:
    shares = {"sku": "MUG", "pools": [{"channel": EBAY, "units": 4}]}
    put = await stall.shop.client.put("/v1/policies/allocations", json=shares)
    assert put.is_success, put.text
    await plan.plan(stall.shop.database)
    stall.list("SIX", "MUG", pack_units=2)
    for units, is_enough in ((2, True), (3, False)):
        told = (await stall.post([question(units), question(1, "SIX")])).json()
        assert [one["isAvailable"] for one in told] == [is_enough, is_enough], units


async def test_of_several_listings_with_one_sku_the_one_with_the_fewest_counts(stall: Stall) -> None:
    stall.list("v1|110|0", "MUG", pack_units=3, merchant_sku="MUG")
    assert await stall.left() == 1


async def test_a_guarded_listing_sells_its_part_and_no_more(stall: Stall) -> None:
    run = stall.connection.execute
    run("update skus set mode = 'guarded', is_guarded = true where sku = 'MUG'")
    # It may sell 5 as yet, and is planned to show 2: the others are given the rest.
    run("update listings set desired_units = 2, desired_version = 1 where channel = 'my-ebay'")
    assert await stall.left() == 2
    # It is to show 4, and may sell 1 until that is granted.
    run("update listings set desired_units = 4, base_units = 1 where channel = 'my-ebay'")
    assert await stall.left() == 1
    run("update skus set mode = 'frozen' where sku = 'MUG'")
    assert await stall.left() == 0


async def test_to_ask_changes_nothing(stall: Stall) -> None:
    whole = "select md5(string_agg(t::text, ',' order by t::text)) from {} t"

    def rows() -> dict[str, Any]:
        tables = stall.connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        return {
            name: stall.connection.execute(sql.SQL(whole).format(sql.Identifier(name))).fetchone() for (name,) in tables
        }

    before = rows()
    assert await stall.left() == 5
    await stall.post([question(9), question(1, "NOWHERE")])
    assert rows() == before


async def test_a_database_that_does_not_answer_is_a_503_at_once(
    stall: Stall, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await stall.left() == 5
    monkeypatch.setattr(checkout, "ANSWER_S_MAX", 0.2)
    with psycopg.connect(dsn) as busy:
        busy.execute("lock table listings in access exclusive mode")
        answer = await stall.post(question(1))
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert await stall.metric('oneshelf_checkout_refused_total{channel="my-ebay",why="late"}')
    monkeypatch.setattr(checkout, "ANSWER_S_MAX", 60.0)
    assert await stall.left() == 5


# Who may ask ------------------------------------------------------------------------------------------------------


async def test_where_it_is_not_switched_on_it_is_not_there(stall: Stall) -> None:
    stall.open(is_on=False)
    off = await stall.post(question(1))
    others = [
        await stall.shop.client.post(f"/checkout/{name}", json=question(1), headers={"authorization": basic(USER, "x")})
        for name in ("paper", "nobody")
    ]
    assert [(one.status_code, one.text) for one in others] == [(off.status_code, off.text)] * 2
    assert off.status_code == 404
    assert "www-authenticate" not in off.headers


async def test_the_wrong_password_is_turned_away_ever_slower_and_the_right_one_never(stall: Stall) -> None:
    wrong = ["", basic(USER, PASSWORD[:-1]), basic("Ebay", PASSWORD), f"Bearer {PASSWORD}", "Basic &&&", "x" * 5000]
    for shown in wrong:
        answer = await stall.post(question(1), authorization=shown)
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
        assert answer.headers["www-authenticate"].startswith("Basic ")
        assert PASSWORD not in answer.text
    guessed = [await stall.post(b"{", authorization=basic(USER, f"guess {number}")) for number in range(checkout.TRIES)]
    assert {one.status_code for one in guessed} == {401, 429}
    assert all(int(one.headers["retry-after"]) > 0 for one in guessed if one.status_code == 429)
    assert await stall.left() == 5
    assert await stall.metric('oneshelf_checkout_refused_total{channel="my-ebay",why="password"}')


async def test_it_asks_for_no_token_and_is_no_act_of_anybody(dsn: str) -> None:
    async with open_shop(dsn, api_token="s3cret") as shop:
        await shop.connect(EBAY)
        with psycopg.connect(dsn, autocommit=True) as connection:
            stall = Stall(shop, connection)
            stall.open()
            assert await stall.left() == 0
            assert (await stall.post(question(1), authorization="Bearer s3cret")).status_code == 401
            assert connection.execute("select count(*) from audit_log").fetchone() == (0,)


BAD: Sequence[tuple[bytes, int]] = [
    (b"", 400),
    (b"{", 400),
    (b"[]", 400),
    (b"null", 400),
    (b"7", 400),
    (b"\xff\xfe{}", 400),
    (b'{"SKU": "MUG", "SKU": "CAP"}', 400),
    (b'{"requestedQuantity": NaN}', 400),
    (b"[" * 300_000, 413),
    (b"[" * 60_000, 400),
    (b'{"requestedQuantity": ' + b"9" * 400 + b"}", 400),
    (b'{"requestedQuantity": ' + b"9" * 20 + b"}", 400),
    (json.dumps(question(1, "M" * 5000)).encode(), 400),
    (json.dumps([question(1)] * 101).encode(), 400),
    (json.dumps({**question(1), "requestedQuantity": "1"}).encode(), 400),
    (json.dumps({**question(1), "SKU": "M\x00G"}).encode(), 400),
    (json.dumps(question(1)).replace("MUG", "\\ud800").encode(), 400),
    (b" " * (checkout.BYTES_MAX + 1), 413),
]


async def test_what_is_no_question_is_refused_in_words_and_does_no_harm(stall: Stall) -> None:
    for body, status in BAD:
        answer = await stall.post(body)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), body[:60]
        assert answer.json()["detail"]
    for headers in ({"content-type": "application/x-www-form-urlencoded"}, {"content-encoding": "gzip"}):
        assert (await stall.post(question(1), **headers)).status_code == 415
    assert await stall.metric('oneshelf_checkout_refused_total{channel="my-ebay",why="body"}')
    assert await stall.left() == 5


# Over real HTTP ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """The application behind a real server on loopback. Yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True


async def test_the_last_unit_that_a_counter_sold_a_moment_ago_is_not_sold_again_where_ebay_asks(stall: Stall) -> None:
    shop = stall.shop
    simulators = {is_asking: EbaySimulator(seed=7, clock=SystemClock()) for is_asking in (False, True)}
    for simulator in simulators.values():
        simulator.ebay.lanes["MUG"] = Lane.INVENTORY
        simulator.stock_catalogue([CatalogueItem("MUG", "Mug", 1)])
    await shop.command("lost", type="adjust", sku="MUG", delta_units=-4, reason="broken")
    assert await stall.left() == 1
    # Somebody buys it in the paper shop; no figure has been planned since, and none was written to eBay.
    assert (await shop.order("paper", "7", MUG=1)).status_code == 200
    await interpret.interpret(shop.database, shop.channels)
    await post.post_facts(shop.database, shop.clock.new_id)
    async with served(shop.app) as address:
        simulators[True].ask_at_checkout(f"{address}{ADDRESS}", user=USER, password=PASSWORD)
        try:
            assert await simulators[False].check_out([("MUG", 1)]) is not None, "without the check it is sold twice"
            assert await simulators[True].check_out([("MUG", 1)]) is None
            assert simulators[True].listings()[0].units == 1
            await shop.command("more", type="receive", sku="MUG", units=1)
            assert await simulators[True].check_out([("MUG", 1)]) is not None
            # Whatever is no answer keeps nobody from buying, as is assumed of eBay.
            simulators[True].edit_by_hand("MUG", 1)
            simulators[True].ask_at_checkout(f"{address}{ADDRESS}", user=USER, password="not it")
            assert await simulators[True].check_out([("MUG", 1)]) is not None
        finally:
            for simulator in simulators.values():
                await simulator.sender.aclose()
    await plan.plan(shop.database)
