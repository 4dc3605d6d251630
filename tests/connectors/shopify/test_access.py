"""Three ways into a shop: a fixed token, one for a day by the app's credentials, one for an hour that rotates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest
from starlette.types import Receive, Scope, Send

from oneshelf.connectors.shopify.simulator_tokens import (
    AGAIN_S,
    CLIENT_ID,
    CLIENT_SECRET,
    CREDENTIALS_LIFE_S,
    OFFLINE_LIFE_S,
    REFRESH_TOKEN,
)
from oneshelf.domain.kept import Kept
from oneshelf.errors import ConfigurationError
from oneshelf.sdk.fault import ReauthenticateError, RetryLaterError
from oneshelf.sdk.message import Applied, Request
from oneshelf.sdk.secret_store import MemorySecretStore
from oneshelf.sdk.signature import hmac_sha256_base64

if TYPE_CHECKING:
    from connectors.shopify.conftest import Bench

CREDENTIALS = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
OFFLINE = {**CREDENTIALS, "refresh_token": REFRESH_TOKEN}


async def test_a_day_of_access_is_asked_for_once_and_again_before_its_end(bench: Bench) -> None:
    connector = bench.open(secrets=CREDENTIALS)
    assert all(finding.is_good for finding in await connector.preflight())
    await connector.fetch_stock(None)
    assert bench.sim.installed.granted_count == 1
    bench.clock.turn(CREDENTIALS_LIFE_S - 61)
    await connector.fetch_stock(None)
    assert bench.sim.installed.granted_count == 1
    bench.clock.turn(2)
    await connector.fetch_stock(None)
    assert bench.sim.installed.granted_count == 2


async def test_an_hour_of_access_is_refreshed_for_ever_with_what_was_handed_out_last(bench: Bench) -> None:
    store = MemorySecretStore(bench.clock)
    connector = bench.open(secrets=OFFLINE, store=store)
    kept = []
    for _ in range(5):
        await connector.fetch_stock(None)
        kept.append((await store.latest()).values["refresh_token"])
        bench.clock.turn(OFFLINE_LIFE_S)
    assert len(set(kept)) == 5
    assert bench.sim.installed.granted_count == 5


async def test_a_token_that_dies_early_is_replaced_once_and_the_write_is_made(bench: Bench) -> None:
    connector = bench.open(secrets=OFFLINE)
    await connector.read_stock(bench.skus)
    bench.sim.installed.expire_tokens()
    assert await connector.push([bench.write(bench.skus[0], 4)]) == (Applied(),)
    assert bench.shown()[0] == 4
    assert bench.sim.installed.granted_count == 2


@pytest.mark.parametrize("secrets", [CREDENTIALS, OFFLINE])
async def test_access_that_was_taken_away_is_told_with_the_way_out_and_without_a_secret(
    bench: Bench, secrets: Mapping[str, str]
) -> None:
    connector = bench.open(secrets=secrets)
    await connector.fetch_stock(None)
    bench.sim.revoke()
    with pytest.raises(ReauthenticateError, match="invalid_client"):
        await connector.fetch_stock(None)
    (finding,) = await connector.preflight()
    assert not finding.is_good
    assert ("refresh_token" in finding.detail) == ("refresh_token" in secrets)
    assert not any(secret in finding.detail for secret in (CLIENT_SECRET, REFRESH_TOKEN))
    bench.sim.grant()
    await connector.fetch_stock(None)


async def test_a_right_that_is_missing_asks_for_no_other_token(bench: Bench) -> None:
    async def forbid(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 403, "headers": []})
        await send({"type": "http.response.body", "body": b"forbidden"})

    store = MemorySecretStore(bench.clock)
    await bench.open(secrets=CREDENTIALS, store=store).fetch_stock(None)
    connector = bench.open(secrets=CREDENTIALS, store=store, app=forbid)
    with pytest.raises(ReauthenticateError, match="403"):
        await connector.fetch_stock(None)
    assert bench.sim.installed.granted_count == 1


async def test_an_answer_that_was_lost_before_it_was_kept_is_asked_for_again(bench: Bench) -> None:
    """As after kill -9 between the shop's answer and the commit: the old refresh token is still in the store."""
    store = MemorySecretStore(bench.clock)
    await bench.open(secrets=OFFLINE, store=store).fetch_stock(None)
    bench.clock.turn(OFFLINE_LIFE_S)

    class Dies(MemorySecretStore):
        async def latest(self) -> Kept:
            return await store.latest()

        async def replace(self, values: Mapping[str, str], *, read: Kept) -> bool:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await bench.open(secrets=OFFLINE, store=Dies(bench.clock)).fetch_stock(None)
    assert bench.sim.installed.granted_count == 2
    await bench.open(secrets=OFFLINE, store=store).fetch_stock(None)
    bench.clock.turn(OFFLINE_LIFE_S)
    await bench.open(secrets=OFFLINE, store=store).fetch_stock(None)


