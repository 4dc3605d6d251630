"""The whole stock from a report: asked for, found again, waited for, unpacked, decoded and never taken for half."""

from __future__ import annotations

import gzip
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.amazon.harness import Bench, bench, open_connector
from oneshelf.connectors.amazon.connector import AmazonConnector
from oneshelf.connectors.amazon.report_rows import Rows, Unpacked, charset_from
from oneshelf.connectors.amazon.reports import FOUND_WITHIN, REPORT_AGE_S
from oneshelf.connectors.amazon.simulator_reports import COLUMNS
from oneshelf.connectors.amazon.simulator_storage import ADDRESS_LIFE_S
from oneshelf.errors import MalformedError
from oneshelf.sdk.fault import ReauthenticateError, RefusedError, RetryLaterError
from oneshelf.sdk.message import FileState, Refused, StockFile, StockReading

HEAD = "\t".join(COLUMNS)


def a_row(sku: str, quantity: str, *, channel: str = "DEFAULT", title: str = "Mug", pending: str = "0") -> str:
    told = {"seller-sku": sku, "quantity": quantity, "fulfillment-channel": channel, "item-name": title}
    told["pending-quantity"] = pending
    return "\t".join(told.get(name, "") for name in COLUMNS)


def readings_of(text: bytes, *, content_type: str = "", cuts: list[int] | None = None) -> list[StockReading]:
    rows = Rows(content_type)
    places = sorted({0, len(text), *(cut for cut in cuts or [] if cut <= len(text))})
    found = [one for start, end in pairwise(places) for one in rows.take(text[start:end])]
    return found + rows.end()


# Rows -------------------------------------------------------------------------------------------------------------


@given(
    rows=st.dictionaries(st.text("ABC-#% ", min_size=1, max_size=6), st.integers(0, 10**9), max_size=9),
    cuts=st.lists(st.integers(0, 2000), max_size=9),
    end=st.sampled_from(["\n", "\r\n"]),
    has_last_end=st.booleans(),
)
def test_each_row_is_one_reading_however_the_file_is_cut_into_pieces(
    rows: dict[str, int], cuts: list[int], end: str, has_last_end: bool
) -> None:
    lines = [HEAD, *(a_row(sku, str(units)) for sku, units in rows.items())]
    text = (end.join(lines) + (end if has_last_end else "")).encode()
    assert [(one.channel_sku, one.units, one.note) for one in readings_of(text, cuts=cuts)] == [
        (sku, units, "") for sku, units in rows.items()
    ]


@pytest.mark.parametrize(
    ("quantity", "channel", "units", "note"),
    [
        ("0", "DEFAULT", 0, ""),
        ("", "AMAZON_NA", None, "fulfilled by Amazon (AMAZON_NA)"),
        ("12", "AMAZON_EU", None, "fulfilled by Amazon (AMAZON_EU)"),
        ("", "DEFAULT", None, "tells no quantity"),
        ("5", "", None, "does not say who fulfils"),
        ("-5", "DEFAULT", None, "cannot be read"),
        ("many", "DEFAULT", None, "cannot be read"),
        ("5.0", "DEFAULT", None, "cannot be read"),
        ("\u0665", "DEFAULT", None, "cannot be read"),
    ],
)
def test_a_row_without_a_figure_that_we_may_write_says_why(
    quantity: str, channel: str, units: int | None, note: str
) -> None:
    text = "\n".join([HEAD, a_row("MUG", quantity, channel=channel), a_row("CUP", "7")])
    mug, cup = readings_of(text.encode())
    assert mug.units == units
    assert note in mug.note
    assert (cup.channel_sku, cup.units) == ("CUP", 7)


def test_units_of_pending_orders_are_neither_added_nor_subtracted() -> None:
    """No source says what the column counts; where the figure is doubted the listing itself is read."""
    (reading,) = readings_of("\n".join([HEAD, a_row("MUG", "5", pending="2")]).encode())
    assert reading.units == 5


