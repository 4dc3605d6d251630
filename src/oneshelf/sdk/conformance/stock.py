"""Readings of stock: what the channel shows, all of it, and nothing that it does not show."""

from __future__ import annotations

from oneshelf.domain.identity import ChannelSku
from oneshelf.errors import InvariantError, MalformedError
from oneshelf.sdk.conformance.bench import Bench
from oneshelf.sdk.conformance.check import CannotHappenError, check, expect, must_happen, no_staleness
from oneshelf.sdk.message import StockReading

NOWHERE = ChannelSku("44899999999999")
MANY_PAGES = 2.4
LISTINGS_MAX = 1500


def agree(bench: Bench, readings: list[StockReading]) -> None:
    """Fail unless these are all listings, once, as the books show them."""
    shown = bench.shown()
    names = [reading.channel_sku for reading in readings]
    expect(len(names) == len(set(names)), "a listing was read twice in one walk")
    missing, foreign = set(shown) - set(names), set(names) - set(shown)
    expect(not missing, f"{len(missing)} of {len(shown)} listings were not read, {sorted(missing)[:3]} among them")
    expect(not foreign, f"listings that the channel does not have: {sorted(foreign)[:3]}")
    wrong = [
        (one.channel_sku, one.units, shown[one.channel_sku]) for one in readings if one.units != shown[one.channel_sku]
    ]
    expect(not wrong, f"read otherwise than shown (listing, read, shown): {wrong[:3]}")


@check("stock", proves=("page_reads", "batch_reads", "sweep_stock_s"))
async def every_listing_is_fetched_page_by_page(bench: Bench) -> None:
    """A listing that no sweep reads is never linked, and a drift on it is never found."""
    page = bench.kind.capability.page_reads or bench.kind.capability.batch_reads
    count = min(LISTINGS_MAX, int(page * MANY_PAGES) + 1)
    async with bench.another(items=count) as big:
        for at, sku in enumerate(big.skus[:5]):
            big.simulator.edit_by_hand(sku, at)
        readings = await big.fetched()
        agree(big, readings)
        first = await big.patiently(lambda: big.connector.fetch_stock(None))
        most = bench.kind.capability.page_reads or bench.kind.capability.batch_reads
        expect(len(first.readings) == most, f"a page of {len(first.readings)} listings, declared are {most}")
        expect(first.cursor is not None, f"{count} listings came in one page, declared are {most} a page")


