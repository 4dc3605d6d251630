"""Checkouts and warehouses over HTTP: units set aside, claimed, moved, each once and with the figures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx2
import pytest

from oneshelf.domain.identity import Location
from oneshelf.storage import catalog
from web.paper import BERLIN, Shop, open_shop

HAMBURG = "HAMBURG"
PROBLEM = "application/problem+json"


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        await shop.name_skus("MUG", "PLATE", "SET")
        async with shop.database.transaction() as tx:
            await catalog.add_location(tx, Location(HAMBURG))
        for sku in ("MUG", "PLATE"):
            await shop.command(f"first {sku}".replace(" ", "-"), type="receive", sku=sku, units=5)
        yield shop


async def ask(shop: Shop, path: str, key: str, **members: Any) -> httpx2.Response:
    return await shop.client.post(f"/v1/reservations{path}", json=members, headers={"Idempotency-Key": key})


def mugs(units: int) -> list[dict[str, Any]]:
    return [{"sku": "MUG", "location": BERLIN, "units": units}]


async def test_a_checkout_holds_extends_and_claims(shop: Shop) -> None:
    held = await ask(shop, "", "k1", lines=mugs(2), ttl_s=60, holder="cart 7")
    assert held.status_code == 200
    assert held.json()["outcome"] == "reserved"
    one = held.json()["figures"]["reservation_id"]
    again = await ask(shop, "", "k1", lines=mugs(2), ttl_s=60, holder="cart 7")
    assert again.json() == {**held.json(), "replayed": True}
    assert again.headers["Idempotent-Replayed"] == "true"
    longer = await ask(shop, f"/{one}/extend", "k2", ttl_s=600)
    assert longer.json()["figures"]["expires_at"] > held.json()["figures"]["expires_at"]
    order = {"channel": "counter", "order_id": "1001"}
    claimed = await ask(shop, f"/{one}/claim", "k3", order=order)
    assert claimed.json()["figures"] == {"reservation_id": one, "units": 2, "units_short": 0}
    late = await ask(shop, f"/{one}/release", "k4")
    assert (late.status_code, late.headers["content-type"]) == (409, PROBLEM)
    assert late.json()["outcome"] == "reservation_ended"
    assert late.json()["figures"] == {"reservation_id": one, "state": "claimed"}
    shipped = await shop.command("k5", type="ship", order=order, sku="MUG", units=2)
    assert shipped.json()["answers"][0]["outcome"] == "posted"


async def test_a_basket_that_is_short_is_refused_with_the_figures(shop: Shop) -> None:
    short = await ask(shop, "", "k1", lines=[*mugs(3), *mugs(3)], ttl_s=60)
    assert (short.status_code, short.json()["type"]) == (409, "urn:oneshelf:problem:short")
    assert short.json()["figures"] == {"sku": "MUG", "location": BERLIN, "asked": 6, "available": 5}


async def test_an_allocation_lasts_until_it_is_released(shop: Shop) -> None:
    held = await ask(shop, "", "k1", kind="allocation", lines=mugs(2))
    assert held.json()["figures"]["expires_at"] is None
    released = await ask(shop, f"/{held.json()['figures']['reservation_id']}/release", "k2")
    assert released.json()["figures"]["units"] == 2


async def test_a_reservation_that_nobody_made_is_not_found(shop: Shop) -> None:
    nobody = UUID(int=7)
    answer = await ask(shop, f"/{nobody}/release", "k1")
    assert (answer.status_code, answer.json()["outcome"]) == (404, "no_such_reservation")


@pytest.mark.parametrize(
    ("path", "members"),
    [
        pytest.param("", {"lines": mugs(1)}, id="a hold without an end"),
        pytest.param("", {"lines": mugs(1), "ttl_s": 60, "kind": "lock"}, id="a lock with an end"),
        pytest.param("", {"lines": mugs(1), "ttl_s": 0}, id="no time"),
        pytest.param("", {"lines": mugs(1), "ttl_s": 1.5}, id="half a second"),
        pytest.param("", {"lines": mugs(1), "ttl_s": True}, id="a truth for a time"),
        pytest.param("", {"lines": mugs(1), "ttl_s": 10**9}, id="for ever"),
        pytest.param("", {"lines": mugs(0), "ttl_s": 60}, id="no units"),
        pytest.param("", {"lines": mugs(-1), "ttl_s": 60}, id="fewer than no units"),
        pytest.param("", {"lines": [], "ttl_s": 60}, id="no lines"),
        pytest.param("", {"lines": mugs(1), "ttl_s": 60, "type": "reserve"}, id="what the address says"),
        pytest.param("", {"lines": mugs(1), "ttl_s": 60, "colour": "red"}, id="an unknown field"),
        pytest.param("/7/release", {}, id="a number for an id"),
        pytest.param("/7/claim", {"order": {"channel": "a/b", "order_id": "1"}}, id="a slash in a channel"),
    ],
)
async def test_what_means_nothing_is_refused_and_moves_nothing(shop: Shop, path: str, members: dict[str, Any]) -> None:
    answer = await ask(shop, path, "k1", **members)
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert (await shop.client.get("/v1/skus/MUG")).json()["available"] == 5


async def test_without_a_key_nothing_is_reserved(shop: Shop) -> None:
    answer = await shop.client.post("/v1/reservations", json={"lines": mugs(1), "ttl_s": 60})
    assert answer.status_code == 400


async def test_every_command_can_be_sent(shop: Shop) -> None:
    set_of = [{"sku": "MUG", "units": 1}, {"sku": "PLATE", "units": 2}]
    order = {"channel": "counter", "order_id": "1"}
    said = [
        ("posted", {"type": "move", "sku": "MUG", "units": 1, "origin": "available", "target": "damaged"}),
        ("posted", {"type": "expect", "sku": "MUG", "delta_units": 3}),
        ("posted", {"type": "assemble", "sku": "SET", "units": 2, "components": set_of}),
        ("posted", {"type": "disassemble", "sku": "SET", "units": 1, "components": set_of}),
        ("no_such_line", {"type": "return", "order": order, "sku": "MUG", "units": 1, "into": "written_off"}),
        ("no_such_line", {"type": "cancel", "order": order, "sku": "MUG", "units": 1}),
        ("too_few", {"type": "move", "sku": "MUG", "units": 9, "origin": "incoming", "target": "available"}),
    ]
    for number, (outcome, members) in enumerate(said):
        answer = (await shop.command(f"k{number}", **members)).json()
        assert answer.get("outcome", answer.get("answers", [{}])[0].get("outcome")) == outcome, answer
    transfer = {"sku": "MUG", "transfer_id": "t 1"}
    commands = [
        {"type": "dispatch", "key": "d", **transfer, "units": 2, "origin": BERLIN, "target": HAMBURG},
        {"type": "arrive", "key": "e", **transfer, "units": 1},
        {"type": "arrive", "key": "f", **transfer, "units": 1},
        {"type": "reserve", "key": "g", "kind": "hold", "ttl_s": 60, "lines": mugs(1)},
    ]
    answers = (await shop.client.post("/v1/commands", json={"commands": commands})).json()["answers"]
    assert [one["outcome"] for one in answers] == ["posted", "arrived", "transfer_ended", "reserved"]
    assert answers[1]["figures"] == {"units": 1, "units_over": 0, "units_lost": 1, "available": 1}


@pytest.mark.long
async def test_the_address_book_of_the_api_names_the_reservations(shop: Shop) -> None:
    told = (await shop.client.get("/openapi.json")).json()
    assert {"/v1/reservations", "/v1/reservations/{reservation_id}/claim"} <= set(told["paths"])
    assert {"ReservationIn", "ClaimingIn", "ReserveIn"} <= set(told["components"]["schemas"])


async def test_a_reservation_is_told_until_and_after_it_ends(shop: Shop) -> None:
    lines = [*mugs(2), {"sku": "PLATE", "location": BERLIN, "units": 1}]
    one = (await ask(shop, "", "k1", lines=lines, ttl_s=60, holder="cart 7")).json()["figures"]["reservation_id"]
    told = (await shop.client.get(f"/v1/reservations/{one}")).json()
    assert (told["reservation_id"], told["kind"], told["holder"]) == (one, "hold", "cart 7")
    assert [(line["sku"], line["state"], line["units"]) for line in told["lines"]] == [
        ("MUG", "held", 2),
        ("PLATE", "held", 1),
    ]
    await ask(shop, f"/{one}/claim", "k2", order={"channel": "counter", "order_id": "1001"})
    told = (await shop.client.get(f"/v1/reservations/{one}")).json()
    assert {line["state"] for line in told["lines"]} == {"claimed"}
    assert told["holder"] == "order counter/1001"


async def test_a_hold_past_its_time_is_told_as_expired_before_the_sweep(shop: Shop) -> None:
    one = (await ask(shop, "", "k1", lines=mugs(2), ttl_s=60)).json()["figures"]["reservation_id"]
    async with shop.database.transaction() as tx:
        await tx.execute("update reservations set expires_at = db_now()")
    [line] = (await shop.client.get(f"/v1/reservations/{one}")).json()["lines"]
    assert (line["state"], line["units"]) == ("expired", 2)


async def test_a_refusal_that_is_told_again_says_how_to_ask_anew(shop: Shop) -> None:
    assert "new key" not in (await ask(shop, "", "k1", lines=mugs(9), ttl_s=60)).json()["detail"]
    again = await ask(shop, "", "k1", lines=mugs(9), ttl_s=60)
    assert (again.status_code, again.json()["replayed"]) == (409, True)
    assert "take a new key" in again.json()["detail"]
