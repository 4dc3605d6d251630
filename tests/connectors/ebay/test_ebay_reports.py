"""The whole stock from eBay's report: asked for, found again, unpacked, and never taken for half."""

from __future__ import annotations

import gzip
import io
import zipfile
from contextlib import aclosing
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.ebay.desk import CAP, INVENTORY, MUG, TRADING, calls, ebay_of, played, pushed
from oneshelf.connectors.ebay.report_rows import listings_in
from oneshelf.connectors.ebay.reports import FEED_TYPE, FOUND_WITHIN, PATH
from oneshelf.connectors.ebay.shelf import NO_SKU, TWICE
from oneshelf.connectors.ebay.simulator_feed import REPORTS_A_DAY
from oneshelf.connectors.ebay.trading import Offered
from oneshelf.errors import MalformedError
from oneshelf.sdk.conformance.bench import ADDRESS, Bench
from oneshelf.sdk.contract import Connector, WritesStockFile
from oneshelf.sdk.fault import RefusedError, RetryLaterError
from oneshelf.sdk.message import Accepted, FileState, Refused, StockFile, StockReading

NAMESPACE = "urn:ebay:apis:eBLBaseComponents"
LONG_S = 300.0


def a_report(*details: str, ack: str = "Success", rest: str = "") -> bytes:
    inner = f"<ActiveInventoryReport><Ack>{ack}</Ack>{rest}{''.join(details)}</ActiveInventoryReport>"
    head = '<?xml version="1.0" encoding="utf-8"?>'
    return f'{head}<BulkDataExchangeResponses xmlns="{NAMESPACE}">{inner}</BulkDataExchangeResponses>'.encode()


def single(item_id: str, sku: str, quantity: str) -> str:
    return (
        f"<SKUDetails><SKU>{sku}</SKU><Price>9.99</Price><Quantity>{quantity}</Quantity>"
        f"<ItemID>{item_id}</ItemID></SKUDetails>"
    )


