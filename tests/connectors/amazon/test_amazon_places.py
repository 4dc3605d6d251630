"""One quantity for several marketplaces, stock in several places, who fulfils what: what is never mixed up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date, timedelta

import pytest

from connectors.amazon.harness import Bench, bench, open_connector
from oneshelf.connectors.amazon.account import account_from
from oneshelf.connectors.amazon.preflight import access_ends
from oneshelf.connectors.amazon.simulator import SIMULATED_SECRETS, SIMULATED_SETTINGS
from oneshelf.domain.identity import ChannelSku
from oneshelf.errors import ConfigurationError
from oneshelf.sdk.access_end import finding_of
from oneshelf.sdk.contract import Connector
from oneshelf.sdk.message import Accepted, ChannelConfig, Finding, Refused, StockReading
from oneshelf.sdk.simulator import CatalogueItem

DE, FR, IT = "A1PA6795UKMFR9", "A13V1IB3VIYZZH", "APJ6JRA9NG5V4"


@asynccontextmanager
async def europe(catalogue: Mapping[str, int], *places: str) -> AsyncIterator[tuple[Bench, Connector]]:
    """A bench whose account sells in these marketplaces, and a connector that knows of them."""
    async with bench({}) as desk:
        desk.simulator.trade_in(*places)
        desk.simulator.stock_catalogue([item(sku, units) for sku, units in catalogue.items()])
        settings = {"marketplace_id": ", ".join(places)}
        yield desk, open_connector(desk.client, desk.clock, desk.budget, settings=settings)


def item(sku: str, units: int) -> CatalogueItem:
    return CatalogueItem(sku, f"Title of {sku}", units)


def asked_in(desk: Bench, method: str) -> list[str]:
    asked = [one.request for one in desk.wiretap.exchanges if "/listings/" in one.request.url.path]
    return [request.url.params["marketplaceIds"] for request in asked if request.method == method]


async def read(connector: Connector, *skus: str) -> dict[str, StockReading]:
    readings = await connector.read_stock([ChannelSku(sku) for sku in skus])
    return {one.channel_sku: one for one in readings}


# Several marketplaces -----------------------------------------------------------------------------------------------


async def test_one_quantity_is_written_once_and_shows_in_every_marketplace() -> None:
    async with europe({"MUG": 9}, DE, FR, IT) as (desk, connector):
        assert await connector.push([desk.write("MUG", 4)]) == (Accepted(),)
        assert len(asked_in(desk, "PATCH")) == 1
        await desk.clock.advance(400)
        for place in (DE, FR, IT):
            alone = open_connector(desk.client, desk.clock, desk.budget, settings={"marketplace_id": place})
            assert (await read(alone, "MUG"))["MUG"].units == 4


async def test_the_attributes_of_a_marketplace_are_old_and_are_never_asked_for() -> None:
    async with europe({"MUG": 9}, DE, FR) as (desk, connector):
        await connector.push([desk.write("MUG", 4)])
        await desk.clock.advance(400)
        attributes = desk.simulator.amazon.catalogue["MUG"].attributes
        assert {place: rows[0]["quantity"] for place, rows in attributes.items()} == {DE: 4, FR: 9}
        assert (await read(connector, "MUG"))["MUG"].units == 4
        asked = [one.request.url.params.get("includedData", "") for one in desk.wiretap.exchanges]
        assert not any("attributes" in data for data in asked)


async def test_a_listing_that_is_in_one_marketplace_alone_is_read_and_written_there() -> None:
    async with europe({"MUG": 9, "TAZZA": 5}, DE, FR, IT) as (desk, connector):
        desk.simulator.amazon.catalogue["TAZZA"].only_in = IT
        found = await read(connector, "MUG", "TAZZA", "GONE")
        assert {sku: one.units for sku, one in found.items()} == {"MUG": 9, "TAZZA": 5}
        assert asked_in(desk, "GET") == [DE, FR, IT]
        await desk.clock.advance(5)
        outcomes = await connector.push([desk.write("MUG", 1), desk.write("TAZZA", 2), desk.write("GONE", 3)])
        assert outcomes[:2] == (Accepted(), Accepted())
        assert isinstance(outcomes[2], Refused)
        assert asked_in(desk, "PATCH") == [DE, IT]
        await desk.clock.advance(400)
        assert desk.units() == {"MUG": 1, "TAZZA": 2}


async def test_a_walk_goes_through_every_marketplace() -> None:
    catalogue = {f"SKU-{n}": n for n in range(45)}
    async with europe(catalogue, DE, IT) as (desk, connector):
        for n in range(0, 45, 9):
            desk.simulator.amazon.catalogue[f"SKU-{n}"].only_in = IT
        told: dict[str, int | None] = {}
        cursor: str | None = None
        pages = 0
        while pages == 0 or cursor is not None:
            page = await desk.patiently(lambda cursor=cursor: connector.fetch_stock(cursor))  # type: ignore[misc]  # a lambda that binds
            told.update({one.channel_sku: one.units for one in page.readings})
            cursor, pages = page.cursor, pages + 1
        assert told == catalogue
        assert pages == 2 + 3


async def test_orders_of_all_marketplaces_are_asked_for_at_once() -> None:
    async with europe({"MUG": 9}, DE, FR) as (desk, connector):
        start = await connector.poll_orders(None)
        await connector.poll_orders(start.cursor)
        assert desk.wiretap.exchanges[-1].request.url.params["marketplaceIds"] == f"{DE},{FR}"


@pytest.mark.parametrize("value", ["", " , ", f"{DE},", f"{DE},{DE}", "A1 PA", "A1/../B2"])
def test_marketplaces_that_are_none_or_told_twice_are_refused(value: str) -> None:
    settings = {**SIMULATED_SETTINGS, "base_url": "https://example.com", "marketplace_id": value}
    config = ChannelConfig("amz", settings, SIMULATED_SECRETS)
    if not value:
        assert account_from(config).marketplace_ids == ("ATVPDKIKX0DER",)
        return
    with pytest.raises(ConfigurationError, match="marketplace_id"):
        account_from(config)


# Stock in several places --------------------------------------------------------------------------------------------


def located(desk: Bench) -> Connector:
    return open_connector(desk.client, desk.clock, desk.budget, settings={"supply_source_id": "SUPPLY-1"})


async def test_a_supply_source_is_written_and_default_is_left_alone() -> None:
    async with bench({"MUG": 9, "CUP": 5}) as desk:
        desk.simulator.amazon.keep_at("MUG", "SUPPLY-1")
        connector = located(desk)
        mug, cup = await connector.push([desk.write("MUG", 4), desk.write("CUP", 4)])
        assert mug == Accepted()
        assert isinstance(cup, Refused)
        await desk.clock.advance(400)
        assert desk.simulator.amazon.catalogue["MUG"].default_units == 0
        assert (await read(connector, "MUG"))["MUG"].units == 4
        assert desk.units() == {"MUG": 4, "CUP": 5}


async def test_units_offered_from_default_beside_a_supply_source_stop_the_listing_and_show_in_the_preflight() -> None:
    async with bench({"MUG": 9, "CUP": 5, "JUG": 1}) as desk:
        desk.simulator.amazon.keep_at("MUG", "SUPPLY-1", default_units=3)
        desk.simulator.amazon.keep_at("CUP", "SUPPLY-1")
        connector = located(desk)
        (outcome,) = await connector.push([desk.write("MUG", 4)])
        assert isinstance(outcome, Refused)
        finding = named(await connector.preflight(), "stock at SUPPLY-1")
        assert not finding.is_good
        assert "MUG: DEFAULT shows 3 beside SUPPLY-1" in finding.detail
        desk.simulator.amazon.keep_at("MUG", "SUPPLY-1")
        finding = named(await connector.preflight(), "stock at SUPPLY-1")
        assert finding == Finding("stock at SUPPLY-1", True, "1 of 3 listings have no stock at SUPPLY-1, which is fine")


async def test_without_the_setting_stock_at_a_supply_source_is_not_written() -> None:
    async with bench({"MUG": 9}) as desk:
        desk.simulator.amazon.keep_at("MUG", "SUPPLY-1")
        (outcome,) = await desk.connector.push([desk.write("MUG", 4)])
        assert isinstance(outcome, Refused)
        assert desk.wiretap.count("PATCH", "MUG") == 0


@pytest.mark.parametrize("value", ["DEFAULT", "AMAZON_EU"])
def test_what_is_no_supply_source_is_refused(value: str) -> None:
    config = ChannelConfig("amz", {**SIMULATED_SETTINGS, "supply_source_id": value}, SIMULATED_SECRETS)
    with pytest.raises(ConfigurationError, match="no supply source"):
        account_from(config)


# Roles, tokens, secrets ---------------------------------------------------------------------------------------------


def named(findings: tuple[Finding, ...], what: str) -> Finding:
    return next(one for one in findings if one.what == what)


async def test_a_missing_role_and_a_dead_token_are_told_apart() -> None:
    """Both are a 403, and the way out is another one."""
    async with bench({"MUG": 9}) as desk:
        desk.simulator.gate.denied.add("searchOrders")
        words = named(await desk.connector.preflight(), "orders can be read").detail
        assert "add the role Inventory and Order Tracking" in words
        desk.simulator.gate.denied.clear()
        desk.simulator.revoke()
        words = named(await desk.connector.preflight(), "orders can be read").detail
        assert "takes no token of ours" in words
        assert "add the role" not in words


MADE_ON = date(2026, 1, 1)


@pytest.mark.parametrize(
    ("left", "is_good", "words"),
    [
        (180, True, "good until 2026-06-30"),
        (31, True, "good until"),
        (30, True, "within 30 days"),
        (8, True, "within 8 days"),
        (7, False, "within 7 days"),
        (2, False, "within 2 days"),
        (1, False, "today"),
        (0, False, "it ended on 2026-06-30"),
        (-9, False, "it ended on"),
        (181, False, "yet to come"),
    ],
)
def test_the_end_of_a_secret_is_told_30_days_before_and_is_not_good_in_its_last_week(
    left: int, is_good: bool, words: str
) -> None:
    settings = {**SIMULATED_SETTINGS, "secret_renewed_on": MADE_ON.isoformat()}
    (end,) = access_ends(account_from(ChannelConfig("amz", settings, SIMULATED_SECRETS)))
    finding = finding_of(end, today=MADE_ON + timedelta(days=180 - left))
    assert finding.is_good is is_good
    assert words in finding.detail


async def test_the_age_of_the_secret_is_told_where_somebody_said_when_it_was_made() -> None:
    async with bench({"MUG": 9}) as desk:
        assert "client secret" not in [one.what for one in await desk.connector.preflight()]
        settings = {"secret_renewed_on": "2025-07-10"}
        told = open_connector(desk.client, desk.clock, desk.budget, settings=settings)
        finding = named(await told.preflight(), "client secret")
        assert "2026-01-06" in finding.detail
        with pytest.raises(ConfigurationError, match="secret_renewed_on"):
            open_connector(desk.client, desk.clock, desk.budget, settings={"secret_renewed_on": "last summer"})


async def test_what_amazon_has_is_asked_for_in_each_store_that_those_before_it_do_not_have() -> None:
    async with europe({"MUG": 9}, DE, FR) as (desk, connector):
        desk.simulator.fulfil_by_amazon("MUG")
        desk.simulator.amazon.catalogue["MUG"].only_in = FR
        [reading] = await connector.read_stock([ChannelSku("MUG")])
        assert (reading.units, reading.note.rpartition(": ")[2]) == (None, "9 on sale")
