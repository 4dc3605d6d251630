"""Who is told of what by the simulated shop: the app's own configuration, and what was made through the Admin API.

What the configuration subscribes to is not listed by the Admin API and is never dropped; the other sort is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from oneshelf.connectors.shopify.json_reading import gid
from oneshelf.connectors.shopify.simulator_payloads import a_page
from oneshelf.connectors.shopify.simulator_topics import TOPICS
from oneshelf.errors import MalformedError
from oneshelf.sdk.address import is_loopback

if TYPE_CHECKING:
    from oneshelf.connectors.shopify.simulator import ShopifySimulator


@dataclass(slots=True)
class Subscription:
    """One topic to one address; of the app's configuration every topic, then `number` is 0.

    `last`: what it was told last, and when. `failure_count`: failed attempts since the last success.
    """

    number: int
    topic: str
    uri: str
    format: str = "JSON"
    filter: str = ""
    include_fields: tuple[str, ...] = ()
    failure_count: int = 0
    last: tuple[float, Mapping[str, object]] | None = None

    def part_of(self, payload: Mapping[str, object]) -> Mapping[str, object] | None:
        """What of it is delivered; None: nothing. A filter on a field that there is not lets nothing through."""
        field, _, value = self.filter.partition(":")
        if self.filter and str(payload.get(field)) != value:
            return None
        if not self.include_fields:
            return payload
        return {name: payload[name] for name in self.include_fields if name in payload}

    def node(self) -> dict[str, Any]:
        """As the Admin API shows it."""
        return {
            "id": gid("WebhookSubscription", str(self.number)),
            "topic": next(name for name, topic in TOPICS.items() if topic == self.topic),
            "uri": self.uri,
            "format": self.format,
            "filter": self.filter or None,
            "includeFields": list(self.include_fields),
        }


class Subscriptions:
    """All subscriptions of one app to one shop."""

    def __init__(self, simulator: ShopifySimulator) -> None:
        self._simulator = simulator
        self._configured: Subscription | None = None
        self._made: list[Subscription] = []
        self._numbers = 0

    def configure(self, address: str) -> None:
        """The app's configuration: every topic goes to this address. Raises MalformedError where nothing may."""
        if not _is_sendable(address):
            raise MalformedError(f"webhooks go to https, or to http on this machine, not to {address[:80]!r}")
        self._configured = Subscription(0, "", address)

    def to(self, topic: str) -> list[Subscription]:
        """Those that are told of this topic, some of which may be dropped at this very moment."""
        for one in self._made:
            if one.topic == topic and self._simulator.switches.strikes("subscription_dropped"):
                self.drop(one)
        made = [one for one in self._made if one.topic == topic]
        return [*([self._configured] if self._configured else []), *made]

    def drop(self, subscription: Subscription) -> None:
        """Shopify deletes it, without a word. What is on its way goes on being tried."""
        self._made = [one for one in self._made if one is not subscription]

    def forget(self) -> None:
        """The app is uninstalled."""
        self._configured = None
        self._made.clear()

    @property
    def topics(self) -> list[str]:
        """The topics of those that were made through the Admin API, in the order in which they were."""
        return [one.topic for one in self._made]

    # The Admin API -----------------------------------------------------------------------------------------------

    def listed(self, _info: object, first: int = 50, after: str | None = None, **_rest: object) -> dict[str, Any]:
        """The root field `webhookSubscriptions`. The cursor is a number."""
        start = int(after) if after and after.isdecimal() else 0
        rest = [(str(one.number), one) for one in self._made if one.number > start]
        return a_page(rest, first, lambda one: one.node())

    def changed(self, root: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The payload of `webhookSubscriptionCreate` or `webhookSubscriptionDelete`."""
        if root == "webhookSubscriptionDelete":
            return self._deleted(asked["id"])
        return self._created(TOPICS[asked["topic"]], asked["webhookSubscription"])

    def _created(self, topic: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Refused as recorded of the Admin API 2026-04. Only this machine may be told without encryption."""
        uri = str(wanted.get("uri") or "")
        words = ""
        if not _is_sendable(uri):
            words = f"Address protocol {urlsplit(uri).scheme}:// is not supported" if uri else "Address can't be blank"
        elif any(one.topic == topic and one.uri == uri for one in self._made):
            words = "Address for this topic has already been taken"
        if words:
            error = {"field": ["webhookSubscription", "callbackUrl"], "message": words}
            return {"webhookSubscription": None, "userErrors": [error]}
        self._numbers += 1
        one = Subscription(
            number=self._numbers,
            topic=topic,
            uri=uri,
            format=wanted.get("format") or "JSON",
            filter=wanted.get("filter") or "",
            include_fields=tuple(wanted.get("includeFields") or ()),
        )
        self._made.append(one)
        return {"webhookSubscription": one.node(), "userErrors": []}

    def _deleted(self, wanted: str) -> dict[str, Any]:
        found = next((one for one in self._made if gid("WebhookSubscription", str(one.number)) == wanted), None)
        if found is None:
            error = {"field": ["id"], "message": "Webhook subscription does not exist"}
            return {"deletedWebhookSubscriptionId": None, "userErrors": [error]}
        self.drop(found)
        return {"deletedWebhookSubscriptionId": wanted, "userErrors": []}


def _is_sendable(address: str) -> bool:
    url = urlsplit(address)
    return url.scheme == "https" or (url.scheme == "http" and is_loopback(url.hostname or ""))
