"""What Amazon's notifications say: hints, and nothing that counts by itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oneshelf.connectors.amazon.notification import delivery_from, message_from
from oneshelf.domain.identity import ChannelSku
from oneshelf.errors import MalformedError
from oneshelf.sdk.message import AccessLost, Delivery, Ignored, Message, OrderHint, StockHint

SELLER, STORE = "A1SELLER", "ATVPDKIKX0DER"


def envelope(
    kind: str, payload: Any, *, notification_id: str = "d0e9e693-c3ad-4373-979f-ed4ec98dd746"
) -> dict[str, Any]:
    return {
        "NotificationVersion": "1.0",
        "NotificationType": kind,
        "PayloadVersion": "1.0",
        "EventTime": "2026-01-11T00:09:53.109Z",
        "Payload": payload,
        "NotificationMetadata": {"ApplicationId": "app", "SubscriptionId": "sub", "NotificationId": notification_id},
    }


def order_change(**members: Any) -> dict[str, Any]:
    summary = {"MarketplaceId": STORE, "OrderStatus": "Unshipped", "FulfillmentType": "MFN"}
    summary["DestinationPostalCode"] = "48110"
    summary.update(members.pop("summary", {}))
    change = {"SellerId": SELLER, "AmazonOrderId": "903-8868176-2219830", "Summary": summary, **members}
    return envelope("ORDER_CHANGE", {"OrderChangeNotification": change})


def camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {name[0].lower() + name[1:]: camel(inner) for name, inner in value.items()}
    return value


def told(document: Any) -> Delivery:
    return delivery_from(json.dumps(document).encode())


def said(document: Any) -> Message:
    return message_from(told(document), seller_id=SELLER, stores=[STORE])


@pytest.mark.parametrize("written", [lambda it: it, camel], ids=["pascal", "camel"])
def test_an_order_that_changed_is_to_be_asked_for(written: Any) -> None:
    assert said(written(order_change())) == OrderHint("903-8868176-2219830")


@pytest.mark.parametrize(
    "document",
    [
        order_change(SellerId="A2OTHER"),
        order_change(summary={"FulfillmentType": "AFN"}),
        order_change(summary={"MarketplaceId": "A2EUQ1WTGCTBG2"}),
        envelope("FEED_PROCESSING_FINISHED", {"feedProcessingFinishedNotification": {}}),
        envelope("REPORT_PROCESSING_FINISHED", {"reportProcessingFinishedNotification": {}}),
        envelope("FBA_INVENTORY_AVAILABILITY_CHANGES", {"SellerId": SELLER, "SKU": "MUG-FBA"}),
        envelope("SOMETHING_OF_TOMORROW", {"what": "ever"}),
        envelope(
            "LISTINGS_ITEM_MFN_QUANTITY_CHANGE",
            {"SellerId": SELLER, "FulfillmentChannelCode": "AMAZON_NA", "Sku": "MUG", "Quantity": 3},
        ),
        envelope("ACCOUNT_STATUS_CHANGED", {"accountStatusChangeNotification": {"currentAccountStatus": "AT_RISK"}}),
    ],
    ids=[
        "another seller",
        "fba",
        "another store",
        "feed",
        "report",
        "fba stock",
        "unknown",
        "other fulfilment",
        "at risk",
    ],
)
def test_what_is_none_of_our_business_is_ignored_with_a_reason(document: Any) -> None:
    message = said(document)
    assert isinstance(message, Ignored)
    assert message.reason


def test_a_quantity_is_a_reason_to_look_and_no_fact() -> None:
    payload = {"SellerId": SELLER, "FulfillmentChannelCode": "DEFAULT", "Sku": "MUG / BLUE", "Quantity": 3}
    assert said(envelope("LISTINGS_ITEM_MFN_QUANTITY_CHANGE", payload)) == StockHint(ChannelSku("MUG / BLUE"))


def test_a_quantity_that_came_by_an_event_bus_is_the_same_news() -> None:
    payload = {"SellerId": SELLER, "FulfillmentChannelCode": "DEFAULT", "Sku": "MUG", "Quantity": 3}
    plain = envelope("LISTINGS_ITEM_MFN_QUANTITY_CHANGE", payload)
    on_bus = {"version": "0", "id": "bus", "detail-type": "LISTINGS_ITEM_MFN_QUANTITY_CHANGE", "detail": plain}
    assert said(on_bus) == StockHint(ChannelSku("MUG"))
    assert told(on_bus).key == told(plain).key


def test_an_account_that_is_deactivated_lets_nobody_in() -> None:
    payload = {
        "accountStatusChangeNotification": {"previousAccountStatus": "NORMAL", "currentAccountStatus": "DEACTIVATED"}
    }
    message = said(camel(envelope("ACCOUNT_STATUS_CHANGED", payload)))
    assert isinstance(message, AccessLost)
    assert "deactivated" in message.reason


def test_one_notification_has_one_key_and_another_one_another() -> None:
    once, again = told(order_change()), told(order_change(summary={"OrderStatus": "Shipped"}))
    assert once.key == again.key == "queue:d0e9e693-c3ad-4373-979f-ed4ec98dd746"
    other = envelope("ORDER_CHANGE", order_change()["Payload"], notification_id="another-one-of-these")
    assert told(other).key != once.key
    without = envelope("ORDER_CHANGE", order_change()["Payload"], notification_id="\0")
    assert told(without).key.isprintable()


def test_where_the_parcel_goes_is_not_kept() -> None:
    assert b"48110" not in told(order_change()).body
    assert b"48110" not in told(camel(order_change())).body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"NotificationType": 7}',
        b'{"NotificationType": "lower case"}',
        b'{"detail-type": "X", "detail": []}',
        b'{"NotificationType": "ORDER_CHANGE", "Payload": []}',
        b'{"NotificationType": "ORDER_CHANGE", "Payload": {"OrderChangeNotification": {}}}',
        b'{"NotificationType": "ORDER_CHANGE", "Payload": {"OrderChangeNotification": {"SellerId": "A1SELLER"}}}',
        b'{"NotificationType": "LISTINGS_ITEM_MFN_QUANTITY_CHANGE", "Payload": '
        b'{"SellerId": "A1SELLER", "FulfillmentChannelCode": "DEFAULT", "Sku": ""}}',
        b'{"NotificationType": "ACCOUNT_STATUS_CHANGED", "Payload": '
        b'{"accountStatusChangeNotification": {"currentAccountStatus": "SOLD"}}}',
        b"{" * 5000,
    ],
)
def test_what_cannot_be_read_is_stored_as_it_is_and_refused_by_the_reader(body: bytes) -> None:
    delivery = delivery_from(body)
    assert delivery.key == delivery_from(body).key
    with pytest.raises(MalformedError):
        message_from(delivery, seller_id=SELLER, stores=[STORE])
