"""eBay's documents in our words: orders through their life, items, offers, and the Trading API's XML."""

from __future__ import annotations

from typing import Any

import pytest

from oneshelf.connectors.ebay import inventory, parse, shelf, trading
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.order import OrderSnapshot
from oneshelf.errors import MalformedError

EBAY = Channel("my-ebay")
LINE = {
    "lineItemId": "1001",
    "legacyItemId": "110",
    "sku": "MUG",
    "quantity": 3,
    "lineItemFulfillmentStatus": "NOT_STARTED",
    "title": "Mug",
}
ORDER = {
    "orderId": "12-34567-89012",
    "creationDate": "2026-11-26T09:00:00.000Z",
    "lastModifiedDate": "2026-11-26T09:05:00.123Z",
    "orderPaymentStatus": "PAID",
    "orderFulfillmentStatus": "NOT_STARTED",
    "cancelStatus": {"cancelState": "NONE_REQUESTED", "cancelRequests": []},
    "paymentSummary": {"refunds": []},
    "buyer": {"username": "somebody"},
    "lineItems": [LINE],
}


def read(order: dict[str, Any], *, shipped: dict[str, int] | None = None) -> OrderSnapshot:
    message = parse.order_message(parse.delivery_of(order, shipped=shipped), channel=EBAY)
    assert isinstance(message, OrderSnapshot)
    return message


def with_line(**changed: Any) -> dict[str, Any]:
    return {**ORDER, "lineItems": [{**LINE, **changed}]}


def test_nothing_of_the_buyer_is_kept() -> None:
    body = parse.delivery_of({**ORDER, "buyerCheckoutNotes": "ring twice"}).body
    assert b"somebody" not in body
    assert b"ring twice" not in body
    assert b"Mug" not in body


def test_what_is_no_news_for_the_stock_has_the_same_key() -> None:
    assert parse.delivery_of(ORDER).key == parse.delivery_of({**ORDER, "buyerCheckoutNotes": "ring twice"}).key
    assert parse.delivery_of(ORDER).key != parse.delivery_of({**ORDER, "orderPaymentStatus": "PENDING"}).key


@pytest.mark.parametrize(
    ("status", "is_pending"),
    [("PAID", False), ("PENDING", True), ("FAILED", True), ("FULLY_REFUNDED", False), ("PARTIALLY_REFUNDED", False)],
)
def test_an_order_is_pending_until_it_is_paid(status: str, is_pending: bool) -> None:
    assert read({**ORDER, "orderPaymentStatus": status}).is_pending is is_pending


def test_a_refund_on_its_way_makes_nothing_pending_again() -> None:
    """PENDING and FAILED are said of refunds too."""
    refunded = {"refunds": [{"refundStatus": "PENDING", "refundId": "5"}]}
    assert not read({**ORDER, "orderPaymentStatus": "PENDING", "paymentSummary": refunded}).is_pending
    shipped = {**with_line(lineItemFulfillmentStatus="FULFILLED"), "orderPaymentStatus": "FAILED"}
    assert not read(shipped).is_pending


def test_a_refund_puts_nothing_on_sale_and_cancels_nothing() -> None:
    (line,) = read({**ORDER, "orderPaymentStatus": "FULLY_REFUNDED"}).lines
    assert (line.units_open, line.units_cancelled, line.units_relisted) == (3, 0, 0)


@pytest.mark.parametrize(("state", "units"), [("CANCELED", 3), ("IN_PROGRESS", 0), ("NONE_REQUESTED", 0)])
def test_only_a_cancellation_that_is_done_gives_units_back(state: str, units: int) -> None:
    (line,) = read({**ORDER, "cancelStatus": {"cancelState": state}}).lines
    assert (line.units_cancelled, line.units_relisted, line.units_open) == (units, units, 3 - units)


def test_a_line_leaves_in_whole_and_in_part() -> None:
    (line,) = read(with_line(lineItemFulfillmentStatus="FULFILLED")).lines
    assert (line.units_shipped, line.units_open) == (3, 0)
    (line,) = read(with_line(lineItemFulfillmentStatus="IN_PROGRESS"), shipped={"1001": 2}).lines
    assert (line.units_shipped, line.units_open) == (2, 1)
    (line,) = read(with_line(lineItemFulfillmentStatus="IN_PROGRESS")).lines
    assert (line.units_shipped, line.units_open) == (0, 3), "in doubt it has not left"


