"""Every mutation of the simulated shop: once per key, slowly where somebody has switched it on, and told of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from oneshelf.connectors.shopify.json_reading import gid
from oneshelf.connectors.shopify.simulator_graphql import MutationCall
from oneshelf.connectors.shopify.simulator_payloads import level_node, level_payload
from oneshelf.connectors.shopify.simulator_shop import LOCATION_ID, Article
from oneshelf.connectors.shopify.simulator_states import adjust_quantities, move_quantities
from oneshelf.connectors.shopify.simulator_writes import KeyMemory, Writing, number_of, set_quantities

if TYPE_CHECKING:
    from oneshelf.connectors.shopify.simulator import ShopifySimulator

_SLOW_S = 2.0


class Mutations:
    """The payloads of the mutations of one simulated shop."""

    def __init__(self, simulator: ShopifySimulator) -> None:
        self._simulator = simulator
        self._keys = KeyMemory()
        self._started_at = simulator.clock.monotonic()
        self._group_count = 0

    async def answer(self, call: MutationCall) -> dict[str, Any]:
        """The payload: the first one again where the key is known."""
        simulator = self._simulator
        if call.root.startswith("bulkOperation"):
            return simulator.bulk.changed(call.root, call.arguments)
        if not call.key:
            return simulator.webhooks.subscriptions.changed(call.root, call.arguments)
        channel_now = (simulator.clock.monotonic() - self._started_at) * simulator.speed
        said = {"root": call.root, **call.arguments}
        # A developer reported of a version of the Admin API that the directive neither deduplicated nor was required.
        ignores_key = simulator.switches.strikes("ignores_key")
        known = None if ignores_key else self._keys.begin(call.key, said, now=channel_now)
        if known is not None:
            return known
        if simulator.switches.strikes("slow_write"):
            await simulator.clock.sleep(_SLOW_S / simulator.speed)
        payload = self._activated(call.arguments) if call.root == "inventoryActivate" else self._written(call)
        self._keys.end(call.key, payload)
        return payload

    def _written(self, call: MutationCall) -> dict[str, Any]:
        simulator = self._simulator
        self._group_count += 1
        event_id = simulator.webhooks.new_event()

        def changed(article: Article) -> None:
            simulator.announce_level(article, event_id=event_id)

        writing = Writing(
            shop=simulator.shop,
            asked=call.arguments["input"],
            now=simulator.channel_now(),
            group_id=str(self._group_count),
            changed=changed,
            ignores_compare=lambda: simulator.switches.strikes("ignores_compare"),
        )
        write: Callable[[Writing], dict[str, Any]] = {
            "inventorySetQuantities": set_quantities,
            "inventoryAdjustQuantities": adjust_quantities,
            "inventoryMoveQuantities": move_quantities,
        }[call.root]
        return write(writing)

    def _activated(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """`inventoryActivate`: an inactive level is sold from again, with the quantities that it had.

        Its errors have no code. Recorded of the Admin API 2026-04, April to July 2026: both quantities together are
        refused, each by itself; an active level keeps its quantity, and says so beside the level.
        """
        shop = self._simulator.shop
        article = shop.by_item.get(number_of(asked["inventoryItemId"]))
        if article is None or article.is_deleted:
            return _not_activated(["inventoryItemId"], "The inventory item couldn't be found.")
        if asked["locationId"] != gid("Location", LOCATION_ID):
            return _not_activated(["locationId"], "The location couldn't be found because it doesn't exist.")
        if asked.get("available") is not None and asked.get("onHand") is not None:
            words = "Not allowed to set both available and on hand quantities."
            errors = [{"field": [name], "message": words} for name in ("available", "onHand")]
            return {"inventoryLevel": None, "userErrors": errors}
        errors = []
        if article.is_stocked and article.is_active:
            words = "Not allowed to set available quantity when the item is already active at the location."
            errors = [{"field": ["available"], "message": words}] if asked.get("available") is not None else []
        else:
            shop.activate(article, asked.get("available"), now=self._simulator.channel_now())
            event_id = self._simulator.webhooks.new_event()
            self._simulator.webhooks.send("inventory_levels/connect", lambda: level_payload(article), event_id=event_id)
        return {"inventoryLevel": level_node(article), "userErrors": errors}


def _not_activated(field: list[str], message: str) -> dict[str, Any]:
    return {"inventoryLevel": None, "userErrors": [{"field": field, "message": message}]}
