"""Our documents, our simulator's schema and its answers, against the official schemas of the Admin API.

The schemas are not part of this project. Where they are is told by ONESHELF_SPECS, or they lie beside the
repository in shared/specs; where there are none, these tests are skipped.
"""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx2
import pytest
from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    build_client_schema,
    execute_sync,
    get_variable_values,
    is_required_argument,
    is_required_input_field,
    parse,
    validate,
)
from graphql.execution.values import VariableValues
from graphql.language import VariableNode

from connectors.shopify.test_moving import REFUSALS
from connectors.shopify.test_refusals import UNNAMED
from oneshelf.clock import SystemClock
from oneshelf.connectors.shopify import CONNECTOR
from oneshelf.connectors.shopify.connector import ShopifyConnector
from oneshelf.connectors.shopify.documents import ACTIVATE, MUTATIONS, QUERIES, SET_AVAILABLE, UNKEYED_MUTATIONS
from oneshelf.connectors.shopify.simulator import ACCESS_TOKEN, ShopifySimulator
from oneshelf.connectors.shopify.simulator_schema import SCHEMA
from oneshelf.connectors.shopify.simulator_shop import LOCATION_ID
from oneshelf.connectors.shopify.simulator_topics import TOPICS as SIMULATED_TOPICS
from oneshelf.connectors.shopify.subscriptions import TOPICS, name_of
from oneshelf.domain.account import StockState
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.limits import Unlimited
from oneshelf.sdk.message import Applied, ChannelConfig, FileState, Stale, StockFile, StockWrite, UnitMove
from oneshelf.sdk.simulator import CatalogueItem

VERSIONS = ("2026-04", "2026-07", "2026-10")
DOCUMENTS = (*QUERIES, *MUTATIONS, *UNKEYED_MUTATIONS)
BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[3] / "shared" / "specs"