@check("stock", proves=("batch_reads",))
async def a_whole_batch_is_read_at_once(bench: Bench) -> None:
    """The engine reads back as many as are declared. What is left out of a batch counts as gone."""
    count = bench.kind.capability.batch_reads
    async with bench.another(items=count + 1) as big:
        skus = big.skus[:count]
        for at, sku in enumerate(skus[:5]):
            big.simulator.edit_by_hand(sku, at)
        calls = len(big.wire.sent)
        readings = await big.read(*skus)
        expect(set(readings) == set(skus), f"{len(readings)} readings of the {count} that batch_reads declares")
        wrong = [sku for sku in skus if readings[sku].units != big.shown()[sku]]
        expect(not wrong, f"read otherwise than shown: {wrong[:3]}")
        calls = len(big.wire.sent) - calls
        # A part of the answer may have to be asked for one by one.
        expect(count < 4 or calls <= max(2, count * 2 // 3), f"{calls} calls for {count} listings: no batch at all")
        one_more = await _one_more(big)
        expect(one_more, "more than batch_reads were asked for, and the rest was cut off silently")


async def _one_more(bench: Bench) -> bool:
    """Whether a batch that is too large is refused, or read whole."""
    try:
        readings = await bench.patiently(lambda: bench.connector.read_stock(bench.skus))
    except InvariantError:
        return True
    return {reading.channel_sku for reading in readings} == set(bench.skus)


@check("stock")
async def what_the_channel_does_not_know_is_left_out(bench: Bench) -> None:
    """A zero for a listing that is gone would be pushed as sold out, or adopted as a drift."""
    readings = await bench.read(NOWHERE, bench.skus[0])
    expect(set(readings) == {bench.skus[0]}, f"asked for one listing and one that is not there: {sorted(readings)}")
    expect(await bench.read(NOWHERE) == {}, "a listing that is not there was read")
    none = await bench.patiently(lambda: bench.connector.read_stock([]))
    expect(none == (), "nothing was asked for, and something was read")


@check("stock")
async def an_ended_listing_sells_nothing(bench: Bench) -> None:
    """A deleted listing is left out, or shows that there is no figure to write."""
    sku = bench.skus[0]
    must_happen(bench.simulator.end_listing(sku), "end a listing")
    reading = (await bench.read(sku)).get(sku)
    expect(reading is None or not reading.units, f"the listing is gone, and shows {reading}")


@check("stock")
async def an_untracked_listing_has_no_units_and_a_note(bench: Bench) -> None:
    """A figure that the channel does not keep is not ours to write; the note tells the person why."""
    sku = bench.skus[0]
    must_happen(bench.simulator.untrack(sku), "stop keeping the quantity of a listing")
    fetched = {reading.channel_sku: reading for reading in await bench.fetched()}
    for reading in ((await bench.read(sku)).get(sku), fetched.get(sku)):
        expect(reading is not None, "an untracked listing was left out: nobody can see why it is not written")
        assert reading is not None
        expect(reading.units is None, f"the channel keeps no quantity, and units are {reading.units}")
        expect(reading.note.strip(), "units are None, and no note says why")


@check("stock")
async def a_foreign_edit_is_read(bench: Bench) -> None:
    """Somebody types a figure in the back office. Only a reading can tell."""
    sku = bench.skus[0]
    for units in (3, 0, 999_999):
        bench.simulator.edit_by_hand(sku, units)
        read = await bench.units_read(sku)
        expect(read == units, f"somebody set {units}, and {read} was read")


@check("stock")
async def a_sale_is_read(bench: Bench) -> None:
    """The channel lowers its own figure; a reading shows it before any order is told."""
    sku = bench.skus[0]
    bench.placed((sku, 4))
    read = await bench.units_read(sku)
    expect(read == bench.shown()[sku], f"{bench.shown()[sku]} are left, and {read} were read")


@check("stock")
async def a_figure_below_zero_stays_below_zero(bench: Bench) -> None:
    """A shop that oversold shows -3. Read as 0, three units would vanish from every comparison with our facts."""
    sku = bench.skus[0]
    try:
        bench.simulator.edit_by_hand(sku, -3)
    except MalformedError as refusal:
        raise CannotHappenError(f"the simulator cannot show less than nothing: {refusal}") from None
    read = await bench.units_read(sku)
    expect(read == -3, f"the channel shows -3, and {read} was read")
    fetched = {reading.channel_sku: reading.units for reading in await bench.fetched()}
    expect(fetched[sku] == -3, f"the channel shows -3, and {fetched[sku]} was fetched")


@check("stock")
async def a_reading_names_the_sellers_sku(bench: Bench) -> None:
    """Listings are linked by it, and by nothing else that a machine may decide."""
    books = {one.channel_sku: one.merchant_sku for one in bench.simulator.listings()}
    for reading in [*(await bench.fetched()), *(await bench.read(*bench.skus)).values()]:
        expect(reading.merchant_sku == books[reading.channel_sku], f"{reading} has another SKU than the books")
        expect(reading.title.strip(), f"{reading.channel_sku} has no title: nobody can tell what it is")
    sku = bench.skus[0]
    if not bench.simulator.remap(sku, "CAP-1"):
        return
    remapped = {one.channel_sku: one.merchant_sku for one in await bench.fetched()}
    expect("CAP-1" in remapped.values(), "the listing has another SKU now, and is read with the old one")


@check("stock", proves=("stale_s",), unless=no_staleness)
async def no_reading_is_older_than_is_declared(bench: Bench) -> None:
    """A replica lags. The engine waits out `stale_s` before it believes a reading; longer, and it believes a lie."""
    switches = bench.simulator.switches
    must_happen("stale_read" in switches.names, "answer with an old reading")
    sku = bench.skus[0]
    was_stale = False
    for turn in range(10):
        switches.set({"stale_read": 0.0})
        bench.simulator.edit_by_hand(sku, 20 + turn)
        switches.set({"stale_read": 1.0})
        was_stale = was_stale or await bench.units_read(sku) != 20 + turn
        await bench.live(bench.kind.capability.stale_s)
        read = await bench.units_read(sku)
        expect(read == 20 + turn, f"after stale_s the figure {20 + turn} still reads {read}")
    must_happen(was_stale, "answer with an old reading")
