"""Reads Shopify's GraphQL answers. Pure. Three layers can say no: the transport, `errors`, and `userErrors`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from oneshelf.connectors.shopify.documents import POLLED_FULFILLMENTS, POLLED_REFUNDS
from oneshelf.connectors.shopify.json_reading import a_flag, a_list, a_text, an_object, number_in_gid, part
from oneshelf.domain.account import StockState
from oneshelf.domain.identity import ChannelSku, units_from
from oneshelf.errors import MalformedError
from oneshelf.sdk.fault import OutcomeUnknownError, ReauthenticateError, RefusedError, RetryLaterError
from oneshelf.sdk.http import no_answer
from oneshelf.sdk.message import StockReading

# Available may go below zero at Shopify, and it stays so here: a reading that is clamped to zero would invent stock,
# and could never be compared with what Shopify holds.
AVAILABLE_LEAST = -1_000_000_000

_STATES = frozenset(StockState)

_ACTIVATE = "activate it there in Shopify, or: oneshelf listing activate CHANNEL"

# Codes of `errors` after which nothing has been executed. Everything else leaves a write's outcome open.
_NOT_EXECUTED = frozenset(
    {
        "BAD_REQUEST",
        "INVALID_FIELD_ARGUMENTS",
        "INVALID_VARIABLE",
        "MAX_COST_EXCEEDED",
        "MAX_INPUT_SIZE_EXCEEDED",
        "argumentLiteralsIncompatible",
        "missingRequiredArguments",
        "undefinedField",
        "undefinedType",
        "variableMismatch",
    }
)
_BACK_OFF_S = 1.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What the answer says of the cost bucket, in points.

    `requested`: what the call may have cost at most; `actual`: what it cost, nothing where it was refused. `available`
    of at most `maximum` are left, and `restore_rate` come back in a second.
    """

    requested: float
    actual: float
    maximum: float
    available: float
    restore_rate: float

    @property
    def wait_s(self) -> float:
        """Until the call would fit."""
        return max(0.0, (self.requested - self.available) / self.restore_rate)


@dataclass(frozen=True, slots=True)
class Variant:
    """A product variant with the inventory item behind it. `obstacle` says why its quantity cannot be written."""

    reading: StockReading
    inventory_item: str
    obstacle: str


@dataclass(frozen=True, slots=True)
class UserError:
    """One refusal. `row` is the index of the quantity that it names; None where it names none, or all."""

    code: str
    words: str
    row: int | None


def budget_from(document: object) -> Budget | None:
    """The cost bucket, None where the answer does not tell."""
    try:
        extensions = an_object(part(an_object(document, "answer"), "extensions", "answer"), "extensions")
        cost = an_object(part(extensions, "cost", "extensions"), "cost")
        status = an_object(part(cost, "throttleStatus", "cost"), "throttleStatus")
        budget = Budget(
            requested=_number(cost.get("requestedQueryCost")),
            actual=_number(cost.get("actualQueryCost") or 0),
            maximum=_number(status.get("maximumAvailable")),
            available=_number(status.get("currentlyAvailable")),
            restore_rate=_number(status.get("restoreRate")),
        )
    except MalformedError:
        return None
    return budget if budget.restore_rate > 0 else None


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MalformedError("a number is missing")
    return float(value)


def answer_from(document: object, *, operation: str, is_write: bool) -> Mapping[str, object]:
    """The `data` of an answer without errors.

    Raises RetryLaterError, ReauthenticateError, RefusedError, and OutcomeUnknownError for a write only.
    """
    if not isinstance(document, dict):
        raise no_answer(f"{operation}: the answer is not an object", is_write=is_write)
    if document.get("errors"):
        _raise_error(document, operation=operation, is_write=is_write)
    answer = document.get("data")
    if not isinstance(answer, dict):
        raise no_answer(f"{operation}: the answer has no data", is_write=is_write)
    return answer


def _raise_error(document: Mapping[str, object], *, operation: str, is_write: bool) -> None:
    errors = document["errors"]
    found = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    codes = {str(_extensions(error).get("code")) for error in found}
    words = "; ".join(str(error.get("message"))[:200] for error in found[:3]) or str(errors)[:200]
    words = f"{operation}: {words}"
    if "THROTTLED" in codes:
        budget = budget_from(document)
        raise RetryLaterError(words, retry_after_s=(budget.wait_s if budget else 0.0) or _BACK_OFF_S)
    if "ACCESS_DENIED" in codes:
        raise ReauthenticateError(words)
    if codes and codes <= _NOT_EXECUTED:
        raise CostTooHighError(words) if "MAX_COST_EXCEEDED" in codes else RefusedError(words)
    raise no_answer(words, is_write=is_write)


