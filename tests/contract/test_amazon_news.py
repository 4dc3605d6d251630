"""What passes between us and Amazon of its news obeys Amazon's own models and schemas.

They are not part of the project: see `test_amazon_wire` for where they are looked for.
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import jsonschema
import msgspec
import pytest

from connectors.amazon.ear import Ear, ear
from connectors.amazon.harness import turns
from contract.test_amazon_wire import FORMATS, check_answer, check_request, models_folder
from oneshelf.connectors.amazon.notification import delivery_from, message_from
from oneshelf.connectors.amazon.simulator_queue import QUEUE_ARN
from oneshelf.domain.identity import ChannelSku
from oneshelf.sdk.fault import ChannelFault
from oneshelf.sdk.message import Ignored, OrderHint, StockHint

FOLDER = models_folder() / "notifications"
SCHEMAS = {
    "ORDER_CHANGE": "OrderChangeNotification.json",
    "LISTINGS_ITEM_MFN_QUANTITY_CHANGE": "ListingsItemMfnQuantityChange.json",
    "FBA_INVENTORY_AVAILABILITY_CHANGES": "FBAInventoryAvailabilityChangeNotification.json",
}

pytestmark = pytest.mark.skipif(
    not all((FOLDER / name).is_file() for name in SCHEMAS.values()),
    reason="Amazon's notification schemas are not here: set ONESHELF_SPECS to a folder that holds amazon/notifications",
)


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode((FOLDER / name).read_bytes(), type=dict[str, Any])
    return found


async def hear_all(it: Ear) -> list[dict[str, Any]]:
    """The notifications that lie in the queue, without what an event bus put around them."""
    heard = []
    while (found := await it.hear()).receipts:
        await it.connector.acknowledge(found.receipts)
        heard += [exchange for exchange in it.desk.wiretap.exchanges if b'"ReceiptHandle"' in exchange.received]
        it.desk.wiretap.exchanges.clear()
    told = []
    for exchange in heard:
        for message in msgspec.json.decode(exchange.received)["Messages"]:
            body = msgspec.json.decode(message["Body"])
            told.append(body.get("detail", body))
    return told


async def test_what_the_simulated_amazon_tells_is_what_the_schemas_say() -> None:
    async with ear() as it:
        order_id = it.desk.simulator.place([("MUG", 2)]) or ""
        it.desk.simulator.cancel(order_id)
        it.desk.simulator.fulfil_by_amazon("MUG")
        it.desk.simulator.place([("MUG", 1)])
        await it.desk.clock.advance(60)
        await turns()
        counts: Counter[str] = Counter()
        for told in await hear_all(it):
            kind = told["NotificationType"]
            counts[kind] += 1
            jsonschema.Draft7Validator(schema(SCHEMAS[kind]), format_checker=FORMATS).validate(told)
        assert counts == {
            "ORDER_CHANGE": 3,
            "LISTINGS_ITEM_MFN_QUANTITY_CHANGE": 2,
            "FBA_INVENTORY_AVAILABILITY_CHANGES": 1,
        }


def test_amazons_own_examples_are_read() -> None:
    [order] = schema(SCHEMAS["ORDER_CHANGE"])["examples"]
    [quantity] = schema(SCHEMAS["LISTINGS_ITEM_MFN_QUANTITY_CHANGE"])["examples"]

    def said(example: dict[str, Any], seller_id: str) -> object:
        delivery = delivery_from(msgspec.json.encode(example))
        return message_from(delivery, seller_id=seller_id, stores=["ATVPDKIKX0DER"])

    assert said(order, "A3TH9S8BH6GOGM") == OrderHint("903-8868176-2219830")
    assert said(quantity, "AXXXXXXXXXXXXX") == StockHint(ChannelSku("NLS-SHOES-03"))
    assert isinstance(said(order, "A1OTHER"), Ignored)
    by_amazon = copy.deepcopy(order)
    by_amazon["Payload"]["OrderChangeNotification"]["Summary"]["FulfillmentType"] = "AFN"
    assert isinstance(said(by_amazon, "A3TH9S8BH6GOGM"), Ignored)


def test_every_other_type_that_amazon_has_an_example_of_is_ignored_or_read() -> None:
    names = sorted(path.name for path in FOLDER.glob("*.json"))
    counts: Counter[str] = Counter()
    for name in names:
        for example in schema(name).get("examples") or []:
            if isinstance(example, dict) and {"NotificationType", "notificationType"} & set(example):
                delivery = delivery_from(msgspec.json.encode(example))
                message = message_from(delivery, seller_id="A1OTHER", stores=["ATVPDKIKX0DER"])
                assert isinstance(message, Ignored), name
                counts[delivery.topic] += 1
    assert len(counts) > 8, counts


async def test_single_orders_and_subscriptions_obey_the_models() -> None:
    async with ear(subscribed=False) as it:
        order_id = it.desk.simulator.place([("MUG", 2)]) or ""
        await it.connector.fetch_order(order_id)
        await it.connector.fetch_order("000-0000000-0000000")
        await it.connector.keep_subscriptions(QUEUE_ARN)
        await it.desk.clock.advance(10)
        await it.connector.keep_subscriptions(QUEUE_ARN)
        it.desk.simulator.gate.denied.add("createDestination")
        it.desk.simulator.notifications.destinations.clear()
        with pytest.raises(ChannelFault):
            await it.connector.keep_subscriptions(QUEUE_ARN)
        requests: Counter[str] = Counter()
        answers: Counter[tuple[str, int]] = Counter()
        for exchange in it.desk.wiretap.exchanges:
            if exchange.request.url.path == "/auth/o2/token":
                continue
            name = check_request(exchange)
            requests[name] += 1
            answers[name, check_answer(exchange)] += 1
    assert set(requests) == {
        *("getOrder", "getDestinations", "createDestination", "getSubscription", "createSubscription")
    }
    assert {("getOrder", 404), ("getSubscription", 404), ("createDestination", 403)} <= set(answers)
    assert min(answers[name, 200] for name in requests) > 0