def zipped(*documents: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for at, document in enumerate(documents):
            archive.writestr(f"report_{at}.xml", document)
    return packed.getvalue()


def told(file: bytes) -> list[Offered]:
    return [one for rows in listings_in(io.BytesIO(file)) for one in rows]


# The file ---------------------------------------------------------------------------------------------------------


@given(
    listed=st.dictionaries(st.text("ABC-_ 1", min_size=1, max_size=6).filter(str.strip), st.integers(0, 10**9)),
    packer=st.sampled_from([zipped, gzip.compress, bytes]),
)
@settings(max_examples=60, deadline=None)
def test_each_listing_is_told_once_however_the_file_is_packed(listed: dict[str, int], packer: object) -> None:
    listed = {sku.strip(): units for sku, units in listed.items()}
    report = a_report(*(single(f"{at}", sku, str(units)) for at, (sku, units) in enumerate(listed.items(), 1)))
    assert callable(packer)
    assert [(one.sku, one.units) for one in told(packer(report))] == list(listed.items())


@given(cut=st.integers(0, 10**6), packer=st.sampled_from([zipped, gzip.compress, bytes]))
@settings(max_examples=100, deadline=None)
def test_a_file_that_breaks_off_anywhere_is_never_taken_for_whole(cut: int, packer: object) -> None:
    assert callable(packer)
    whole = packer(a_report(*(single(f"{at}", f"SKU-{at}", "7") for at in range(1, 40))))
    with pytest.raises(RetryLaterError, match="breaks off"):
        told(whole[: cut % len(whole)])


def test_what_ebay_could_not_write_is_said_in_the_report_and_makes_it_a_part() -> None:
    why = "<Errors><LongMessage>ItemIds: [1, 2]</LongMessage><ErrorCode>1008</ErrorCode></Errors><Ack>Failure</Ack>"
    rows = listings_in(io.BytesIO(zipped(a_report(single("1", "MUG", "3"), rest=why))))
    assert [one.sku for one in next(rows)] == ["MUG"]
    with pytest.raises(RetryLaterError, match="not whole: 1008: ItemIds"):
        next(rows)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (b"<html><body>Zero size object</body></html>", "no active inventory report"),
        (b'<BulkDataExchangeResponses xmlns="' + NAMESPACE.encode() + b'"/>', "holds no active"),
        (zipped(a_report(), a_report()), "holds 2 files"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "no document of eBay's"),
        (a_report("<SKUDetails><SKU>MUG</SKU></SKUDetails>"), "none of the 1 listings"),
    ],
    ids=["a page", "nothing in it", "two files", "entities", "no item id"],
)
def test_what_is_no_report_is_told_as_such(file: bytes, words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        told(file)


def test_a_report_of_a_shop_that_sells_nothing_is_a_report() -> None:
    assert told(zipped(a_report())) == []


def test_a_listing_without_an_item_id_or_a_figure_does_not_hide_the_others() -> None:
    nameless = "<SKUDetails><SKU>CUP</SKU><Quantity>1</Quantity></SKUDetails>"
    rows = told(zipped(a_report(nameless, single("1", "MUG", "many"), single("2", "JUG", "4"))))
    assert [(one.sku, one.units) for one in rows] == [("MUG", None), ("JUG", 4)]


# The task ---------------------------------------------------------------------------------------------------------


def writer_of(connector: Connector) -> WritesStockFile:
    assert isinstance(connector, WritesStockFile)
    return connector


async def begun(bench: Bench, *, since: timedelta | None = None) -> StockFile:
    """As another process would begin it."""
    now = bench.clock.now()
    before = None if since is None else now - since
    return await writer_of(bench.another_connector()).begin_stock_file(asked_at=now, since=before)


async def written(bench: Bench, file: StockFile | None = None) -> StockFile:
    file = file or await begun(bench)
    await bench.live(LONG_S)
    return await writer_of(bench.connector).stock_file(file)


async def readings(bench: Bench, file: StockFile, *, after: int = 0) -> list[StockReading]:
    async with aclosing(writer_of(bench.connector).read_stock_file(file, after=after)) as parts:
        return [one async for some in parts for one in some]


def test_figures_of_both_worlds_come_from_one_file_without_a_call_for_any_listing() -> None:
    async def story(bench: Bench) -> None:
        bench.placed((MUG, 2))
        bench.simulator.edit_by_hand(CAP, 0)
        file = await written(bench)
        before = len(bench.wire.sent)
        found = await readings(bench, file)
        assert {one.channel_sku: one.units for one in found} == bench.shown()
        assert [sent.url for sent in bench.wire.sent[before:]] == [
            f"{ADDRESS}{PATH}/task/{file.name}/download_result_file"
        ]
        assert {one.title for one in found} == {""}, "it tells no titles, so that what is known of them stays"

    played(story, lanes=[INVENTORY, TRADING], items=6, group_share=0.5)


def test_where_a_listing_is_written_is_looked_up_before_its_first_write() -> None:
    """The report does not tell of which world a listing is."""

    async def story(bench: Bench) -> None:
        await readings(bench, await written(bench))
        assert [await pushed(bench, sku, 4) for sku in (MUG, CAP)] == [Accepted(), Accepted()]
        assert (calls(bench, "bulk_update_price_quantity"), calls(bench, "ReviseInventoryStatus")) == (1, 1)

    played(story, lanes=[INVENTORY, TRADING])


def test_one_sku_on_two_listings_is_told_and_not_written() -> None:
    async def story(bench: Bench) -> None:
        ebay = ebay_of(bench).ebay
        ebay.catalogue[CAP].sku = MUG
        found = await readings(bench, await written(bench))
        assert {(one.units, one.note) for one in found if one.channel_sku == MUG} == {(None, TWICE)}
        assert await pushed(bench, MUG, 4) == Refused(f"{MUG}: {TWICE}")

    played(story, lanes=[TRADING, TRADING])


def test_what_may_not_be_written_is_read_by_itself() -> None:
    """Otherwise a listing that was put in order would stay refused for ever, or a report would undo its reason."""

    async def story(bench: Bench) -> None:
        ebay = ebay_of(bench).ebay
        variation = ebay.catalogue[MUG]
        ebay.end(variation.listing)
        variation.figures = type(variation.figures)(5, 5)
        assert (await bench.read(MUG))[MUG].units is None, "somebody has withdrawn it"
        ebay.relist(variation.listing)
        before = calls(bench, "bulk_get_inventory_item")
        found = await readings(bench, await written(bench))
        assert {one.channel_sku: one.units for one in found}[MUG] == 5
        assert calls(bench, "bulk_get_inventory_item") == before + 1
        assert await pushed(bench, MUG, 4) == Accepted()

    played(story, lanes=[INVENTORY, TRADING])


def test_variations_without_a_sku_are_one_entry_that_says_so() -> None:
    async def story(bench: Bench) -> None:
        for sku in (MUG, CAP):
            ebay_of(bench).ebay.catalogue[sku].sku = ""
        [one] = await readings(bench, await written(bench))
        assert (one.units, one.note, one.channel_sku) == (None, NO_SKU, f"v1|{one.group}|0")

    played(story, lanes=[TRADING, TRADING], group_share=1.0)


def test_a_report_of_other_software_that_is_older_than_the_asking_is_not_ours() -> None:
    """What it shows may be older than what we believe, and would be taken for newer."""

    async def story(bench: Bench) -> None:
        token = await bench.connector._api.user_tokens.access_token()  # type: ignore[attr-defined]  # eBay's connector has it
        request = {"feedType": FEED_TYPE, "schemaVersion": "1.0"}
        headers = {"authorization": f"Bearer {token}"}
        url = f"{ADDRESS}{PATH}/inventory_task"
        theirs = await bench.http.write("createInventoryTask", "POST", url, headers=headers, json=request)
        await bench.live(1.0)
        assert (await begun(bench)).name != theirs.headers["location"].rpartition("/")[2]

    played(story)


def test_one_that_is_stuck_is_not_waited_for_by_the_next() -> None:
    async def story(bench: Bench) -> None:
        ebay_of(bench).habits.report_s = (86_400.0, 86_400.0)
        first = await begun(bench)
        await bench.live(FOUND_WITHIN.total_seconds() - 60)
        assert (await begun(bench)).name == first.name
        await bench.live(120)
        assert (await begun(bench)).name != first.name

    played(story)


def test_beyond_what_ebay_grants_pages_are_read_and_while_it_is_busy_it_is_asked_again() -> None:
    async def story(bench: Bench) -> None:
        for at in range(10):
            file = await begun(bench)
            await writer_of(bench.connector).drop_stock_file(file)
            assert file.state is FileState.WRITING, at
        busy = await begun(bench)
        assert (busy.name, busy.state) == ("", FileState.BUSY)
        assert "160024" in busy.words
        await bench.live(LONG_S)
        for _ in range(REPORTS_A_DAY - 10):
            await written(bench)
        with pytest.raises(RefusedError, match="160025"):
            await begun(bench)
        await bench.live(86_400)
        assert (await begun(bench)).state is FileState.WRITING

    played(story)


@pytest.mark.parametrize(
    ("fault", "state"), [("report_failed", FileState.FAILED), ("report_partial", FileState.PARTIAL)]
)
def test_a_report_that_went_wrong_is_told_as_such(fault: str, state: FileState) -> None:
    async def story(bench: Bench) -> None:
        bench.simulator.switches.set({fault: {"next": 1}})
        file = await written(bench)
        assert (file.state, file.words.startswith("the report is ")) == (state, True)

    played(story, items=6)


def test_what_a_report_in_parts_tells_is_good_and_then_it_says_that_it_lacks_something() -> None:
    async def story(bench: Bench) -> None:
        bench.simulator.switches.set({"report_partial": {"next": 1}})
        file = await written(bench)
        found: list[StockReading] = []
        async with aclosing(writer_of(bench.connector).read_stock_file(file)) as parts:
            found += await anext(parts)
            with pytest.raises(RetryLaterError, match="1008"):
                await anext(parts)
        assert 0 < len(found) < 6
        assert {one.channel_sku: one.units for one in found}.items() <= bench.shown().items()

    played(story, items=6)


def test_a_file_that_breaks_off_is_fetched_again() -> None:
    async def story(bench: Bench) -> None:
        file = await written(bench)
        bench.simulator.switches.set({"report_truncated": {"next": 1}})
        with pytest.raises(RetryLaterError, match="breaks off"):
            await readings(bench, file)
        assert len(await readings(bench, file, after=2)) == 4

    played(story, items=6)


def test_a_file_is_fetched_with_another_token_where_the_first_has_died() -> None:
    async def story(bench: Bench) -> None:
        file = await written(bench)
        ebay_of(bench).gate.expire_tokens()
        assert len(await readings(bench, file)) == 2

    played(story)
