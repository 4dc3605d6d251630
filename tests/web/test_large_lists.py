"""Lists page by page: no row comes twice and none is missing, also while others come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib import import_module
from random import Random
from typing import Any

import pytest

from oneshelf.domain.go_live import Cause, fright_of, line_of, totals
from oneshelf.domain.identity import Channel
from oneshelf.flow.preview import page_of_plan, preview_of_channel
from oneshelf.storage import rights, sign_offs, tallies, views
from oneshelf.storage.listing_states import ListingState
from web.paper import Shop, open_shop

pytestmark = pytest.mark.pg

SEED = 31
LISTINGS = 400
PAPER, CARD = Channel("paper"), Channel("card")
# Every way in which the columns that decide can stand to each other, by chance.
FILL = """
    insert into listings (channel, channel_sku, merchant_sku, sku, phase, desired_units, desired_version, sent_version,
        verified_units, verified_version, base_units, net_units, base_net, suspect_units, suspect_at, signed_off_at)
    select channel, n::text, case when n %% 7 = 0 then 'TWIN' || n / 14 else 'S' || n end,
           case when n %% 7 > 0 then 'S' || n %% 50 end,
           (array['idle', 'idle', 'idle', 'idle', 'sending', 'accepted', 'unknown', 'parked'])[1 + (random() * 7)::int],
           nullif((random() * 4)::int, 4), (random() * 2)::int, (random() * 2)::int, (random() * 3)::int,
           (random() * 2)::int, nullif((random() * 4)::int - 1, 3), (random() * 2)::int, (random() * 2)::int,
           case when suspect then 1 end, case when suspect then now() end, case when random() < 0.5 then now() end
    from (select channel, n, random() < 0.1 as suspect
          from unnest(array['paper', 'card']) as channel, generate_series(1, %(count)s) as n) as wanted
"""


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        await shop.connect("paper", mode="live")
        await shop.connect("card", mode="live")
        await shop.name_skus(*(f"S{number}" for number in range(50)))
        await rows(shop, "update channels set signs_off = 'listing' where channel = 'card'")
        await rows(shop, f"select setseed(0.{SEED})")
        await rows(shop, FILL, count=LISTINGS)
        await rows(
            shop,
            """
            insert into drifts (drift_id, channel, channel_sku, sku, cause, expected_units, observed_units)
            select gen_random_uuid(), channel, channel_sku, coalesce(sku, ''), 'unknown', 1, 2 from listings
            where channel_sku::int %% 9 = 0
            """,
        )
        yield shop


async def rows(shop: Shop, statement: str, **said: Any) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute(statement.encode(), said)


async def walked(shop: Shop, address: str, what: str, **asked: Any) -> list[dict[str, Any]]:
    """All rows of a list, page by page."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        answer = await shop.client.get(address, params={**asked, **({"after": after} if after else {})})
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert len(told[what]) <= asked["limit"]
        found += told[what]
        if told["next"] is None:
            return found
        after = told["next"]


def key(row: dict[str, Any]) -> tuple[str, str]:
    return row["channel"], row["channel_sku"]


@pytest.mark.long
async def test_each_state_lists_what_is_in_it(shop: Shop) -> None:
    every = await walked(shop, "/v1/listings", "listings", limit=7)
    assert [key(row) for row in every] == sorted({key(row) for row in every})
    assert len(every) == 2 * LISTINGS
    async with shop.database.transaction() as tx:
        tally = await tallies.count(tx)
        counted = {row.channel: row for row in await views.channel_rows(tx)}
    states: set[str] = set()
    for state in ListingState.__args__:  # type: ignore[attr-defined]  # the names of a Literal
        for channel in (None, "paper", "card"):
            asked = {"state": state, "limit": 7, **({"channel": channel} if channel else {})}
            found = await walked(shop, "/v1/listings", "listings", **asked)
            wanted = [row for row in every if row["state"] == state and channel in {None, row["channel"]}]
            assert [key(row) for row in found] == [key(row) for row in wanted], (state, channel)
            states |= {state} if wanted else set()
    assert states == set(ListingState.__args__)  # type: ignore[attr-defined]  # a Literal has them
    for channel in (PAPER, CARD):
        mine = [row for row in every if row["channel"] == channel]
        assert counted[channel].unlinked_count == sum(row["state"] == "unlinked" for row in mine)
        assert counted[channel].verified_count == sum(row["state"] == "verified" for row in mine)
        assert counted[channel].listing_count == tally.channels[channel]["listing_count"] == LISTINGS


