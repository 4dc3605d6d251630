"""Reading a request to the simulated Amazon: its parameters, checked as the official models describe them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import msgspec
from starlette.requests import Request

from oneshelf.connectors.amazon.simulator_gate import BadRequestError

Question = dict[str, str]

# The data sets, parameters and statuses that the models of 2026-11-23 name.
LISTING_DATA = frozenset(
    {
        "summaries",
        "attributes",
        "issues",
        "offers",
        "fulfillmentAvailability",
        "procurement",
        "relationships",
        "productTypes",
    }
)
ORDER_DATA = frozenset(
    {
        "BUYER",
        "RECIPIENT",
        "PROCEEDS",
        "EXPENSE",
        "PROMOTION",
        "CANCELLATION",
        "FULFILLMENT",
        "PACKAGES",
        "TAX",
        "PAYMENT",
        "FULFILLMENT_ORDERS",
    }
)
SEARCH_ITEMS = frozenset(
    {
        "marketplaceIds",
        "issueLocale",
        "includedData",
        "identifiers",
        "identifiersType",
        "createdAfter",
        "createdBefore",
        "lastUpdatedAfter",
        "lastUpdatedBefore",
        "sortBy",
        "sortOrder",
        "pageSize",
        "pageToken",
    }
)
SEARCH_ORDERS = frozenset(
    {
        "createdAfter",
        "createdBefore",
        "lastUpdatedAfter",
        "lastUpdatedBefore",
        "fulfillmentStatuses",
        "marketplaceIds",
        "fulfilledBy",
        "maxResultsPerPage",
        "paginationToken",
        "includedData",
    }
)
STATUSES = frozenset(
    {
        "PENDING_AVAILABILITY",
        "PENDING",
        "UNSHIPPED",
        "PARTIALLY_SHIPPED",
        "SHIPPED",
        "CANCELLED",
        "UNFULFILLABLE",
    }
)


def question_of(request: Request) -> Question:
    return dict(request.query_params.items())


def segments(request: Request) -> list[str]:
    """The path as it was sent, still percent-encoded: a slash in a SKU is not a slash of the path."""
    raw: bytes = request.scope["raw_path"]
    return raw.decode("ascii", "replace").split("/")


# What a much-used client, python-amazon-sp-api, adds to every question, and Amazon lets pass. Beyond that a parameter
# that the model does not have is refused here, so that a misspelt one of ours is found.
_LET_PASS = frozenset({"MarketplaceId", "MarketplaceIds", "marketplaceId", "marketplaceIds", "marketplace_ids"})


def known(question: Question, names: frozenset[str]) -> None:
    for name in question:
        if name not in names | _LET_PASS:
            raise BadRequestError(f"unknown parameter {name}")


def subset(question: Question, name: str, allowed: frozenset[str]) -> list[str]:
    chosen = [value for value in question.get(name, "").split(",") if value]
    if not allowed.issuperset(chosen):
        raise BadRequestError(f"{name} holds a value that is not allowed")
    return chosen


def whole(question: Question, name: str, *, least: int, most: int, default: int) -> int:
    text = question.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise BadRequestError(f"{name} must lie between {least} and {most}")
    return int(text)


def instant(question: Question, name: str) -> datetime | None:
    if name not in question:
        return None
    try:
        instant = datetime.fromisoformat(question[name])
    except ValueError:
        raise BadRequestError(f"{name} is not an ISO 8601 date") from None
    if instant.tzinfo is None:
        raise BadRequestError(f"{name} has no time zone")
    return instant.astimezone(UTC)


def is_within(stamp: datetime, *, after: datetime | None, before: datetime | None) -> bool:
    return (after is None or stamp >= after) and (before is None or stamp <= before)


def fingerprint(question: Question) -> str:
    free = {"maxResultsPerPage", "includedData", "paginationToken", "pageToken"}
    same = {name: value for name, value in question.items() if name not in free}
    return hashlib.sha256(msgspec.json.encode(same, order="deterministic")).hexdigest()[:16]
