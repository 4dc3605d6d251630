"""A client that nobody here wrote, Square's own package for Python, works with the simulated Square over a real port.

Neither what that says nor what we ask for has a member that the package does not know: Square publishes no
machine-readable contract that is at hand here, and the types of the package are made from one.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, get_args, get_origin

import httpx
import msgspec
import pytest
import uvicorn
from pydantic import BaseModel
from square import AsyncSquare
from square.core.api_error import ApiError
from square.requests.inventory_change import InventoryChangeParams
from square.requests.search_orders_query import SearchOrdersQueryParams
from square.types.batch_change_inventory_response import BatchChangeInventoryResponse
from square.types.batch_get_catalog_objects_response import BatchGetCatalogObjectsResponse
from square.types.batch_get_inventory_counts_response import BatchGetInventoryCountsResponse
from square.types.get_location_response import GetLocationResponse
from square.types.get_order_response import GetOrderResponse
from square.types.inventory_count_updated_event import InventoryCountUpdatedEvent
from square.types.list_payments_response import ListPaymentsResponse
from square.types.oauth_authorization_revoked_event import OauthAuthorizationRevokedEvent
from square.types.obtain_token_response import ObtainTokenResponse
from square.types.order_created_event import OrderCreatedEvent
from square.types.order_updated_event import OrderUpdatedEvent
from square.types.retrieve_token_status_response import RetrieveTokenStatusResponse
from square.types.search_catalog_objects_response import SearchCatalogObjectsResponse
from square.types.search_orders_response import SearchOrdersResponse
from square.utils.webhooks_helper import verify_signature
from typing_extensions import get_type_hints, is_typeddict

from connectors.square.till import at_the_till, square_of
from oneshelf.clock import SystemClock
from oneshelf.connectors.square.account import API_VERSION
from oneshelf.connectors.square.simulator import SquareSimulator
from oneshelf.connectors.square.simulator_documents import LOCATION_ID
from oneshelf.connectors.square.simulator_gate import ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN
from oneshelf.sdk.conformance.bench import HOOK_ADDRESS, SECRET, Bench
from oneshelf.sdk.message import Request
from oneshelf.sdk.simulator import CatalogueItem

CLOCK = SystemClock()
PATIENCE_S = 90.0
ANSWERS = {
    "/v2/orders/search": SearchOrdersResponse,
    "/v2/catalog/search": SearchCatalogObjectsResponse,
    "/v2/catalog/batch-retrieve": BatchGetCatalogObjectsResponse,
    "/v2/inventory/counts/batch-retrieve": BatchGetInventoryCountsResponse,
    "/v2/inventory/changes/batch-create": BatchChangeInventoryResponse,
    "/v2/payments": ListPaymentsResponse,
    "/oauth2/token": ObtainTokenResponse,
    "/oauth2/token/status": RetrieveTokenStatusResponse,
}
EVENTS = {
    "inventory.count.updated": InventoryCountUpdatedEvent,
    "order.created": OrderCreatedEvent,
    "order.updated": OrderUpdatedEvent,
    "oauth.authorization.revoked": OauthAuthorizationRevokedEvent,
}


# The package as a client ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def at_a_port() -> AsyncIterator[tuple[SquareSimulator, AsyncSquare]]:
    simulator = SquareSimulator(seed=5, speed=300.0, clock=CLOCK)
    simulator.stock_catalogue([CatalogueItem("A/B #1%", "Piña mug", 10), CatalogueItem("CUP", "Cup", 4)])
    server = uvicorn.Server(uvicorn.Config(simulator.app(), lifespan="off", log_config=None, ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with asyncio.TaskGroup() as tasks:
            life = tasks.create_task(simulator.run())
            tasks.create_task(server.serve(sockets=[listening]))
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            try:
                async with httpx.AsyncClient() as http:
                    told: dict[str, Any] = {"base_url": address, "version": API_VERSION}
                    yield simulator, AsyncSquare(token=ACCESS_TOKEN, httpx_client=http, **told)
            finally:
                server.should_exit = True
                life.cancel()


async def test_the_package_reads_and_writes_a_count() -> None:
    async with at_a_port() as (simulator, client):
        found = await client.catalog.search(object_types=["ITEM_VARIATION"])
        skus = {one.id: one.item_variation_data.sku for one in found.objects or () if one.item_variation_data}
        assert set(skus.values()) == {"A/B #1%", "CUP"}
        mug = next(sku for sku, own in skus.items() if own == "A/B #1%")
        place: dict[str, Any] = {"catalog_object_id": mug, "location_id": LOCATION_ID, "state": "IN_STOCK"}
        counted = {**place, "quantity": "3", "occurred_at": CLOCK.now().isoformat()}
        change: dict[str, Any] = {"type": "PHYSICAL_COUNT", "physical_count": counted}
        answer = await client.inventory.batch_create_changes(
            idempotency_key="k-1", changes=[change], ignore_unchanged_counts=False
        )
        assert [count.quantity for count in answer.counts or ()] == ["3"]
        pager = await client.inventory.batch_get_counts(catalog_object_ids=list(skus), location_ids=[LOCATION_ID])
        counts = {count.catalog_object_id: count.quantity async for count in pager}
        assert counts[mug] == "3"
        assert simulator.articles[mug].units == 3
        location = (await client.locations.get(LOCATION_ID)).location
        assert location is not None
        assert location.status == "ACTIVE"


async def test_the_package_finds_sales_and_those_of_an_offline_till() -> None:
    async with at_a_port() as (simulator, client):
        [mug, _cup] = simulator.articles
        simulator.place([(mug, 2)])
        simulator.sell_at_till([(mug, 1)], offline_s=30.0)  # a tenth of a second here
        query: dict[str, Any] = {"sort": {"sort_field": "UPDATED_AT", "sort_order": "ASC"}}
        orders: list[Any] = []
        deadline = CLOCK.monotonic() + PATIENCE_S
        while len(orders) < 2:
            assert CLOCK.monotonic() < deadline, f"not within {PATIENCE_S} s: the sale of the till is told; {orders}"
            orders = (await client.orders.search(location_ids=[LOCATION_ID], query=query)).orders or []
        assert [order.state for order in orders] == ["OPEN", "COMPLETED"]
        one = (await client.orders.get(order_id=str(orders[0].id))).order
        assert one is not None
        assert [line.quantity for line in one.line_items or ()] == ["2"]
        pager = await client.payments.list(location_id=LOCATION_ID, is_offline_payment=True)
        payments = [payment async for payment in pager]
        assert [payment.order_id for payment in payments] == [orders[1].id]
        assert payments[0].offline_payment_details is not None


async def test_the_package_meets_squares_errors_and_renews_a_token() -> None:
    async with at_a_port() as (simulator, client):
        granted = await client.o_auth.obtain_token(
            client_id=CLIENT_ID, client_secret=CLIENT_SECRET, grant_type="refresh_token", refresh_token=REFRESH_TOKEN
        )
        assert granted.refresh_token == REFRESH_TOKEN
        with pytest.raises(ApiError) as refusal:
            await client.orders.get(order_id="none")
        assert refusal.value.status_code == 404
        simulator.revoke()
        with pytest.raises(ApiError) as refusal:
            await client.locations.get(LOCATION_ID)
        assert refusal.value.status_code == 401


def test_the_package_verifies_what_the_simulated_square_signs_and_we_verify_the_same() -> None:
    async def play(bench: Bench) -> None:
        bench.placed((bench.skus[0], 1))
        await bench.live(60.0)
        assert bench.hooks.got
        for request in bench.hooks.got:
            header = request.headers["x-square-hmacsha256-signature"]
            told = {"signature_header": header, "notification_url": HOOK_ADDRESS}
            body = request.body.decode()
            assert verify_signature(request_body=body, signature_key=SECRET, **told)
            assert not verify_signature(request_body=f"{body} ", signature_key=SECRET, **told)
            assert not verify_signature(request_body=body, signature_key="guess", **told)
            assert bench.connector.verify(Request(request.headers, request.body)).body == request.body

    at_the_till(play)


# The package as a contract --------------------------------------------------------------------------------------------


def unknown_in(document: Any, kind: Any, where: str) -> Iterator[str]:
    """Members that no type of the package has; where a place may hold several types, those that none of them has."""
    if isinstance(document, list):
        [of] = [arg for one in _unfolded(kind) if get_origin(one) is list for arg in get_args(one)] or [Any]
        for number, one in enumerate(document):
            yield from unknown_in(one, of, f"{where}[{number}]")
        return
    models = [one for one in _unfolded(kind) if is_typeddict(one) or _is_model(one)]
    if isinstance(document, dict) and models:
        models = [one for one in models if _is_model(one) and _is_of(document, one)] or models
        fields = {name: of for model in models for name, of in _fields(model)}
        for name, value in document.items():
            if name not in fields:
                yield f"{where}.{name}"
            else:
                yield from unknown_in(value, fields[name], f"{where}.{name}")


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _fields(kind: Any) -> Iterator[tuple[str, Any]]:
    if _is_model(kind):
        yield from ((field.alias or name, field.annotation) for name, field in kind.model_fields.items())
    else:
        yield from get_type_hints(kind).items()


def _is_of(document: dict[str, Any], model: type[BaseModel]) -> bool:
    """Of several types that a place may hold the one that is named."""
    field = model.model_fields.get("type")
    return field is not None and document.get("type") in get_args(field.annotation)


def _unfolded(kind: Any) -> Iterator[Any]:
    """The types that a place may hold."""
    if get_origin(kind) is not None and get_origin(kind) is not list:
        for one in get_args(kind):
            yield from _unfolded(one)
    else:
        yield kind


def test_the_comparison_can_fail() -> None:
    order = {"id": "1", "location_id": "L", "line_items": [{"quantity": "1", "colour": "blue"}]}
    assert list(unknown_in({"orders": [order]}, SearchOrdersResponse, "")) == [".orders[0].line_items[0].colour"]


def test_no_answer_and_no_event_of_the_simulated_square_has_a_member_that_the_package_does_not_know() -> None:
    async def play(bench: Bench) -> set[str]:
        square = square_of(bench)
        said: dict[str, list[bytes]] = {}

        async def keep(scope: Any, receive: Any, send: Any) -> None:
            body = b""

            async def pass_on(message: Any) -> None:
                nonlocal body
                body += message.get("body", b"")
                await send(message)

            await app(scope, receive, pass_on)
            said.setdefault(scope["path"], []).append(body)

        app = square.app()
        bench.wire._channel = type(bench.wire._channel)(keep)
        start = await bench.poll(None)
        await bench.connector.preflight()
        sku = bench.skus[0]
        shipped, part = bench.placed((sku, 1)), bench.placed((sku, 3))
        square.cancel(bench.placed((bench.skus[1], 1)))
        square.ship(shipped)
        line = bench.booked(part).lines[0].line_id
        square.ship_units(part, line, 1)
        square.cancel_units(part, line, 1)
        square.put_in_cart([(sku, 1)])
        sold = square.sell_at_till([(sku, 2)])
        square.sell_at_till([(sku, 1)], offline_s=60.0)
        assert sold is not None
        square.take_back(sold, bench.booked(sold).lines[0].line_id, 1, restock=True)
        square.sold_out.add(sku)
        await bench.live(120.0)
        await bench.settled_orders(start.cursor)
        await bench.fetched()
        square.sold_out.clear()
        await bench.push(bench.write(sku, 4))
        square.revoke()
        await bench.live(60.0)
        _asked(bench)
        return _compared(said, [request.body for request in bench.hooks.got])

    seen = at_the_till(play)
    assert seen >= {*ANSWERS, *EVENTS}, "not all of it was said"


def _asked(bench: Bench) -> None:
    """What the connector asks for, as far as it is more than names and numbers."""
    asked = {one.url.rpartition("/v2/")[2]: msgspec.json.decode(one.body) for one in bench.wire.sent if one.body}
    search, write = asked["orders/search"], asked["inventory/changes/batch-create"]
    assert list(unknown_in(search["query"], SearchOrdersQueryParams, "query")) == []
    assert [list(unknown_in(one, InventoryChangeParams, "change")) for one in write["changes"]] == [[]]
    strange = {**search["query"], "colour": "blue"}
    assert list(unknown_in(strange, SearchOrdersQueryParams, "query")) == ["query.colour"]


def _compared(said: dict[str, list[bytes]], events: list[bytes]) -> set[str]:
    kinds: list[tuple[str, Any, bytes]] = []
    for path, bodies in said.items():
        kind = ANSWERS.get(path) or (GetOrderResponse if path.startswith("/v2/orders/") else GetLocationResponse)
        kinds += [(path, kind, body) for body in bodies]
    for body in events:
        topic = msgspec.json.decode(body)["type"]
        kinds.append((topic, EVENTS[topic], body))
    wrong = {unknown for where, kind, body in kinds for unknown in unknown_in(msgspec.json.decode(body), kind, where)}
    assert wrong == set()
    return {where for where, _, _ in kinds}
