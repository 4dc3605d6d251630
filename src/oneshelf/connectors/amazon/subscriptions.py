"""What Amazon sends to our queue, kept subscribed to.

Rule: Notifications API v1 as modelled at https://github.com/amzn/selling-partner-api-models, and
https://developer-docs.amazon.com/sp-api/docs/notifications-api-v1-use-case-guide (checked 2026-11-26): a destination is
made with a token of the application alone, a subscription with that of the seller; one for each type and version.
LISTINGS_ITEM_MFN_QUANTITY_CHANGE goes to EventBridge alone: a person sets up the way from there to the queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oneshelf.connectors.amazon.api import SellingPartnerApi, refuse
from oneshelf.connectors.amazon.notification import ACCOUNT_STATUS, ORDER_CHANGE, QUANTITY_CHANGE
from oneshelf.errors import MalformedError
from oneshelf.sdk.capability import Limit
from oneshelf.sdk.fault import RefusedError
from oneshelf.sdk.message import Subscriptions

PATH = "/notifications/v1"
DESTINATION_NAME = "oneshelf"
# type -> version of its payload.
WANTED: Mapping[str, str] = {ORDER_CHANGE: "1.0", ACCOUNT_STATUS: "2021-01-01"}
BY_EVENT_BRIDGE: Mapping[str, str] = {QUANTITY_CHANGE: "1.0"}
LIMITS = tuple(
    Limit(operation, 1.0, 5)
    for operation in ("getDestinations", "createDestination", "getSubscription", "createSubscription")
)


class NotificationSubscriptions:
    """The subscriptions of one seller. `by_application`: calls with a token of the application alone."""

    def __init__(self, by_seller: SellingPartnerApi, by_application: SellingPartnerApi, *, queue_arn: str) -> None:
        self._by_seller = by_seller
        self._by_application = by_application
        self._queue_arn = queue_arn

    async def keep(self) -> Subscriptions:
        """See that each wanted type goes to our queue. One that goes to another destination is never touched.

        Raises a ChannelFault.
        """
        destination_id = await self._destination()
        present, created, refused = [], [], {}
        for kind, version in WANTED.items():
            found = await self.found(kind, version)
            if found == destination_id:
                present.append(kind)
            elif found is not None:
                refused[kind] = f"it goes to the destination {found}, which is not our queue: end that subscription"
            else:
                try:
                    await self._create(kind, version, destination_id)
                    created.append(kind)
                except RefusedError as refusal:
                    refused[kind] = str(refusal)
        return Subscriptions(present=tuple(present), created=tuple(created), refused=refused)

    async def found(self, kind: str, version: str) -> str | None:
        """The destination of a type; None where nothing subscribes to it. Raises a ChannelFault."""
        path = f"{PATH}/subscriptions/{kind}"
        reply = await self._by_seller.read("getSubscription", path, {"payloadVersion": version})
        if reply.status == 404:
            return None
        refuse("getSubscription", reply)
        return _text(_payload(reply.document()), "destinationId")

    async def _create(self, kind: str, version: str, destination_id: str) -> None:
        asked: dict[str, object] = {"payloadVersion": version, "destinationId": destination_id}
        if kind == ORDER_CHANGE:
            # Without a filter it was refused (https://github.com/abuzuhri/Amazon-SP-API-CSharp/issues/621, checked
            # 2026-11-23); these are the changes that the model knows and that may move stock.
            changes = ["OrderStatusChange", "BuyerRequestedChange"]
            asked["processingDirective"] = {
                "eventFilter": {"eventFilterType": ORDER_CHANGE, "orderChangeTypes": changes}
            }
        path = f"{PATH}/subscriptions/{kind}"
        reply = await self._by_seller.write("createSubscription", path, {}, asked, method="POST")
        refuse("createSubscription", reply)

    async def _destination(self) -> str:
        """That of our queue; made where there is none."""
        reply = await self._by_application.read("getDestinations", f"{PATH}/destinations", {})
        refuse("getDestinations", reply)
        found = _document(reply.document()).get("payload") or []
        for one in found if isinstance(found, list) else []:
            if self._queue_arn in str(one):
                return _text(one, "destinationId")
        asked = {"name": DESTINATION_NAME, "resourceSpecification": {"sqs": {"arn": self._queue_arn}}}
        reply = await self._by_application.write("createDestination", f"{PATH}/destinations", {}, asked, method="POST")
        refuse("createDestination", reply)
        return _text(_payload(reply.document()), "destinationId")


def _document(answer: Any) -> Mapping[str, Any]:
    if not isinstance(answer, Mapping):
        raise MalformedError("the Notifications API answered something that is not an object")
    return answer


def _payload(answer: Any) -> Mapping[str, Any]:
    return _document(_document(answer).get("payload"))


def _text(named: Any, name: str) -> str:
    value = named.get(name) if isinstance(named, Mapping) else None
    if not isinstance(value, str) or not value:
        raise MalformedError(f"the Notifications API tells no {name}")
    return value