class CostTooHighError(RefusedError):
    """One query asked for too much at once; a part of it may be allowed."""


def _extensions(error: Mapping[str, object]) -> Mapping[str, object]:
    extensions = error.get("extensions")
    return extensions if isinstance(extensions, dict) else {}


def user_errors_from(answer: Mapping[str, object], root: str) -> tuple[UserError, ...]:
    """The refusals of a mutation; none means that it was applied.

    Raises OutcomeUnknownError where the payload or its list of errors is missing: silence is not success.
    """
    payload = answer.get(root)
    errors = payload.get("userErrors") if isinstance(payload, dict) else None
    if not isinstance(errors, list):
        raise OutcomeUnknownError(f"{root}: the answer has no list of errors")
    return tuple(_user_error(error) for error in errors)


def _user_error(error: object) -> UserError:
    if not isinstance(error, dict):
        return UserError(code="", words=str(error)[:200], row=None)
    path = error.get("field")
    row = None
    # A row is named as ["input", "quantities", "3", "inventoryItemId"], with its index as text.
    if isinstance(path, list) and len(path) >= 3 and path[1] == "quantities" and str(path[2]).isdecimal():
        row = int(str(path[2]))
    code, message = error.get("code") or "", error.get("message")
    return UserError(code=str(code), words=f"{code}: {message}"[:300], row=row)


# Readings -----------------------------------------------------------------------------------------------------


def variants_from_nodes(answer: Mapping[str, object], *, location: str) -> tuple[Variant, ...]:
    """The variants that exist among those asked for. Raises RetryLaterError for another shape."""
    try:
        nodes = a_list(part(answer, "nodes", "answer"), "nodes")
        return tuple(variant_from(node, location) for node in nodes if node is not None and node != {})
    except MalformedError as problem:
        raise RetryLaterError(f"the answer cannot be read: {problem}") from None


def variants_from_page(answer: Mapping[str, object], *, location: str) -> tuple[tuple[Variant, ...], str | None]:
    """One page of variants and the cursor of the next. Raises RetryLaterError for another shape."""
    try:
        nodes, cursor = page_from(answer, "productVariants")
        return tuple(variant_from(node, location) for node in nodes), cursor
    except MalformedError as problem:
        raise RetryLaterError(f"the answer cannot be read: {problem}") from None


def page_from(answer: Mapping[str, object], root: str) -> tuple[list[object], str | None]:
    """The nodes of a connection, and where the next page starts. Raises MalformedError."""
    connection = an_object(part(answer, root, "answer"), root)
    page = an_object(part(connection, "pageInfo", root), f"{root}.pageInfo")
    has_next = a_flag(part(page, "hasNextPage", root), f"{root}.pageInfo.hasNextPage")
    cursor = a_text(part(page, "endCursor", root), f"{root}.pageInfo.endCursor") if has_next else None
    return a_list(part(connection, "nodes", root), f"{root}.nodes"), cursor


def variant_from(node: object, location: str) -> Variant:
    """One variant of many: one whose figures cannot be read must not hide the others."""
    variant = an_object(node, "variant")
    number = number_in_gid(part(variant, "id", "variant"), "ProductVariant")
    try:
        return _readable_variant(variant, number, location)
    except MalformedError as problem:
        obstacle = f"cannot be read: {problem}"
        reading = StockReading(channel_sku=ChannelSku(number), units=None, note=obstacle)
        return Variant(reading=reading, inventory_item="", obstacle=obstacle)


