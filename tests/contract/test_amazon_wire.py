"""What the connector sends and what the simulated Amazon answers obey Amazon's own models.

The models are not part of the project. Point ONESHELF_SPECS at a folder with `amazon/*.json` to run this.
"""

from __future__ import annotations

import gzip
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import jsonschema
import msgspec
import pytest

from connectors.amazon.harness import Bench, Exchange, bench
from oneshelf.connectors.amazon import parse
from oneshelf.connectors.amazon.connector import AmazonConnector
from oneshelf.connectors.amazon.feeds import Result, _Feed, _Feeds, _Place, report_of
from oneshelf.connectors.amazon.feeds import _Begun as _FeedBegun
from oneshelf.connectors.amazon.feeds import _Document as _FeedDocument
from oneshelf.connectors.amazon.reports import _Begun, _Document, _Report, _Reports
from oneshelf.connectors.amazon.simulator_gate import RATES
from oneshelf.connectors.amazon.subscriptions import LIMITS as NEWS_LIMITS
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.order import OrderSnapshot
from oneshelf.errors import MalformedError
from oneshelf.sdk.decoding import document_from
from oneshelf.sdk.fault import ChannelFault
from oneshelf.sdk.message import Accepted, FeedState, FileState, Ignored, Refused

MODELS = (
    "listingsItems_2021-08-01.json",
    "orders_2026-01-01.json",
    "reports_2021-06-30.json",
    "feeds_2021-06-30.json",
    "fbaInventory.json",
    "notifications.json",
)
FORMATS = jsonschema.FormatChecker(())


def models_folder() -> Path:
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "specs"
    return Path(os.environ.get("ONESHELF_SPECS", beside)) / "amazon"


pytestmark = pytest.mark.skipif(
    not all((models_folder() / name).is_file() for name in MODELS),
    reason="Amazon's models are not here: set ONESHELF_SPECS to a folder that holds amazon/*.json",
)


@FORMATS.checks("date-time", raises=ValueError)
def is_instant(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@cache
def models() -> list[dict[str, Any]]:
    found = []
    for name in MODELS:
        model: dict[str, Any] = msgspec.json.decode((models_folder() / name).read_bytes())
        # What is a part of a whole says nothing of its other parts.
        parts = {name: model["definitions"][name] for name in parts_of(model)}
        found.append({**(shut := closed(model)), "definitions": {**shut["definitions"], **parts}})
    return found


def parts_of(node: Any) -> set[str]:
    """The definitions that others are put together from."""
    if isinstance(node, list):
        return {name for member in node for name in parts_of(member)}
    if not isinstance(node, dict):
        return set()
    own = {part["$ref"].rpartition("/")[2] for part in node.get("allOf", []) if "$ref" in part}
    return own | {name for member in node.values() for name in parts_of(member)}


def closed(node: Any) -> Any:
    """The model with every object closed, so that a member that Amazon does not know is found."""
    if isinstance(node, list):
        return [closed(member) for member in node]
    if not isinstance(node, dict):
        return node
    inner = {name: closed(member) for name, member in node.items()}
    if "allOf" in node:
        return node
    if isinstance(inner.get("properties"), dict) and inner.get("type") == "object":
        inner.setdefault("additionalProperties", False)
    return inner


def operations() -> Iterator[tuple[dict[str, Any], re.Pattern[str], str, dict[str, Any]]]:
    for model in models():
        for path, methods in model["paths"].items():
            pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + "$")
            for method, operation in methods.items():
                if method in {"get", "patch", "put", "post", "delete"}:
                    yield model, pattern, method.upper(), operation


def operation_of(exchange: Exchange) -> tuple[dict[str, Any], dict[str, str], dict[str, Any]]:
    raw = exchange.request.url.raw_path.split(b"?")[0].decode()
    for model, pattern, method, operation in operations():
        match = pattern.match(raw)
        if match and method == exchange.request.method:
            return model, {name: unquote(value) for name, value in match.groupdict().items()}, operation
    raise AssertionError(f"Amazon has no operation {exchange.request.method} {raw}")


def check(model: dict[str, Any], schema: dict[str, Any], document: object) -> None:
    whole = {**schema, "definitions": model["definitions"]}
    jsonschema.Draft4Validator(whole, format_checker=FORMATS).validate(document)


