"""What Amazon's JSON means in our words."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from oneshelf.connectors.amazon import parse
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.errors import MalformedError
from oneshelf.sdk.message import Accepted, Delivery, Ignored, Message, Refused, Unknown

ORDER: dict[str, Any] = {
    "orderId": "111-0000001-0000001",
    "createdTime": "2026-01-05T12:00:00Z",
    "lastUpdatedTime": "2026-01-05T12:31:07Z",
    "salesChannel": {"channelName": "AMAZON"},
    "buyer": {"buyerName": "Ada Lovelace", "buyerEmail": "ada@example.org"},
    "recipient": {"deliveryAddress": {"name": "Ada Lovelace"}},
    "fulfillment": {"fulfillmentStatus": "UNSHIPPED", "fulfilledBy": "MERCHANT"},
    "orderItems": [
        {
            "orderItemId": "1",
            "quantityOrdered": 3,
            "product": {"sellerSku": "MUG", "price": {"unitPrice": {"amount": "9.00"}}},
            "fulfillment": {"quantityFulfilled": 0, "quantityUnfulfilled": 3},
        }
    ],
}
BAD_UNITS = [-1, 1.5, 1.0, True, "3", None, 10**12, 10**30, [3]]


def order(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(ORDER), **changes}


def order_in(status: str, *, fulfilled: object = 0, unfulfilled: object = 3, **item: Any) -> dict[str, Any]:
    changed = order(fulfillment={"fulfillmentStatus": status, "fulfilledBy": "MERCHANT"})
    units = {"quantityFulfilled": fulfilled, "quantityUnfulfilled": unfulfilled}
    changed["orderItems"][0]["fulfillment"] = {k: v for k, v in units.items() if v is not None}
    changed["orderItems"][0].update(item)
    return changed


def delivered(*orders: Any) -> tuple[Delivery, ...]:
    return parse.orders_answer({"orders": list(orders)}).deliveries


def said(document: Any) -> Message:
    (delivery,) = delivered(document)
    return parse.order_message(delivery, channel=Channel("amazon-us"))


def snapshot(document: Any) -> OrderSnapshot:
    message = said(document)
    assert isinstance(message, OrderSnapshot)
    return message


def line(document: Any) -> OrderLine:
    (only,) = snapshot(document).lines
    return only


@pytest.mark.parametrize("status", ["PENDING", "PENDING_AVAILABILITY"])
def test_an_order_whose_payment_is_not_confirmed_is_pending_and_sold_all_the_same(status: str) -> None:
    shown = snapshot(order_in(status, fulfilled=0, unfulfilled=0))
    assert shown.is_pending
    assert shown.lines[0].units_open == 3


@pytest.mark.parametrize("status", ["UNSHIPPED", "PARTIALLY_SHIPPED", "SHIPPED", "CANCELLED"])
def test_any_later_status_is_no_longer_pending(status: str) -> None:
    assert not snapshot(order_in(status)).is_pending


@pytest.mark.parametrize("status", ["CANCELLED", "Canceled", "CANCELED"])
def test_a_cancelled_order_gives_all_its_units_back_to_the_listing(status: str) -> None:
    cancelled = line(order_in(status, fulfilled=0, unfulfilled=0))
    assert (cancelled.units_cancelled, cancelled.units_relisted, cancelled.units_open) == (3, 3, 0)


def test_a_cancelled_order_keeps_what_has_shipped() -> None:
    cancelled = line(order_in("CANCELLED", fulfilled=1, unfulfilled=0))
    assert (cancelled.units_shipped, cancelled.units_cancelled, cancelled.units_relisted) == (1, 2, 2)


def test_a_cancelled_order_that_shows_no_ordered_units_any_more_takes_nothing() -> None:
    emptied = line(order_in("CANCELLED", unfulfilled=0, quantityOrdered=0))
    assert (emptied.units_open, emptied.units_off_listing) == (0, 0)


def test_fulfilled_units_have_shipped() -> None:
    assert line(order_in("PARTIALLY_SHIPPED", fulfilled=2, unfulfilled=1)).units_shipped == 2


def test_a_shipped_order_without_figures_has_shipped_whole() -> None:
    assert line(order_in("SHIPPED", fulfilled=None, unfulfilled=None)).units_shipped == 3


def test_a_partly_shipped_order_without_figures_cannot_be_read() -> None:
    with pytest.raises(MalformedError, match="quantityFulfilled is missing"):
        said(order_in("PARTIALLY_SHIPPED", fulfilled=None))


def test_a_line_cancelled_in_part_frees_only_what_will_not_ship() -> None:
    executed = {"cancellationExecution": {"cancelledBy": "BUYER"}}
    partly = line(order_in("UNSHIPPED", fulfilled=0, unfulfilled=1, cancellation=executed))
    assert (partly.units_cancelled, partly.units_open) == (2, 1)


def test_a_line_of_a_pending_order_is_held_until_the_order_itself_says_that_it_is_cancelled() -> None:
    executed = {"cancellationExecution": {"cancelledBy": "BUYER"}}
    assert line(order_in("PENDING", unfulfilled=0, cancellation=executed)).units_open == 3


def test_a_mere_request_to_cancel_frees_nothing() -> None:
    asked = {"cancellationRequest": {"requester": "BUYER"}}
    assert line(order_in("UNSHIPPED", unfulfilled=0, cancellation=asked)).units_open == 3


@pytest.mark.parametrize(
    "fulfillment",
    [
        {"fulfillmentStatus": "UNSHIPPED", "fulfilledBy": "AMAZON"},
        {"fulfillmentStatus": "UNFULFILLABLE", "fulfilledBy": "AMAZON"},
        {"fulfillmentStatus": "UNFULFILLABLE"},
    ],
)
def test_an_order_that_amazon_fulfils_is_none_of_our_business(fulfillment: dict[str, str]) -> None:
    message = said(order(fulfillment=fulfillment))
    assert isinstance(message, Ignored)
    assert "Amazon" in message.reason


def test_an_order_with_an_unknown_status_is_refused_not_guessed_at() -> None:
    with pytest.raises(MalformedError, match="unknown status 'FROZEN'"):
        said(order_in("FROZEN"))


@pytest.mark.parametrize("units", BAD_UNITS)
def test_an_ordered_quantity_that_is_no_number_of_units_is_refused(units: object) -> None:
    with pytest.raises(MalformedError, match="quantityOrdered"):
        said(order_in("UNSHIPPED", quantityOrdered=units))


@pytest.mark.parametrize("units", [units for units in BAD_UNITS if units is not None])
def test_a_fulfilled_quantity_that_is_no_number_of_units_is_refused(units: object) -> None:
    with pytest.raises(MalformedError, match="quantityFulfilled"):
        said(order_in("PARTIALLY_SHIPPED", fulfilled=units))


def test_more_shipped_than_ordered_is_refused() -> None:
    with pytest.raises(MalformedError, match="more than the 3 ordered"):
        said(order_in("SHIPPED", fulfilled=4))


@pytest.mark.parametrize("body", [b"", b"[]", b'{"orderId": NaN}', b"\xff", b'"text"', b"{}"])
def test_a_body_that_is_no_order_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedError):
        parse.order_message(Delivery("k", parse.POLLED_ORDER, body), channel=Channel("c"))


def test_a_line_without_a_sku_is_refused() -> None:
    with pytest.raises(MalformedError, match="SKU"):
        said(order_in("UNSHIPPED", product={"asin": "B0"}))


def test_versions_have_one_width_and_sort_as_the_instants_do() -> None:
    texts = ["2026-01-05T13:31:07+01:00", "2026-01-05T12:31:07.5Z", "2026-01-05T12:31:08Z", "2026-01-05T12:40:00.25Z"]
    versions = [snapshot(order(lastUpdatedTime=text)).version for text in texts]
    assert versions == sorted(versions)
    assert {len(version) for version in versions} == {27}
    assert versions[0] == "2026-01-05T12:31:07.000000Z"


@pytest.mark.parametrize("text", ["2026-01-05T12:31:07", "yesterday", "", 5, None, "2026-13-01T00:00:00Z"])
def test_a_time_without_a_zone_is_refused(text: object) -> None:
    with pytest.raises(MalformedError, match="lastUpdatedTime"):
        said(order(lastUpdatedTime=text))


def test_nothing_of_the_buyer_is_kept() -> None:
    (delivery,) = delivered(ORDER)
    assert b"Ada" not in delivery.body
    assert b"ada@" not in delivery.body


def test_a_delivery_has_the_same_key_exactly_when_it_can_say_nothing_new() -> None:
    dearer = order()
    dearer["orderItems"][0]["product"]["price"]["unitPrice"]["amount"] = "10.00"
    turned_round = msgspec.json.decode(msgspec.json.encode(dict(reversed(order().items()))))
    (key,) = {delivery.key for delivery in delivered(ORDER, dearer, turned_round)}
    assert key.startswith("poll:111-0000001-0000001:2026-01-05T12:31:07Z:")
    shipped = order_in("SHIPPED", fulfilled=3, unfulfilled=0)
    later = order(lastUpdatedTime="2026-01-05T12:31:08Z")
    assert len({delivery.key for delivery in delivered(ORDER, shipped, later)}) == 3


def test_orders_are_delivered_oldest_change_first() -> None:
    stamps = ["2026-01-05T14:00:00+02:00", "2026-01-05T11:00:00Z", "2026-01-05T12:00:00.5Z"]
    bodies = [delivery.body for delivery in delivered(*(order(lastUpdatedTime=stamp) for stamp in stamps))]
    assert [msgspec.json.decode(body)["lastUpdatedTime"] for body in bodies] == [stamps[1], stamps[0], stamps[2]]


def test_one_unreadable_order_does_not_hold_up_the_others() -> None:
    first, second = delivered({"orderId": None, "lastUpdatedTime": 3}, ORDER)
    with pytest.raises(MalformedError):
        parse.order_message(first, channel=Channel("c"))
    assert isinstance(parse.order_message(second, channel=Channel("c")), OrderSnapshot)


@pytest.mark.parametrize("document", [None, [], {}, {"orders": {}}, {"orders": [], "pagination": 3}])
def test_an_answer_that_is_no_page_of_orders_is_refused(document: object) -> None:
    with pytest.raises(MalformedError):
        parse.orders_answer(document)


def listing(*rows: Any, **more: Any) -> dict[str, Any]:
    summary = {"marketplaceId": "M", "itemName": "Mug", "createdDate": "2025-01-01T00:00:00Z"}
    return {"sku": "MUG", "summaries": [summary], "fulfillmentAvailability": list(rows), **more}


def test_the_figure_is_what_amazon_sells_from_never_what_was_submitted() -> None:
    submitted = {"fulfillment_availability": [{"fulfillment_channel_code": "DEFAULT", "quantity": 99}]}
    row = parse.listing_row(listing({"fulfillmentChannelCode": "DEFAULT", "quantity": 4}, attributes=submitted))
    assert row.is_merchant
    assert (row.reading.units, row.reading.merchant_sku, row.reading.title) == (4, "MUG", "Mug")


def test_a_listing_with_both_channels_is_not_written() -> None:
    """It is offered twice, or somebody wrote a quantity to what Amazon fulfils: nothing tells which."""
    fba = {"fulfillmentChannelCode": "AMAZON_NA", "quantity": 50}
    for rows in (
        (fba, {"fulfillmentChannelCode": "DEFAULT", "quantity": 4}),
        (fba, {"fulfillmentChannelCode": "DEFAULT"}),
    ):
        row = parse.listing_row(listing(*rows))
        assert (row.is_merchant, row.reading.units) == (False, None)
        assert "give the seller's own units another SKU" in row.reading.note


@pytest.mark.parametrize(
    ("shown", "units", "note"),
    [
        ({"SUPPLY-1": 7}, 7, ""),
        ({"SUPPLY-1": 7, "DEFAULT": 0}, 7, ""),
        ({"SUPPLY-1": 7, "DEFAULT": None}, 7, ""),
        ({"SUPPLY-1": 7, "DEFAULT": 2}, None, "DEFAULT shows 2 beside SUPPLY-1: set it to 0"),
        ({"SUPPLY-1": 7, "SUPPLY-2": 2}, None, "fulfilled from SUPPLY-1 and from SUPPLY-2"),
        ({"SUPPLY-1": 7, "AMAZON_NA": None}, None, "fulfilled from SUPPLY-1 and from AMAZON_NA"),
        ({"DEFAULT": 2}, None, "fulfilled from DEFAULT, and not from SUPPLY-1"),
        ({"AMAZON_NA": 2}, None, "fulfilled by Amazon"),
        ({}, None, "does not say"),
    ],
)
def test_of_a_supply_source_only_its_own_units_count_and_default_must_show_none(
    shown: dict[str, int | None], units: int | None, note: str
) -> None:
    told, words = parse.units_shown(shown, ChannelSku("MUG"), code="SUPPLY-1")
    assert told == units
    assert note in words


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        ([{"fulfillmentChannelCode": "AMAZON_NA", "quantity": 50}], "fulfilled by Amazon (AMAZON_NA)"),
        ([], "does not say"),
    ],
)
def test_a_listing_that_is_not_shown_as_the_sellers_own_has_no_figure_to_write(rows: list[Any], note: str) -> None:
    row = parse.listing_row(listing(*rows))
    assert (row.is_merchant, row.reading.units) == (False, None)
    assert note in row.reading.note


def test_a_listing_of_which_no_quantity_was_ever_set_sells_nothing() -> None:
    row = parse.listing_row(listing({"fulfillmentChannelCode": "DEFAULT"}))
    assert (row.is_merchant, row.reading.units) == (True, 0)


@pytest.mark.parametrize("units", [units for units in BAD_UNITS if units is not None])
def test_a_shown_quantity_that_is_no_number_of_units_is_refused(units: object) -> None:
    with pytest.raises(MalformedError, match="MUG: the quantity on sale"):
        parse.listing_row(listing({"fulfillmentChannelCode": "DEFAULT", "quantity": units}))


def test_a_sku_keeps_every_byte_as_an_address_even_where_it_is_no_proper_name() -> None:
    odd = "MUG\u200b "
    row = parse.listing_row(listing({"fulfillmentChannelCode": "DEFAULT", "quantity": 1}, sku=odd))
    assert row.reading.channel_sku == odd
    assert row.reading.merchant_sku is None


@pytest.mark.parametrize(
    ("document", "outcome"),
    [
        ({"status": "ACCEPTED", "submissionId": "s"}, Accepted()),
        ({"status": "INVALID", "issues": [{"code": "1", "message": "no", "severity": "ERROR"}]}, Refused("1: no")),
        ({"status": "INVALID"}, Refused("INVALID without an issue")),
        ({"status": "VALID"}, Unknown("Amazon answered with the status 'VALID'")),
        ({}, Unknown("Amazon answered with the status 'None'")),
        ([], Unknown("Amazon answered something that is not a submission")),
    ],
)
def test_a_submission_is_judged_by_its_status_not_by_http(document: object, outcome: object) -> None:
    assert parse.write_outcome(document) == outcome


def test_an_error_speaks_in_amazons_own_words() -> None:
    body = b'{"errors":[{"code":"InvalidInput","message":"bad sku","details":"length"}]}'
    assert parse.error_words(body) == "InvalidInput: bad sku: length"
    assert parse.error_words(b"<html>oh</html>") == "<html>oh</html>"


@pytest.mark.parametrize(
    "document", [{}, {"access_token": "a"}, {"access_token": "", "expires_in": 9}, {"expires_in": True}]
)
def test_a_grant_without_a_token_or_a_life_is_refused(document: object) -> None:
    with pytest.raises(MalformedError):
        parse.token_grant(document)


def test_a_grant_does_not_show_its_token() -> None:
    grant = parse.token_grant({"access_token": "Atza|very-secret", "expires_in": 3600})
    assert "very-secret" not in repr(grant)


@pytest.mark.parametrize(
    ("header", "rate"), [("5.0", 5.0), ("0.0056", 0.0056), ("nan", None), ("-1", None), ("", None)]
)
def test_only_a_real_rate_is_learned(header: str, rate: float | None) -> None:
    assert parse.rate_from(header) == rate