@lru_cache(maxsize=len(VERSIONS))
def official(version: str) -> GraphQLSchema:
    folder = Path(os.environ.get("ONESHELF_SPECS") or BESIDE_THE_REPOSITORY) / "shopify"
    path = folder / f"admin_{version}.json.gz"
    if not path.exists():
        pytest.skip(f"no official schema of the Admin API {version}: set ONESHELF_SPECS to the folder of the specs")
    with gzip.open(path) as file:
        introspection = json.load(file)
    # assume_valid: Shopify deprecates fields which its interfaces declare undeprecated, and validate() refuses
    # such a schema as a whole otherwise.
    return build_client_schema(introspection.get("data", introspection), assume_valid=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_document_is_one_that_shopify_understands(version: str) -> None:
    for document in DOCUMENTS:
        assert validate(official(version), parse(document)) == []
        assert validate(SCHEMA, parse(document)) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_the_official_schema_finds_the_mistakes_that_it_can_find(version: str) -> None:
    document = SET_AVAILABLE
    wrong = [
        document.replace("@idempotent(key: $key)", "@idempotent"),
        document.replace("userErrors { code", "userErrors { colour"),
        document.replace("$input: InventorySetQuantitiesInput!", "$input: InventoryAdjustQuantitiesInput!"),
        ACTIVATE.replace("userErrors { field", "userErrors { code field"),
    ]
    for each in wrong:
        assert validate(official(version), parse(each)) != []


def test_every_mutating_document_carries_a_key_because_no_schema_demands_it() -> None:
    for document in MUTATIONS:
        fields = [field for operation in _operations(document) for field in operation.selection_set.selections]
        assert len(fields) == 1
        for field in fields:
            assert isinstance(field, FieldNode)
            (directive,) = field.directives or ()
            assert directive.name.value == "idempotent"
            (key,) = directive.arguments or ()
            assert isinstance(key.value, VariableNode)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_written_without_a_key_is_nothing_for_which_shopify_demands_one(version: str) -> None:
    """The schema names in words the mutations that need the directive: those of stock, transfers and refunds."""
    groups = ("webhookSubscription", "bulkOperation")
    mutations = official(version).mutation_type
    assert mutations is not None
    for document in UNKEYED_MUTATIONS:
        for operation in _operations(document):
            for field in operation.selection_set.selections:
                assert isinstance(field, FieldNode)
                assert field.name.value.startswith(groups)
                assert "idempotent" not in (mutations.fields[field.name.value].description or "")
    assert "idempotent" in (mutations.fields["inventorySetQuantities"].description or "")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_refusal_that_shopify_has_for_a_write_is_one_whose_meaning_is_tested(version: str) -> None:
    codes = official(version).type_map["InventorySetQuantitiesUserErrorCode"]
    assert isinstance(codes, GraphQLEnumType)
    assert not set(codes.values) - set(UNNAMED)
    for name in ("InventoryMoveQuantitiesUserErrorCode", "InventoryAdjustQuantitiesUserErrorCode"):
        of_moves = official(version).type_map[name]
        assert isinstance(of_moves, GraphQLEnumType)
        assert not set(of_moves.values) - set(REFUSALS)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_topic_that_is_subscribed_to_is_one_of_shopify_and_of_the_simulator(version: str) -> None:
    topics = official(version).type_map["WebhookSubscriptionTopic"]
    assert isinstance(topics, GraphQLEnumType)
    wanted = {name_of(topic): topic for topic in TOPICS}
    assert set(wanted) <= set(topics.values)
    assert wanted.items() <= SIMULATED_TOPICS.items()


def test_no_document_that_only_reads_is_a_mutation() -> None:
    kinds = {operation.operation.value for document in QUERIES for operation in _operations(document)}
    assert kinds == {"query"}


def _operations(document: str) -> list[OperationDefinitionNode]:
    return [node for node in parse(document).definitions if isinstance(node, OperationDefinitionNode)]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_simulators_schema_is_a_part_of_the_official_one(version: str) -> None:
    theirs = official(version)
    compared = 0
    for name, ours in SCHEMA.type_map.items():
        if name.startswith("__"):
            continue
        other = theirs.type_map.get(name)
        assert type(other) is type(ours), name
        compared += 1
        match ours, other:
            case (
                GraphQLObjectType() | GraphQLInterfaceType(),
                GraphQLObjectType() | GraphQLInterfaceType(),
            ):
                _compare_fields(ours, other)
                assert {each.name for each in ours.interfaces} <= {each.name for each in other.interfaces}, name
            case GraphQLInputObjectType(), GraphQLInputObjectType():
                _compare_input(ours, other)
            case GraphQLEnumType(), GraphQLEnumType():
                assert set(ours.values) <= set(other.values), name
            case _:
                pass  # scalars have a name and nothing else
    assert compared > 40
    for directive in SCHEMA.directives:
        if directive.name == "idempotent":
            official_one = next(each for each in theirs.directives if each.name == "idempotent")
            assert {name: str(a.type) for name, a in directive.args.items()} == {
                name: str(a.type) for name, a in official_one.args.items()
            }
            assert directive.locations == official_one.locations


def _compare_fields(
    ours: GraphQLObjectType | GraphQLInterfaceType, theirs: GraphQLObjectType | GraphQLInterfaceType
) -> None:
    for name, field in ours.fields.items():
        where = f"{ours.name}.{name}"
        assert name in theirs.fields, where
        other = theirs.fields[name]
        assert str(field.type) == str(other.type), where
        for argument_name, argument in field.args.items():
            assert argument_name in other.args, f"{where}({argument_name})"
            assert str(argument.type) == str(other.args[argument_name].type), f"{where}({argument_name})"
        demanded = {each for each, argument in other.args.items() if is_required_argument(argument)}
        assert demanded <= set(field.args), where


def _compare_input(ours: GraphQLInputObjectType, theirs: GraphQLInputObjectType) -> None:
    for name, field in ours.fields.items():
        assert name in theirs.fields, f"{ours.name}.{name}"
        assert str(field.type) == str(theirs.fields[name].type), f"{ours.name}.{name}"
    demanded = {name for name, field in theirs.fields.items() if is_required_input_field(field)}
    assert demanded <= set(ours.fields), ours.name


@pytest.mark.long
@pytest.mark.parametrize("version", VERSIONS)
async def test_what_the_connector_says_and_the_simulator_answers_fits_the_official_types(version: str) -> None:
    schema = official(version)
    exchanges = await _exchanges(version)
    assert {_name(document) for document, _, _ in exchanges} == {_name(document) for document in DOCUMENTS}
    for document, variables, answer in exchanges:
        parsed = parse(document)
        (operation,) = _operations(document)
        coerced = get_variable_values(schema, operation.variable_definitions or [], variables)
        assert isinstance(coerced, VariableValues), coerced
        # Executed over its own answer, a document gives this answer again, or an error where a type does not fit.
        checked = execute_sync(
            schema,
            parsed,
            root_value=answer,
            variable_values=variables,
            type_resolver=lambda value, _info, _type: "Order" if "lineItems" in value else "ProductVariant",
        )
        assert checked.errors is None, checked.errors
        assert checked.data == answer


def _name(document: str) -> str:
    (operation,) = _operations(document)
    assert operation.name is not None
    return operation.name.value


async def _exchanges(version: str) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Everything that a connector says to a simulated shop in a short life, and the answers."""
    clock = SystemClock()
    simulator = CONNECTOR.simulator(seed=1, speed=100.0, clock=clock)
    simulator.stock_catalogue([CatalogueItem(f"MUG-{n}", f"Mug {n}", 100) for n in range(40)])
    skus = [ChannelSku(listing.channel_sku) for listing in simulator.listings()]
    heard: list[tuple[str, dict[str, Any], dict[str, Any]]] = []

    async def listen(response: httpx2.Response) -> None:
        if response.request.method == "GET":  # the file of a bulk operation
            return
        asked = json.loads(response.request.content)
        heard.append((asked["query"], asked["variables"], json.loads(await response.aread())["data"]))

    transport = httpx2.ASGITransport(app=simulator.app())
    async with httpx2.AsyncClient(transport=transport, event_hooks={"response": [listen]}) as client:
        config = ChannelConfig(
            channel="shop",
            settings={"base_url": "http://localhost", "location_id": LOCATION_ID, "api_version": version},
            secrets={"access_token": ACCESS_TOKEN, "webhook_secret": "hush"},
        )
        http = ChannelHttp(client, clock=clock, limiter=Unlimited())
        connector = CONNECTOR.open(config, channel=Channel("shop"), http=http, clock=clock)
        assert all(finding.is_good for finding in await connector.preflight())
        await _subscribe(client, connector, version)
        await connector.fetch_stock(None)
        await connector.read_stock([skus[0], ChannelSku("1")])
        writes = [StockWrite(clock.new_id(), sku, units=5, expected_units=100) for sku in skus[:3]]
        assert await connector.push(writes) == (Applied(),) * 3
        assert await connector.push(writes) == (Applied(),) * 3
        simulator.edit_by_hand(skus[0], 2)
        await connector.push([StockWrite(clock.new_id(), skus[0], units=5, expected_units=9)])
        simulator.shop.articles[1].is_active = False
        assert await connector.activate(skus[1], key=clock.new_id()) == Applied()
        simulator.edit_by_hand(skus[1], 100)
        await _move_units(connector, skus[4])
        _, start = await _polled(connector, None)
        orders = [simulator.place([(sku, 1) for sku in skus]), *(simulator.place([(skus[3], 2)]) for _ in range(2))]
        simulator.cancel(orders[1] or "")
        simulator.ship(orders[2] or "")
        assert (await _polled(connector, start))[0] == 3
        await _live_strangely(simulator, connector, start, skus)
        await _read_in_bulk(simulator, connector, clock.now())
    return heard


async def _move_units(connector: ShopifyConnector, sku: ChannelSku) -> None:
    """Damaged and back, out of the count and into it, and once from a figure that is none."""
    new_id, sale, damaged = SystemClock().new_id, StockState.AVAILABLE, StockState.DAMAGED
    moves = (
        UnitMove(new_id(), sku, 2, sale, damaged, {sale: 100, damaged: 0}),
        UnitMove(new_id(), sku, 1, damaged, None, {damaged: 2}),
        UnitMove(new_id(), sku, 1, None, sale, {sale: 98}),
        UnitMove(new_id(), sku, 1, damaged, sale, {damaged: 1, sale: 99}),
    )
    assert [await connector.move_units(move) for move in moves] == [Applied()] * 4
    assert await connector.move_units(replace(moves[0], key=new_id(), expected={sale: 7, damaged: 0})) == Stale()


async def _polled(connector: ShopifyConnector, cursor: str | None) -> tuple[int, str]:
    """How many deliveries all pages of a poll have, and where the next one begins."""
    page = await connector.poll_orders(cursor)
    count = len(page.deliveries)
    while page.has_more:
        page = await connector.poll_orders(page.cursor)
        count += len(page.deliveries)
    return count, page.cursor


async def _subscribe(client: httpx2.AsyncClient, connector: ShopifyConnector, version: str) -> None:
    """Everything is subscribed to, after somebody has subscribed in a form that hides most of it."""
    address = "http://localhost/webhooks/shop"
    subscription = {"uri": address, "format": "JSON", "includeFields": ["id"]}
    await client.post(
        f"http://localhost/admin/api/{version}/graphql.json",
        json={"query": UNKEYED_MUTATIONS[0], "variables": {"topic": "ORDERS_CREATE", "subscription": subscription}},
        headers={"X-Shopify-Access-Token": ACCESS_TOKEN},
    )
    assert (await connector.keep_subscriptions(address)).removed == ("orders/create",)
    assert (await connector.keep_subscriptions("ftp://localhost")).refused
    assert not (await connector.keep_subscriptions(address)).created


async def _read_in_bulk(simulator: ShopifySimulator, connector: ShopifyConnector, at: datetime) -> None:
    """Operations that are found again, given up, denied, refused, that end well or in the middle, and an old file."""
    for fault, state in {
        "": FileState.READY, "bulk_failed": FileState.PARTIAL, "bulk_denied": FileState.FAILED, "bulk_busy": None
    }.items():  # fmt: skip
        if fault:
            simulator.switches.set({fault: {"next": 1}})
        file = await connector.begin_stock_file(asked_at=at)
        if state is None:
            assert file.state is FileState.BUSY
            continue
        assert (await connector.begin_stock_file(asked_at=at)).name == file.name
        assert (await _over(simulator, connector, file)).state is state
    file = await connector.begin_stock_file(asked_at=at)
    await connector.drop_stock_file(file)
    assert (await _over(simulator, connector, file)).state is FileState.FAILED
    await connector.drop_stock_file(file)
    first = next(iter(simulator.bulk.all.values()))
    first.expires_at = 0.0
    assert (await connector.stock_file(StockFile(first.id, FileState.WRITING, at))).state is FileState.GONE


async def _over(simulator: ShopifySimulator, connector: ShopifyConnector, file: StockFile) -> StockFile:
    while file.state is FileState.WRITING:
        await simulator.clock.sleep(0.005)
        for action in simulator.due():
            await action()
        file = await connector.stock_file(file)
    return file


async def _live_strangely(
    simulator: ShopifySimulator, connector: ShopifyConnector, start: str, skus: list[ChannelSku]
) -> None:
    """Orders that are edited, refunded and shipped in parts, deleted and renamed variants, short and stale pages."""
    order_id = simulator.place([(skus[4], 9), (skus[5], 2)])
    assert order_id is not None
    first, second = (line.line_id for line in simulator.shop.orders[order_id].lines)
    assert simulator.edit_line(order_id, first, 8)
    simulator.shop.orders[order_id].updated_at -= timedelta(seconds=1)
    assert simulator.ships_elsewhere(order_id, first, 3)
    assert (await _polled(connector, start))[0] > 0
    assert simulator.cancel_units(order_id, first, 1)
    assert simulator.add_line(order_id, skus[6], 1)
    assert simulator.refund(order_id, first, 1, restock=True)
    assert simulator.ship_units(order_id, second, 2)
    assert simulator.refund(order_id, second, 1, restock=True)
    assert simulator.refund(order_id, second, 1, restock=False)
    assert simulator.end_listing(skus[5])
    assert simulator.remap(skus[6], "MUG-NEW")
    simulator.switches.set(dict.fromkeys(("stale_read", "partial_page", "page_drift"), 0.5))
    for _ in range(6):
        await _polled(connector, start)
        stock = await connector.fetch_stock(None)
        while stock.cursor is not None:
            stock = await connector.fetch_stock(stock.cursor)
        await connector.read_stock(skus)
    assert set(simulator.switches.hits) >= {"stale_read", "partial_page", "page_drift", "order_edited"}
