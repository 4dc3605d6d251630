"""What Square's words mean: which orders have taken units, when, and what has to be looked at again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from oneshelf.connectors.square.parse import EVENTS, POLLED_ORDER, messages_from
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.order import OrderSnapshot
from oneshelf.errors import MalformedError
from oneshelf.sdk.message import AccessLost, Delivery, Ignored, Message, OrderHint, StockHint

HERE, TILL = "L1", Channel("till")
MUG, CAP = ChannelSku("MUG1"), ChannelSku("CAP1")
SOLD = "2026-11-23T10:00:00.000Z"


def order(**changed: Any) -> dict[str, Any]:
    """A paid sale at the till."""
    return {
        "id": "O1",
        "location_id": HERE,
        "state": "COMPLETED",
        "created_at": SOLD,
        "updated_at": SOLD,
        "line_items": [line("a", MUG, "2")],
        "tenders": [{"type": "CARD"}],
        **changed,
    }


def line(uid: str, sku: str | None, quantity: str, **changed: Any) -> dict[str, Any]:
    return {"uid": uid, "catalog_object_id": sku, "quantity": quantity, "item_type": "ITEM", **changed}


def fulfillment(state: str, *entries: tuple[str, str]) -> dict[str, Any]:
    if not entries:
        return {"state": state, "line_item_application": "ALL"}
    listed = [{"line_item_uid": uid, "quantity": quantity} for uid, quantity in entries]
    return {"state": state, "line_item_application": "ENTRY_LIST", "entries": listed}


def said(document: dict[str, Any], *, paid_offline_at: str | None = None) -> tuple[Message, ...]:
    body = msgspec.json.encode({"order": document, "paid_offline_at": paid_offline_at})
    return messages_from(Delivery("", POLLED_ORDER, body), channel=TILL, location=HERE)


def snapshot_in(document: dict[str, Any], **told: Any) -> OrderSnapshot:
    [found] = [message for message in said(document, **told) if isinstance(message, OrderSnapshot)]
    return found


def event(topic: str, told: dict[str, Any] | None, name: str = "O1") -> tuple[Message, ...]:
    body = msgspec.json.encode({"type": topic, "event_id": "1", "data": {"id": name, "object": told}})
    return messages_from(Delivery("", topic, body), channel=TILL, location=HERE)


# Orders ---------------------------------------------------------------------------------------------------------------


def test_a_sale_at_the_till_has_left_at_once() -> None:
    [sold] = snapshot_in(order()).lines
    assert (sold.line_id, sold.channel_sku) == ("a", MUG)
    assert (sold.units_ordered, sold.units_shipped, sold.units_open, sold.units_off_listing) == (2, 2, 0, 2)


def test_a_paid_order_waits_for_its_parcel_and_has_lowered_the_count() -> None:
    [sold] = snapshot_in(order(state="OPEN", fulfillments=[fulfillment("PROPOSED")])).lines
    assert (sold.units_open, sold.units_shipped, sold.units_off_listing) == (2, 0, 2)


@pytest.mark.parametrize("due", [{"amount": 1200, "currency": "EUR"}, {"currency": "EUR"}, None])
def test_an_order_that_nobody_has_paid_moves_nothing(due: dict[str, Any] | None) -> None:
    [ignored] = said(order(state="OPEN", tenders=None, net_amount_due_money=due))
    assert isinstance(ignored, Ignored)
    assert "not paid" in ignored.reason


def test_an_order_that_costs_nothing_is_paid() -> None:
    assert snapshot_in(order(state="OPEN", tenders=None, net_amount_due_money={"amount": 0})).lines[0].units_open == 2


def test_a_part_that_left_and_a_part_that_was_cancelled_are_told_apart() -> None:
    parts = [
        fulfillment("COMPLETED", ("a", "1")),
        fulfillment("CANCELED", ("a", "1")),
        fulfillment("PREPARED", ("a", "3")),
    ]
    [sold] = snapshot_in(order(state="OPEN", line_items=[line("a", MUG, "5")], fulfillments=parts)).lines
    assert (sold.units_shipped, sold.units_cancelled, sold.units_relisted, sold.units_open) == (1, 1, 0, 3)
    [sold] = snapshot_in(order(line_items=[line("a", MUG, "5")], fulfillments=parts)).lines
    assert (sold.units_shipped, sold.units_cancelled, sold.units_open) == (4, 1, 0), "completed: the rest has left"


def test_a_cancelled_order_that_was_paid_is_not_said_to_be_on_sale_again() -> None:
    [sold] = snapshot_in(order(state="CANCELED", fulfillments=[fulfillment("CANCELED")])).lines
    assert (sold.units_cancelled, sold.units_relisted, sold.units_off_listing) == (2, 0, 2)
    [sold] = snapshot_in(order(state="CANCELED", tenders=None)).lines
    assert (sold.units_cancelled, sold.units_relisted, sold.units_off_listing) == (2, 2, 0), "it was never taken"


def test_what_is_sold_by_measure_takes_a_whole_unit_more() -> None:
    assert snapshot_in(order(line_items=[line("a", MUG, "1.25")])).lines[0].units_ordered == 2


def test_a_line_without_a_listing_and_a_gift_card_are_left_out() -> None:
    lines = [
        line("a", None, "1", item_type="CUSTOM_AMOUNT"),
        line("b", MUG, "1", item_type="GIFT_CARD"),
        line("c", CAP, "3"),
    ]
    assert [one.channel_sku for one in snapshot_in(order(line_items=lines)).lines] == [CAP]
    [ignored] = said(order(line_items=lines[:2]))
    assert isinstance(ignored, Ignored)


def test_an_order_of_another_location_or_a_draft_is_none_of_ours() -> None:
    for changed in ({"location_id": "L2"}, {"state": "DRAFT"}):
        [ignored] = said(order(**changed))
        assert isinstance(ignored, Ignored)


@pytest.mark.parametrize("quantity", ["", "two", "-1", "1e3", "99999999999", "1.123456"])
def test_a_quantity_that_is_none_is_malformed(quantity: str) -> None:
    with pytest.raises(MalformedError):
        said(order(line_items=[line("a", MUG, quantity)]))


# Late sales -----------------------------------------------------------------------------------------------------------


def test_a_sale_of_an_offline_till_keeps_both_instants_and_has_its_listing_read_again() -> None:
    """Transmitted half an hour later; a count that Square got meanwhile has swallowed it."""
    late = order(created_at="2026-11-23T10:30:00.000Z", updated_at="2026-11-23T10:30:01.000Z")
    told, hint = said(late, paid_offline_at=SOLD)
    assert isinstance(told, OrderSnapshot)
    assert told.placed_at == datetime(2026, 11, 23, 10, tzinfo=UTC), "when it was sold, by the clock of the till"
    assert told.version == "2026-11-23T10:30:01.000000Z", "when Square heard of it"
    assert hint == StockHint(MUG)


def test_where_created_at_is_the_instant_of_the_till_the_listing_is_read_again_too() -> None:
    """So said earlier versions of Square's API."""
    told, hint = said(order(updated_at="2026-11-23T10:30:00.000Z"))
    assert isinstance(told, OrderSnapshot)
    assert hint == StockHint(MUG)


