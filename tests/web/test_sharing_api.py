"""How listings share a SKU's units, over HTTP and from the command line."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from typer.testing import CliRunner

from oneshelf.cli import app
from oneshelf.domain.identity import ChannelSku
from web.paper import BERLIN, Shop, open_shop


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        await shop.name_skus("MUG")
        yield shop


async def test_the_mode_of_a_sku_is_set_and_told(shop: Shop) -> None:
    wish = {"mode": "auto", "guard_at_units": 3, "allowance_units": 1}
    told = await shop.client.put("/v1/skus/MUG/sharing", json=wish)
    assert told.json() == {"sku": "MUG", **wish, "is_guarded": False, "places": []}
    assert (await shop.client.get("/v1/skus/MUG/sharing")).json() == told.json()


async def test_an_unknown_sku_and_a_mode_that_there_is_not_are_refused(shop: Shop) -> None:
    assert (await shop.client.put("/v1/skus/CUP/sharing", json={"mode": "pooled"})).status_code == 404
    assert (await shop.client.get("/v1/skus/CUP/sharing")).status_code == 404
    wrong = await shop.client.put("/v1/skus/MUG/sharing", json={"mode": "safe"})
    assert wrong.status_code == 422
    assert "guarded" in wrong.json()["detail"]


async def test_what_two_pooled_listings_may_sell_twice_is_shown_as_exposure(shop: Shop) -> None:
    await shop.client.put("/v1/skus/MUG/sharing", json={"mode": "pooled"})
    for name in ("one", "two"):
        (await shop.connect(name)).books[ChannelSku("MUG")] = 0
    await shop.sweep()
    await shop.command("k1", type="receive", sku="MUG", units=5)
    await shop.settle()
    place = {"sku": "MUG", "mode": "pooled", "is_guarded": False, "location": BERLIN, "available": 5}
    exposed = {**place, "sellable_by_listings": 10, "exposure_units": 5, "till_allowance_units": 0}
    assert (await shop.client.get("/v1/exposures")).json() == {"exposures": [exposed], "next": None}
    await shop.client.put("/v1/skus/MUG/sharing", json={"mode": "guarded"})
    await shop.settle()
    [after] = (await shop.client.get("/v1/skus/MUG/sharing")).json()["places"]
    assert (after["sellable_by_listings"], after["exposure_units"]) == (5, 0)
    assert (await shop.client.get("/v1/exposures")).json()["exposures"] == []


async def test_a_whole_shop_or_a_group_is_switched_at_once_and_what_is_frozen_stays_so(shop: Shop) -> None:
    await shop.name_skus("CAP", "HAT")

    async def modes() -> dict[str, str]:
        told = {sku: (await shop.client.get(f"/v1/skus/{sku}/sharing")).json() for sku in ("MUG", "CAP", "HAT")}
        return {sku: one["mode"] for sku, one in told.items()}

    assert await modes() == {"MUG": "auto", "CAP": "auto", "HAT": "auto"}
    await shop.client.put("/v1/skus/HAT/sharing", json={"mode": "frozen"})
    await shop.client.put("/v1/policies/groups", json={"sku": "CAP", "sku_group": "heads"})
    wish = {"mode": "guarded", "sku_group": "heads"}
    assert (await shop.client.put("/v1/sharing", json=wish)).json() == {"changed_count": 1, "frozen_count": 0}
    assert await modes() == {"MUG": "auto", "CAP": "guarded", "HAT": "frozen"}
    for count in (2, 0):
        told = await shop.client.put("/v1/sharing", json={"mode": "pooled"})
        assert told.json() == {"changed_count": count, "frozen_count": 1}
    assert await modes() == {"MUG": "pooled", "CAP": "pooled", "HAT": "frozen"}


def test_the_command_line_says_the_same(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONESHELF_DATABASE_URL", dsn)

    def run(*arguments: str, exits: int = 0) -> str:
        result = CliRunner().invoke(app, ("stock", *arguments))
        assert result.exit_code == exits, result.output
        return result.output

    run("add-sku", "MUG")
    assert "MUG: guarded" in run("mode", "guarded", "MUG")
    assert "no SKU CUP" in run("mode", "guarded", "MUG", "CUP", exits=2)
    assert "pooled, guarded, auto, frozen" in run("mode", "safe", "MUG", exits=2)
    run("add-sku", "CAP")
    run("freeze", "MUG")
    assert json.loads(run("mode", "pooled", "--all", "--json")) == {
        "mode": "pooled",
        "changed_count": 1,
        "frozen_count": 1,
    }
    assert "0 SKUs: pooled; 1 stay frozen" in run("mode", "pooled", "--all")
    assert "--all" in run("mode", "pooled", "MUG", "--all", exits=2)
    assert "--all" in run("mode", "pooled", exits=2)
    assert "0 SKUs of heads: auto" in run("mode", "auto", "--group", "heads")
    assert "no unit could be sold twice" in run("exposure")
    assert json.loads(run("freeze", "MUG", "--json")) == {
        "skus": ["MUG"],
        "listings": [],
        "open_count": 0,
        "no_figure": [],
    }
