"""eBay's *Real-time Inventory Check*: what it asks at the checkout, and the answer in the same shape.

https://developer.ebay.com/api-docs/sell/static/inventory/realtime-inventory-check.html (read 2026-11-26) says some of
it in two ways, and nobody has tried it with eBay: what is known and what is assumed is in docs/decisions/0041.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from oneshelf.connectors.ebay.json_reading import a_text
from oneshelf.domain.identity import units_from
from oneshelf.errors import MalformedError
from oneshelf.sdk.checkout import CheckoutAnswer, CheckoutQuestion
from oneshelf.sdk.decoding import an_object

# "one call can support multiple SKUs and inventory locations"; how many, the page does not say.
QUESTIONS_MAX = 100
# The list of fields calls it by the first name, the sample by the second one.
LOCATION_NAMES = ("merchantLocationKey", "locationID")
SKU = "SKU"
FULFILLMENTS = ("PICKUP_IN_STORE", "SHIP_TO_STORE", "SHIP_TO_HOME")


def questions_from(document: object, *, location: str) -> tuple[CheckoutQuestion, ...]:
    """What one object asks, or each of a list of them. `location`: the one that is sold from; "": whichever is named.

    Raises MalformedError with the member, and the number of the question in a list. What is not known is passed over.
    """
    if not isinstance(document, list):
        return (_question(document, "the body", location=location),)
    if not 1 <= len(document) <= QUESTIONS_MAX:
        raise MalformedError(f"a list takes 1 to {QUESTIONS_MAX} questions, and this one has {len(document)}")
    return tuple(
        _question(one, f"question {number}", location=location) for number, one in enumerate(document, start=1)
    )


def answer_to(document: object, answers: Sequence[CheckoutAnswer], *, at: datetime) -> object:
    """One object for one, a list for a list. In a list each answer also says what it is about, as it was asked."""
    told = [
        {
            "isAvailable": answer.is_available,
            # "UTC epoch timestamp … when the last inventory check … was performed": it is performed now.
            "lastUpdated": int(at.timestamp()),
            "totalAvailableQuantity": answer.units,
        }
        for answer in answers
    ]
    if not isinstance(document, list):
        return told[0]
    return [{**_names_in(asked), **answer} for asked, answer in zip(document, told, strict=True)]


def _question(value: object, where: str, *, location: str) -> CheckoutQuestion:
    asked = an_object(value, where)
    named = {a_text(asked[name], f"{where}: {name}") for name in LOCATION_NAMES if name in asked}
    if len(named) != 1:
        count = "none" if not named else "two different ones"
        raise MalformedError(f"{where}: {' or '.join(LOCATION_NAMES)} must name one location, and there is {count}")
    sku = a_text(asked.get(SKU), f"{where}: {SKU}")
    units = units_from(asked.get("requestedQuantity"), what=f"{where}: requestedQuantity", least=1)
    if asked.get("fulfillmentType") not in FULFILLMENTS:
        raise MalformedError(f"{where}: fulfillmentType must be one of {', '.join(FULFILLMENTS)}")
    # The page says of both that they are case-sensitive.
    return CheckoutQuestion(sku, units, is_here=not location or named == {location})


def _names_in(asked: Mapping[str, Any]) -> dict[str, object]:
    return {name: asked[name] for name in (*LOCATION_NAMES, SKU) if name in asked}