def check_request(exchange: Exchange) -> str:
    """The operation's name. Raises where the request breaks its model."""
    model, segments, operation = operation_of(exchange)
    told = parse_qsl(exchange.request.url.query.decode(), keep_blank_values=True)
    assert len(dict(told)) == len(told), "a parameter is given twice"
    query = dict(told)
    known = {parameter["name"]: parameter for parameter in operation.get("parameters", ())}
    assert set(query) <= {name for name, parameter in known.items() if parameter["in"] == "query"}
    for name, parameter in known.items():
        if parameter["in"] == "body":
            check(model, parameter["schema"], msgspec.json.decode(exchange.sent))
        elif name in query or name in segments:
            check(model, schema_of(parameter), value_of(parameter, {**segments, **query}[name]))
        else:
            assert not parameter["required"], f"{name} is required"
    assert exchange.request.headers["x-amz-access-token"]
    return str(operation["operationId"])


def schema_of(parameter: dict[str, Any]) -> dict[str, Any]:
    kept = ("type", "items", "enum", "maxItems", "minItems", "maximum", "minimum", "format")
    return {name: parameter[name] for name in kept if name in parameter}


def value_of(parameter: dict[str, Any], text: str) -> object:
    if parameter["type"] == "array":
        return text.split(",")
    if parameter["type"] == "boolean":
        return {"true": True, "false": False}[text]
    return int(text) if parameter["type"] == "integer" else text


def check_answer(exchange: Exchange) -> int:
    """The status. Raises where the answer breaks its model."""
    model, _segments, operation = operation_of(exchange)
    response = exchange.response
    declared = operation["responses"][str(response.status_code)]
    if "schema" in declared:
        check(model, declared["schema"], msgspec.json.decode(exchange.received))
    ours = {name.lower() for name in response.headers if name.lower().startswith("x-amzn-")}
    assert ours <= {name.lower() for name in declared["headers"]}
    assert "retry-after" not in response.headers
    return response.status_code


async def live_through_good_days(desk: Bench) -> None:
    """Every call that the connector makes when all is well."""
    await desk.connector.preflight()
    asked = ("MUG", "x,y", "gone,too", "A/B #1%", "GONE")
    await desk.connector.read_stock([ChannelSku(sku) for sku in asked])
    await desk.clock.advance(10)
    _pages, _orders, cursor = await desk.poll(None)
    for n in range(130):
        desk.simulator.place([("MUG", 1), ("A/B #1%", 2)] if n % 2 else [("MUG", 1)])
    for order in desk.simulator.orders()[::9]:
        desk.simulator.cancel(order.order_id)
    await desk.clock.advance(1900)
    for order in desk.simulator.orders()[::7]:
        desk.simulator.ship(order.order_id)
    for _ in range(4):
        await desk.clock.advance(180)
        _pages, _orders, cursor = await desk.poll(cursor)
    page = await desk.patiently(lambda: desk.connector.fetch_stock(None))
    while page.cursor is not None:
        following = page.cursor
        page = await desk.patiently(lambda following=following: desk.connector.fetch_stock(following))  # type: ignore[misc]  # a lambda that binds


async def live_through_bad_days(desk: Bench) -> None:
    """Refused and throttled writes, missing roles, server errors."""
    for _ in range(3):
        await desk.clock.advance(5)
        figures = {"MUG": 3, "A/B #1%": 2_000_000_000, "x,y": 0}
        await desk.connector.push([desk.write(sku, units) for sku, units in figures.items()])
    await desk.connector.push([desk.write("MUG", n) for n in range(20)])
    await desk.clock.advance(5)
    desk.simulator.gate.denied.update({"patchListingsItem", "searchListingsItems", "searchOrders"})
    for _ in range(2):
        await desk.connector.preflight()
    desk.simulator.gate.denied.clear()
    desk.simulator.switches.set({"server_error": {"next": 6}})
    for _ in range(6):
        with pytest.raises(ChannelFault):
            await desk.connector.read_stock([ChannelSku("MUG")])