def test_parcels_of_one_line_add_up() -> None:
    parcels = [{"lineItems": [{"lineItemId": "1", "quantity": 2}]}, {"lineItems": [{"lineItemId": "1", "quantity": 1}]}]
    assert parse.shipped_from({"fulfillments": parcels}) == {"1": 3}


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({}, "MUG"),
        ({"sku": None}, "v1|110|0"),
        ({"sku": None, "legacyVariationId": "42"}, "v1|110|42"),
        ({"legacyVariationId": "42"}, "MUG"),
    ],
)
def test_a_line_is_called_by_its_sku_or_by_ebays_own_id(changed: dict[str, Any], name: str) -> None:
    (line,) = read(with_line(**changed)).lines
    assert line.channel_sku == name


@pytest.mark.parametrize(
    "order",
    [
        {**ORDER, "orderPaymentStatus": "LATER"},
        {**ORDER, "lastModifiedDate": "2026-11-26T09:05:00"},
        with_line(quantity=-1),
        with_line(quantity="3"),
        with_line(lineItemFulfillmentStatus="GONE"),
        with_line(sku=None, legacyItemId=None),
        {**ORDER, "lineItems": None},
    ],
)
def test_what_is_not_understood_is_parked(order: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        read(order)


# Stock --------------------------------------------------------------------------------------------------------


def item(units: int | None = 5, **availability: Any) -> inventory.Item:
    ship: dict[str, Any] = {**({} if units is None else {"quantity": units}), **availability}
    return inventory.item_from({"sku": "MUG", "availability": {"shipToLocationAvailability": ship}})


def offer(units: int | None = 5, *, status: str = "PUBLISHED", **changed: Any) -> inventory.Offer:
    document = {"offerId": "8", "status": status, "format": "FIXED_PRICE", "listing": {"listingId": "110"}, **changed}
    if units is not None:
        document["availableQuantity"] = units
    (found,) = inventory.offers_from({"offers": [document]})
    return found


def shown(one: inventory.Item, *offers: inventory.Offer, is_aside: bool = False) -> tuple[int | None, str, bool]:
    found = shelf.shown_in_inventory(one, offers, is_aside=is_aside)
    assert found is not None
    return found.reading.units, found.reading.note, found.place is not None


def test_of_several_offers_the_one_comes_back_that_was_on_sale() -> None:
    """An unpublished offer is told without a listing, whether it was ever published or not."""
    ours = offer(0, status="UNPUBLISHED", offerId="1", marketplaceId="EBAY_US", listing=None)
    draft = offer(0, status="UNPUBLISHED", offerId="2", marketplaceId="EBAY_GB", listing=None)
    other = offer(0, status="UNPUBLISHED", offerId="3", marketplaceId="EBAY_DE", listing=None)

    def comes_back(*offers: inventory.Offer, aside: str = "", market: str = "EBAY_US") -> list[str]:
        found = shelf.shown_in_inventory(
            item(0), offers, is_aside=bool(aside), aside_offer_id=aside, marketplace_id=market
        )
        assert found is not None
        assert found.reading.units == 0
        place = found.place
        return [one.offer_id for one in place.offers] if isinstance(place, shelf.InInventory) else [found.reading.note]

    assert comes_back(ours, draft) == comes_back(draft, ours) == ["1"]
    assert comes_back(ours, draft, aside="2") == ["2"], "we withdrew it ourselves"
    assert comes_back(draft) == ["2"]
    assert comes_back(draft, other) == [shelf.WHICH_OFFER]


def test_an_item_that_was_never_offered_is_no_listing() -> None:
    assert shelf.shown_in_inventory(item(), (), is_aside=False) is None


def test_the_lesser_of_item_and_offer_is_shown() -> None:
    assert shown(item(3), offer(8)) == (3, "", True)
    assert shown(item(8), offer(3)) == (3, "", True)
    assert shown(item(8), offer(None)) == (8, "", True)
    assert shown(item(None), offer(None))[0] is None


def test_what_may_not_be_written_has_no_units_and_says_why() -> None:
    divided = [{"merchantLocationKey": name, "quantity": 1} for name in ("a", "b")]
    for units, note, is_writable in (
        shown(item(), offer(), offer()),
        shown(item(), offer(format="AUCTION")),
        shown(item(availabilityDistributions=divided), offer()),
        shown(item(5), offer(status="UNPUBLISHED")),
    ):
        assert units is None
        assert note
        assert not is_writable


def test_what_was_taken_off_sale_for_want_of_units_may_come_back() -> None:
    assert shown(item(0), offer(status="UNPUBLISHED")) == (0, shelf.NOTHING_LEFT, True)
    assert shown(item(5), offer(status="UNPUBLISHED"), is_aside=True) == (0, shelf.NOTHING_LEFT, True)


def test_the_one_location_of_an_item_keeps_its_whole_quantity() -> None:
    divided = [{"merchantLocationKey": "main", "quantity": 5}]
    (row,) = inventory.update([(item(availabilityDistributions=divided), [offer()], 7)])["requests"]
    assert row["shipToLocationAvailability"] == {
        "quantity": 7,
        "availabilityDistributions": [{"merchantLocationKey": "main", "quantity": 7}],
    }
    assert row["offers"] == [{"offerId": "8", "availableQuantity": 7}]


def test_errors_within_a_good_row_make_it_a_bad_one() -> None:
    rows = [{"sku": "MUG", "statusCode": 200, "errors": [{"errorId": 25001, "message": "no"}]}]
    (result,) = inventory.results_of({"responses": rows})
    assert not result.is_done


# XML ----------------------------------------------------------------------------------------------------------


def answer(inner: str, *, name: str = "GetItem", ack: str = "Success") -> bytes:
    return f'<{name}Response xmlns="{trading.NAMESPACE}"><Ack>{ack}</Ack>{inner}</{name}Response>'.encode()


def offered(inner: str) -> list[trading.Offered]:
    root = trading.answer_from(answer(f"<Item><ItemID>110</ItemID>{inner}</Item>"), "GetItem")
    (found,) = root.findall(f"{{{trading.NAMESPACE}}}Item")
    return list(trading.offered_in(found))


def test_the_quantity_of_the_trading_api_counts_what_was_sold() -> None:
    sold = "<SellingStatus><QuantitySold>7</QuantitySold></SellingStatus>"
    assert [one.units for one in offered(f"<Quantity>10</Quantity>{sold}")] == [3]
    assert [one.units for one in offered(f"<Quantity>10</Quantity>{sold}<QuantityAvailable>4</QuantityAvailable>")] == [
        4
    ]
    variation = f"<Variations><Variation><SKU>A</SKU><Quantity>9</Quantity>{sold}</Variation></Variations>"
    assert [(one.sku, one.units) for one in offered(f"<Quantity>99</Quantity>{variation}")] == [("A", 2)]


def test_an_auction_and_an_ended_listing_are_told_apart() -> None:
    (auction,) = offered("<ListingType>Chinese</ListingType><Quantity>1</Quantity>")
    found = shelf.shown_in_trading(auction)
    assert found is not None
    assert (found.reading.units, found.place) == (None, None)
    (ended,) = offered("<Quantity>1</Quantity><SellingStatus><ListingStatus>Ended</ListingStatus></SellingStatus>")
    assert shelf.shown_in_trading(ended) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<a/>",
        answer("", name="GetOrders"),
        answer("", ack="Perhaps"),
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b"<a>" * 20_000,
        answer("")[:-5],
    ],
)
def test_what_is_no_answer_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedError):
        trading.answer_from(body, "GetItem")


def test_a_sku_is_written_as_text_and_never_as_markup() -> None:
    sent = trading.revise([("110", "<b>&", 3)])
    assert b"<SKU>&lt;b&gt;&amp;</SKU>" in sent


@pytest.mark.parametrize(
    ("name", "item_id"), [("v1|110|0", "110"), ("v1|110|42", "110"), ("MUG", None), ("v1|a|0", None)]
)
def test_a_restful_id_is_told_from_a_sku(name: str, item_id: str | None) -> None:
    assert shelf.item_id_in(ChannelSku(name)) == item_id
