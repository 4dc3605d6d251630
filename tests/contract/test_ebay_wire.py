"""What the simulated eBay takes and answers obeys eBay's own contracts: OpenAPI, XSD, AsyncAPI and signature vectors.

The contracts are not part of the project. Point ONESHELF_SPECS at a folder with `ebay/*` to run this.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import jsonschema
import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from lxml import etree

from connectors.amazon.harness import Exchange
from connectors.ebay.stall import INVENTORY, ORDERS, Stall, stall
from connectors.ebay.test_ebay_simulator_notifications import (
    FEED,
    PATH,
    PAYLOAD,
    Receiver,
    application,
    asked_for,
    desk_and_receiver,
    wanted,
)
from contract import ebay_specs as specs
from oneshelf.connectors.ebay.inventory import OFFER_MEMBERS
from oneshelf.connectors.ebay.simulator_feed import REPORT
from oneshelf.connectors.ebay.simulator_sender import Keys

pytestmark = pytest.mark.skipif(not specs.are_here(), reason=specs.ABSENT)

DAY = "[2026-01-05T00:00:00.000Z..]"
ITEMS = f"{INVENTORY}/inventory_item"


# A life in which everything is called ---------------------------------------------------------------------------------


async def live_with_listings(desk: Stall) -> None:
    """Both worlds read and written, ended and brought back."""
    await desk.read(ITEMS, limit=2, offset=1)
    await desk.read(f"{ITEMS}/MUG")
    asked = {"requests": [{"sku": sku} for sku in ("MUG", "JUG-1", "CUP-1")]}
    await desk.call("POST", f"{INVENTORY}/bulk_get_inventory_item", json=asked)
    await desk.call("POST", f"{INVENTORY}/bulk_get_inventory_item", json={"requests": [{"sku": "MUG"}]})
    (offer,) = (await desk.read(f"{INVENTORY}/offer", sku="CUP-1"))["offers"]
    await desk.read(f"{INVENTORY}/offer/{offer['offerId']}")
    await desk.update(desk.row("MUG", 500), desk.row("CUP-1", 6))
    await desk.update(desk.row("MUG", 500), {**desk.row("CUP-1", 6), "sku": "NONE"})
    key = desk.simulator.ebay.catalogue["CUP-1"].listing.group_key
    await desk.read(f"{INVENTORY}/inventory_item_group/{key}")
    for act in ("withdraw", "publish"):
        offer_id = desk.simulator.ebay.catalogue["MUG"].offer_id
        await desk.call("POST", f"{INVENTORY}/offer/{offer_id}/{act}", json={})
        body = {"inventoryItemGroupKey": key, "marketplaceId": "EBAY_US"}
        await desk.call("POST", f"{INVENTORY}/offer/{act}_by_inventory_item_group", json=body)
        await desk.call("POST", f"{INVENTORY}/offer/{offer_id}/{act}")
    item = {"availability": {"shipToLocationAvailability": {"quantity": 800}}}
    await desk.call("PUT", f"{ITEMS}/MUG", json=item, headers={"content-language": "en-US"})
    await live_with_an_offer(desk)
    nobodys = {"inventoryItemGroupKey": "none", "marketplaceId": "EBAY_US"}
    for act in ("withdraw", "publish"):
        await desk.call("POST", f"{INVENTORY}/offer/{act}_by_inventory_item_group", json=nobodys)
    await desk.read(f"{INVENTORY}/location")
    await desk.read(f"{INVENTORY}/location/main")
    for path in ("/inventory_item/NONE", "/offer/1", "/location/none", "/inventory_item_group/none"):
        assert (await desk.call("GET", INVENTORY + path)).status_code == 404
    await desk.call("GET", ITEMS, params={"limit": "201"})
    for path in ("/rate_limit/", "/user_rate_limit/"):
        is_user = path.startswith("/user")
        await desk.call("GET", f"/developer/analytics/v1_beta{path}", is_user=is_user)
        await desk.call("GET", f"/developer/analytics/v1_beta{path}", is_user=is_user, params={"api_name": "browse"})


async def live_with_an_offer(desk: Stall) -> None:
    """One is replaced whole, and refused in the ways in which it can be."""
    path = f"{INVENTORY}/offer/{desk.simulator.ebay.catalogue['MUG'].offer_id}"
    shown = await desk.read(path)
    whole = {name: shown[name] for name in OFFER_MEMBERS if name in shown}
    poor = {name: value for name, value in whole.items() if name != "pricingSummary"}
    none = {**whole, "availableQuantity": -1}
    for offer, document, status in ((path, whole, 204), (path, poor, 400), (path, none, 400), (path + "9", whole, 404)):
        answer = await desk.call("PUT", offer, json=document, headers={"content-language": "en-US"})
        assert answer.status_code == status, answer.text


async def live_with_the_trading_api(desk: Stall) -> None:
    pages = "<Pagination><EntriesPerPage>2</EntriesPerPage><PageNumber>1</PageNumber></Pagination>"
    await desk.trade("GetMyeBaySelling", f"<ActiveList><Include>true</Include>{pages}</ActiveList>")
    await desk.trade("GetMyeBaySelling", "<ActiveList><Include>false</Include></ActiveList>")
    await desk.trade("GetSellerEvents", "<ModTimeFrom>2026-01-05T11:00:00.000Z</ModTimeFrom>")
    window = "<EndTimeFrom>2026-01-05T12:00:00Z</EndTimeFrom><EndTimeTo>2026-02-05T12:00:00Z</EndTimeTo>"
    await desk.trade("GetSellerList", window + pages + "<IncludeVariations>true</IncludeVariations>")
    await desk.trade("ReviseInventoryStatus", desk.node("JUG-1", 400) + desk.node("POT", 3))
    await desk.trade("ReviseInventoryStatus", desk.node("JUG-1", 400) + desk.node("MUG", 3))
    await desk.trade("ReviseInventoryStatus", desk.node("POT", 0))
    await desk.clock.advance(10)
    for sku in ("JUG-1", "POT", "MUG"):
        await desk.trade("GetItem", f"<ItemID>{desk.item_id(sku)}</ItemID>")
    await desk.trade("GetItem", "<ItemID>1</ItemID>")
    always = ("BidderNotice", "CombinedPayment", "SellerPayment", "SellerProfile")
    needed = "".join(f"<Show{name}Preferences>false</Show{name}Preferences>" for name in always)
    control = "<ShowOutOfStockControlPreference>true</ShowOutOfStockControlPreference>"
    await desk.trade("GetUserPreferences", needed + control)
    await desk.trade("SetUserPreferences", "<OutOfStockControlPreference>true</OutOfStockControlPreference>")
    ended = f"<ItemID>{desk.item_id('POT')}</ItemID><EndingReason>NotAvailable</EndingReason>"
    await desk.trade("EndFixedPriceItem", ended)
    await desk.trade("GetItem", f"<ItemID>{desk.item_id('POT')}</ItemID>")
    item = f"<Item><ItemID>{desk.item_id('POT')}</ItemID><Quantity>4</Quantity></Item>"
    await desk.trade("RelistFixedPriceItem", item)


async def live_with_orders(desk: Stall) -> None:
    """Orders that wait, are paid, shipped in part and whole, refunded and cancelled."""
    placed = []
    for _ in range(5):
        placed.append(str(desk.simulator.place([("MUG", 1), ("JUG-1", 2)])))
        await desk.clock.advance(1)
    await desk.read(ORDERS, filter=f"lastmodifieddate:{DAY}", limit=2, offset=2)
    await desk.clock.advance(1801)
    line = desk.simulator.trade.orders[placed[1]].lines[1].line_id
    assert desk.simulator.ship(placed[0])
    assert desk.simulator.ship_units(placed[1], line, 1)
    assert desk.simulator.refund(placed[1], line, 1, restock=False)
    assert desk.simulator.cancel(placed[2])
    await desk.read(ORDERS, filter=f"creationdate:{DAY},orderfulfillmentstatus:{{NOT_STARTED|IN_PROGRESS}}")
    await desk.read(ORDERS, orderIds=",".join(placed))
    for order_id in placed[:3]:
        await desk.read(f"{ORDERS}/{order_id}")
        await desk.read(f"{ORDERS}/{order_id}/shipping_fulfillment")
    assert (await desk.call("GET", f"{ORDERS}/none")).status_code == 404
    await desk.call("GET", ORDERS, params={"limit": "201"})


async def live_with_notifications(desk: Stall, receiver: Receiver) -> None:
    await application(desk, "GET", "/config")
    await application(desk, "PUT", "/config", {"alertEmail": "me@shelf.example"})
    await application(desk, "GET", "/config")
    created = await application(desk, "POST", "/destination", wanted())
    await application(desk, "POST", "/destination", wanted())
    one = "/destination/" + created.headers["location"].rpartition("/")[2]
    for method, path in (("GET", one), ("GET", "/destination"), ("GET", "/topic"), ("GET", "/destination/none")):
        await application(desk, method, path)
    await application(desk, "PUT", one, wanted(name="shelf"))
    body = {"destinationId": one.rpartition("/")[2], "status": "ENABLED", "payload": PAYLOAD}
    subscriptions = []
    for topic_id, is_user in (("ORDER_CONFIRMATION", True), ("MARKETPLACE_ACCOUNT_DELETION", False), ("NONE", True)):
        asked = {"topicId": topic_id, **body}
        made = await desk.call("POST", f"{PATH}/subscription", is_user=is_user, json=asked)
        subscriptions.append(made.headers.get("location", "").rpartition("/")[2])
        await application(desk, "GET", f"/topic/{topic_id}")
    revocation = {"topicId": "AUTHORIZATION_REVOCATION", **body}
    await desk.call("POST", f"{PATH}/subscription", is_user=False, json=revocation)
    first = f"/subscription/{subscriptions[0]}"
    for act in ("disable", "enable", "test"):
        await application(desk, "POST", f"{first}/{act}")
    await application(desk, "GET", "/subscription")
    await application(desk, "GET", first)
    await application(desk, "PUT", first, body)
    await application(desk, "DELETE", one)
    desk.simulator.place([("MUG", 1)])
    desk.simulator.delete_account("SomebodyElse")
    desk.simulator.revoke()
    await desk.clock.advance(60)
    desk.simulator.grant()
    await application(desk, "DELETE", first)
    for headers, _body in receiver.got[:1]:
        key_id = json.loads(base64.b64decode(headers["x-ebay-signature"]))["kid"]
        await application(desk, "GET", f"/public_key/{key_id}")
    for subscription_id in list(desk.simulator.sender.subscriptions):
        await application(desk, "DELETE", f"/subscription/{subscription_id}")
    await application(desk, "DELETE", one)


async def live_with_reports(desk: Stall) -> None:
    created = await asked_for(desk)
    task_id = created.headers["location"].rpartition("/")[2]
    await desk.read(f"{FEED}/inventory_task/{task_id}")
    await desk.call("GET", f"{FEED}/task/{task_id}/download_result_file")
    await desk.clock.advance(300)
    await desk.read(f"{FEED}/inventory_task/{task_id}")
    await desk.read(f"{FEED}/inventory_task", feed_type=REPORT)
    await desk.call("GET", f"{FEED}/task/{task_id}/download_result_file")
    for _ in range(11):
        await asked_for(desk)


async def live_through_bad_days(desk: Stall) -> None:
    paths = (ITEMS, ORDERS, f"{FEED}/inventory_task/none", f"{PATH}/topic", "/developer/analytics/v1_beta/rate_limit/")
    for fault in ("throttle", "server_error", "token_expired"):
        desk.simulator.switches.set({fault: 1.0})
        for path in paths * 3:
            await desk.call("GET", path, is_user=path in paths[:3])
        await desk.trade_or_page("GetItem", "<ItemID>1</ItemID>")
        desk.simulator.switches.set({fault: 0.0})
    await desk.call("GET", ORDERS, is_user=False)
    desk.simulator.switches.set({"row_failed": {"next": 1}, "concurrent_refused": {"next": 1}})
    for _ in range(2):
        await desk.update(desk.row("MUG", 5))
    desk.simulator.habits.has_out_of_stock_control = False
    await desk.update(desk.row("MUG", 0))
    await desk.trade("ReviseInventoryStatus", desk.node("POT", 0))


# The proof -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Tally:
    """How many of each were validated, and what there is no contract for."""

    requests: Counter[str]
    answers: Counter[tuple[str, int]]
    xml: Counter[str]
    topics: Counter[str]
    without: Counter[str]
    pages_for_people: int = 0

    def take(self, exchange: Exchange) -> None:
        path = exchange.request.url.path
        if path.endswith("/oauth2/token"):
            self.without["oauth2/token"] += 1
        elif exchange.response.headers.get("content-type", "").startswith("text/html"):
            self.pages_for_people += 1
        elif path == "/ws/api.dll":
            name = exchange.request.headers["x-ebay-api-call-name"]
            is_known = specs.check_xml(exchange.sent, root=f"{name}Request")
            specs.check_xml(exchange.received, root=f"{name}Response")
            (self.xml if is_known else self.without)[name] += 1
        else:
            if exchange.response.status_code != 411:
                self.requests[specs.check_request(exchange)] += 1
            self.answers[specs.operation_of(exchange).name, specs.check_answer(exchange)] += 1

    def show(self) -> None:
        answers = {f"{name} {status}": count for (name, status), count in sorted(self.answers.items())}
        told: dict[str, Any] = {
            "requests valid": dict(self.requests),
            "answers valid": answers,
            "XML requests and answers valid": dict(self.xml),
            "notifications valid": dict(self.topics),
            "without a contract, not validated": dict(self.without),
            "pages for people, not validated": self.pages_for_people,
        }
        for name, counts in told.items():
            print(f"\n{name}: {counts}")


async def test_everything_that_the_simulated_ebay_says_obeys_ebays_contracts() -> None:
    tally = Tally(Counter(), Counter(), Counter(), Counter(), Counter())
    world: dict[str, Any] = {
        "inventory": {"MUG": 900, "CUP-1": 50, "CUP-2": 60},
        "trading": {"POT": 90, "JUG-1": 500, "JUG-2": 9},
    }
    groups = {"CUP-1": "cups", "CUP-2": "cups", "JUG-1": "jugs", "JUG-2": "jugs"}
    async with desk_and_receiver(**world, groups=groups) as (desk, receiver):
        await live_with_listings(desk)
        await live_with_the_trading_api(desk)
        await live_with_orders(desk)
        await live_with_notifications(desk, receiver)
        await live_with_reports(desk)
        await live_through_bad_days(desk)
        for exchange in desk.wiretap.exchanges:
            tally.take(exchange)
        for _headers, body in receiver.got:
            name = msgspec.json.decode(body)["metadata"]["topic"]
            (tally.topics if specs.check_notification(body) else tally.without)[name] += 1
        served = specs.answered_by(desk.simulator.app().routes)
    tally.show()
    good = {name for name, status in tally.answers if status < 400}
    print(f"served by the simulator, and not validated: {sorted(served - good) or 'none'}")
    assert {"updateOffer", "getInventoryItemGroup", "publishOfferByInventoryItemGroup"} <= served <= set(tally.requests)
    assert served <= good
    one_route = {"enableSubscription", "disableSubscription", "testSubscription"}
    assert set(tally.requests) - served == one_route, "these share one route"
    assert {status for _name, status in tally.answers} >= {200, 201, 202, 204, 207, 400, 401, 403, 404, 409, 429, 500}
    read = {"GetItem", "GetMyeBaySelling", "GetSellerEvents", "GetSellerList", "GetUserPreferences"}
    assert set(tally.xml) == read | {"ReviseInventoryStatus", "EndFixedPriceItem", "SetUserPreferences"}
    assert set(tally.topics) == {"MARKETPLACE_ACCOUNT_DELETION", "AUTHORIZATION_REVOCATION"}
    assert set(tally.without) == {"oauth2/token", "RelistFixedPriceItem", "ORDER_CONFIRMATION"}
    assert tally.pages_for_people > 0


async def test_an_answer_that_breaks_its_contract_would_be_noticed() -> None:
    async with stall({"MUG": 9}) as desk:
        await desk.read(ITEMS)
        good = desk.wiretap.exchanges[-1]
    assert specs.check_answer(good) == 200
    for old, new in ((b'"quantity":9', b'"quantity":"9"'), (b'"sku"', b'"SKU"'), (b'"total":1', b'"total":1.5')):
        bad = replace(good, received=good.received.replace(old, new))
        assert bad.received != good.received
        with pytest.raises(jsonschema.ValidationError):
            specs.check_answer(bad)


async def test_a_request_that_breaks_its_contract_would_be_noticed() -> None:
    async with stall({"MUG": 9}, {"JUG": 9}) as desk:
        await desk.update(desk.row("MUG", 5))
        good = desk.wiretap.exchanges[-1]
        await desk.trade("ReviseInventoryStatus", desk.node("JUG", 5))
        xml = desk.wiretap.exchanges[-1].sent
    assert specs.check_request(good) == "bulkUpdatePriceQuantity"
    for old, new in ((b'"quantity":5', b'"quantity":"5"'), (b'"offerId"', b'"offerID"')):
        with pytest.raises(jsonschema.ValidationError):
            specs.check_request(replace(good, sent=good.sent.replace(old, new)))
    assert specs.check_xml(xml, root="ReviseInventoryStatusRequest")
    for old, new in ((b"Quantity>5", b"Quantity>five"), (b"SKU>", b"Sku>")):
        with pytest.raises(etree.DocumentInvalid):
            specs.check_xml(xml.replace(old, new), root="ReviseInventoryStatusRequest")


# Signatures ----------------------------------------------------------------------------------------------------------


def is_signed(key: str, signature: str, message: object) -> bool:
    """As eBay's own kit verifies: the key by its parts, over the message written without spaces."""
    parts = json.loads(base64.b64decode(signature))
    middle = key.removeprefix("-----BEGIN PUBLIC KEY-----").removesuffix("-----END PUBLIC KEY-----")
    public = serialization.load_der_public_key(base64.b64decode(middle))
    assert isinstance(public, ec.EllipticCurvePublicKey)
    body = json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()
    try:
        public.verify(base64.b64decode(parts["signature"]), body, ec.ECDSA(hashes.SHA1()))  # noqa: S303  # eBay signs so
    except InvalidSignature:
        return False
    return True


def test_what_the_simulator_signs_verifies_as_ebays_own_vectors_do() -> None:
    """One and the same verification takes eBay's good vector, refuses its bad one, and takes the simulator's."""
    vectors = msgspec.json.decode((specs.folder() / specs.VECTORS).read_bytes())
    good, bad = vectors["VALID"], vectors["SIGNATURE_MISMATCH"]
    assert is_signed(good["response"]["key"], good["signature"], good["message"])
    assert not is_signed(bad["response"]["key"], bad["signature"], bad["message"])
    parts = json.loads(base64.b64decode(good["signature"]))
    keys = Keys(Random("vectors"))
    key_id = keys.renew()
    document = keys.document(key_id)
    assert document is not None
    assert set(document) == set(good["response"])
    assert {name: document[name] for name in ("algorithm", "digest")} == {"algorithm": "ECDSA", "digest": "SHA1"}
    body = json.dumps(good["message"], separators=(",", ":")).encode()
    signature = keys.signature(body)
    assert set(json.loads(base64.b64decode(signature))) == set(parts)
    assert is_signed(document["key"], signature, good["message"])
    assert not is_signed(document["key"], signature, {**good["message"], "metadata": {}})