@pytest.mark.parametrize(
    ("charset", "content_type"),
    [
        ("utf-8", "text/plain; charset=UTF-8"),
        ("utf-8", ""),
        ("utf-8-sig", "text/plain;charset=utf-8"),
        ("cp1252", "text/plain; charset=Cp1252"),
        ("cp1252", ""),
        ("cp1252", "text/plain; charset=nobody-knows"),
        ("iso-8859-1", "text/plain;charset=ISO-8859-1"),
    ],
)
def test_letters_are_read_in_the_charset_that_is_declared_or_else_found_out(charset: str, content_type: str) -> None:
    text = "\n".join([HEAD, a_row("MUG-é", "5", title="Tasse für Piña")]).encode(charset)
    (reading,) = readings_of(text, content_type=content_type)
    assert (reading.channel_sku, reading.title) == ("MUG-é", "Tasse für Piña")


def test_japanese_is_read_where_it_is_declared() -> None:
    text = "\n".join([HEAD, a_row("MUG", "5", title="青いマグ①")]).encode("cp932")
    (reading,) = readings_of(text, content_type="text/plain; charset=Shift_JIS")
    assert reading.title == "青いマグ①"
    with pytest.raises(MalformedError, match="utf-16"):
        charset_from("text/plain; charset=UTF-16")


@pytest.mark.parametrize(
    "text",
    ["", "\n\n", "出品者SKU\t数量\n", "<Error/>", HEAD + "\nonly one cell\nand another\n"],
    ids=["nothing", "empty lines", "another language", "not a table", "no row"],
)
def test_what_are_no_rows_of_listings_is_malformed(text: str) -> None:
    with pytest.raises(MalformedError):
        readings_of(text.encode())


def test_a_description_with_a_line_break_hides_its_own_listing_alone() -> None:
    broken = a_row("MUG", "5").replace("Mug\t", "Mug\tIt has\na break", 1)
    text = "\n".join([HEAD, a_row("CUP", "7"), broken, a_row("JUG", "9")])
    assert [one.channel_sku for one in readings_of(text.encode())] == ["CUP", "JUG"]


def test_a_file_that_ends_within_a_row_is_not_whole() -> None:
    whole = "\n".join([HEAD, a_row("CUP", "7"), a_row("MUG", "5")]).encode()
    with pytest.raises(RetryLaterError, match="ends within line 3"):
        readings_of(whole[: whole.index(b"MUG") + 5])


@given(content=st.binary(max_size=3000), cuts=st.lists(st.integers(0, 3000), max_size=6), lost=st.integers(0, 9))
def test_a_packed_file_is_whole_when_its_end_was_reached(content: bytes, cuts: list[int], lost: int) -> None:
    packed = gzip.compress(content)
    packed = packed[: len(packed) - lost]
    unpacked = Unpacked(is_packed=True)
    places = sorted({0, len(packed), *(cut for cut in cuts if cut <= len(packed))})
    found = b"".join(part for start, end in pairwise(places) for part in unpacked.take(packed[start:end]))
    assert unpacked.is_whole == (lost == 0)
    assert content.startswith(found)
    assert lost or found == content


def test_what_is_not_packed_as_it_is_said_to_be_is_malformed() -> None:
    with pytest.raises(MalformedError, match="gzip"):
        list(Unpacked(is_packed=True).take(b"seller-sku\tquantity"))


# Reports ----------------------------------------------------------------------------------------------------------


def reader(desk: Bench) -> AmazonConnector:
    assert isinstance(desk.connector, AmazonConnector)
    return desk.connector


async def begun(desk: Bench) -> StockFile:
    return await reader(desk).begin_stock_file(asked_at=desk.clock.now())


async def ended(desk: Bench, file: StockFile) -> StockFile:
    await desk.clock.advance(200)
    return await reader(desk).stock_file(file)


async def told(desk: Bench, file: StockFile, *, after: int = 0) -> list[StockReading]:
    async with aclosing(reader(desk).read_stock_file(file, after=after)) as parts:
        return [reading async for some in parts for reading in some]


