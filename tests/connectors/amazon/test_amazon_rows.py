"""A page of listings with one that nobody can read."""

from __future__ import annotations

from typing import Any

from oneshelf.connectors.amazon.parse import listings_answer


def row(sku: object, quantity: object) -> dict[str, Any]:
    return {"sku": sku, "fulfillmentAvailability": [{"fulfillmentChannelCode": "DEFAULT", "quantity": quantity}]}


def test_a_listing_that_cannot_be_read_does_not_hide_the_others() -> None:
    answer = listings_answer({"numberOfResults": 3, "items": [row("A", 1), row("B", 1.5), row(None, 2), row("C", 3)]})
    shown = {listed.reading.channel_sku: listed.reading.units for listed in answer.rows}
    assert shown == {"A": 1, "B": None, "C": 3}
    assert "cannot be read" in answer.rows[1].reading.note
    assert not answer.rows[1].is_merchant, "what cannot be read is never written"