async def live_through_strange_days(desk: Bench) -> None:
    """Tokens that die, a storm, short and stale pages, orders changed in part, listings that end."""
    _pages, _orders, cursor = await desk.poll(None)
    await desk.clock.advance(1)
    order_id = desk.simulator.place([("MUG", 3), ("A/B #1%", 2)])
    assert order_id is not None
    await desk.clock.advance(1001)
    lines = [line.line_id for line in desk.simulator.orders()[-1].lines]
    assert desk.simulator.cancel_units(order_id, lines[0], 1)
    assert desk.simulator.ship_units(order_id, lines[0], 1)
    assert desk.simulator.end_listing("SKU-9")
    assert desk.simulator.remap("SKU-8", "SKU-8 (new)")
    desk.simulator.switches.set(dict.fromkeys(("stale_read", "partial_page", "page_drift"), 0.5))
    for _ in range(6):
        desk.simulator.switches.set({"token_expired": {"next": 1}})
        await desk.clock.advance(180)
        _pages, _orders, cursor = await desk.poll(cursor)
        await desk.patiently(lambda: desk.connector.read_stock([ChannelSku(f"SKU-{n}") for n in range(20)]))
    desk.simulator.switches.set({"http_429_bare": {"next": 2}})
    await desk.connector.push([desk.write("MUG", 1)])
    desk.simulator.switches.set({"error_storm": {"next": 1}})
    for advance_s in (0, 2, 61):
        await desk.clock.advance(advance_s)
        await desk.connector.push([desk.write("MUG", 1)])
    desk.simulator.revoke()
    with pytest.raises(ChannelFault):
        await desk.connector.poll_orders(cursor)
    desk.simulator.grant()
    assert set(desk.simulator.switches.hits) >= {"stale_read", "partial_page", "page_drift", "token_expired"}
    assert set(desk.simulator.switches.hits) >= {"http_429_bare", "error_storm", "token_revoked", "listing_ended"}


async def live_through_a_block(desk: Bench) -> None:
    """Amazon takes a quantity, does not apply it, and says why with the listing, in a batch and alone."""
    skus = [ChannelSku("SKU-8"), ChannelSku("x,y")]
    for sku in skus:
        desk.simulator.block_quantity(sku)
    await desk.patiently(lambda: desk.connector.push([desk.write(sku, 1) for sku in skus]))
    await desk.clock.advance(600)
    for reading in await desk.patiently(lambda: desk.connector.read_stock(skus)):
        assert reading.issues
        assert "ATTRIBUTE_SUPPRESSED" in reading.issues


async def live_through_reports(desk: Bench) -> None:
    """A report that is found again and read, one that is dropped, one that fails, and names that nobody knows."""
    connector = desk.connector
    assert isinstance(connector, AmazonConnector)
    file = await connector.begin_stock_file(asked_at=desk.clock.now())
    assert await connector.begin_stock_file(asked_at=desk.clock.now()) == file
    await connector.stock_file(file)
    await desk.clock.advance(200)
    file = await connector.stock_file(file)
    async with aclosing(connector.read_stock_file(file)) as parts:
        assert [one async for part in parts for one in part]
    dropped = await connector.begin_stock_file(asked_at=desk.clock.now())
    await connector.drop_stock_file(dropped)
    desk.simulator.switches.set({"report_fatal": {"next": 1}})
    failed = await connector.begin_stock_file(asked_at=desk.clock.now())
    await desk.clock.advance(200)
    assert (await connector.stock_file(failed)).state is FileState.FAILED
    await connector.drop_stock_file(failed)
    assert (await connector.stock_file(replace(file, name="no such"))).state is FileState.GONE
    with pytest.raises(ChannelFault):
        async with aclosing(connector.read_stock_file(replace(file, address="no such"))) as parts:
            _ = [one async for part in parts for one in part]


async def live_through_feeds(desk: Bench) -> None:
    """A feed that is worked through, one that is cancelled, one that fails, and names that nobody knows."""
    connector = desk.connector
    assert isinstance(connector, AmazonConnector)
    skus = [ChannelSku(sku) for sku in ("MUG", "A/B #1%", "SKU-5", "SKU-6")]
    assert len((await desk.patiently(lambda: connector.plan_feed(skus))).ready) == len(skus)
    for deed in ("work", "drop", "fail"):
        begun = await connector.begin_feed([desk.write(sku, 900) for sku in skus])
        assert begun.name in await connector.find_feeds(since=desk.clock.now())
        assert (await connector.look_at_feed(begun.name)).state is FeedState.UNDER_WAY
        desk.simulator.switches.set({"feed_fatal": {"next": int(deed == "fail")}})
        if deed == "drop":
            await connector.drop_feed(begun.name)
        await desk.clock.advance(1000)
        report = await connector.look_at_feed(begun.name)
        assert report.state is {"work": FeedState.DONE, "drop": FeedState.CANCELLED, "fail": FeedState.FAILED}[deed]
        await connector.drop_feed(begun.name)
    assert (await connector.look_at_feed("no such")).state is FeedState.FAILED


