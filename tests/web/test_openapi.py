"""What /openapi.json says can be done as it is said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from oneshelf.web.described import EXAMPLES
from web.paper import Shop, open_shop

pytestmark = pytest.mark.pg

EVENING = (
    ("POST", "/v1/locations"),
    ("POST", "/v1/skus"),
    ("POST", "/v1/commands"),
    ("POST", "/v1/counts"),
    ("PUT", "/v1/bundles/{sku}"),
    ("PUT", "/v1/backorders"),
    ("POST", "/v1/reservations"),
    ("POST", "/v1/reservations/{reservation_id}/extend"),
    ("POST", "/v1/reservations/{reservation_id}/claim"),
)


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        yield shop


def example_of(document: dict[str, Any], method: str, path: str) -> Any:
    body = document["paths"][path][method.lower()]["requestBody"]
    return body["content"]["application/json"]["example"]


@pytest.mark.long
async def test_the_examples_one_after_the_other_are_an_evening(shop: Shop) -> None:
    document = (await shop.client.get("/openapi.json")).json()
    reservation_id = ""
    for method, path in EVENING:
        address = path.replace("{sku}", "DUO").replace("{reservation_id}", reservation_id)
        answer = await shop.client.request(method, address, json=example_of(document, method, path))
        assert answer.status_code == 200, f"{path}: {answer.text}"
        if path == "/v1/reservations":
            reservation_id = answer.json()["figures"]["reservation_id"]
    assert (await shop.client.get("/v1/skus/MUG-BLUE")).json()["committed"] == 1
    released = "/v1/reservations/{reservation_id}/release"
    ended = await shop.client.post(
        released.format(reservation_id=reservation_id), json=example_of(document, "POST", released)
    )
    assert ended.json()["outcome"] == "reservation_ended"


@pytest.mark.long
async def test_every_body_has_an_example(shop: Shop) -> None:
    document = (await shop.client.get("/openapi.json")).json()
    bodies = [
        operation["requestBody"]["content"]
        for operations in document["paths"].values()
        for operation in operations.values()
        if "requestBody" in operation
    ]
    assert all("example" in next(iter(body.values())) for body in bodies)
    told = [body["application/json"]["example"] for body in bodies if "application/json" in body]
    assert sorted({str(one) for one in told}) == sorted(map(str, EXAMPLES.values()))