async def test_a_report_tells_what_the_pages_tell() -> None:
    async with bench({"MUG": 3, "A/B #1%": 0, "x,y": 12, "FBA": 9, "GONE": 1}) as desk:
        desk.simulator.fulfil_by_amazon("FBA")
        desk.simulator.end_listing("GONE")
        desk.simulator.place([("MUG", 2)])
        file = await begun(desk)
        assert file.state is FileState.WRITING
        assert (await reader(desk).stock_file(file)).state is FileState.WRITING
        file = await ended(desk, file)
        assert (file.state, file.reading_count) == (FileState.READY, None)
        readings = await told(desk, file)
        page = await desk.connector.fetch_stock(None)
        # But for what Amazon says is wrong with a listing, of which a report knows nothing.
        assert sorted(readings, key=lambda one: one.channel_sku) == sorted(
            (replace(one, issues=None) for one in page.readings), key=lambda one: one.channel_sku
        )
        assert await told(desk, file, after=2) == readings[2:]
        assert await told(desk, file, after=4) == []


async def test_what_is_not_packed_and_in_another_charset_is_read_as_well() -> None:
    async with bench({"MUG": 3, "TASSE-Ä": 4}) as desk:
        desk.simulator.reports.habits.is_packed = False
        desk.simulator.reports.habits.content_type = "text/plain; charset=UTF-8"
        readings = await told(desk, await ended(desk, await begun(desk)))
    assert {one.channel_sku: one.units for one in readings} == {"MUG": 3, "TASSE-Ä": 4}


async def test_a_report_that_is_under_way_is_found_again_by_whoever_comes_next() -> None:
    async with bench({"MUG": 3}) as desk:
        first = await begun(desk)
        await desk.clock.advance(4)
        other = desk.another_connector()
        assert isinstance(other, AmazonConnector)
        assert await other.begin_stock_file(asked_at=desk.clock.now()) == first
        assert len(desk.simulator.reports.all) == 1
        # Written, and never read: as good as a new one. Read once, it is old news.
        await ended(desk, first)
        at = desk.clock.now()
        assert (await other.begin_stock_file(asked_at=at, since=first.asked_at - timedelta(seconds=1))) == first
        assert (await other.begin_stock_file(asked_at=at, since=first.asked_at)).name != first.name


async def test_a_report_of_somebody_elses_or_one_that_is_stuck_is_not_waited_for() -> None:
    async with bench({"MUG": 3}) as desk:
        desk.simulator.reports.habits.write_s = (90_000.0, 90_000.0)
        stuck = await begun(desk)
        await desk.clock.advance(FOUND_WITHIN.total_seconds() + 1)
        mine = await begun(desk)
        assert mine.name != stuck.name
        theirs = desk.simulator.reports.all[mine.name]
        theirs.start -= timedelta(seconds=1)
        assert (await begun(desk)).name not in {stuck.name, mine.name}


async def test_an_answer_that_is_lost_leaves_a_report_that_is_found_again() -> None:
    async with bench({"MUG": 3}) as desk:
        await desk.connector.read_stock([])
        at = desk.clock.now()

        async def lose(request: httpx2.Request) -> None:
            if request.method == "POST" and request.url.path.endswith("/reports"):
                desk.wiretap.before = None
                await desk.client.request(request.method, request.url, headers=request.headers, content=request.read())
                raise httpx2.ReadError("lost")

        desk.wiretap.before = lose
        with pytest.raises(Exception, match="no answer"):
            await begun(desk)
        assert len(desk.simulator.reports.all) == 1
        await desk.clock.advance(3)
        assert (await begun(desk)).asked_at == at
        assert len(desk.simulator.reports.all) == 1


@pytest.mark.parametrize(("fault", "words"), [("report_fatal", "FATAL"), ("report_cancelled", "no data to return")])
async def test_a_report_that_is_not_written_fails_with_amazons_word(fault: str, words: str) -> None:
    async with bench({"MUG": 3}) as desk:
        desk.simulator.switches.set({fault: {"next": 1}})
        file = await ended(desk, await begun(desk))
    assert file.state is FileState.FAILED
    assert words in file.words


async def test_an_account_without_listings_has_no_report() -> None:
    async with bench({}) as desk:
        assert (await ended(desk, await begun(desk))).state is FileState.FAILED