async def test_every_request_and_every_answer_obeys_amazons_models() -> None:
    requests: Counter[str] = Counter()
    answers: Counter[tuple[str, int]] = Counter()
    pages_for_humans = 0
    async with bench({"MUG": 900, "A/B #1%": 500, "x,y": 3, **{f"SKU-{n}": n for n in range(40)}}) as desk:
        desk.simulator.habits.confirm_s = (10.0, 1000.0)
        desk.simulator.fulfil_by_amazon("SKU-7")
        await live_through_good_days(desk)
        await live_through_reports(desk)
        await live_through_feeds(desk)
        await live_through_bad_days(desk)
        await live_through_strange_days(desk)
        await live_through_a_block(desk)
        # The endpoint of tokens and the place of documents are no part of the models.
        outside = ("/auth/o2/token", "/_documents/")
        exchanges = [one for one in desk.wiretap.exchanges if not one.request.url.path.startswith(outside)]
    for exchange in exchanges:
        name = check_request(exchange)
        requests[name] += 1
        if exchange.response.headers["content-type"].startswith("text/html"):
            pages_for_humans += 1
            continue
        answers[name, check_answer(exchange)] += 1
    print(f"\nrequests valid: {dict(requests)}")
    print(f"answers valid: {dict(answers)}; HTML pages not validated: {pages_for_humans}")
    unused = sorted({str(operation["operationId"]) for *_, operation in operations()} - set(requests))
    print(f"operations of these models that are not used: {', '.join(unused)}")
    # How news is heard is in test_amazon_news.py.
    assert set(requests) == set(RATES) - {"getOrder", *(one.operation for one in NEWS_LIMITS)}
    assert {status for _name, status in answers} >= {200, 201, 202, 403, 404, 429, 503}
    assert min(sum(answers[name, status] for status in (200, 201, 202)) for name in requests) > 0
    asked = {name for exchange in exchanges for name in exchange.request.url.params}
    assert {"paginationToken", "pageToken", "createdAfter", "lastUpdatedAfter", "mode"} <= asked


def schema_of_feed(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = closed(msgspec.json.decode((models_folder() / "feeds" / name).read_bytes()))
    return schema


async def test_a_feed_and_its_report_obey_amazons_schemas() -> None:
    """These travel as documents, of which the models of the API say nothing."""
    async with bench({"MUG": 900, "A/B #1%": 500, **{f"SKU-{n}": n for n in range(300)}}) as desk:
        connector = desk.connector
        assert isinstance(connector, AmazonConnector)
        skus = [ChannelSku(sku) for sku in desk.units()]
        while (plan := await desk.patiently(lambda: connector.plan_feed(skus))).unread_count:
            await desk.clock.advance(10)
        desk.simulator.end_listing("SKU-7")
        begun = await connector.begin_feed([desk.write(sku, 90) for sku in plan.ready])
        await desk.clock.advance(1000)
        report = await connector.look_at_feed(begun.name)
        documents = [one for one in desk.wiretap.exchanges if "/_documents/" in one.request.url.path]
    sent = msgspec.json.decode(next(one.sent for one in documents if one.request.method == "PUT"))
    got = msgspec.json.decode(gzip.decompress(next(one.received for one in documents if one.request.method == "GET")))
    jsonschema.Draft7Validator(schema_of_feed("listings-feed-schema-v2.json")).validate(sent)
    jsonschema.Draft7Validator(schema_of_feed("listings-feed-processing-report-schema-v2.json")).validate(got)
    print(f"\nmessages valid: {len(sent['messages'])}; reports valid: 1, with {len(got['issues'])} issues")
    assert len(sent["messages"]) == len(plan.ready) == 302
    assert isinstance(report.outcomes[ChannelSku("SKU-7")], Refused)
    assert (report.others, report.write_count) == (Accepted(), 302)
    broken = {**sent, "messages": [{**sent["messages"][0], "operationType": "REPLACE"}]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema_of_feed("listings-feed-schema-v2.json")).validate(broken)


def test_amazons_own_example_of_a_report_is_read() -> None:
    body = (models_folder() / "feeds" / "listings-feed-processing-report-schema-v2.example.json").read_bytes()
    report = report_of(document_from(body, Result, what="the example"))
    assert {sku: type(outcome) for sku, outcome in report.outcomes.items()} == {
        "My-SKU-B": Refused,
        "My-SKU-C": Refused,
    }
    assert (report.others, report.write_count) == (Accepted(), 4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (b'"op":"merge"->"op":"upsert"', "is not one of"),
        (b'"value":[->"values":[', "Additional properties"),
        (b'"productType"->"producttype"', "producttype"),
    ],
)
async def test_a_request_that_breaks_the_model_would_be_noticed(change: bytes, words: str) -> None:
    old, new = change.split(b"->")
    async with bench({"MUG": 9}) as desk:
        await desk.connector.push([desk.write("MUG", 1)])
        good = desk.wiretap.exchanges[-1]
    assert check_request(good) == "patchListingsItem"
    bad = type(good)(good.request, good.sent.replace(old, new), good.response, good.received)
    assert bad.sent != good.sent
    with pytest.raises(jsonschema.ValidationError, match=words):
        check_request(bad)


