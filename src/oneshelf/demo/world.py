"""Builds the demo's world: SKUs and stock in the ledger, listings at the shops, channels between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oneshelf.clock import Clock
from oneshelf.connectors.amazon.simulator import SIMULATED_SECRETS, SIMULATED_SETTINGS, TOKEN_PATH
from oneshelf.connectors.ebay import simulator as ebay
from oneshelf.connectors.square import simulator_documents as square_documents
from oneshelf.connectors.square import simulator_gate as square_gate
from oneshelf.connectors.wholesale import simulator_documents as wholesale_documents
from oneshelf.connectors.wholesale.simulator import CUSTOMER
from oneshelf.demo.plan import COUNTER, LOCATION, WITHOUT_FIGURES, Good, Plan
from oneshelf.demo.shops import SimulatedShop
from oneshelf.domain.command import CommandKey, Receive
from oneshelf.domain.identity import Channel, Location, Sku
from oneshelf.domain.wholesale import WHOLESALE
from oneshelf.flow.post import post_commands
from oneshelf.sdk.simulator import CatalogueItem
from oneshelf.storage import breakers, catalog, rights
from oneshelf.storage.catalog import NewChannel
from oneshelf.storage.database import Database

# Amazon hides the orders of the last two minutes.
AMAZON_LAG_S = 120.0
# So long the simulated eBay does at most.
EBAY_LAG_S = 10.0
# So long the simulated Square does at most.
SQUARE_LAG_S = 30.0
# A till's clock is wrong by three minutes at most.
TILL_CLOCK_ERROR_S = "180"
BUYER = Channel("acme")
WEBHOOK_SECRET = "demo-webhook-secret"  # noqa: S105  # between two processes of the demo
BATCH = 1000


async def fill_shelf(database: Database, plan: Plan, clock: Clock) -> None:
    """Name the goods and receive what the plan puts on the shelf."""
    async with database.transaction() as tx:
        await catalog.add_location(tx, LOCATION, title="Warehouse")
        if "till" in plan.options.kinds:
            await catalog.add_location(tx, COUNTER, title="The shop's own shelf")
        await catalog.add_skus(tx, {good.sku: good.title for good in plan.goods})
        await rights.set_mode(tx, [good.sku for good in plan.goods], plan.options.mode)
    for start in range(0, len(plan.goods), BATCH):
        batch = plan.goods[start : start + BATCH]
        await receive(database, clock, {good.sku: good.units for good in batch}, key="opening")
        if "till" in plan.options.kinds:
            await receive(
                database, clock, {good.sku: _at_first(good, "till") for good in batch}, key="shelf", at=COUNTER
            )


async def receive(
    database: Database, clock: Clock, units: Mapping[Sku, int], *, key: str, at: Location = LOCATION
) -> None:
    """Goods come in. The same key again brings nothing more."""
    commands = [
        Receive(key=CommandKey(scope="demo", key=f"{key}/{sku}"), sku=sku, location=at, units=count)
        for sku, count in units.items()
        if count > 0
    ]
    await post_commands(database, clock.new_id, commands)


async def open_shop(database: Database, plan: Plan, shop: SimulatedShop, *, webhooks_to: str) -> None:
    """List every SKU at the shop, and connect it in mode watch."""
    told = await shop.wait_until_up()
    await shop.stock([CatalogueItem(good.sku, good.title, _at_first(good, shop.kind)) for good in plan.goods])
    name = channel_of(shop.kind)
    address = f"{webhooks_to}/webhooks/{name}"
    settings, secrets = _account(shop, told, plan.options.speed, address)
    channel = NewChannel(
        name,
        shop.kind,
        COUNTER if shop.kind == "till" else LOCATION,
        settings,
        secrets,
        plan.timing(shop.kind),
        shows_figures=shop.kind not in WITHOUT_FIGURES,
        takes_purchase_orders=shop.kind == "wholesale",
    )
    async with database.transaction() as tx:
        await catalog.add_channel(tx, channel, keyring=database.keyring)
        # A container is expected: the breaker would stop and ask whether so many figures may change at once.
        await breakers.set_limits(tx, channel.channel, {"change_share": 1.0})
    await shop.tell("connect", {"address": address, "secret": WEBHOOK_SECRET})


async def go_live(database: Database, kind: str) -> None:
    """From now on the engine writes to this shop."""
    async with database.transaction() as tx:
        await catalog.set_mode(tx, channel_of(kind), "live")


def channel_of(kind: str) -> Channel:
    """The channel of this kind. Wholesale orders of all buyers go by a name that no channel may have."""
    return BUYER if kind == WHOLESALE else Channel(kind)


def _at_first(good: Good, kind: str) -> int:
    """Units that a shop begins with: what it shows; on the shelf of the tills half as many as in the warehouse."""
    return good.shown.get(kind, (good.units + 1) // 2)


def _account(
    shop: SimulatedShop, told: Mapping[str, Any], speed: float, webhooks_to: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Settings and secrets with which the simulator lets us in."""
    if shop.kind == "square":
        settings = {
            "location_id": square_documents.LOCATION_ID,
            "base_url": shop.address,
            "notification_url": webhooks_to,
            "orders_lag_s": f"{SQUARE_LAG_S / speed + 1:.1f}",
        }
        return settings, {
            "client_id": square_gate.CLIENT_ID,
            "client_secret": square_gate.CLIENT_SECRET,
            "refresh_token": square_gate.REFRESH_TOKEN,
            "webhook_signature_key": WEBHOOK_SECRET,
        }
    if shop.kind == "till":
        return {"clock_error_s": TILL_CLOCK_ERROR_S}, {"webhook_secret": WEBHOOK_SECRET}
    if shop.kind == "wholesale":
        settings = {
            "customer": CUSTOMER,
            "x12_theirs": wholesale_documents.THEIRS,
            "x12_ours": wholesale_documents.OURS,
        }
        return settings, {"webhook_secret": WEBHOOK_SECRET}
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
