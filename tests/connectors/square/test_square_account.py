"""Being let in: two kinds of access, tokens that end, and what a person has to put right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.square.till import at_the_till, square_of
from oneshelf.connectors.square import CONNECTOR
from oneshelf.connectors.square.account import API_VERSION, RENEW_AFTER_S, account_from, tokens_of
from oneshelf.connectors.square.simulator_gate import ACCESS_TOKEN, SCOPES
from oneshelf.domain.identity import Channel
from oneshelf.errors import ConfigurationError
from oneshelf.sdk.conformance.bench import ADDRESS, Bench
from oneshelf.sdk.fault import ReauthenticateError
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.limits import Unlimited
from oneshelf.sdk.message import ChannelConfig, Finding
from oneshelf.sdk.secret_store import MemorySecretStore
from oneshelf.sdk.virtual_time import VirtualClock, run_virtually

SETTINGS = {"location_id": "L1", "base_url": ADDRESS}
SELLER = {"client_id": "sq0idp-1", "client_secret": "sq0csp-1", "refresh_token": "EQAA-1"}
SIGNED = {"notification_url": "https://shelf.example/webhooks/till"}


def config(settings: Mapping[str, str], secrets: Mapping[str, str]) -> ChannelConfig:
    return ChannelConfig("till", {**SETTINGS, **settings}, secrets)


@pytest.mark.parametrize(
    ("settings", "secrets", "named"),
    [
        ({}, {}, "client_id"),
        ({}, {"access_token": "EAAA", **SELLER}, "two kinds of access"),
        ({}, {"client_id": "a", "client_secret": "b"}, "refresh_token"),
        ({}, {"client_secret": "b", "refresh_token": "c"}, "client_id"),
        ({}, {"access_token": "with blank"}, "access_token"),
        ({"location_id": "not an id"}, SELLER, "location_id"),
        ({"api_version": "newest"}, SELLER, "api_version"),
        ({"orders_lag_s": "-1"}, SELLER, "orders_lag_s"),
        ({"base_url": "http://connect.squareup.com"}, SELLER, "base_url"),
        ({"notification_url": "shelf.example"}, {**SELLER, "webhook_signature_key": "k"}, "notification_url"),
        (SIGNED, SELLER, "webhook_signature_key"),
        ({}, {**SELLER, "webhook_signature_key": "k"}, "notification_url"),
        (SIGNED, {**SELLER, "webhook_signature_key": "a,b,c"}, "webhook_signature_key"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(settings: dict[str, str], secrets: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        account_from(config(settings, secrets))


def test_no_secret_is_shown() -> None:
    account = account_from(config(SIGNED, {**SELLER, "webhook_signature_key": "key-of-webhooks"}))
    assert not [secret for secret in (*SELLER.values(), "key-of-webhooks") if secret in repr(account)]
    assert account.api_version == API_VERSION


def findings_of(bench: Bench, settings: Mapping[str, str], secrets: Mapping[str, str]) -> Any:
    opened = CONNECTOR.open(
        ChannelConfig("till", {**bench.config.settings, **settings}, secrets),
        channel=Channel("till"),
        http=bench.http,
        clock=bench.clock,
    )
    return bench.patiently(opened.preflight)


def test_a_personal_access_token_opens_it_too() -> None:
    async def play(bench: Bench) -> tuple[Finding, ...]:
        only_polled = {name: "" for name in ("notification_url",)}
        found: tuple[Finding, ...] = await findings_of(bench, only_polled, {"access_token": ACCESS_TOKEN})
        return found

    found = at_the_till(play)
    assert all(finding.is_good for finding in found)
    assert found[-1].detail.startswith("none; orders are polled")


def test_a_preflight_names_the_permission_the_location_and_the_version_that_are_missing() -> None:
    async def play(bench: Bench) -> list[str]:
        square_of(bench).gate.scopes = tuple(scope for scope in SCOPES if scope != "INVENTORY_WRITE")
        found = await findings_of(bench, {"location_id": "L2"}, bench.config.secrets)
        return [finding.what for finding in found if not finding.is_good]

    assert at_the_till(play) == ["permission INVENTORY_WRITE", "location L2"]


def test_a_version_that_square_does_not_serve_is_named() -> None:
    async def play(bench: Bench) -> Any:
        return await findings_of(bench, {"api_version": "2099-01-01"}, bench.config.secrets)

    [finding] = at_the_till(play)
    assert "api_version" in finding.detail


def test_a_token_is_renewed_after_days_and_when_it_is_rejected() -> None:
    async def play(bench: Bench) -> list[int]:
        gate = square_of(bench).gate
        counts = []
        for wait_s in (0.0, 3600.0, RENEW_AFTER_S):
            await bench.live(wait_s)
            await bench.read(bench.skus[0])
            counts.append(gate.granted_count)
        gate.expire_tokens()
        await bench.read(bench.skus[0])
        return [*counts, gate.granted_count]

    assert at_the_till(play) == [1, 1, 2, 3]


def test_without_the_right_to_payments_orders_are_polled_all_the_same() -> None:
    async def play(bench: Bench) -> None:
        start = await bench.poll(None)
        square_of(bench).gate.scopes = tuple(scope for scope in SCOPES if scope != "PAYMENTS_READ")
        square_of(bench).sell_at_till([(bench.skus[0], 1)], offline_s=600.0)
        await bench.live(900.0)
        told = (await bench.settled_orders(start.cursor)).orders
        [order] = told.values()
        late_s = (order.placed_at - bench.booked(order.order_id).placed_at).total_seconds()
        assert late_s > 590, "it counts as sold when it was transmitted"

    at_the_till(play)


def test_with_pkce_each_refresh_token_is_used_once_and_the_next_one_is_kept() -> None:
    """No client secret; the answer has another refresh token, and the former is void."""
    clock, used, asked = VirtualClock("pkce"), set(), []

    async def grant(request: Request) -> Response:
        told = msgspec.json.decode(await request.body())
        asked.append(told)
        if told["refresh_token"] in used:
            error = {"category": "AUTHENTICATION_ERROR", "code": "UNAUTHORIZED"}
            return JSONResponse({"errors": [error]}, status_code=401)
        used.add(told["refresh_token"])
        return JSONResponse({"access_token": f"EAAA-{len(used)}", "refresh_token": f"EQAA-{len(used) + 1}"})

    async def play() -> None:
        app = Starlette(routes=[Route("/oauth2/token", grant, methods=["POST"])])
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app)) as client:
            http = ChannelHttp(client, clock=clock, limiter=Unlimited())
            account = account_from(config({}, {"client_id": "sq0idp-1", "refresh_token": "EQAA-1"}))
            store = MemorySecretStore(clock)
            first = tokens_of(account, http=http, clock=clock, store=store)
            assert await first.access_token() == "EAAA-1"
            await clock.sleep(RENEW_AFTER_S)
            assert await first.access_token() == "EAAA-2"
            await clock.sleep(RENEW_AFTER_S)
            other = tokens_of(account, http=http, clock=clock, store=store)
            assert await other.access_token() == "EAAA-3", "another node goes on from what was kept"
            fresh = tokens_of(account, http=http, clock=clock, store=MemorySecretStore(clock))
            with pytest.raises(ReauthenticateError, match="authorize the application again"):
                await fresh.access_token()
        assert ["client_secret" in one for one in asked] == [False] * 4

    run_virtually(clock, play())
