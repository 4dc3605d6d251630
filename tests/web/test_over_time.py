"""The chart of a SKU is told backwards from its balances, and is right wherever it begins."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

from oneshelf.domain.identity import ChannelSku, Location
from oneshelf.storage import catalog
from web.paper import Shop, open_shop


async def drawn(shop: Shop, path: str) -> tuple[list[float], dict[str, list[int]]]:
    text = (await shop.client.get(path)).text
    [found] = re.findall(r'id="figures-units" data-chart="([^"]*)"', text)
    told: dict[str, Any] = json.loads(unescape(found))
    assert told["x"] == sorted(set(told["x"]))
    return told["x"], {one["label"]: one["values"] for one in told["series"]}


async def test_each_line_ends_at_what_is_there_now_and_has_a_step_for_each_instant(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        paper = await shop.connect("paper")
        await shop.name_skus("MUG")
        paper.books[ChannelSku("MUG")] = 0
        await shop.command("a", type="receive", sku="MUG", units=10)
        await shop.command("b", type="move", sku="MUG", units=2, origin="available", target="damaged")
        await shop.settle()
        await shop.order("paper", "1", MUG=3)
        await shop.settle()
        instants, lines = await drawn(shop, "/skus/MUG")
        assert lines == {
            "on hand": [10, 10, 10, 10],
            "available": [10, 8, 5, 5],
            "committed": [0, 0, 3, 3],
            "damaged": [0, 2, 2, 2],
        }
        assert len(instants) == 4


async def test_one_location_is_drawn_alone(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        await shop.name_skus("MUG")
        async with shop.database.transaction() as tx:
            await catalog.add_location(tx, Location("PARIS"))
        await shop.command("a", type="receive", sku="MUG", units=10)
        await shop.command("b", type="receive", sku="MUG", location="PARIS", units=4)
        _, whole = await drawn(shop, "/skus/MUG")
        assert whole["on hand"] == [10, 14, 14]
        _, paris = await drawn(shop, "/skus/MUG?location=PARIS")
        assert paris["on hand"] == [0, 4, 4]
        _, unknown = await drawn(shop, "/skus/MUG?location=NOWHERE")
        assert unknown == whole
