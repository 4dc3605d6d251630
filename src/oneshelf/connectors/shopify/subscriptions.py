"""What the shop announces to us, and that it goes on doing so.

Shopify deletes a subscription that was made through the Admin API after eight failed deliveries in a row: an outage of
four hours is enough (https://shopify.dev/docs/apps/build/webhooks/verify-deliveries, checked 2026-11-23).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from oneshelf.connectors.shopify.access import ROUTE_SCOPES, is_granted
from oneshelf.connectors.shopify.answers import page_from
from oneshelf.connectors.shopify.documents import CREATE_SUBSCRIPTION, DELETE_SUBSCRIPTION, LIST_SUBSCRIPTIONS
from oneshelf.connectors.shopify.graphql import ShopifyApi
from oneshelf.connectors.shopify.json_reading import a_list, a_text, an_object, part
from oneshelf.errors import MalformedError
from oneshelf.sdk.fault import ChannelFault, OutcomeUnknownError, RetryLaterError
from oneshelf.sdk.message import Subscriptions

_LEVELS = ("read_inventory",)
_ITEMS = ("read_inventory", "read_products")
_ORDERS = ("read_orders",)
_LOCATIONS = ("read_locations",)

# Topic -> the scopes of which one is needed; where none is granted it is not subscribed to. Stock, orders and access
# are read; of the others a person may want to know, and they cost one row of the inbox each.
TOPICS: Mapping[str, tuple[str, ...]] = {
    "inventory_levels/update": _LEVELS,
    "inventory_levels/connect": _LEVELS,
    "inventory_levels/disconnect": _LEVELS,
    "inventory_items/create": _ITEMS,
    "inventory_items/update": _ITEMS,
    "inventory_items/delete": _ITEMS,
    "orders/create": _ORDERS,
    "orders/updated": _ORDERS,
    "orders/cancelled": _ORDERS,
    "orders/edited": _ORDERS,
    "refunds/create": _ORDERS,
    "fulfillment_orders/order_routing_complete": ROUTE_SCOPES,
    "fulfillment_orders/moved": ROUTE_SCOPES,
    "fulfillment_orders/cancelled": ROUTE_SCOPES,
    "locations/create": _LOCATIONS,
    "locations/update": _LOCATIONS,
    "locations/activate": _LOCATIONS,
    "locations/deactivate": _LOCATIONS,
    "locations/delete": _LOCATIONS,
    "app/uninstalled": (),
    "app/scopes_update": (),
    "bulk_operations/finish": (),
}
_TAKEN = "already been taken"


def name_of(topic: str) -> str:
    """`orders/create` as the schema spells it, ORDERS_CREATE."""
    return topic.replace("/", "_").upper()


_TOPIC_OF = {name_of(topic): topic for topic in TOPICS}


@dataclass(frozen=True, slots=True)
class _Subscription:
    """One that sends to our address. `is_whole`: it hides nothing, and in JSON."""

    id: str
    topic: str
    is_whole: bool


async def keep(api: ShopifyApi, address: str) -> Subscriptions:
    """See `sdk.contract.Subscribes`. Subscriptions that the app's own configuration makes are not listed by Shopify."""
    ours, granted = await _listed(api, address)
    whole = {one.topic for one in ours if one.is_whole}
    wanted = [
        topic
        for topic, scopes in TOPICS.items()
        if topic not in whole and (not scopes or any(is_granted(scope, granted) for scope in scopes))
    ]
    removed: list[str] = []
    created: list[str] = []
    present = [topic for topic in TOPICS if topic in whole]
    refused: dict[str, str] = {}
    for topic in wanted:
        try:
            for broken in (one for one in ours if one.topic == topic and not one.is_whole):
                await _delete(api, broken)
                removed.append(topic)
            words = await _create(api, topic, address)
        except ChannelFault as fault:
            if not (created or removed):
                raise
            # What was done is told; the next look goes on from there.
            refused[topic] = str(fault)
            break
        if not words:
            created.append(topic)
        elif _TAKEN in words:
            # Somebody made it in the meantime, or the app's configuration did.
            present.append(topic)
        else:
            refused[topic] = words
    return Subscriptions(tuple(present), tuple(created), tuple(removed), refused)


async def _listed(api: ShopifyApi, address: str) -> tuple[list[_Subscription], frozenset[str]]:
    """Our subscriptions that send to this address, and the scopes of the app. Raises RetryLaterError and others."""
    ours: list[_Subscription] = []
    after: str | None = None
    while True:
        answer = await api.read(LIST_SUBSCRIPTIONS, {"after": after})
        try:
            nodes, after = page_from(answer, "webhookSubscriptions")
            ours += [one for node in nodes if (one := _sending_to(address, node)) is not None]
            installed = an_object(part(answer, "currentAppInstallation", "answer"), "currentAppInstallation")
            scopes = a_list(part(installed, "accessScopes", "currentAppInstallation"), "accessScopes")
            granted = frozenset(a_text(part(an_object(one, "scope"), "handle", "scope"), "scope") for one in scopes)
        except MalformedError as problem:
            raise RetryLaterError(f"the subscriptions cannot be read: {problem}") from None
        if after is None:
            return ours, granted


def _sending_to(address: str, node: object) -> _Subscription | None:
    """The subscription, where it sends to this address."""
    one = an_object(node, "subscription")
    if part(one, "uri", "subscription") != address:
        return None
    name = a_text(part(one, "topic", "subscription"), "topic")
    is_whole = one.get("format") == "JSON" and not one.get("filter") and not one.get("includeFields")
    return _Subscription(a_text(part(one, "id", "subscription"), "id"), _TOPIC_OF.get(name, name), is_whole)


async def _create(api: ShopifyApi, topic: str, address: str) -> str:
    """The shop's words where it refuses; empty: it is made."""
    variables = {"topic": name_of(topic), "subscription": {"uri": address, "format": "JSON"}}
    return _refusal(await api.write(CREATE_SUBSCRIPTION, variables), "webhookSubscriptionCreate")


async def _delete(api: ShopifyApi, one: _Subscription) -> None:
    """One that is gone already is as good."""
    _refusal(await api.write(DELETE_SUBSCRIPTION, {"id": one.id}), "webhookSubscriptionDelete")


def _refusal(answer: Mapping[str, object], root: str) -> str:
    try:
        errors = a_list(part(an_object(part(answer, root, "answer"), root), "userErrors", root), "userErrors")
        return "; ".join(str(an_object(error, "error").get("message")) for error in errors)[:300]
    except MalformedError as problem:
        raise OutcomeUnknownError(f"{root}: {problem}") from None
