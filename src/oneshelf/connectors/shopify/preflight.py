"""What must be right before a Shopify channel goes live."""

from __future__ import annotations

from oneshelf.connectors.shopify.access import ROUTE_SCOPES, SCOPES, is_granted
from oneshelf.connectors.shopify.answers import ShopFacts
from oneshelf.connectors.shopify.graphql import ShopifyApi
from oneshelf.sdk.message import Finding


def findings_of(facts: ShopFacts, *, location: str, api: ShopifyApi) -> tuple[Finding, ...]:
    """One line per claim."""
    return (
        Finding("access token", is_good=True, detail=f"accepted by {facts.shop}"),
        _version(api),
        *(_scope(scope, facts.scopes) for scope in SCOPES),
        _routes(facts),
        _location(facts, location),
        _quantity_name(facts),
    )


def _version(api: ShopifyApi) -> Finding:
    is_good = api.answered_version in {"", api.api_version}
    detail = f"version {api.api_version}"
    if not is_good:
        detail = f"asked for {api.api_version}, answered by {api.answered_version}; set api_version to a served one"
    return Finding("Admin API", is_good=is_good, detail=detail)


def _scope(scope: str, granted: frozenset[str]) -> Finding:
    is_good = is_granted(scope, granted)
    return Finding(f"scope {scope}", is_good=is_good, detail="" if is_good else "grant it to the app in Shopify")


def _routes(facts: ShopFacts) -> Finding:
    """In a shop of one location all leaves from there, whatever we may read."""
    is_readable = any(is_granted(scope, facts.scopes) for scope in ROUTE_SCOPES)
    detail = ""
    if not is_readable:
        detail = "every unit counts as leaving from the channel's location"
        if facts.has_other_locations:
            detail = f"{detail}, and the shop has others: grant {ROUTE_SCOPES[0]} to the app in Shopify"
    return Finding("from where units leave", is_good=is_readable or not facts.has_other_locations, detail=detail)


def _location(facts: ShopFacts, location: str) -> Finding:
    what = f"location {location}"
    if facts.location_name is None:
        return Finding(what, is_good=False, detail="the shop has no such location; correct location_id")
    if not facts.is_location_active:
        return Finding(what, is_good=False, detail=f"{facts.location_name} is deactivated in Shopify")
    if facts.is_location_of_service:
        detail = f"{facts.location_name} belongs to a fulfilment service, which keeps its own count"
        return Finding(what, is_good=False, detail=detail)
    return Finding(what, is_good=True, detail=facts.location_name)


def _quantity_name(facts: ShopFacts) -> Finding:
    is_good = {"available", "committed"} <= facts.quantity_names
    detail = "" if is_good else f"the shop has {', '.join(sorted(facts.quantity_names)) or 'none'}"
    return Finding("quantities available and committed", is_good=is_good, detail=detail)
