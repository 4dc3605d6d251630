"""The simulated Amazon's Notifications API, and what it sends to the queue of whoever subscribed.

Rule: Notifications API v1 as modelled, and the examples of the notification schemas, at
https://github.com/amzn/selling-partner-api-models (checked 2026-11-26). Nothing is sent before it is subscribed to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from oneshelf.connectors.amazon.simulator_books import AMAZON_CHANNEL, MERCHANT_CHANNEL, Listing, Order
from oneshelf.connectors.amazon.simulator_documents import instant
from oneshelf.connectors.amazon.simulator_gate import BadRequestError, Gate, object_in
from oneshelf.connectors.amazon.simulator_queue import QUEUE_ARN, Queue
from oneshelf.sdk.simulator import Simulator

VERSIONS: Mapping[str, frozenset[str]] = {
    "ORDER_CHANGE": frozenset({"1.0"}),
    "FBA_INVENTORY_AVAILABILITY_CHANGES": frozenset({"1.0"}),
    "FEED_PROCESSING_FINISHED": frozenset({"2020-09-04"}),
    "REPORT_PROCESSING_FINISHED": frozenset({"2020-09-04"}),
    "ACCOUNT_STATUS_CHANGED": frozenset({"2021-01-01"}),
    "LISTINGS_ITEM_MFN_QUANTITY_CHANGE": frozenset({"1.0"}),
}
# These go to an event bus, from which a rule of the seller's sends them on to the queue.
BY_EVENT_BRIDGE = frozenset({"LISTINGS_ITEM_MFN_QUANTITY_CHANGE"})
# The status of an order as an ORDER_CHANGE writes it.
STATUS = {
    "PENDING": "Pending",
    "UNSHIPPED": "Unshipped",
    "PARTIALLY_SHIPPED": "PartiallyShipped",
    "SHIPPED": "Shipped",
    "CANCELLED": "Canceled",
}
NOTIFICATION_FAULTS = (
    "notification_lost",
    "notification_duplicate",
    "notification_reorder",
    "notification_outage",
)
# Seconds of Amazon's own time. No delay is documented; a developer's are of some seconds up to minutes.
SOON_S = (1.0, 30.0)
OVERTAKEN_S = 900.0
# A whole type has been undelivered for days: https://developer-docs.amazon.com/sp-api/changelog/
# non-delivery-of-order_status_change-notifications (checked 2026-11-26).
OUTAGE_S = (3600.0, 3 * 86_400.0)


@dataclass(slots=True)
class Subscription:
    """That one type goes to a destination."""

    subscription_id: str
    version: str
    destination_id: str
    directive: Any


class Notifications:
    """Destinations, subscriptions, and the sending. `dice` draws ids and delays, and nothing else does."""

    def __init__(
        self,
        simulator: Simulator,
        gate: Gate,
        queue: Queue,
        dice: Random,
        seller_id: str,
        marketplace_ids: Sequence[str],
    ) -> None:
        self._simulator = simulator
        self._gate = gate
        self._queue = queue
        self._dice = dice
        self._seller_id = seller_id
        self._marketplace_ids = marketplace_ids
        self.destinations: dict[str, dict[str, Any]] = {}
        self.subscriptions: dict[str, Subscription] = {}
        # type -> until when nothing of it is delivered.
        self._silent_until: dict[str, datetime] = {}

    def subscribe_all(self) -> None:
        """As after a set-up: every type goes to the queue, those of the event bus by a rule of the seller's."""
        destination_id = self._add_destination("oneshelf", {"sqs": {"arn": QUEUE_ARN}})["destinationId"]
        for kind in VERSIONS:
            self._subscribe(kind, next(iter(VERSIONS[kind])), destination_id, None)

    # Sending ---------------------------------------------------------------------------------------------------

    def order_changed(self, order: Order) -> None:
        """An order is new, or something of it is."""
        items = [
            {
                "OrderItemId": line.item_id,
                "SellerSKU": line.sku,
                "SupplySourceId": "",
                "Quantity": line.units,
                "QuantityShipped": line.shipped,
                "IsBuyerRequestedCancel": False,
            }
            for line in order.lines
        ]
        summary = {
            "MarketplaceId": self._marketplace_ids[0],
            "OrderStatus": STATUS[order.status],
            "PurchaseDate": instant(order.created_at),
            "DestinationPostalCode": "48110",
            "FulfillmentType": "MFN" if order.fulfilled_by == "MERCHANT" else "AFN",
            "OrderType": "StandardOrder",
            "OrderItems": items,
        }
        change = {
            "NotificationLevel": "OrderLevel",
            "SellerId": self._seller_id,
            "AmazonOrderId": order.order_id,
            "OrderChangeType": "OrderStatusChange",
            "OrderChangeTrigger": {
                "TimeOfOrderChange": instant(self._simulator.channel_now()),
                "ChangeReason": "OrderStatusChange",
            },
            "Summary": summary,
        }
        self._announce("ORDER_CHANGE", {"OrderChangeNotification": change})

    def units_changed(self, listing: Listing) -> None:
        """What sells of a listing is another figure, whoever made it so: a buyer, the seller, or an application."""
        if listing.channel_code == MERCHANT_CHANNEL:
            payload = {
                "SellerId": self._seller_id,
                "FulfillmentChannelCode": MERCHANT_CHANNEL,
                "Sku": listing.sku,
                "Quantity": listing.units,
            }
            self._announce("LISTINGS_ITEM_MFN_QUANTITY_CHANGE", payload)
        elif listing.channel_code == AMAZON_CHANNEL:
            stock = {
                **dict.fromkeys(("Unfulfillable", "Researching", "FutureSupplyBuyable"), 0),
                "Fulfillable": listing.units,
                "PendingCustomerOrderInTransit": 0,
                "InboundQuantityBreakdown": dict.fromkeys(("Working", "Shipped", "Receiving"), 0),
                "ReservedQuantityBreakdown": dict.fromkeys(
                    ("WarehouseProcessing", "WarehouseTransfer", "PendingCustomerOrder"), 0
                ),
            }
            shown = {
                "MarketplaceId": self._marketplace_ids[0],
                "ItemName": listing.title,
                "FulfillmentInventory": stock,
            }
            payload = {
                "SellerId": self._seller_id,
                "FNSKU": f"X00{listing.number:07}",
                "ASIN": listing.asin,
                "SKU": listing.sku,
                "FulfillmentInventoryByMarketplace": [shown],
            }
            self._announce("FBA_INVENTORY_AVAILABILITY_CHANGES", payload)

    def account_changed(self, status: str) -> None:
        """The seller's account is NORMAL, AT_RISK or DEACTIVATED from now on."""
        change = {"previousAccountStatus": "NORMAL", "currentAccountStatus": status}
        self._announce("ACCOUNT_STATUS_CHANGED", {"accountStatusChangeNotification": change}, is_camel=True)

    def _announce(self, kind: str, payload: Mapping[str, Any], *, is_camel: bool = False) -> None:
        subscription = self.subscriptions.get(kind)
        if subscription is None:
            return
        at, strikes = self._simulator.channel_now(), self._simulator.switches.strikes
        envelope = self._envelope(kind, payload, subscription, at)
        if is_camel:
            envelope = _camel(envelope)
        if kind in BY_EVENT_BRIDGE:
            envelope = self._on_bus(kind, envelope, at)
        delay_s = self._dice.uniform(*SOON_S)
        copies = 2 if strikes("notification_duplicate") else 1
        if strikes("notification_outage"):
            self._silent_until[kind] = at + timedelta(seconds=self._dice.uniform(*OUTAGE_S) / self._simulator.speed)
        if at < self._silent_until.get(kind, at) or strikes("notification_lost"):
            return
        if strikes("notification_reorder"):
            delay_s += OVERTAKEN_S

        async def deliver() -> None:
            self._queue.send(envelope)

        for copy in range(copies):
            self._simulator.after(delay_s + copy * self._dice.uniform(*SOON_S), deliver)

    def _envelope(
        self, kind: str, payload: Mapping[str, Any], subscription: Subscription, at: datetime
    ) -> dict[str, Any]:
        return {
            "NotificationVersion": "1.0",
            "NotificationType": kind,
            "PayloadVersion": subscription.version,
            "EventTime": instant(at),
            "Payload": payload,
            "NotificationMetadata": {
                "ApplicationId": "amzn1.sellerapps.app.simulated",
                "SubscriptionId": subscription.subscription_id,
                "PublishTime": instant(at),
                "NotificationId": self._new_id(),
            },
        }

    def _on_bus(self, kind: str, envelope: dict[str, Any], at: datetime) -> dict[str, Any]:
        """As a rule of EventBridge sends it on: in its own envelope."""
        return {
            "version": "0",
            "id": self._new_id(),
            "detail-type": kind,
            "source": "aws.partner/sellingpartnerapi.amazon.com/123456789012/amzn1.sellerapps.app.simulated",
            "account": "123456789012",
            "time": instant(at),
            "region": "us-east-1",
            "resources": [],
            "detail": envelope,
        }

    def _new_id(self) -> str:
        digits = f"{self._dice.getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    # The API ---------------------------------------------------------------------------------------------------

    async def get_destinations(self, _request: Request) -> Response:
        return self._gate.answer("getDestinations", {"payload": list(self.destinations.values())})

    async def create_destination(self, request: Request) -> Response:
        asked = object_in(await request.body())
        resource = asked.get("resourceSpecification")
        if not isinstance(asked.get("name"), str) or not isinstance(resource, dict) or len(resource) != 1:
            raise BadRequestError("name and one resourceSpecification are required")
        if any(one["resource"] == resource for one in self.destinations.values()):
            return self._gate.error(409, "Conflict", message="The destination exists already.")
        if resource.get("sqs", {}).get("arn") != QUEUE_ARN:
            raise BadRequestError("the queue does not let Amazon send to it: see its policy")
        return self._gate.answer("createDestination", {"payload": self._add_destination(asked["name"], resource)})

    def _add_destination(self, name: str, resource: dict[str, Any]) -> dict[str, Any]:
        destination_id = self._new_id()
        made: dict[str, Any] = {"destinationId": destination_id, "name": name, "resource": resource}
        self.destinations[destination_id] = made
        return made

    async def get_subscription(self, request: Request) -> Response:
        found = self.subscriptions.get(self._kind(request))
        version = request.query_params.get("payloadVersion")
        if found is None or version not in {None, found.version}:
            return self._gate.error(404, "NotFound", message="There is no subscription of this type.")
        return self._gate.answer("getSubscription", {"payload": _shown(found)})

    async def create_subscription(self, request: Request) -> Response:
        kind, asked = self._kind(request), object_in(await request.body())
        if asked.get("payloadVersion") not in VERSIONS[kind] or asked.get("destinationId") not in self.destinations:
            raise BadRequestError("payloadVersion or destinationId is wrong")
        if kind in BY_EVENT_BRIDGE:
            raise BadRequestError(f"{kind} can be sent to an event bus only")
        directive = asked.get("processingDirective")
        if kind == "ORDER_CHANGE" and not isinstance(directive, dict):
            raise BadRequestError("processingDirective is required for ORDER_CHANGE")
        if kind in self.subscriptions:
            return self._gate.error(409, "Conflict", message="The subscription exists already.")
        self._subscribe(kind, asked["payloadVersion"], asked["destinationId"], directive)
        return self._gate.answer("createSubscription", {"payload": _shown(self.subscriptions[kind])})

    def _subscribe(self, kind: str, version: str, destination_id: str, directive: Any) -> None:
        self.subscriptions[kind] = Subscription(self._new_id(), version, destination_id, directive)

    def _kind(self, request: Request) -> str:
        kind = str(request.path_params["kind"])
        if kind not in VERSIONS:
            raise BadRequestError(f"{kind} is no type of notification")
        return kind


def _shown(one: Subscription) -> dict[str, Any]:
    shown = {
        "subscriptionId": one.subscription_id,
        "payloadVersion": one.version,
        "destinationId": one.destination_id,
    }
    return shown if one.directive is None else {**shown, "processingDirective": one.directive}


def _camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {name[0].lower() + name[1:]: _camel(inner) for name, inner in value.items()}
    return [_camel(inner) for inner in value] if isinstance(value, list) else value
