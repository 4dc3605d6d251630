"""Bundles, backorders and what is short, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from web.paper import BERLIN, Shop, open_shop

pytestmark = pytest.mark.pg

DUO = {"components": [{"sku": "CAP", "units": 1}, {"sku": "MUG", "units": 2}]}


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        await shop.name_skus("MUG", "CAP", "DUO", "SET")
        for sku in ("MUG", "CAP"):
            await shop.command(f"first-{sku}", type="receive", sku=sku, units=5)
        yield shop


async def reserve(shop: Shop, key: str, *lines: tuple[str, int], **more: Any) -> Any:
    wanted = [{"sku": sku, "location": BERLIN, "units": units} for sku, units in lines]
    body = {"kind": "lock", "lines": wanted, **more}
    return await shop.client.post("/v1/reservations", json=body, headers={"Idempotency-Key": key})


async def test_a_bundle_is_defined_listed_and_reserved(shop: Shop) -> None:
    defined = await shop.client.put("/v1/bundles/DUO", json=DUO)
    assert (defined.status_code, defined.json()) == (200, {"sku": "DUO", **DUO})
    assert (await shop.client.get("/v1/bundles")).json() == {"bundles": [{"sku": "DUO", **DUO}]}
    assert (await shop.client.get("/v1/skus/DUO")).json()["components"] == DUO["components"]
    assert (await shop.client.get("/v1/skus/MUG")).json()["components"] == []
    assert shop.woken
    reserved = await reserve(shop, "k1", ("DUO", 2), ("MUG", 1))
    assert reserved.json()["figures"]["units"] == 7
    refused = await reserve(shop, "k2", ("DUO", 1))
    assert refused.status_code == 409
    assert refused.json()["figures"] == {
        "sku": "MUG", "location": BERLIN, "asked": 2, "available": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sku", "component", "status", "kind"),
    [("SET", "DUO", 409, "not-a-bundle"), ("MUG", "CAP", 409, "not-a-bundle"), ("SET", "NOBODY", 404, "unknown-sku")],
)
async def test_what_cannot_be_a_bundle_is_refused(shop: Shop, sku: str, component: str, status: int, kind: str) -> None:
    await shop.client.put("/v1/bundles/DUO", json=DUO)
    refused = await shop.client.put(f"/v1/bundles/{sku}", json={"components": [{"sku": component, "units": 1}]})
    assert refused.status_code == status
    assert refused.json()["type"].endswith(kind)


async def test_a_malformed_bundle_is_unacceptable(shop: Shop) -> None:
    for components in (
        [],
        [{"sku": "MUG", "units": 0}],
        [{"sku": "DUO", "units": 1}],
        [{"sku": "MUG", "units": 1}] * 2,
    ):
        answer = await shop.client.put("/v1/bundles/DUO", json={"components": components})
        assert answer.status_code == 422, answer.text


async def test_a_part_is_granted_and_the_answer_says_which(shop: Shop) -> None:
    await shop.client.put("/v1/bundles/DUO", json=DUO)
    reserved = await reserve(shop, "k1", ("DUO", 3), ("MUG", 2), allow_partial=True)
    assert reserved.status_code == 200
    assert reserved.json()["figures"]["grants"] == [
        {"sku": "DUO", "location": BERLIN, "asked": 3, "granted": 2, "short": 0, "refused": 1},
        {"sku": "MUG", "location": BERLIN, "asked": 2, "granted": 1, "short": 0, "refused": 1},
    ]
    assert "not there: 1 of DUO" in reserved.json()["detail"]


async def test_a_stocked_bundle_is_refused_with_its_components(shop: Shop) -> None:
    await shop.client.put("/v1/bundles/DUO", json=DUO)
    refused = await shop.command("k1", type="receive", sku="DUO", units=1)
    assert (refused.status_code, refused.json()["outcome"]) == (409, "is_bundle")
    assert "CAP, MUG" in refused.json()["detail"]


async def test_a_kit_is_made_by_the_recipe_that_is_kept_unless_another_one_is_meant(shop: Shop) -> None:
    make = {"type": "assemble", "sku": "SET", "units": 1}
    refused = await shop.command("k1", **make)
    assert (refused.status_code, refused.json()["outcome"]) == (409, "no_recipe")
    kept = await shop.client.put("/v1/kits/SET", json=DUO)
    assert (kept.status_code, kept.json()) == (200, {"sku": "SET", **DUO})
    assert (await shop.client.get("/v1/kits")).json() == {"kits": [{"sku": "SET", **DUO}]}
    assert (await shop.command("k2", **make)).json()["answers"][0]["figures"] == {"units_moved": 1, "available": 1}
    other = {**make, "components": [{"sku": "MUG", "units": 1}]}
    refused = await shop.command("k3", **other)
    assert (refused.status_code, refused.json()["figures"]) == (
        409, {"sku": "SET", "recipe": "CAP=1 MUG=2", "asked": "MUG=1"},
    )  # fmt: skip
    assert (await shop.command("k4", **other, other_recipe=True)).status_code == 200
    for wrong in ({**make, "components": []}, {**make, "other_recipe": True}, {**make, "other_recipe": "yes"}):
        assert (await shop.command("k5", **wrong)).status_code == 422
    assert (await shop.client.delete("/v1/kits/SET")).json() == {"ended": {"sku": "SET", **DUO}}
    assert (await shop.client.delete("/v1/kits/SET")).json() == {"ended": None}
    assert (await shop.client.delete("/v1/kits/NOBODY")).status_code == 404
    unknown = await shop.client.put("/v1/kits/SET", json={"components": [{"sku": "NOBODY", "units": 1}]})
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:oneshelf:problem:unknown-sku")


async def test_a_backorder_policy_is_set_used_and_ended_and_what_is_short_is_listed(shop: Shop) -> None:
    policy = {"sku": "MUG", "location": BERLIN, "cap_units": 3, "kind": "preorder"}
    assert (await shop.client.put("/v1/backorders", json=policy)).json()["backorders"] == [{**policy, "units_short": 0}]
    reserved = await reserve(shop, "k1", ("MUG", 7), holder="cart 7")
    assert (reserved.json()["figures"]["units"], reserved.json()["figures"]["units_short"]) == (5, 2)
    [short] = (await shop.client.get("/v1/short")).json()["short"]
    assert (short["kind"], short["promised_to"], short["units_short"], short["units_held"]) == ("lock", "cart 7", 2, 5)
    assert (await shop.client.get("/v1/short?sku=CAP")).json()["short"] == []
    assert (await shop.client.get("/v1/backorders")).json()["backorders"][0]["units_short"] == 2
    ended = await shop.client.put("/v1/backorders", json={**policy, "cap_units": 0})
    assert ended.json() == {"backorders": []}
    assert (await reserve(shop, "k2", ("MUG", 1))).status_code == 409


async def test_a_policy_for_nothing_known_or_a_bundle_is_refused(shop: Shop) -> None:
    await shop.client.put("/v1/bundles/DUO", json=DUO)
    for sku, location, status in (("NOBODY", BERLIN, 404), ("MUG", "NOWHERE", 404), ("DUO", BERLIN, 409)):
        answer = await shop.client.put("/v1/backorders", json={"sku": sku, "location": location, "cap_units": 1})
        assert answer.status_code == status


async def test_what_is_short_comes_in_pages_in_the_order_in_which_it_is_filled(shop: Shop) -> None:
    for sku in ("MUG", "CAP"):
        await shop.client.put("/v1/backorders", json={"sku": sku, "location": BERLIN, "cap_units": 9})
    for number in range(3):
        assert (
            await reserve(shop, f"k{number}", ("MUG", 6 if number == 0 else 1), ("CAP", 6 if number == 0 else 1))
        ).is_success
    everything = (await shop.client.get("/v1/short")).json()
    assert (len(everything["short"]), everything["next"]) == (6, None)
    found, after = [], ""
    while after is not None:
        page = (await shop.client.get("/v1/short", params={"limit": 2} | ({"after": after} if after else {}))).json()
        found += page["short"]
        after = page["next"]
    assert found == everything["short"]
    caps = (await shop.client.get("/v1/short", params={"sku": "CAP", "limit": 2})).json()
    rest = (await shop.client.get("/v1/short", params={"sku": "CAP", "limit": 2, "after": caps["next"]})).json()
    assert [*caps["short"], *rest["short"]] == [one for one in found if one["sku"] == "CAP"]


@pytest.mark.parametrize(
    "after", ["zz", "MjAyNg", "é", "bnVsbA", "WyIyMDI2LTExLTI1VDE0OjAwOjAwWiIsIlx1MDAwMCIsIkEiLCJCIl0"]
)
async def test_a_place_in_the_queue_that_no_page_gave_is_refused(shop: Shop, after: str) -> None:
    answer = await shop.client.get("/v1/short", params={"after": after})
    assert answer.status_code == 422, answer.text


async def test_what_is_short_of_an_unknown_sku_is_no_empty_list(shop: Shop) -> None:
    answer = await shop.client.get("/v1/short?sku=NOBODY")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:oneshelf:problem:unknown-sku")
