"""Conflicts on the pages: what disagreed, which rule decided, and one click that decides otherwise, once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape

import httpx2
import pytest

from oneshelf.storage import conflicts
from oneshelf.web.pages.frame import PAGE_ROWS
from web.paper import Shop, open_shop
from web.test_truth_api import available, decide, delta, on_hand, state

pytestmark = pytest.mark.pg

OWN = {"sec-fetch-site": "same-origin"}


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        await shop.name_skus("MUG", "CAP")
        assert (await shop.client.put("/v1/sources", json={"source": "erp"})).status_code == 200
        await state(shop, delta("GR-1", 10), on_hand("S-1", 12, "GR-1"))
        yield shop


def listed(answer: httpx2.Response) -> list[str]:
    return re.findall(r'data-conflict="([^"]+)"', answer.text)


async def overrule(shop: Shop, conflict_id: str, **fields: str) -> httpx2.Response:
    return await shop.client.post(f"/conflicts/{conflict_id}", data=fields, headers=OWN)


async def test_a_conflict_shows_both_sides_and_what_decided(shop: Shop) -> None:
    [conflict_id] = listed(await shop.client.get("/conflicts"))
    text = unescape((await shop.client.get(f"/conflicts/{conflict_id}")).text)
    for words in (
        "Rules now",
        "Beaten",
        "S-1",
        "held against the ledger",
        "Overrule: erp is right",
        "Waits for a person",
    ):
        assert words in text
    assert listed(await shop.client.get("/conflicts?kind=statement&sku=MUG")) == [conflict_id]
    for nothing in ("kind=drift", "sku=CAP", "kind=equivocation&all=1"):
        assert listed(await shop.client.get(f"/conflicts?{nothing}")) == []


async def test_one_click_overrules_and_a_second_one_does_nothing_again(shop: Shop) -> None:
    [conflict_id] = listed(await shop.client.get("/conflicts"))
    answer = await overrule(shop, conflict_id, by="Ada", reason="counted by hand")
    assert "rules MUG at BERLIN" in answer.text
    await decide(shop)
    assert await available(shop) == 12
    again = await overrule(shop, conflict_id, by="Ben")
    assert "nothing was done again" in again.text
    await decide(shop)
    assert await available(shop) == 12
    text = (await shop.client.get(f"/conflicts/{conflict_id}")).text
    assert "by Ada: counted by hand" in text
    assert "Overrule: " not in text
    assert listed(await shop.client.get("/conflicts")) == []
    assert listed(await shop.client.get("/conflicts?all=1")) == [conflict_id]


async def test_of_a_document_with_two_contents_a_person_says_which_holds(shop: Shop) -> None:
    await state(shop, delta("GR-1", 3))
    await state(shop, delta("GR-1", 4))
    four, three = listed(await shop.client.get("/conflicts?kind=equivocation"))
    text = (await shop.client.get(f"/conflicts/{three}")).text
    assert "Quarantined" in text
    assert "says two things" in text
    assert "The first is right: 10" in text
    assert "The second is right: 3" in text
    assert (await overrule(shop, three, by="Ada", right="both")).status_code == 422
    assert "The ledger took -7 MUG" in (await overrule(shop, three, by="Ada", right="beaten")).text
    assert await available(shop) == 3
    answer = await overrule(shop, four, by="Ada", right="beaten")
    assert (answer.status_code, await available(shop)) == (409, 3), "two second contents are never both right"
    answer = await overrule(shop, four, by="Ada", right="winner")
    assert (answer.status_code, await available(shop)) == (200, 3)
    assert "Kept" in answer.text
    assert listed(await shop.client.get("/conflicts?kind=equivocation")) == []


async def test_a_figure_with_two_contents_is_kept_or_stated_anew(shop: Shop) -> None:
    await state(shop, on_hand("S-1", 13, "GR-1"))
    [conflict_id] = listed(await shop.client.get("/conflicts?kind=equivocation"))
    text = (await shop.client.get(f"/conflicts/{conflict_id}")).text
    assert "under a new document number" in text
    assert "The second is right" not in text
    assert (await overrule(shop, conflict_id, by="Ada")).status_code == 409
    assert "is set aside" in (await overrule(shop, conflict_id, by="Ada", right="winner")).text


async def test_a_long_list_goes_on_at_the_next_page_without_a_gap(shop: Shop) -> None:
    for number in range(PAGE_ROWS + 3):
        await state(shop, delta("GR-1", 20 + number))
    seen: list[str] = []
    address = "/conflicts?all=1"
    while address:
        answer = await shop.client.get(address)
        seen += listed(answer)
        more = re.findall(r'href="([^"]+)" rel="next"', answer.text)
        address = unescape(more[0]) if more else ""
    async with shop.database.transaction() as tx:
        rows = await conflicts.listed(tx, limit=1000)
    assert seen == [str(row.conflict_id) for row in rows]
    assert len(seen) == PAGE_ROWS + 4


@pytest.mark.parametrize("wrong", ["kind=quarrel", "after=1", "after=0/x/y", "after=0/2026-11-26T00:00:00Z/7"])
async def test_an_address_that_no_page_gave_is_refused(shop: Shop, wrong: str) -> None:
    assert (await shop.client.get(f"/conflicts?{wrong}")).status_code == 422


async def test_who_says_so_has_a_name_and_the_conflict_is_one_there_is(shop: Shop) -> None:
    [conflict_id] = listed(await shop.client.get("/conflicts"))
    assert (await overrule(shop, conflict_id, reason="I say so")).status_code == 422
    assert (await overrule(shop, "0199e000-0000-7000-8000-000000000000", by="Ada")).status_code == 404
    assert (await shop.client.get("/conflicts/nothing")).status_code == 422
    assert listed(await shop.client.get("/conflicts")) == [conflict_id]