async def post(bench: Bench, **fields: str) -> tuple[int, dict[str, Any]]:
    """A token request as another client sends it."""
    reply = await bench.client.post("http://localhost/admin/oauth/access_token", json={**CREDENTIALS, **fields})
    return reply.status_code, reply.json()


async def test_the_shop_keeps_a_used_refresh_token_until_the_one_that_it_bought_is_used(bench: Bench) -> None:
    async def refresh(token: str) -> tuple[int, dict[str, Any]]:
        return await post(bench, grant_type="refresh_token", refresh_token=token)

    _, first = await refresh(REFRESH_TOKEN)
    _, second = await refresh(REFRESH_TOKEN)
    assert first["refresh_token"] != second["refresh_token"]
    assert (await refresh(second["refresh_token"]))[0] == 200
    for retired in (REFRESH_TOKEN, first["refresh_token"]):
        assert (await refresh(retired))[1]["error"] == "invalid_grant"
    assert (await refresh(second["refresh_token"]))[0] == 200
    bench.clock.turn(AGAIN_S)
    assert (await refresh(second["refresh_token"]))[0] == 400


async def test_the_shop_refuses_a_token_request_in_the_words_of_oauth(bench: Bench) -> None:
    assert (await post(bench, grant_type="client_credentials", client_secret="guess"))[1]["error"] == "invalid_client"
    assert (await post(bench, grant_type="client_credentials", client_id="guess"))[1]["error"] == "invalid_client"
    assert (await post(bench, grant_type="password"))[1]["error"] == "unsupported_grant_type"
    assert (await post(bench, grant_type="refresh_token", refresh_token="guess"))[1]["error"] == "invalid_grant"
    status, granted = await post(bench, grant_type="client_credentials")
    assert (status, granted["expires_in"]) == (200, CREDENTIALS_LIFE_S)
    assert "refresh_token" not in granted


async def test_a_shop_that_is_busy_grants_nothing_for_now(bench: Bench) -> None:
    bench.sim.switches.set({"server_error": {"next": 1}})
    with pytest.raises(RetryLaterError):
        await bench.open(secrets=CREDENTIALS).fetch_stock(None)
    await bench.open(secrets=CREDENTIALS).fetch_stock(None)


@pytest.mark.parametrize(
    ("secrets", "told"),
    [
        ({}, "give access_token"),
        ({"access_token": "shpat_x"}, "webhook_secret"),
        ({"access_token": "shpat_x", "webhook_secret": "s", "client_id": "c"}, "two kinds"),
        ({"access_token": "shpat_x", "webhook_secret": "s", "refresh_token": "r"}, "two kinds"),
        ({"client_id": "c"}, "'client_secret' is missing"),
        ({"client_secret": "c"}, "'client_id' is missing"),
        ({"refresh_token": "r"}, "'client_id' is missing"),
        ({"client_id": "c", "client_secret": "hidden text"}, "'client_secret' holds a character"),
        ({"client_id": "c", "client_secret": "s", "webhook_secret": "a,b,c"}, "webhook_secret"),
    ],
)
def test_secrets_that_make_no_access_are_refused_with_what_to_give(
    bench: Bench, secrets: dict[str, str], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told) as refused:
        bench.open(secrets=secrets or {"webhook_secret": "s"})
    assert "hidden" not in str(refused.value)


def test_webhooks_are_signed_by_the_client_secret_and_by_the_other_one_during_a_rotation(bench: Bench) -> None:
    connector = bench.open(secrets={**CREDENTIALS, "webhook_secret": "old"})
    for secret in (CLIENT_SECRET, "old"):
        headers = {"x-shopify-hmac-sha256": hmac_sha256_base64(secret, b"{}"), "x-shopify-topic": "orders/create"}
        assert connector.verify(Request(headers, b"{}")).topic == "orders/create"
    assert "hush" not in repr(bench.open(secrets={**CREDENTIALS, "client_secret": "hush"})._access)
