"""What Shopify delivers, and what we make of it."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.connectors.shopify.parse import messages_from
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.errors import MalformedError
from oneshelf.sdk.message import Delivery, Ignored, Message, StockHint

LOCATION = "75596366001"

# Restated from a real delivery of March 2026.
LEVEL = {
    "inventory_item_id": 48513488879793,
    "location_id": 75596366001,
    "available": 0,
    "updated_at": "2026-03-16T15:35:10+07:00",
    "admin_graphql_api_id": "gid://shopify/InventoryLevel/110012006577?inventory_item_id=48513488879793",
}
ORDER: dict[str, Any] = {
    "id": 820982911946154508,
    "admin_graphql_api_id": "gid://shopify/Order/820982911946154508",
    "name": "#9999",
    "created_at": "2026-11-23T11:00:00+01:00",
    "updated_at": "2026-11-23T11:30:00+01:00",
    "cancelled_at": None,
    "closed_at": None,
    "financial_status": "pending",
    "fulfillment_status": None,
    "test": False,
    "line_items": [
        {"id": 866550311766439020, "variant_id": 808950810, "sku": "MUG", "quantity": 5, "current_quantity": 5}
    ],
    "fulfillments": [],
    "refunds": [],
}


def parsed(topic: str, body: object) -> Message:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    (message,) = messages_from(Delivery("k", topic, raw), channel=Channel("shop"), location=LOCATION)
    return message


def an_order(
    *,
    current: int = 5,
    shipped: int = 0,
    fulfillable: int | None = None,
    refunds: tuple[tuple[int, str], ...] = (),
    restocked_at: str | None = LOCATION,
    **changed: object,
) -> Any:
    order = copy.deepcopy(ORDER) | changed
    line = order["line_items"][0]
    line["current_quantity"] = current
    if fulfillable is not None:
        line["fulfillable_quantity"] = fulfillable
    if shipped:
        order["fulfillments"] = [{"status": "success", "line_items": [{"id": line["id"], "quantity": shipped}]}]
    order["refunds"] = [
        {
            "refund_line_items": [
                {
                    "line_item_id": line["id"],
                    "quantity": units,
                    "restock_type": how,
                    "location_id": None if how == "no_restock" or restocked_at is None else int(restocked_at),
                }
            ]
        }
        for units, how in refunds
    ]
    return order


def the_line(body: object, topic: str = "orders/updated") -> OrderLine:
    message = parsed(topic, body)
    assert isinstance(message, OrderSnapshot)
    (line,) = message.lines
    return line


def units(line: OrderLine) -> tuple[int, int, int, int]:
    return (line.units_ordered, line.units_cancelled, line.units_relisted, line.units_shipped)


@pytest.mark.parametrize(
    "topic",
    [
        "orders/create",
        "orders/updated",
        "orders/paid",
        "orders/cancelled",
        "orders/fulfilled",
        "orders/partially_fulfilled",
    ],
)
def test_every_order_topic_carries_the_same_order(topic: str) -> None:
    assert parsed(topic, ORDER) == OrderSnapshot(
        channel=Channel("shop"),
        order_id="820982911946154508",
        version="2026-11-23T10:30:00.000000Z",
        placed_at=datetime(2026, 11, 23, 10, 0, tzinfo=UTC),
        is_pending=False,
        lines=(OrderLine("866550311766439020", ChannelSku("808950810"), units_ordered=5, units_elsewhere=None),),
    )


def test_an_unpaid_order_is_sold_because_shopify_commits_its_stock_when_it_is_placed() -> None:
    message = parsed("orders/create", ORDER)
    assert isinstance(message, OrderSnapshot)
    assert not message.is_pending


def test_a_later_update_has_the_greater_version_whatever_the_offset_it_is_written_in() -> None:
    earlier = parsed("orders/updated", an_order(updated_at="2026-11-23T23:59:59+14:00"))
    later = parsed("orders/updated", an_order(updated_at="2026-11-23T10:00:00.5Z"))
    assert isinstance(earlier, OrderSnapshot)
    assert isinstance(later, OrderSnapshot)
    assert earlier.version < later.version
    assert len(earlier.version) == len(later.version)


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        pytest.param(an_order(), (5, 0, 0, 0), id="open"),
        pytest.param(an_order(shipped=2), (5, 0, 0, 2), id="partly shipped"),
        pytest.param(an_order(shipped=5), (5, 0, 0, 5), id="shipped"),
        pytest.param(an_order(current=3), (5, 2, 2, 0), id="two removed by an edit"),
        pytest.param(an_order(current=3, refunds=((2, "cancel"),)), (5, 2, 2, 0), id="two refunded and restocked"),
        pytest.param(an_order(current=3, refunds=((2, "legacy_restock"),)), (5, 2, 2, 0), id="restocked, older word"),
        pytest.param(an_order(current=3, refunds=((2, "no_restock"),)), (5, 2, 0, 0), id="two refunded, kept off sale"),
        pytest.param(an_order(current=3, refunds=((2, "new_word"),)), (5, 2, 0, 0), id="unknown word keeps off sale"),
        pytest.param(
            an_order(current=2, refunds=((2, "cancel"), (1, "no_restock"))), (5, 3, 2, 0), id="both sorts of refund"
        ),
        pytest.param(an_order(shipped=5, current=3, refunds=((2, "return"),)), (5, 0, 0, 5), id="two came back"),
        pytest.param(an_order(shipped=2, current=4, refunds=((1, "return"),)), (5, 0, 0, 2), id="one of two came back"),
        pytest.param(
            an_order(shipped=2, current=3, fulfillable=3, refunds=((2, "no_restock"),)),
            (5, 0, 0, 2),
            id="money back for the two that left",
        ),
        pytest.param(
            an_order(shipped=2, current=3, fulfillable=1, refunds=((2, "no_restock"),)),
            (5, 2, 0, 2),
            id="money back for two that will not leave",
        ),
        pytest.param(
            an_order(shipped=2, current=2, fulfillable=2, refunds=((1, "no_restock"), (1, "cancel"), (1, "return"))),
            (5, 1, 1, 2),
            id="every sort of refund",
        ),
        pytest.param(an_order(shipped=1, current=3, fulfillable=4), (5, 2, 2, 1), id="an edit, told as still to ship"),
        pytest.param(an_order(cancelled_at="2026-11-23T10:30:00Z"), (5, 5, 5, 0), id="cancelled without a refund"),
        pytest.param(
            an_order(cancelled_at="2026-11-23T10:30:00Z", current=0, refunds=((5, "cancel"),)),
            (5, 5, 5, 0),
            id="cancelled with restocking",
        ),
        pytest.param(
            an_order(cancelled_at="2026-11-23T10:30:00Z", current=0, refunds=((5, "no_restock"),)),
            (5, 5, 0, 0),
            id="cancelled without restocking",
        ),
        pytest.param(an_order(cancelled_at="2026-11-23T10:30:00Z", shipped=2), (5, 3, 3, 2), id="rest cancelled"),
        pytest.param(an_order(current=7), (7, 0, 0, 0), id="two added by an edit"),
    ],
)
def test_each_ordered_unit_is_open_shipped_or_cancelled_exactly_once(
    order: object, expected: tuple[int, int, int, int]
) -> None:
    assert units(the_line(order)) == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        pytest.param(an_order(shipped=5, current=3, refunds=((2, "return"),)), 2, id="came back and is on sale"),
        pytest.param(an_order(shipped=5, current=3, refunds=((1, "return"), (1, "return"))), 2, id="one by one"),
        pytest.param(an_order(shipped=5, current=3, refunds=((2, "no_restock"),)), 0, id="paid back alone"),
        pytest.param(an_order(shipped=3, current=3, refunds=((2, "cancel"),)), 0, id="it never left"),
        pytest.param(
            an_order(shipped=5, current=3, refunds=((2, "return"),), restocked_at="1"), 0, id="on sale elsewhere"
        ),
        pytest.param(
            an_order(shipped=5, current=3, refunds=((2, "return"),), restocked_at=None), 0, id="nobody knows where"
        ),
        pytest.param(an_order(shipped=1, current=3, refunds=((2, "return"),)), 1, id="no more than have left"),
    ],
)
def test_units_that_the_shop_put_on_sale_again_at_our_location_are_returned(order: object, expected: int) -> None:
    line = the_line(order)
    assert line.units_returned == expected
    assert line.units_off_listing == 5 - line.units_relisted - expected


def test_a_fulfilment_that_was_taken_back_has_shipped_nothing() -> None:
    order = an_order(shipped=2)
    order["fulfillments"][0]["status"] = "cancelled"
    assert units(the_line(order)) == (5, 0, 0, 0)


def test_a_line_of_a_custom_product_is_left_out() -> None:
    order = an_order()
    order["line_items"].append({"id": 2, "variant_id": None, "quantity": 1, "current_quantity": 1})
    assert the_line(order).line_id == "866550311766439020"


def test_a_test_order_moves_no_stock() -> None:
    assert isinstance(parsed("orders/create", an_order(test=True)), Ignored)


def test_a_changed_level_says_look_again_at_the_inventory_item() -> None:
    for topic in ("inventory_levels/update", "inventory_levels/connect"):
        assert parsed(topic, LEVEL) == StockHint(alias="48513488879793")


def test_a_disconnected_level_says_look_again_too() -> None:
    body = {"inventory_item_id": 48513488879793, "location_id": 75596366001}
    assert parsed("inventory_levels/disconnect", body) == StockHint(alias="48513488879793")


def test_a_level_of_another_location_is_none_of_our_business() -> None:
    message = parsed("inventory_levels/update", LEVEL | {"location_id": 1})
    assert isinstance(message, Ignored)
    assert LOCATION in message.reason


def test_a_level_below_zero_or_without_a_figure_is_a_hint_like_any_other() -> None:
    assert isinstance(parsed("inventory_levels/update", LEVEL | {"available": -4}), StockHint)
    assert isinstance(parsed("inventory_levels/update", LEVEL | {"available": None}), StockHint)


@pytest.mark.parametrize("topic", ["orders/edited", "refunds/create", "products/update", "carts/update", ""])
def test_a_topic_that_we_do_not_read_is_ignored_with_a_reason(topic: str) -> None:
    message = parsed(topic, b"not even JSON")
    assert isinstance(message, Ignored)
    assert topic in message.reason


@pytest.mark.parametrize("quantity", [-1, 1.5, 1.0, True, "5", None, 10**12, 10**400, [5], {"of": 5}])
def test_a_quantity_that_is_not_a_count_of_units_is_refused(quantity: object) -> None:
    order = an_order()
    order["line_items"][0]["quantity"] = quantity
    with pytest.raises(MalformedError, match="quantity"):
        parsed("orders/create", order)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "UTF-8"),
        (b"[]", "must be an object"),
        (b"null", "must be an object"),
        (b"[" * 200_000, "nested too deeply"),
        (json.dumps(ORDER).replace('"quantity": 5', '"quantity": NaN').encode(), "NaN"),
        (json.dumps(ORDER).replace('"quantity": 5', '"quantity": 5, "quantity": 1').encode(), "occurs twice"),
        (json.dumps(an_order(updated_at="2026-11-23T10:00:00")).encode(), "offset"),
        (json.dumps(an_order(updated_at="yesterday")).encode(), "instant"),
        (json.dumps(an_order(id=0)).encode(), "order id"),
        (json.dumps(an_order(id=1.0)).encode(), "order id"),
        (json.dumps(an_order(id=2**63)).encode(), "order id"),
        (json.dumps(an_order(shipped=6)).encode(), "more than the 5 ordered"),
        (json.dumps(an_order(line_items=ORDER["line_items"] * 2)).encode(), "names a line twice"),
        (json.dumps({name: ORDER[name] for name in ORDER if name != "refunds"}).encode(), "refunds"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(body: bytes, words: str) -> None:
    with pytest.raises(MalformedError, match=words):
        parsed("orders/create", body)


def test_a_polled_order_that_was_cut_off_is_refused_rather_than_half_counted() -> None:
    whole = {"nodes": [], "pageInfo": {"hasNextPage": True}}
    node = {
        "id": "gid://shopify/Order/1",
        "test": False,
        "createdAt": "2026-11-23T10:00:00Z",
        "updatedAt": "2026-11-23T10:00:00Z",
        "cancelledAt": None,
        "lineItems": whole,
        "fulfillments": [],
        "refunds": [],
    }
    with pytest.raises(MalformedError, match="lineItems"):
        parsed("poll/order", node)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=8,
)


@given(place=st.integers(min_value=0, max_value=40), junk=ANY_JSON, topic=st.sampled_from(["order", "level"]))
def test_junk_in_any_place_is_read_or_refused_and_nothing_else(place: int, junk: object, topic: str) -> None:
    order = an_order(shipped=1, current=3, refunds=((1, "cancel"),))
    body = order if topic == "order" else dict(LEVEL)
    spots = _spots(body)
    parent, name = spots[place % len(spots)]
    parent[name] = junk
    with suppress(MalformedError):
        parsed("orders/updated" if topic == "order" else "inventory_levels/update", json.dumps(body).encode())


@given(body=st.binary(max_size=200))
def test_any_bytes_are_refused_and_nothing_else(body: bytes) -> None:
    with pytest.raises(MalformedError):
        parsed("orders/updated", body)


def _spots(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a body, as its parent and its name there."""
    names = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [spot for name in names for spot in ((value, name), *_spots(value[name]))]
