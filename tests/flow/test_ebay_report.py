"""A large catalogue at eBay is read from its report, which proves no absence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx2
import pytest

from flow.market import HOUR_S, MARKET, MUG, SETTLED_S, Market, open_ebay
from oneshelf.connectors.ebay.api import INVENTORY
from oneshelf.connectors.ebay.simulator import EbaySimulator
from oneshelf.connectors.ebay.simulator_books import Lane
from oneshelf.sdk.capability import Limit

pytestmark = pytest.mark.pg

OTHERS = 40
FILE = "/download_result_file"
BOTH = pytest.mark.parametrize("lane", list(Lane), ids=str)


@asynccontextmanager
async def open_large(dsn: str, lane: Lane) -> AsyncIterator[Market[EbaySimulator]]:
    """EBay grants so few calls that its few listings are a large catalogue, which has been read by pages once.

    What changed lately it does not tell, so that a pass alone finds it.
    """
    async with open_ebay(dsn, lane, others=OTHERS) as it:
        channel = it.channels[MARKET]
        scarce = Limit(INVENTORY, 0.01, 10)
        limits = (scarce, *(one for one in channel.capability.limits if one.operation != INVENTORY))
        channels = dict(it.channels)
        channels[MARKET] = replace(channel, capability=replace(channel.capability, limits=limits))
        it.channels = channels
        it.wiretap.before = _no_events
        yield it


async def _no_events(request: httpx2.Request) -> None:
    if request.headers.get("x-ebay-api-call-name") == "GetSellerEvents":
        raise httpx2.ConnectError("not reached")


async def titles(it: Market[EbaySimulator]) -> dict[str, str]:
    rows = await it.rows("select channel_sku, title from listings where channel = 'market'")
    return {row["channel_sku"]: row["title"] for row in rows}


@pytest.mark.long
@BOTH
async def test_what_somebody_typed_is_found_in_the_report_and_put_right(dsn: str, lane: Lane) -> None:
    async with open_large(dsn, lane) as it:
        before = await titles(it)
        assert before["CUP-7"].startswith("Cup 7")
        assert len(before) == OTHERS + 1
        it.place.edit_by_hand(MUG, 3)
        await it.live(HOUR_S + 600, every_s=120)
        await it.live(it.channels[MARKET].suspense_s + SETTLED_S, every_s=300)
        assert it.wiretap.count("GET", FILE) >= 1
        assert it.wiretap.count("GET", "/inventory_item") == 0, "no page was read"
        [drift] = await it.drifts()
        assert (drift["cause"], drift["resolution"]) == ("foreign edit", "republished")
        assert await titles(it) == before, "the report tells no titles"
        await it.live(SETTLED_S)
        await it.assert_all_is_right()


@pytest.mark.long
@BOTH
async def test_what_the_report_lacks_is_asked_for_and_not_taken_for_gone(dsn: str, lane: Lane) -> None:
    """The report is of what is on sale: a listing that is missing from it may be hidden, held, or of another sort."""
    async with open_large(dsn, lane) as it:
        real = it.place.ebay.listings
        mugs = it.place.ebay.catalogue[MUG].listing.listing_id
        task = "select covered_until from schedules where channel = 'market' and task = 'stock'"
        [begun] = await it.rows(task)
        # Of the report alone: who asks for it by its id, or by its SKU, finds it.
        it.place.ebay.listings = {name: one for name, one in real.items() if name != mugs}
        await it.live(HOUR_S + 600, every_s=120)
        it.place.ebay.listings = real
        [ended] = await it.rows(task)
        assert ended["covered_until"] > begun["covered_until"]
        await it.live(SETTLED_S)
        [row] = await it.rows(
            "select verified_units, note, phase from listings where channel = 'market' and sku = 'MUG'"
        )
        assert (row["verified_units"], row["note"], row["phase"]) == (20, "", "idle")
        assert await it.drifts() == []
        await it.assert_all_is_right()


@pytest.mark.long
async def test_a_report_in_parts_counts_for_what_it_tells_and_pages_tell_the_rest(dsn: str) -> None:
    async with open_large(dsn, Lane.TRADING) as it:
        it.place.switches.set({"report_partial": {"next": 1}})
        await it.live(2 * HOUR_S + 600, every_s=120)
        assert it.place.switches.hits["report_partial"] == 1
        assert it.wiretap.count("GET", FILE) >= 3, "it is fetched again, in case it only broke off"
        assert it.wiretap.count("GET", "/inventory_item") > 0
        assert await it.drifts() == []
        [channel] = await it.rows("select held_at, paused_until, fail_streak from channels where channel = 'market'")
        assert channel == {"held_at": None, "paused_until": None, "fail_streak": 0}
        await it.assert_all_is_right()


@pytest.mark.long
@pytest.mark.parametrize("fault", ["report_failed", "scope"])
async def test_where_no_report_is_to_be_had_pages_are_read(dsn: str, fault: str) -> None:
    async with open_large(dsn, Lane.INVENTORY) as it:
        if fault == "scope":
            it.place.feed.is_forbidden = True
        else:
            it.place.switches.set({fault: 1.0})
        it.place.edit_by_hand(MUG, 3)
        await it.live(HOUR_S + 900, every_s=120)
        assert it.wiretap.count("GET", FILE) == 0
        assert it.wiretap.count("GET", "/inventory_item") > 0
        await it.live(it.channels[MARKET].suspense_s + SETTLED_S, every_s=300)
        assert [row["resolution"] for row in await it.drifts()] == ["republished"]
        await it.assert_all_is_right()