def _readable_variant(variant: Mapping[str, object], number: str, location: str) -> Variant:
    what = f"variant {number}"
    item = an_object(part(variant, "inventoryItem", what), f"{what} inventoryItem")
    item_number = number_in_gid(part(item, "id", what), "InventoryItem")
    level = part(item, "inventoryLevel", what)
    obstacle = ""
    units, states = None, None
    if not a_flag(part(item, "tracked", what), f"{what} tracked"):
        obstacle = "Shopify does not track the quantity of this item; switch on 'Track quantity'"
    elif level is None:
        obstacle = f"the item is not stocked at location {location}; {_ACTIVATE} {number}"
    elif not a_flag(part(an_object(level, what), "isActive", what), f"{what} isActive"):
        obstacle = f"the item is deactivated at location {location}; {_ACTIVATE} {number}"
    else:
        told = _states(an_object(level, what), what)
        if "available" not in told:
            raise MalformedError(f"{what} has no quantity 'available'")
        units = told["available"]
        states = {StockState(name): count for name, count in told.items() if name in _STATES}
    title = variant.get("displayName")
    reading = StockReading(
        channel_sku=ChannelSku(number),
        units=units,
        merchant_sku=_sku(variant) or _sku(item),
        title=title if isinstance(title, str) else "",
        note=obstacle,
        alias=item_number,
        states=states,
    )
    return Variant(reading=reading, inventory_item=item_number, obstacle=obstacle)


def _states(level: Mapping[str, object], what: str) -> dict[str, int]:
    """Name -> units of every quantity that the level tells."""
    told = {}
    for entry in a_list(part(level, "quantities", what), f"{what} quantities"):
        quantity = an_object(entry, f"{what} quantity")
        name = a_text(part(quantity, "name", what), f"{what} quantity name")
        told[name] = units_from(part(quantity, "quantity", what), what=f"{name} of {what}", least=AVAILABLE_LEAST)
    return told


def _sku(parent: Mapping[str, object]) -> str | None:
    sku = parent.get("sku")
    return sku.strip() or None if isinstance(sku, str) else None


# Orders --------------------------------------------------------------------------------------------------------


def is_cut_off(node: object) -> bool:
    """Whether a polled order has lists that are longer than what was asked for."""
    order = an_object(node, "order")
    fulfillments = a_list(part(order, "fulfillments", "order"), "fulfillments")
    refunds = a_list(part(order, "refunds", "order"), "refunds")
    if len(fulfillments) >= POLLED_FULFILLMENTS or len(refunds) >= POLLED_REFUNDS:
        return True
    connections = [
        part(order, "lineItems", "order"),
        *(part(an_object(entry, "fulfillment"), "fulfillmentLineItems", "order") for entry in fulfillments),
        *(part(an_object(entry, "refund"), "refundLineItems", "order") for entry in refunds),
    ]
    if (routes := order.get("fulfillmentOrders")) is not None:
        nodes = a_list(part(an_object(routes, "fulfillmentOrders"), "nodes", "order"), "fulfillmentOrders")
        connections += [routes, *(part(an_object(entry, "fulfillment order"), "lineItems", "order") for entry in nodes)]
    pages = [part(an_object(connection, "lines"), "pageInfo", "lines") for connection in connections]
    return any(an_object(page, "pageInfo").get("hasNextPage") is not False for page in pages)


# Preflight -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShopFacts:
    """What a preflight needs to know. `location_name` is None where the shop has no such location."""

    shop: str
    scopes: frozenset[str]
    location_name: str | None
    is_location_active: bool
    is_location_of_service: bool
    has_other_locations: bool
    quantity_names: frozenset[str]


def shop_facts_from(answer: Mapping[str, object]) -> ShopFacts:
    """Raises RetryLaterError for another shape."""
    try:
        shop = an_object(part(answer, "shop", "answer"), "shop")
        installation = an_object(part(answer, "currentAppInstallation", "answer"), "currentAppInstallation")
        scopes = a_list(part(installation, "accessScopes", "installation"), "accessScopes")
        properties = an_object(part(answer, "inventoryProperties", "answer"), "inventoryProperties")
        names = a_list(part(properties, "quantityNames", "properties"), "quantityNames")
        location = part(answer, "location", "answer")
        places = an_object(part(answer, "locations", "answer"), "locations")
        place: Mapping[str, object] = {} if location is None else an_object(location, "location")
        return ShopFacts(
            shop=str(shop.get("myshopifyDomain")),
            scopes=frozenset(str(an_object(scope, "scope").get("handle")) for scope in scopes),
            location_name=None if location is None else str(place.get("name")),
            is_location_active=place.get("isActive") is True,
            is_location_of_service=place.get("isFulfillmentService") is True,
            has_other_locations=len(a_list(part(places, "nodes", "locations"), "locations")) > 1,
            quantity_names=frozenset(str(an_object(name, "name").get("name")) for name in names),
        )
    except MalformedError as problem:
        raise RetryLaterError(f"the answer cannot be read: {problem}") from None