async def test_an_answer_that_breaks_the_model_would_be_noticed() -> None:
    async with bench({"MUG": 9}) as desk:
        await desk.connector.read_stock([ChannelSku("MUG")])
        good = desk.wiretap.exchanges[-1]
    assert check_answer(good) == 200
    for old, new in ((b'"quantity":9', b'"quantity":-9'), (b'"sku"', b'"Sku"'), (b'"BUYABLE"', b'"SOLD"')):
        bad = type(good)(good.request, good.sent, good.response, good.received.replace(old, new))
        assert bad.received != good.received
        with pytest.raises(jsonschema.ValidationError):
            check_answer(bad)


# Amazon's own examples ----------------------------------------------------------------------------------------------

LIVES = Channel("amazon-us")


def examples() -> Iterator[tuple[str, int, Any]]:
    """Operation, status and answer of each case of Amazon's static sandbox."""
    for model in models():
        for path in model["paths"].values():
            for operation in path.values():
                for status, response in operation.get("responses", {}).items() if isinstance(operation, dict) else ():
                    for case in response.get("x-amzn-api-sandbox", {}).get("static", ()):
                        yield operation["operationId"], int(status), case.get("response")


def read_orders(answer: Any) -> bool:
    told = [parse.order_message(one, channel=LIVES) for one in parse.orders_answer(answer).deliveries]
    return bool(told) and all(isinstance(one, OrderSnapshot | Ignored) for one in told)


def read_listings(answer: Any) -> bool:
    rows = parse.listings_answer(answer).rows
    return len(rows) == len(answer["items"]) and not any("cannot be read" in row.reading.note for row in rows)


def read_patch(answer: Any) -> bool:
    if answer["status"] == "ACCEPTED":
        return parse.write_outcome(answer) == Accepted()
    return (parse.preview_refusal(answer) is None) is (answer["status"] == "VALID")


def typed(kind: type[Any]) -> Callable[[Any], bool]:
    return lambda answer: document_from(msgspec.json.encode(answer), kind, what="the example") is not None


READERS: dict[str, Callable[[Any], bool]] = {
    "searchOrders": read_orders,
    "searchListingsItems": read_listings,
    "getListingsItem": lambda answer: parse.listing_row(answer).reading.channel_sku == answer["sku"],
    "patchListingsItem": read_patch,
    "createReport": typed(_Begun),
    "getReport": typed(_Report),
    "getReports": typed(_Reports),
    "getReportDocument": typed(_Document),
    "createFeedDocument": typed(_Place),
    "createFeed": typed(_FeedBegun),
    "getFeed": typed(_Feed),
    "getFeeds": typed(_Feeds),
    "getFeedDocument": typed(_FeedDocument),
}


def test_every_example_of_amazons_sandbox_is_read() -> None:
    """Their answers are what a real account says, as far as anybody may know it without one."""
    read: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    for operation, status, answer in examples():
        if status >= 400 and operation in RATES:
            assert parse.error_words(msgspec.json.encode(answer)), (operation, answer)
        elif operation in READERS:
            assert READERS[operation](answer), (operation, answer)
        else:
            skipped[operation] += 1
            continue
        read[operation] += 1
    print(f"\nexamples read: {dict(read)}; of operations that are not used: {dict(skipped)}")
    assert set(read) >= set(READERS)


def test_an_example_that_is_not_as_the_reader_wants_it_would_be_noticed() -> None:
    [answer] = [one for name, status, one in examples() if (name, status) == ("getReport", 200)]
    with pytest.raises(MalformedError):
        READERS["getReport"]({**answer, "processingStatus": None})
    assert not READERS["searchOrders"]({"orders": []})
