"""A client that nobody here wrote: Shopify's own package for Python, as it is used by apps, against our simulator.

It verifies what the simulated shop signs, and is granted tokens by it; and our connector accepts what is signed by the
package's conventions. The package calls through httpx, and only {shop}.myshopify.com: its client is given a way
into the simulator instead.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

import httpx
import pytest
from shopify_app import ShopifyApp
from shopify_app.types import RequestInput

from oneshelf.connectors.shopify.simulator_shop import SHOP_DOMAIN
from oneshelf.connectors.shopify.simulator_tokens import CLIENT_ID, CLIENT_SECRET, OLD_SECRET_S, REFRESH_TOKEN
from oneshelf.sdk.fault import SignatureError
from oneshelf.sdk.message import Request

if TYPE_CHECKING:
    from connectors.shopify.conftest import Bench

SHOP = SHOP_DOMAIN.removesuffix(".myshopify.com")
BODY = b'{"inventory_item_id":53469430055218,"available":7,"name":"M\xc3\xbcg"}'


def an_app(secret: str = CLIENT_SECRET, *, old: str | None = None) -> ShopifyApp:
    return ShopifyApp(client_id=CLIENT_ID, client_secret=secret, old_client_secret=old)


def as_request(headers: Mapping[str, str], body: bytes) -> RequestInput:
    """A delivery as the package wants to be given it."""
    return {"method": "POST", "url": "https://shelf.example/", "headers": dict(headers), "body": body.decode()}


@pytest.fixture
async def way_in(bench: Bench) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=bench.sim.app())) as client:
        yield client


async def test_the_package_verifies_every_webhook_of_the_simulated_shop(bench: Bench) -> None:
    async with bench.living():
        bench.sim.place([(bench.skus[0], 1)])
        bench.sim.edit_by_hand(bench.skus[1], 3)
        await bench.clock.live(5)
    assert len(bench.receiver.got) == 3
    for headers, body in bench.receiver.got:
        asked = as_request(headers, body)
        verified = an_app("test-client-secret").verify_webhook_req(asked)
        assert (verified.ok, verified.shop) == (True, SHOP), verified.log
        assert not an_app("guess").verify_webhook_req(asked).ok
        assert not an_app("test-client-secret").verify_webhook_req(as_request(headers, body + b" ")).ok


async def test_the_package_verifies_both_secrets_of_a_rotation(bench: Bench) -> None:
    async with bench.living():
        bench.sim.installed.rotate_secret("rotated")
        bench.sim.edit_by_hand(bench.skus[0], 1)
        await bench.clock.live(OLD_SECRET_S)
        bench.sim.edit_by_hand(bench.skus[0], 2)
        await bench.clock.live(5)
    told = [as_request(headers, body) for headers, body in bench.receiver.got]
    both, only_new = an_app("rotated", old="test-client-secret"), an_app("rotated")
    assert [both.verify_webhook_req(one).ok for one in told] == [True, True]
    assert [only_new.verify_webhook_req(one).ok for one in told] == [False, True]


@pytest.mark.parametrize("prefix", ["X-Shopify-", "Shopify-", "shopify-"])
def test_what_is_signed_as_the_package_expects_it_is_accepted_by_our_connector(bench: Bench, prefix: str) -> None:
    """Webhooks spell their headers with X-, the newer events without; the package takes both, and so do we."""
    digest = hmac.new(CLIENT_SECRET.encode(), BODY, hashlib.sha256).digest()
    headers = {
        f"{prefix}Hmac-Sha256": base64.b64encode(digest).decode(),
        f"{prefix}Topic": "inventory_levels/update",
        f"{prefix}Shop-Domain": SHOP_DOMAIN,
        f"{prefix}Webhook-Id": "b1",
    }
    assert an_app().verify_webhook_req(as_request(headers, BODY)).ok
    # The web server gives the names of headers in lower case.
    asked = Request({name.lower(): value for name, value in headers.items()}, BODY)
    connector = bench.open(secrets={"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET})
    assert (connector.verify(asked).key, connector.verify(asked).topic) == ("b1", "inventory_levels/update")
    with pytest.raises(SignatureError):
        connector.verify(Request(asked.headers, BODY + b" "))


async def test_the_package_is_granted_a_token_by_the_apps_credentials(bench: Bench, way_in: httpx.AsyncClient) -> None:
    granted = await an_app().exchange_using_client_credentials_async(SHOP, http_client=way_in)
    assert granted.ok, granted.log
    assert granted.access_token is not None
    assert granted.access_token.scope.split(",") == list(bench.sim.installed.scopes)
    answer = await bench.post("{ shop { myshopifyDomain } }", token=granted.access_token.token)
    assert answer["data"] == {"shop": {"myshopifyDomain": SHOP_DOMAIN}}
    refused = await an_app("guess").exchange_using_client_credentials_async(SHOP, http_client=way_in)
    assert (refused.ok, refused.log.code) == (False, "invalid_client")


async def test_the_package_refreshes_a_token_again_and_again(bench: Bench, way_in: httpx.AsyncClient) -> None:
    def kept(refresh_token: str) -> dict[str, object]:
        ended = {"expires": "2000-01-01T00:00:00Z", "refresh_token_expires": "2999-01-01T00:00:00Z"}
        return {"access_mode": "offline", "shop": SHOP, "token": "x", "refresh_token": refresh_token, **ended}

    used = REFRESH_TOKEN
    for _ in range(3):
        refreshed = await an_app().refresh_token_exchanged_access_token_async(kept(used), http_client=way_in)
        assert refreshed.ok, refreshed.log
        assert refreshed.access_token is not None
        answer = await bench.post("{ shop { name } }", token=refreshed.access_token.token)
        assert "errors" not in answer
        assert refreshed.access_token.refresh_token != used
        used = refreshed.access_token.refresh_token or ""
    retired = await an_app().refresh_token_exchanged_access_token_async(kept(REFRESH_TOKEN), http_client=way_in)
    assert (retired.ok, retired.log.code) == (False, "invalid_grant")
