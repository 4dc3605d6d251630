"""The simulated channels of a run: which there are, how they are let in to, and how long the engine waits for each."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import httpx2

from oneshelf.connectors.amazon.simulator import SIMULATED_SECRETS, SIMULATED_SETTINGS, TOKEN_PATH, AmazonSimulator
from oneshelf.connectors.ebay import simulator as ebay
from oneshelf.connectors.shopify.simulator import ACCESS_TOKEN, ShopifySimulator
from oneshelf.connectors.shopify.simulator_shop import LOCATION_ID
from oneshelf.errors import ConfigurationError
from oneshelf.sdk.simulator import Simulator
from oneshelf.simulation.kernel import SimulatedClock
from oneshelf.simulation.network import LATE_S, Network

WEBHOOK_SECRET = "simulated-webhook-secret"  # noqa: S105  # between two parts of this process
# The channels' limits and delays run so many times fast.
SPEED = 30.0
# What a shop of a day sells on.
CHANNELS = (
    *(("shopify",), ("amazon",), ("ebay",), ("shopify", "amazon"), ("shopify", "ebay"), ("amazon", "ebay")),
    *(("shopify", "amazon", "ebay"), ("shopify", "amazon", "ebay")),
)
KINDS = ("shopify", "amazon", "ebay")
# A little longer than the latest request is late.
ZOMBIE_S = LATE_S[1] + 5.0
TIMING: Mapping[str, Mapping[str, float]] = {
    "shopify": {"poll_orders_s": 6.0, "sweep_stock_s": 20.0, "suspense_s": 10.0, "stale_s": 1.0, "zombie_s": ZOMBIE_S},
    "amazon": {
        **{"poll_orders_s": 6.0, "sweep_stock_s": 20.0, "suspense_s": 12.0, "apply_s": 14.0},
        **{"stale_s": 2.5, "zombie_s": ZOMBIE_S},
    },
    "ebay": {
        **{"poll_orders_s": 6.0, "sweep_stock_s": 20.0, "suspense_s": 12.0, "apply_s": 6.0},
        **{"stale_s": 1.5, "zombie_s": ZOMBIE_S},
    },
}


def kinds_named(text: str) -> tuple[str, ...]:
    """`ebay,amazon` -> the kinds of channels that a shop is to have. Raises ConfigurationError that names all kinds."""
    named = [part.strip() for part in text.split(",") if part.strip()]
    strange = [name for name in named if name not in KINDS]
    if strange or not named:
        said = f"no kind of channel {strange[0][:40]!r} in simulated days" if strange else "no kind of channel is named"
        raise ConfigurationError(f"{said}; there are: {', '.join(KINDS)}")
    return tuple(kind for kind in KINDS if kind in named)


def simulators(kinds: Collection[str], seed: int, clock: SimulatedClock, network: Network) -> dict[str, Simulator]:
    """The simulators of these kinds by their names, in one order whatever that of `kinds`."""

    def client_of(kind: str) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=network.arriving(kind), trust_env=False)

    made: dict[str, Simulator] = {}
    if "shopify" in kinds:
        client = client_of("shopify")
        made["shopify"] = ShopifySimulator(seed=seed, speed=SPEED, clock=clock, webhook_client=client)
    if "amazon" in kinds:
        made["amazon"] = AmazonSimulator(seed=seed, speed=SPEED, clock=clock)
    if "ebay" in kinds:
        client = client_of("ebay")
        made["ebay"] = ebay.EbaySimulator(seed=seed, speed=SPEED, clock=clock, webhook_client=client)
    return made


def account(kind: str, address: str) -> tuple[dict[str, str], dict[str, str]]:
    """Settings and secrets with which the simulator lets us in."""
    if kind == "amazon":
        addresses = {"base_url": address, "token_url": address + TOKEN_PATH}
        return {**SIMULATED_SETTINGS, **addresses, "orders_lag_s": "5"}, dict(SIMULATED_SECRETS)
    if kind == "ebay":
        settings = {**ebay.SIMULATED_SETTINGS, "base_url": address, "orders_lag_s": "1"}
        return settings, {**ebay.SIMULATED_SECRETS, "verification_token": ebay.verification_token(WEBHOOK_SECRET)}
    settings = {"base_url": address, "location_id": str(LOCATION_ID), "orders_lag_s": "1"}
    return settings, {"access_token": ACCESS_TOKEN, "webhook_secret": WEBHOOK_SECRET}
