"""Why Amazon does not apply a quantity reaches whoever looks: from its answer to each place where the figure is."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner

from connectors.amazon.test_amazon_issues import SHOWN
from flow.market import MARKET, MUG, SETTLED_S, AmazonMarket, open_market
from oneshelf.cli import app
from oneshelf.domain.alert_words import sentence
from oneshelf.domain.command import Adopt
from oneshelf.domain.drift import How
from oneshelf.domain.identity import ChannelSku
from oneshelf.domain.outcome import Outcome
from oneshelf.flow.explain import explain
from oneshelf.flow.post import post_moves
from oneshelf.flow.resolve import by_hand
from oneshelf.storage import alerts
from oneshelf.storage.database import Database

pytestmark = pytest.mark.pg
KEY = (MARKET, ChannelSku(MUG))


async def command(*words: str) -> str:
    done = await asyncio.to_thread(CliRunner().invoke, app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


async def drift_alerts(database: Database) -> list[str]:
    async with database.transaction() as tx:
        return [sentence(one.kind, one.figures) for one in await alerts.standing(tx) if one.kind == "alert.drift"]


async def write_again(it: AmazonMarket, drift_id: UUID) -> None:
    """A person says that our figure is right. By the clock of the market: a command would have another."""

    async def book() -> int:
        return await post_moves(it.database, it.clock.new_id)

    async def post(wish: Adopt) -> Outcome:
        raise AssertionError(f"units would move: {wish}")

    await by_hand(it.database, drift_id, How.PUBLISH, post=post, book=book)


@pytest.mark.long
async def test_why_a_quantity_is_not_applied_is_told_wherever_its_listing_is_shown(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONESHELF_DATABASE_URL", dsn)
    async with open_market(dsn, has_queue=False) as it:
        it.amazon.block_quantity(MUG)
        await it.sell_elsewhere(4)
        await it.live(12 * SETTLED_S, every_s=400)
        assert (it.shown(), await it.available()) == (20, 16)
        [drift] = await it.drifts()
        assert (drift["cause"], drift["resolved_at"]) == ("lost write", None)
        assert drift["evidence"]["why"].endswith(f"; the channel says of the listing: {SHOWN}")

        told = await explain(it.database, KEY)
        assert told is not None
        assert told.issues == SHOWN
        assert f"channel   says of this listing: {SHOWN}" in (await command("explain", MARKET, MUG)).splitlines()
        assert f"issues: {SHOWN}" in (await command("drift", "show", str(drift["drift_id"]))).splitlines()
        rows: list[dict[str, Any]] = json.loads(await command("listing", "list", MARKET, "--json"))
        assert [row["issues"] for row in rows] == [SHOWN]
        [alert] = await drift_alerts(it.database)
        assert alert.startswith("market MUG (MUG) shows 20 instead of 16: lost write")
        assert "the channel says: 4000001: You cannot change the quantity of this listing" in alert

        it.amazon.block_quantity(MUG, "")
        await write_again(it, drift["drift_id"])
        await it.live(2 * SETTLED_S, every_s=200)
        told = await explain(it.database, KEY)
        assert told is not None
        assert (told.issues, it.shown()) == ("", 16)
        assert await it.rows("select * from listing_issues") == []
        assert await drift_alerts(it.database) == []


@pytest.mark.long
async def test_what_is_wrong_with_a_listing_is_known_from_a_pass_over_all_too(dsn: str) -> None:
    async with open_market(dsn, has_queue=False) as it:
        it.amazon.amazon.catalogue[MUG].issue = it.amazon.amazon.catalogue[MUG].block = "Mend me."
        await it.live(2 * 3600.0, every_s=600)
        assert await it.rows("select channel, channel_sku, words from listing_issues") == [
            {
                "channel": "market",
                "channel_sku": "MUG",
                "words": "4000001: Mend me. (fulfillment_availability; ATTRIBUTE_SUPPRESSED)",
            }
        ]
        assert await it.drifts() == [], "it shows what it should"