async def test_the_database_orders_a_plan_as_the_rules_do(shop: Shop) -> None:
    for channel in (PAPER, CARD):
        async with shop.database.transaction() as tx:
            every = [line_of(one) async for one in sign_offs.facts(tx, channel)]
            kept = dict(
                await (
                    await tx.execute("select channel_sku, fright from listings where channel = %s", (channel,))
                ).fetchall()
            )
            told = (await tallies.count(tx)).plan_of(channel)
        assert {line.cause for line in every} == set(Cause)
        assert kept == {line.channel_sku: fright_of(line) for line in every}
        assert every == sorted(every, key=lambda line: (fright_of(line), line.channel_sku.encode()))
        assert told == totals(every)


@pytest.mark.long
async def test_a_plan_page_by_page_is_the_whole_plan(shop: Shop) -> None:
    whole = [line.channel_sku for line in await preview_of_channel(shop.database, PAPER)]
    paged = await walked(shop, "/v1/channels/paper/plan", "listings", limit=7)
    assert [row["channel_sku"] for row in paged] == whole
    for cause in Cause:
        found = await walked(shop, "/v1/channels/paper/plan", "listings", limit=7, cause=cause.value)
        assert [row["channel_sku"] for row in found] == [
            row["channel_sku"] for row in paged if row["cause"] == cause.value
        ]
    refused = await shop.client.get("/v1/channels/paper/plan", params={"after": "nonsense"})
    assert refused.status_code == 422
    assert "`next` of another page" in refused.json()["detail"]


async def test_the_page_of_a_plan_leads_on_to_the_next(shop: Shop) -> None:
    seen: list[str] = []
    address = "/go-live/paper"
    while True:
        text = (await shop.client.get(address)).text
        seen += [part.split('"')[0] for part in text.split('data-line="')[1:]]
        if 'rel="next"' not in text:
            break
        address = text.split('" rel="next"')[0].rsplit('href="', 1)[1].replace("&amp;", "&")
    assert seen == [line.channel_sku for line in await preview_of_channel(shop.database, PAPER)]


@pytest.mark.long
async def test_what_stays_comes_once_while_other_listings_come_and_go(shop: Shop) -> None:
    """Listings that are not touched meanwhile are all there, once, whatever is put between them."""
    chance = Random(SEED)
    before = {("paper", str(number)) for number in range(1, LISTINGS + 1)}
    is_done = asyncio.Event()

    async def come_and_go() -> int:
        count = 0
        while not is_done.is_set():
            name = f"{chance.randrange(LISTINGS)}-{count}"
            await rows(
                shop,
                "insert into listings (channel, channel_sku, sku, desired_units, desired_version, base_units) "
                "values ('paper', %(name)s, 'S1', %(units)s, 1, 3)",
                name=name,
                units=chance.randrange(9),
            )
            if count % 2:
                await rows(shop, "delete from listings where channel_sku = %(name)s", name=name)
            count += 1
        return count

    async def read() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        try:
            listed = await walked(shop, "/v1/listings", "listings", limit=9, channel="paper")
            return listed, await walked(shop, "/v1/channels/paper/plan", "listings", limit=9)
        finally:
            is_done.set()

    (listed, planned), count = await asyncio.gather(read(), come_and_go())
    print(f"seed {SEED}: {count} listings came meanwhile")  # shown when it fails
    for found in ([row["channel_sku"] for row in listed], [row["channel_sku"] for row in planned]):
        assert len(found) == len(set(found))
        assert {name for _, name in before} <= set(found)
        assert any("-" in name for name in found)


@pytest.mark.long
async def test_twins_are_found_behind_many_other_unlinked_listings(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oneshelf.flow.preview.TWINS_READ", 5)
    found = await page_of_plan(shop.database, PAPER, cause=Cause.TWINS, limit=2)
    assert found.next_place is not None
    assert len(found.lines) <= 2
    twins = await walked(shop, "/v1/channels/paper/plan", "listings", limit=2, cause="twins")
    assert len(twins) == found.totals.counts[Cause.TWINS]


async def test_exposed_skus_are_looked_for_a_part_at_a_time(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await walked(shop, "/v1/exposures", "exposures", limit=1000)
    monkeypatch.setattr(rights, "SKUS_LOOKED_AT", 3)
    assert await walked(shop, "/v1/exposures", "exposures", limit=2) == whole
    assert len(whole) == len({(row["sku"], row["location"]) for row in whole}) > 10


def test_every_route_is_measured_or_left_out_with_a_reason() -> None:
    pages = import_module("benchmarks.pages")
    addresses = pages.addresses(dict.fromkeys(pages._braced(), "x"))
    assert len(addresses) > len(pages.ASKED)
    assert not any("{" in address for address in addresses)
