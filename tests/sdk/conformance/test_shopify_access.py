"""Whichever way a shop lets us in, the suite holds: by the app's credentials, and by an offline token."""

from __future__ import annotations

from collections.abc import Sequence

import httpx2
import pytest

from oneshelf.clock import Clock
from oneshelf.connectors.shopify import CONNECTOR
from oneshelf.connectors.shopify.kind import ShopifyKind
from oneshelf.connectors.shopify.simulator import ShopifySimulator
from oneshelf.connectors.shopify.simulator_tokens import CLIENT_ID, REFRESH_TOKEN
from oneshelf.sdk.conformance.check import Check
from oneshelf.sdk.conformance.run import Verdict, checks_of, run_check
from oneshelf.sdk.quality import quality_of
from oneshelf.sdk.simulator import SimulatedAccount


class _AppSimulator(ShopifySimulator):
    """Signs with the app's client secret, as the shop does."""

    more_secrets: dict[str, str] = {}  # noqa: RUF012  # no instance writes it

    def account(self, *, address: str, webhook_secrets: Sequence[str] = ("hush",)) -> SimulatedAccount:
        client_secret, *others = webhook_secrets
        secrets = {"client_id": CLIENT_ID, "client_secret": client_secret, "webhook_secret": ",".join(others)}
        fixed = super().account(address=address, webhook_secrets=webhook_secrets)
        return SimulatedAccount(fixed.settings, {**secrets, **self.more_secrets})


class _OfflineSimulator(_AppSimulator):
    more_secrets = {"refresh_token": REFRESH_TOKEN}  # noqa: RUF012  # as above


class _Kind(ShopifyKind):
    def __init__(self, simulator: type[ShopifySimulator]) -> None:
        self._simulator = simulator

    def simulator(
        self, *, seed: int, speed: float, clock: Clock, webhook_client: httpx2.AsyncClient | None = None
    ) -> ShopifySimulator:
        return self._simulator(seed=seed, speed=speed, clock=clock, webhook_client=webhook_client)


@pytest.mark.long(but_one_in=3)
@pytest.mark.parametrize("simulator", [_AppSimulator, _OfflineSimulator], ids=["credentials", "offline token"])
@pytest.mark.parametrize(
    "check", checks_of("faults", "secrecy", "settings", "signatures", "repeatability"), ids=lambda check: check.name
)
def test_the_rules_hold_whichever_way_we_are_let_in(check: Check, simulator: type[ShopifySimulator]) -> None:
    result = run_check(_Kind(simulator), check, quality=quality_of(CONNECTOR))
    assert result.verdict is not Verdict.FAILED, result.words
