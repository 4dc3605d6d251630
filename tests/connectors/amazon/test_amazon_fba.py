"""What Amazon keeps itself is shown, and is neither counted nor written."""

from __future__ import annotations

from connectors.amazon.harness import Bench, bench
from oneshelf.domain.identity import ChannelSku
from oneshelf.sdk.message import Refused, StockReading

FBA, OWN = ChannelSku("MUG-FBA"), ChannelSku("MUG")


async def read(desk: Bench, *skus: ChannelSku) -> dict[ChannelSku, StockReading]:
    return {one.channel_sku: one for one in await desk.connector.read_stock(skus or (FBA, OWN))}


async def test_what_amazon_has_is_told_in_words_and_is_no_figure_of_ours() -> None:
    async with bench({"MUG": 5, "MUG-FBA": 9}) as desk:
        desk.simulator.fulfil_by_amazon(FBA)
        assert desk.simulator.place([(FBA, 2)])
        found = await read(desk)
        assert (found[OWN].units, found[OWN].note) == (5, "")
        assert found[FBA].units is None
        assert found[FBA].note.endswith("Amazon keeps the count: 7 on sale, 2 reserved")
        page = await desk.connector.fetch_stock(None)
        assert {one.channel_sku: one.note for one in page.readings}[FBA] == found[FBA].note
        [outcome] = await desk.connector.push([desk.write(FBA, 3)])
        assert isinstance(outcome, Refused)


async def test_a_seller_without_such_listings_is_not_asked_for_them() -> None:
    async with bench({"MUG": 5}) as desk:
        await read(desk, OWN)
        await desk.connector.fetch_stock(None)
        assert desk.wiretap.count("GET", "/fba/") == 0


async def test_without_the_role_the_listings_are_read_all_the_same() -> None:
    async with bench({"MUG": 5, "MUG-FBA": 9}) as desk:
        desk.simulator.fulfil_by_amazon(FBA)
        desk.simulator.gate.denied.add("getInventorySummaries")
        found = await read(desk)
        assert found[OWN].units == 5
        assert found[FBA].units is None
        assert "role Amazon Fulfillment is missing" in found[FBA].note


async def test_a_page_that_cannot_be_had_hides_no_listing() -> None:
    async with bench({"MUG": 5, "MUG-FBA": 9}) as desk:
        desk.simulator.fulfil_by_amazon(FBA)
        desk.budget.wait_s["getInventorySummaries"] = 60.0  # type: ignore[attr-defined]  # this desk's limiter has it
        found = await read(desk)
        assert found[OWN].units == 5
        assert "could not be read yet" in found[FBA].note
        desk.budget.wait_s.clear()  # type: ignore[attr-defined]  # this desk's limiter has it
        told = (await read(desk))[FBA].note
        assert told.endswith("9 on sale")
        desk.budget.wait_s["getInventorySummaries"] = 60.0  # type: ignore[attr-defined]  # this desk's limiter has it
        assert (await read(desk))[FBA].note == told, "what was told last"


async def test_short_pages_are_asked_for_back_to_back_and_a_comma_in_a_name_costs_only_its_figure() -> None:
    names = [f"F-{number:02}" for number in range(18)] + ["A,B"]
    async with bench({**dict.fromkeys(names, 4), "MUG": 5}) as desk:
        for name in names:
            desk.simulator.fulfil_by_amazon(name)
        desk.simulator.switches.set({"partial_page": {"next": 2}})
        found: dict[ChannelSku, StockReading] = {}
        cursor = None
        while True:
            page = await desk.connector.fetch_stock(cursor)
            found |= {one.channel_sku: one for one in page.readings}
            cursor = page.cursor
            if cursor is None:
                break
            await desk.clock.advance(5)
        told = {sku: one.note.rpartition(": ")[2] for sku, one in found.items()}
        assert {told[ChannelSku(name)] for name in names if "," not in name} == {"4 on sale"}
        assert found[ChannelSku("A,B")].units is None
        assert desk.simulator.switches.hits["partial_page"] == 2


async def test_what_another_process_saw_go_to_amazon_is_not_written_by_one_that_read_it_long_ago() -> None:
    """One process takes each sweep; the others' own word of who fulfils a listing grows old."""
    async with bench({"MUG": 5}) as desk:
        early, sweeping = desk.connector, desk.another_connector()
        await early.read_stock([ChannelSku("MUG")])
        desk.simulator.fulfil_by_amazon("MUG")
        await sweeping.fetch_stock(None)
        await desk.clock.advance(86_400)
        (told,) = await early.push([desk.write("MUG", 3)])
        assert isinstance(told, Refused)
        assert "FBA" in told.words
        assert desk.wiretap.count("PATCH", "/listings/") == 0
