"""Connecting an Amazon account, its preflight, and a real socket."""

from __future__ import annotations

import asyncio
import logging
import socket

import httpx2
import pytest
import uvicorn

from connectors.amazon.harness import bench, turns
from oneshelf.clock import SystemClock
from oneshelf.connectors.amazon import CONNECTOR
from oneshelf.connectors.amazon.account import account_from
from oneshelf.connectors.amazon.simulator import SIMULATED_SECRETS, SIMULATED_SETTINGS, TOKEN_PATH, AmazonSimulator
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.errors import ConfigurationError
from oneshelf.sdk.fault import SignatureError
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.limits import Unlimited
from oneshelf.sdk.message import (
    Accepted,
    ChannelConfig,
    Delivery,
    Ignored,
    Request,
    StockWrite,
    Unknown,
)
from oneshelf.sdk.simulator import CatalogueItem

# Connecting ------------------------------------------------------------------------------------------------------


async def test_a_preflight_of_a_good_account_finds_everything_good_and_changes_nothing() -> None:
    async with bench({"MUG": 3}) as desk:
        findings = await desk.connector.preflight()
        assert [(finding.what, finding.is_good) for finding in findings] == [
            ("credentials", True),
            ("orders can be read", True),
            ("listings can be read", True),
            ("listings can be written", True),
        ]
        await desk.clock.advance(1000)
        assert desk.units() == {"MUG": 3}


@pytest.mark.parametrize(
    ("operation", "what"),
    [
        ("searchOrders", "orders can be read"),
        ("searchListingsItems", "listings can be read"),
        ("patchListingsItem", "listings can be written"),
    ],
)
async def test_a_preflight_names_the_right_that_is_missing_and_the_way_out(operation: str, what: str) -> None:
    async with bench({"MUG": 3}) as desk:
        desk.simulator.gate.denied.add(operation)
        bad = [finding for finding in await desk.connector.preflight() if not finding.is_good]
        assert [finding.what for finding in bad] == [what]
        assert "authorize the application again" in bad[0].detail


async def test_a_preflight_with_wrong_credentials_ends_there() -> None:
    async with bench({"MUG": 3}) as desk:
        (finding,) = await desk.another_connector(refresh_token="stale").preflight()
        assert (finding.what, finding.is_good) == ("credentials", False)
        assert "invalid_grant" in finding.detail


def opened(settings: dict[str, str], secrets: dict[str, str]) -> None:
    http = ChannelHttp(httpx2.AsyncClient(), clock=SystemClock(), limiter=Unlimited())
    config = ChannelConfig("amazon-us", settings=settings, secrets=secrets)
    CONNECTOR.open(config, channel=Channel("amazon-us"), http=http, clock=SystemClock())


@pytest.mark.parametrize("name", ["client_id", "client_secret", "refresh_token", "seller_id"])
def test_a_missing_setting_is_named(name: str) -> None:
    settings = {key: value for key, value in SIMULATED_SETTINGS.items() if key != name}
    secrets = {key: value for key, value in SIMULATED_SECRETS.items() if key != name}
    with pytest.raises(ConfigurationError, match=f"{name} is missing"):
        opened(settings, secrets)


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(ConfigurationError, match="unknown setting regoin"):
        opened({**SIMULATED_SETTINGS, "regoin": "eu"}, SIMULATED_SECRETS)
    with pytest.raises(ConfigurationError, match="unknown secret password"):
        opened(SIMULATED_SETTINGS, {**SIMULATED_SECRETS, "password": "x"})


@pytest.mark.parametrize(
    "address",
    ["http://example.com", "ftp://127.0.0.1", "nonsense", "https://u:p@example.com", "https://[", "https://x?y"],
)
def test_secrets_travel_over_https_or_to_this_machine_only(address: str) -> None:
    for name in ("base_url", "token_url"):
        with pytest.raises(ConfigurationError, match=name):
            opened({**SIMULATED_SETTINGS, name: address}, SIMULATED_SECRETS)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9", "http://localhost", "http://[::1]:8", "https://example.com/"]
)
def test_a_safe_address_is_taken(address: str) -> None:
    opened({**SIMULATED_SETTINGS, "base_url": address, "token_url": address}, SIMULATED_SECRETS)


async def test_amazon_sends_no_webhooks() -> None:
    async with bench({}) as desk:
        with pytest.raises(SignatureError, match="Amazon sends no webhooks"):
            desk.connector.verify(Request(headers={}, body=b"{}"))
        (message,) = desk.connector.parse(Delivery(key="k", topic="orders/create", body=b"{}"))
        assert isinstance(message, Ignored)


# A real socket -----------------------------------------------------------------------------------------------------


async def test_over_a_real_socket_a_lost_reply_is_unknown_and_the_server_lives_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = SystemClock()
    simulator = AmazonSimulator(seed=5, speed=100.0, clock=clock)
    simulator.stock_catalogue([CatalogueItem("A/B #1%", "Mug", 10), CatalogueItem("CUP", "Cup", 10)])
    config = uvicorn.Config(simulator.app(), lifespan="off", log_config=None, http="httptools", ws="none")
    server = uvicorn.Server(config)
    caplog.set_level(logging.WARNING)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        settings = {**SIMULATED_SETTINGS, "base_url": address, "token_url": address + TOKEN_PATH}
        config_of_channel = ChannelConfig("amazon-us", settings=settings, secrets=SIMULATED_SECRETS)
        async with httpx2.AsyncClient() as client, asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listening]))
            http = ChannelHttp(client, clock=clock, limiter=Unlimited())
            connector = CONNECTOR.open(config_of_channel, channel=Channel("amazon-us"), http=http, clock=clock)
            simulator.switches.set({"reply_lost": {"next": 1}})
            skus = ("A/B #1%", "CUP")
            writes = [StockWrite(clock.new_id(), ChannelSku(sku), units=3, expected_units=10) for sku in skus]
            lost, fine = await connector.push(writes)
            submitted = [listing.submitted[0]["quantity"] for listing in simulator.amazon.catalogue.values()]
            readings = await connector.read_stock([ChannelSku(sku) for sku in skus])
            server.should_exit = True
    assert isinstance(lost, Unknown)
    assert fine == Accepted()
    assert submitted == [3, 3]
    assert len(readings) == 2
    noise = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(noise) <= 1
    assert not any(record.exc_info for record in noise)
    await turns()


def test_a_simulators_endpoint_needs_its_own_place_for_tokens() -> None:
    """Else the secrets would go to Amazon, and nobody would see why nothing works."""
    config = ChannelConfig(
        "rehearsal", {"seller_id": "A1", "base_url": "http://127.0.0.1:9802"}, dict(SIMULATED_SECRETS)
    )
    with pytest.raises(ConfigurationError, match="set token_url too"):
        account_from(config)
