"""Many quantities in one feed: what is in it, what comes of each, and what a feed that goes wrong is taken for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.amazon.harness import Bench, bench
from oneshelf.connectors.amazon import feeds
from oneshelf.connectors.amazon.connector import AmazonConnector
from oneshelf.connectors.amazon.feeds import READS_MAX, Result, report_of
from oneshelf.connectors.amazon.listings import BATCH_MAX, SEEN_S_MAX
from oneshelf.connectors.amazon.simulator_storage import ADDRESS_LIFE_S
from oneshelf.domain.identity import ChannelSku
from oneshelf.errors import InvariantError, MalformedError
from oneshelf.sdk.decoding import document_from
from oneshelf.sdk.fault import OutcomeUnknownError, RefusedError, RetryLaterError
from oneshelf.sdk.message import Accepted, FeedBegun, FeedState, Refused, Throttled, Unknown


def writer(desk: Bench) -> AmazonConnector:
    assert isinstance(desk.connector, AmazonConnector)
    return desk.connector


async def begun(desk: Bench, units: dict[str, int]) -> FeedBegun:
    await writer(desk).plan_feed([ChannelSku(sku) for sku in units])
    return await writer(desk).begin_feed([desk.write(sku, figure) for sku, figure in units.items()])


def sent(desk: Bench) -> dict[str, Any]:
    """The feed as it was put down last."""
    puts = [one for one in desk.wiretap.exchanges if one.request.method == "PUT"]
    assert "x-amz-access-token" not in puts[-1].request.headers
    document: dict[str, Any] = json.loads(puts[-1].sent)
    return document


async def test_a_feed_merges_the_quantity_and_leaves_its_siblings_alone() -> None:
    async with bench({"MUG": 9, "A/B #1%": 5}) as desk:
        desk.simulator.amazon.catalogue["MUG"].submitted[0]["lead_time_to_ship_max_days"] = 5
        told = await begun(desk, {"MUG": 20, "A/B #1%": 0})
        assert told.left_out == {}
        header, messages = sent(desk)["header"], sent(desk)["messages"]
        assert header["report"] == {"includedData": ["issues"], "apiVersion": "2021-08-01"}
        assert [(one["messageId"], one["sku"]) for one in messages] == [(1, "MUG"), (2, "A/B #1%")]
        assert {one["patches"][0]["op"] for one in messages} == {"merge"}
        await desk.clock.advance(1000)
        report = await writer(desk).look_at_feed(told.name)
        assert (report.state, report.outcomes, report.others, report.write_count) == (FeedState.DONE, {}, Accepted(), 2)
        await desk.clock.advance(400)
        assert desk.units() == {"MUG": 20, "A/B #1%": 0}
        assert desk.simulator.amazon.catalogue["MUG"].submitted[0]["lead_time_to_ship_max_days"] == 5


async def test_who_fulfils_what_is_read_first_some_at_a_time() -> None:
    many = {f"SKU-{n}": 5 for n in range(READS_MAX * BATCH_MAX + 30)}
    async with bench(many) as desk:
        skus = [ChannelSku(sku) for sku in many]
        left = [len(many)]
        while left[-1]:
            plan = await desk.patiently(lambda: writer(desk).plan_feed(skus))
            left.append(plan.unread_count)
            await desk.clock.advance(10)
        assert left == sorted(left, reverse=True)
        assert len(left) > 2
        assert plan.ready == tuple(skus)


async def test_what_amazon_fulfils_is_left_out_of_a_feed() -> None:
    async with bench({"MUG": 9, "FBA": 5}) as desk:
        desk.simulator.fulfil_by_amazon("FBA")
        assert (await writer(desk).plan_feed([ChannelSku("MUG"), ChannelSku("FBA")])).ready == ("MUG",)
        told = await begun(desk, {"MUG": 20, "FBA": 20})
        assert isinstance(told.left_out[ChannelSku("FBA")], Refused)
        assert [one["sku"] for one in sent(desk)["messages"]] == ["MUG"]
        with pytest.raises(RefusedError):
            await begun(desk, {"FBA": 20})


async def test_a_feed_carries_nothing_that_was_not_read_lately() -> None:
    async with bench({"MUG": 9, "CUP": 5}) as desk:
        skus = [ChannelSku("MUG"), ChannelSku("CUP")]
        assert (await writer(desk).plan_feed(skus)).ready == tuple(skus)
        desk.simulator.fulfil_by_amazon("MUG")
        await desk.clock.advance(SEEN_S_MAX)
        with pytest.raises(RetryLaterError):
            await writer(desk).begin_feed([desk.write("MUG", 20)])
        await writer(desk).read_stock([ChannelSku("CUP")])
        told = await writer(desk).begin_feed([desk.write(sku, 20) for sku in skus])
        assert isinstance(told.left_out[ChannelSku("MUG")], Throttled), "nobody is asked, it is read again"
        assert (await writer(desk).plan_feed(skus)).ready == ("CUP",)


async def test_a_feed_that_is_too_large_is_a_bug() -> None:
    async with bench({"MUG": 9}) as desk:
        with pytest.raises(InvariantError, match="25001"):
            await writer(desk).begin_feed([desk.write("MUG", 1)] * 25_001)


async def test_nothing_is_begun_where_the_document_could_not_be_put_down() -> None:
    async with bench({"MUG": 9}) as desk:
        desk.simulator.switches.set({"document_expired": {"next": 1}})
        with pytest.raises(RetryLaterError, match="not good any more"):
            await begun(desk, {"MUG": 20})
        assert desk.simulator.feeds.all == {}


async def test_an_answer_that_was_cut_off_is_unknown_and_the_feed_is_found() -> None:
    async with bench({"MUG": 9}) as desk:
        desk.simulator.switches.set({"feed_reply_lost": {"next": 1}})
        since = desk.clock.now()
        with pytest.raises(OutcomeUnknownError):
            await begun(desk, {"MUG": 20})
        assert await writer(desk).find_feeds(since=since) == list(desk.simulator.feeds.all)
        await desk.clock.advance(61)
        assert await writer(desk).find_feeds(since=desk.clock.now()) == []


async def test_feeds_are_worked_through_one_after_the_other() -> None:
    async with bench({"MUG": 9}) as desk:
        desk.simulator.switches.set({"feed_stuck": {"next": 1}})
        first, second = await begun(desk, {"MUG": 20}), await begun(desk, {"MUG": 30})
        await desk.clock.advance(36_000)
        assert [one.status for one in desk.simulator.feeds.all.values()] == ["IN_PROGRESS", "IN_QUEUE"]
        await writer(desk).drop_feed(first.name)
        await writer(desk).drop_feed(second.name)
        assert (await writer(desk).look_at_feed(first.name)).state is FeedState.UNDER_WAY
        assert (await writer(desk).look_at_feed(second.name)).state is FeedState.CANCELLED
        assert desk.units() == {"MUG": 9}


async def test_a_fatal_feed_says_nothing_of_its_rows() -> None:
    async with bench({"MUG": 9, "CUP": 9}) as desk:
        desk.simulator.switches.set({"feed_fatal": {"next": 1}})
        told = await begun(desk, {"MUG": 20, "CUP": 20})
        await desk.clock.advance(1500)
        report = await writer(desk).look_at_feed(told.name)
        assert (report.state, report.outcomes, report.others) == (FeedState.FAILED, {}, None)
        assert sorted(desk.units().values()) == [9, 20]


async def test_a_report_of_a_feed_that_breaks_off_is_fetched_again() -> None:
    async with bench({f"SKU-{n}": 5 for n in range(20)}) as desk:
        told = await begun(desk, {f"SKU-{n}": 20 for n in range(20)})
        await desk.clock.advance(1000)
        desk.simulator.switches.set({"document_truncated": {"next": 1}})
        with pytest.raises(RetryLaterError):
            await writer(desk).look_at_feed(told.name)
        await desk.clock.advance(ADDRESS_LIFE_S)
        assert (await writer(desk).look_at_feed(told.name)).others == Accepted()


async def test_a_feed_whose_report_is_gone_has_ended_and_nobody_knows_what_came_of_it() -> None:
    async with bench({"MUG": 9}) as desk:
        told = await begun(desk, {"MUG": 20})
        await desk.clock.advance(1000)
        desk.simulator.switches.set({"feed_report_gone": {"next": 1}})
        for _ in range(2):
            report = await writer(desk).look_at_feed(told.name)
            assert (report.state, report.outcomes, report.others) == (FeedState.FAILED, {}, None)
            assert "404" in report.words


async def test_a_feed_whose_report_is_too_large_to_be_read_has_ended_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feeds, "REPORT_BYTES_MAX", 100)
    async with bench({"MUG": 9}) as desk:
        told = await begun(desk, {"MUG": 20})
        await desk.clock.advance(1000)
        report = await writer(desk).look_at_feed(told.name)
        assert (report.state, report.outcomes, report.others) == (FeedState.FAILED, {}, None)
        assert "more than 100 bytes" in report.words


async def test_only_five_feeds_are_taken_in_five_minutes() -> None:
    async with bench({"MUG": 9}) as desk:
        for _ in range(5):
            await begun(desk, {"MUG": 20})
        with pytest.raises(RetryLaterError):
            await begun(desk, {"MUG": 20})
        await desk.clock.advance(61)
        await begun(desk, {"MUG": 20})


SUMMARY = {"errors": 1, "warnings": 0, "messagesProcessed": 3, "messagesAccepted": 2, "messagesInvalid": 1}
ISSUE = {"messageId": 2, "sku": "CUP", "code": "90000900", "severity": "ERROR", "message": "no"}


def told_by(**changed: Any) -> Any:
    document = {"header": {}, "issues": [ISSUE], "summary": SUMMARY, **changed}
    return report_of(document_from(json.dumps(document).encode(), Result, what="the report"))


def test_a_message_without_an_error_is_accepted_and_one_with_is_refused_in_amazons_words() -> None:
    report = told_by()
    assert report.outcomes == {"CUP": Refused("90000900: no")}
    assert (report.others, report.write_count) == (Accepted(), 3)
    warned = told_by(issues=[ISSUE, {**ISSUE, "sku": "MUG", "severity": "WARNING"}])
    assert warned.outcomes == report.outcomes


@pytest.mark.parametrize(
    "changed",
    [
        {"issues": []},
        {"issues": [{**ISSUE, "sku": ""}]},
        {"issues": [ISSUE, {**ISSUE, "sku": "MUG"}]},
        {"summary": {**SUMMARY, "messagesProcessed": 4}},
    ],
    ids=["an invalid message without an issue", "an issue without a SKU", "too many", "figures that do not add up"],
)
def test_of_a_report_that_does_not_add_up_nothing_is_taken_for_accepted(changed: dict[str, Any]) -> None:
    assert told_by(**changed).others is None


def test_what_came_up_later_with_an_accepted_message_is_no_refusal() -> None:
    """The report counts the row as accepted, so that Amazon may show it: only a reading tells."""
    later = {**ISSUE, "message": "came up later"}
    told = told_by(summary={**SUMMARY, "messagesAccepted": 3, "messagesInvalid": 0}, issues=[later])
    assert (told.outcomes, told.others) == ({"CUP": Unknown("90000900: came up later")}, None)
    two = told_by(issues=[ISSUE, {**later, "sku": "MUG"}])
    assert {type(outcome) for outcome in two.outcomes.values()} == {Unknown}, "which of the two is the invalid one?"


def test_a_report_without_its_figures_is_malformed() -> None:
    with pytest.raises(MalformedError):
        told_by(summary={})