async def test_a_report_that_nobody_waits_for_is_cancelled_while_it_waits() -> None:
    async with bench({"MUG": 3}) as desk:
        file = await begun(desk)
        await reader(desk).drop_stock_file(file)
        assert desk.simulator.reports.all[file.name].status == "CANCELLED"
        other = await begun(desk)
        assert other.name != file.name
        await ended(desk, other)
        await reader(desk).drop_stock_file(other)
        assert desk.simulator.reports.all[other.name].status == "DONE"


async def test_an_address_is_asked_for_when_it_is_needed_and_again_when_it_has_died() -> None:
    async with bench({"MUG": 3}) as desk:
        file = await ended(desk, await begun(desk))
        for _ in range(2):
            assert len(await told(desk, file)) == 1
        assert desk.wiretap.count("GET", "/documents/") == 1
        await desk.clock.advance(ADDRESS_LIFE_S + 1)
        assert len(await told(desk, file)) == 1
        assert desk.wiretap.count("GET", "/documents/") == 2
        downloads = [one.request for one in desk.wiretap.exchanges if "/_documents/" in one.request.url.path]
        assert len(downloads) == 3
        assert not any("x-amz-access-token" in request.headers for request in downloads)


@pytest.mark.parametrize("is_packed", [True, False])
async def test_a_report_that_breaks_off_is_not_taken_for_whole(is_packed: bool) -> None:
    async with bench({f"MUG-{n}": n for n in range(300)}) as desk:
        desk.simulator.reports.habits.is_packed = is_packed
        file = await ended(desk, await begun(desk))
        desk.simulator.switches.set({"document_truncated": {"next": 1}})
        with pytest.raises(RetryLaterError):
            await told(desk, file)
        assert len(await told(desk, file)) == 300


async def test_a_document_that_is_gone_is_refused() -> None:
    async with bench({"MUG": 3}) as desk:
        file = await ended(desk, await begun(desk))
        desk.simulator.switches.set({"document_expired": {"next": 1}})
        with pytest.raises(RefusedError):
            await told(desk, file)


async def test_a_copy_may_be_six_hours_old_and_is_told_as_such() -> None:
    """The simulated Amazon keeps one for an hour: what it tells then is no news, and no proof."""
    async with bench({"MUG": 3}) as desk:
        await told(desk, await ended(desk, await begun(desk)))
        desk.simulator.edit_by_hand("MUG", 8)
        await desk.clock.advance(1000)
        (old,) = await told(desk, await ended(desk, await begun(desk)))
        assert old.units == 3
        await desk.clock.advance(REPORT_AGE_S)
        (new,) = await told(desk, await ended(desk, await begun(desk)))
        assert new.units == 8


async def test_a_missing_role_sends_to_the_pages_and_a_dead_token_does_not() -> None:
    async with bench({"MUG": 3}) as desk:
        desk.simulator.gate.denied.add("createReport")
        with pytest.raises(RefusedError, match="403"):
            await begun(desk)
        desk.simulator.gate.denied.clear()
        desk.simulator.revoke()
        with pytest.raises(ReauthenticateError):
            await begun(desk)


async def test_a_report_never_lets_a_listing_be_written() -> None:
    """What it shows may be hours old: a listing has been handed over to Amazon since."""
    async with bench({"MUG": 3, "FBA": 9}) as desk:
        file = await ended(desk, await begun(desk))
        await told(desk, file)
        desk.simulator.fulfil_by_amazon("FBA")
        (outcome,) = await desk.connector.push([desk.write("FBA", 1)])
        assert isinstance(outcome, Refused)
        assert desk.wiretap.count("PATCH", "FBA") == 0


async def test_an_account_with_several_marketplaces_is_read_by_pages() -> None:
    async with bench({"MUG": 3}) as desk:
        several = open_connector(
            desk.client, desk.clock, desk.budget, settings={"marketplace_id": "A1PA6795UKMFR9, APJ6JRA9NG5V4"}
        )
        assert isinstance(several, AmazonConnector)
        with pytest.raises(RefusedError, match="pages are read"):
            await several.begin_stock_file(asked_at=desk.clock.now())
