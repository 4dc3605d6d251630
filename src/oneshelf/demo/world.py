"""Builds the demo's world: SKUs and stock in the ledger, listings at the shops, channels between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oneshelf.clock import Clock
from oneshelf.connectors.amazon.simulator import SIMULATED_SECRETS, SIMULATED_SETTINGS, TOKEN_PATH
from oneshelf.connectors.ebay import simulator as ebay
from oneshelf.demo.plan import LOCATION, Plan
from oneshelf.demo.shops import SimulatedShop
from oneshelf.domain.command import CommandKey, Receive
from oneshelf.domain.identity import Channel, Sku
from oneshelf.flow.post import post_commands
from oneshelf.sdk.simulator import CatalogueItem
from oneshelf.storage import breakers, catalog, rights
from oneshelf.storage.catalog import NewChannel
from oneshelf.storage.database import Database

# Amazon hides the orders of the last two minutes.
AMAZON_LAG_S = 120.0
# So long the simulated eBay does at most.
EBAY_LAG_S = 10.0
WEBHOOK_SECRET = "demo-webhook-secret"  # noqa: S105  # between two processes of the demo
BATCH = 1000


async def fill_shelf(database: Database, plan: Plan, clock: Clock) -> None:
    """Name the goods and receive what the plan puts on the shelf."""
    async with database.transaction() as tx:
        await catalog.add_location(tx, LOCATION, title="Warehouse")
        await catalog.add_skus(tx, {good.sku: good.title for good in plan.goods})
        await rights.set_mode(tx, [good.sku for good in plan.goods], plan.options.mode)
    for start in range(0, len(plan.goods), BATCH):
        batch = plan.goods[start : start + BATCH]
        await receive(database, clock, {good.sku: good.units for good in batch}, key="opening")


async def receive(database: Database, clock: Clock, units: Mapping[Sku, int], *, key: str) -> None:
    """Goods come in. The same key again brings nothing more."""
    commands = [
        Receive(key=CommandKey(scope="demo", key=f"{key}/{sku}"), sku=sku, location=LOCATION, units=count)
        for sku, count in units.items()
        if count > 0
    ]
    await post_commands(database, clock.new_id, commands)


async def open_shop(database: Database, plan: Plan, shop: SimulatedShop, *, webhooks_to: str) -> None:
    """List every SKU at the shop, and connect it in mode watch."""
    told = await shop.wait_until_up()
    await shop.stock([CatalogueItem(good.sku, good.title, good.shown[shop.kind]) for good in plan.goods])
    settings, secrets = _account(shop, told, plan.options.speed)
    channel = NewChannel(Channel(shop.kind), shop.kind, LOCATION, settings, secrets, plan.timing(shop.kind))
    async with database.transaction() as tx:
        await catalog.add_channel(tx, channel, keyring=database.keyring)
        # A container is expected: the breaker would stop and ask whether so many figures may change at once.
        await breakers.set_limits(tx, channel.channel, {"change_share": 1.0})
    await shop.tell("connect", {"address": f"{webhooks_to}/webhooks/{shop.kind}", "secret": WEBHOOK_SECRET})


async def go_live(database: Database, kind: str) -> None:
    """From now on the engine writes to this shop."""
    async with database.transaction() as tx:
        await catalog.set_mode(tx, Channel(kind), "live")


def _account(shop: SimulatedShop, told: Mapping[str, Any], speed: float) -> tuple[dict[str, str], dict[str, str]]:
    """Settings and secrets with which the simulator lets us in."""
    if shop.kind == "amazon":
        addresses = {"base_url": shop.address, "token_url": shop.address + TOKEN_PATH}
        lag_s = AMAZON_LAG_S / speed + 1
        return {**SIMULATED_SETTINGS, **addresses, "orders_lag_s": f"{lag_s:.1f}"}, dict(SIMULATED_SECRETS)
    if shop.kind == "ebay":
        settings = {
            **ebay.SIMULATED_SETTINGS,
            "base_url": shop.address,
            "orders_lag_s": f"{EBAY_LAG_S / speed + 1:.1f}",
        }
        return settings, {**ebay.SIMULATED_SECRETS, "verification_token": ebay.verification_token(WEBHOOK_SECRET)}
    # The simulated search of orders shows an order at once; the documented few seconds would only slow the start.
    settings = {"base_url": shop.address, "location_id": str(told["location_id"]), "orders_lag_s": "1"}
    return settings, {"access_token": str(told["access_token"]), "webhook_secret": WEBHOOK_SECRET}
