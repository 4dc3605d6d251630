"""The connector against the simulated shop, over the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oneshelf.connectors.shopify import CONNECTOR
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.order import OrderSnapshot
from oneshelf.errors import ConfigurationError
from oneshelf.sdk.contract import ConnectorKind
from oneshelf.sdk.fault import (
    RefusedError,
    SignatureError,
)
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.limits import Unlimited
from oneshelf.sdk.message import (
    Applied,
    ChannelConfig,
    Delivery,
    Refused,
    Request,
    StockHint,
)

if TYPE_CHECKING:
    from connectors.shopify.conftest import Bench

# The vector was computed apart from this code.
SECRET = "test-client-secret"
VECTOR_BODY = (
    b'{"inventory_item_id":53469430055218,"location_id":106318430514,"available":7,'
    b'"updated_at":"2026-06-25T01:33:56Z",'
    b'"admin_graphql_api_id":"gid://shopify/InventoryLevel/143273001266?inventory_item_id=53469430055218"}'
)
VECTOR_SIGNATURE = "4iVAA4t7fVYbV+P/ieTOqN0CihcbyVxG7y8AVgTXfPE="


def a_request(body: bytes = VECTOR_BODY, *, prefix: str = "x-shopify-", **headers: str) -> Request:
    named = {"topic": "inventory_levels/update", "webhook-id": "w-1", "hmac-sha256": VECTOR_SIGNATURE}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(headers={prefix + name: value for name, value in named.items() if value}, body=body)


# Deliveries ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["x-shopify-", "shopify-"])
def test_an_authentic_webhook_is_known_by_its_webhook_id(bench: Bench, prefix: str) -> None:
    assert len(VECTOR_BODY) == 213
    expected = Delivery(key="w-1", topic="inventory_levels/update", body=VECTOR_BODY)
    assert bench.connector.verify(a_request(prefix=prefix)) == expected


@pytest.mark.parametrize(
    "request_",
    [
        a_request(hmac_sha256=""),
        a_request(hmac_sha256="AAAA"),
        a_request(hmac_sha256=VECTOR_SIGNATURE + "\n"),
        a_request(hmac_sha256="é"),
        a_request(VECTOR_BODY + b" "),
        a_request(b""),
    ],
)
def test_a_webhook_that_shopify_did_not_sign_is_refused(bench: Bench, request_: Request) -> None:
    with pytest.raises(SignatureError):
        bench.connector.verify(request_)


def test_without_a_webhook_id_equal_bodies_of_one_topic_are_one_delivery(bench: Bench) -> None:
    verify = bench.connector.verify
    key = verify(a_request(webhook_id="")).key
    assert key == verify(a_request(webhook_id="")).key
    assert key != verify(a_request(webhook_id="", topic="inventory_levels/connect")).key


# Orders --------------------------------------------------------------------------------------------------------


def _snapshot(bench: Bench, delivery: Delivery) -> OrderSnapshot:
    (message,) = bench.connector.parse(delivery)
    assert isinstance(message, OrderSnapshot)
    return message


async def test_a_poll_answers_for_what_was_placed_before_it_asked(bench: Bench) -> None:
    bench.clock.turn(100)
    asked_at = bench.clock.now()
    page = await bench.connector.poll_orders(None)
    while page.has_more:
        assert page.covered_until is None
        bench.clock.turn(1)
        page = await bench.connector.poll_orders(page.cursor)
    assert page.covered_until is not None
    assert (asked_at - page.covered_until).total_seconds() == CONNECTOR.capability.orders_lag_s


async def test_a_cursor_of_something_else_is_refused(bench: Bench) -> None:
    with pytest.raises(RefusedError, match="cursor"):
        await bench.connector.poll_orders("2026-11-23")


# Readings ------------------------------------------------------------------------------------------------------


async def test_a_reading_names_the_sellers_sku_and_the_inventory_item_that_hints_speak_of(bench: Bench) -> None:
    (reading,) = await bench.connector.read_stock(bench.skus[:1])
    assert (reading.units, reading.merchant_sku, reading.title) == (10, "MUG-0", "Mug 0 - Default Title")
    async with bench.living():
        bench.sim.edit_by_hand(bench.skus[0], 3)
        await bench.clock.live(3)
    ((headers, body),) = bench.receiver.got
    delivery = bench.connector.verify(Request(headers, body))
    assert bench.connector.parse(delivery) == (StockHint(alias=reading.alias),)


async def test_a_listing_that_shopify_does_not_know_is_left_out(bench: Bench) -> None:
    asked = [ChannelSku("1"), bench.skus[0], ChannelSku("no number"), ChannelSku("007")]
    readings = await bench.connector.read_stock(asked)
    assert [reading.channel_sku for reading in readings] == bench.skus[:1]


async def test_an_item_that_is_untracked_unstocked_or_inactive_has_no_units_to_write(bench: Bench) -> None:
    untracked, unstocked, inactive = (bench.sim.shop.article(sku) for sku in bench.skus[:3])
    untracked.is_tracked = unstocked.is_stocked = inactive.is_active = False
    readings = await bench.connector.read_stock(bench.skus[:3])
    assert [reading.units for reading in readings] == [None, None, None]
    assert ["track" in readings[0].note, "not stocked" in readings[1].note, "deactivated" in readings[2].note] == [
        True
    ] * 3
    outcomes = await bench.connector.push([bench.write(sku, 4) for sku in bench.skus[:4]])
    assert [type(outcome) for outcome in outcomes] == [Refused, Refused, Refused, Applied]
    assert bench.shown()[:4] == [10, 10, 10, 4]
    untracked.is_tracked = True
    assert await bench.connector.push([bench.write(bench.skus[0], 4)]) == (Applied(),)


# Configuration -------------------------------------------------------------------------------------------------


SETTINGS = {"base_url": "https://shop.myshopify.com", "location_id": "gid://shopify/Location/42"}
SECRETS = {"access_token": "shpat_x", "webhook_secret": "hush"}


def opened(settings: dict[str, str], secrets: dict[str, str], bench: Bench) -> object:
    http = ChannelHttp(bench.client, clock=bench.clock, limiter=Unlimited())
    config = ChannelConfig(channel="shop", settings=settings, secrets=secrets)
    return CONNECTOR.open(config, channel=Channel("shop"), http=http, clock=bench.clock)


def test_a_complete_configuration_opens_a_channel(bench: Bench) -> None:
    assert opened(SETTINGS, SECRETS, bench)
    assert opened(SETTINGS | {"base_url": "http://127.0.0.1:8000/", "api_version": "2026-07"}, SECRETS, bench)


@pytest.mark.parametrize(
    ("settings", "secrets", "name"),
    [
        ({"base_url": ""}, {}, "base_url"),
        ({"base_url": "http://shop.myshopify.com"}, {}, "base_url"),
        ({"base_url": "https://shop.myshopify.com/admin"}, {}, "base_url"),
        ({"base_url": "https://user:pass@shop.myshopify.com"}, {}, "base_url"),
        ({"base_url": "https://[::1"}, {}, "base_url"),
        ({"base_url": "ftp://shop.myshopify.com"}, {}, "base_url"),
        ({"location_id": "Main street"}, {}, "location_id"),
        ({"location_id": "gid://shopify/Order/42"}, {}, "location_id"),
        ({"api_version": "2026-11"}, {}, "api_version"),
        ({"colour": "red"}, {}, "colour"),
        ({}, {"access_token": " "}, "access_token"),
        ({}, {"access_token": "shpat_x\nHost: evil"}, "access_token"),
        ({}, {"webhook_secret": ","}, "webhook_secret"),
        ({}, {"webhook_secret": "a,b,c"}, "webhook_secret"),
        ({}, {"pin": "1"}, "pin"),
    ],
)
def test_a_setting_that_is_missing_unknown_or_unusable_is_named(
    bench: Bench, settings: dict[str, str], secrets: dict[str, str], name: str
) -> None:
    with pytest.raises(ConfigurationError, match=name) as refused:
        opened(SETTINGS | settings, SECRETS | secrets, bench)
    assert "evil" not in str(refused.value)


async def test_a_preflight_names_every_claim_and_what_is_wrong(bench: Bench) -> None:
    findings = await bench.connector.preflight()
    assert len(findings) == 9
    assert all(finding.is_good for finding in findings)
    config = ChannelConfig(
        "shop",
        {"base_url": "http://localhost", "location_id": "42", "api_version": "2026-07"},
        {"access_token": "shpat_simulated", "webhook_secret": "hush"},
    )
    http = ChannelHttp(bench.client, clock=bench.clock, limiter=Unlimited())
    lost = CONNECTOR.open(config, channel=Channel("shop"), http=http, clock=bench.clock)
    assert [finding.what for finding in await lost.preflight() if not finding.is_good] == ["location 42"]


def test_the_kind_keeps_the_contract_and_declares_what_shopify_documents() -> None:
    kind: ConnectorKind = CONNECTOR
    assert kind.name == "shopify"
    assert (kind.capability.batch_writes, kind.capability.batch_reads) == (250, 250)
    assert kind.capability.key_life_s < 24 * 3600
    assert kind.capability.is_applied_when_answered
    assert [setting.name for setting in kind.settings if setting.is_secret] == [
        *("access_token", "client_id", "client_secret", "refresh_token", "webhook_secret")
    ]