@pytest.mark.parametrize("wrong", ["2026-11-20T09:59:59Z", "2026-11-23T10:00:01Z", "1999-01-01T00:00:00Z"])
def test_a_till_whose_clock_is_wrong_is_not_believed(wrong: str) -> None:
    assert snapshot_in(order(), paid_offline_at=wrong).placed_at == datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_a_sale_that_is_told_at_once_asks_for_no_reading() -> None:
    assert len(said(order())) == 1


def test_returned_units_are_looked_at_and_not_guessed() -> None:
    back = [{"source_order_id": "O0", "return_line_items": [{"catalog_object_id": MUG, "quantity": "1"}]}]
    hint, ignored = said(order(line_items=None, tenders=None, returns=back))
    assert hint == StockHint(MUG)
    assert isinstance(ignored, Ignored)
    exchanged = said(order(line_items=[line("a", CAP, "1")], returns=back))
    assert [type(one) for one in exchanged] == [OrderSnapshot, StockHint], "an exchange: one comes back, another leaves"


# Events ---------------------------------------------------------------------------------------------------------------


def count(sku: str, place: str = HERE, state: str = "IN_STOCK") -> dict[str, Any]:
    return {"catalog_object_id": sku, "location_id": place, "quantity": "4", "state": state}


def test_a_changed_count_has_the_listing_read_and_the_orders_polled() -> None:
    """A sale at the till is announced by nothing else."""
    counts = [count(MUG), count(MUG, state="WASTE"), count(CAP, place="L2")]
    assert event("inventory.count.updated", {"inventory_counts": counts}) == (StockHint(MUG), OrderHint())
    [ignored] = event("inventory.count.updated", {"inventory_counts": [count(CAP, place="L2")]})
    assert isinstance(ignored, Ignored)


@pytest.mark.parametrize("topic", ["order.created", "order.updated", "order.fulfillment.updated"])
def test_an_event_of_an_order_names_it(topic: str) -> None:
    name = topic.replace(".", "_")
    assert event(topic, {name: {"order_id": "O1", "location_id": HERE}}) == (OrderHint("O1"),)
    assert event(topic, None) == (OrderHint("O1"),), "without a location it may be ours"
    [ignored] = event(topic, {name: {"location_id": "L2"}})
    assert isinstance(ignored, Ignored)


def test_a_withdrawn_authorization_is_told() -> None:
    [lost] = event("oauth.authorization.revoked", {"revocation": {"revoked_at": SOLD}})
    assert isinstance(lost, AccessLost)


@pytest.mark.parametrize("topic", ["payment.updated", "catalog.version.updated", "unknown", "x" * 60])
def test_what_we_do_not_read_is_ignored_with_a_reason(topic: str) -> None:
    [ignored] = event(topic, {})
    assert isinstance(ignored, Ignored)
    assert topic not in EVENTS


def test_an_event_that_came_under_another_name_is_malformed() -> None:
    body = msgspec.json.encode({"type": "order.updated", "data": {"id": "O1"}})
    with pytest.raises(MalformedError):
        messages_from(Delivery("", "order.created", body), channel=TILL, location=HERE)
    with pytest.raises(MalformedError):
        event("inventory.count.updated", {})
