"""The tour of the demo: six pages one after the other, ended when somebody likes, and seen nowhere but in the demo."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from oneshelf.web.pages.tour import STOPS
from web.paper import Shop, open_shop

pytestmark = pytest.mark.pg


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        shop.app.state.engine = replace(shop.app.state.engine, shows_tour=True)
        yield shop


async def shown(shop: Shop, address: str) -> str:
    answer = await shop.client.get(address)
    assert answer.status_code == 200, address
    return answer.text


def link(text: str, rel: str) -> str:
    found = re.search(rf'href="([^"]*)" rel="{rel}"', text)
    return found[1].replace("&amp;", "&") if found else ""


async def test_it_leads_from_page_to_page_and_back(shop: Shop) -> None:
    address = "/"
    seen: list[str] = []
    while address:
        text = await shown(shop, address)
        assert f"{len(seen) + 1} of {len(STOPS)}" in text
        seen.append(address.partition("?")[0])
        assert "<aside" in text
        back, address = link(text, "prev"), link(text, "next")
        assert bool(back) is (len(seen) > 1)
    assert seen == [stop.address for stop in STOPS]


async def test_it_stays_where_somebody_is_and_ends_for_good(shop: Shop) -> None:
    await shown(shop, "/channels?tour=2")
    elsewhere = await shown(shop, "/orders")
    assert 'href="/channels?tour=2">Back to the tour' in elsewhere
    assert STOPS[1].words[:30] not in elsewhere
    assert "<aside" not in await shown(shop, "/orders?tour=off")
    text = await shown(shop, "/")
    assert "<aside" not in text
    assert 'href="/?tour=1"' in text
    assert f"1 of {len(STOPS)}" in await shown(shop, "/?tour=1")


@pytest.mark.parametrize("asked", ["0", "7", "²", "<script>", "99999999999999999999"])
async def test_a_place_that_is_none_is_its_beginning(shop: Shop, asked: str) -> None:
    answer = await shop.client.get("/", params={"tour": asked})
    assert f"1 of {len(STOPS)}" in answer.text


async def test_what_refreshes_itself_does_not_bring_it_again(shop: Shop) -> None:
    part = await shop.client.get("/?tour=1", headers={"hx-request": "true"})
    assert "<aside" not in part.text
    assert "set-cookie" not in part.headers


async def test_outside_the_demo_nothing_of_it_is_seen(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        for address in ("/", "/?tour=1"):
            answer = await shop.client.get(address)
            assert "tour of the demo" not in answer.text.lower()
            assert "set-cookie" not in answer.headers
