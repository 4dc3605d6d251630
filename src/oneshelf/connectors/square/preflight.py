"""What must be right before a Square channel goes live, each with the way out."""

from __future__ import annotations

from oneshelf.connectors.square.api import SquareApi
from oneshelf.connectors.square.documents import OneLocation, TokenStatus
from oneshelf.sdk.fault import ChannelFault, MisconfiguredError, ReauthenticateError, RefusedError, RetryLaterError
from oneshelf.sdk.message import Finding

# What the engine cannot do without. RetrieveTokenStatus tells what was granted (version 2026-09-16, checked
# 2026-11-26).
SCOPES = ("ITEMS_READ", "INVENTORY_READ", "INVENTORY_WRITE", "ORDERS_READ", "MERCHANT_PROFILE_READ")
# Without it a sale of a till that was offline counts as sold when it was transmitted.
PAYMENTS = "PAYMENTS_READ"


async def findings_of(api: SquareApi) -> tuple[Finding, ...]:
    """One line per claim. Raises RetryLaterError where Square cannot be asked."""
    account = api.account
    try:
        status = await api.read(TokenStatus, "POST", "/oauth2/token/status")
    except ReauthenticateError as refusal:
        return (Finding("access", is_good=False, detail=f"{refusal}; {account.way_out}"),)
    except (MisconfiguredError, RefusedError) as refusal:
        return (Finding("access", is_good=False, detail=f"{refusal}; check base_url and api_version"),)
    return (
        Finding("access", is_good=True, detail=f"merchant {status.merchant_id[:40]}"),
        _version(api),
        *_scopes(status),
        await _location(api),
        _webhooks(api),
    )


def _version(api: SquareApi) -> Finding:
    asked, answered = api.account.api_version, api.answered_version
    is_good = answered in {"", asked}
    detail = f"version {asked}" if is_good else f"asked for {asked}, answered by {answered}; set api_version to that"
    return Finding("Square API", is_good=is_good, detail=detail)


def _scopes(status: TokenStatus) -> tuple[Finding, ...]:
    """A personal access token may do everything, and Square need not list it."""
    if not status.scopes:
        return ()
    way_out = "have the seller authorize the application again with it"
    needed = {**dict.fromkeys(SCOPES, way_out), PAYMENTS: f"{way_out}, so that late sales of an offline till are dated"}
    return tuple(
        Finding(f"permission {scope}", is_good=scope in status.scopes, detail="" if scope in status.scopes else detail)
        for scope, detail in needed.items()
    )


async def _location(api: SquareApi) -> Finding:
    what = f"location {api.account.location_id}"
    try:
        found = (await api.read(OneLocation, "GET", f"/v2/locations/{api.account.location_id}")).location
    except RetryLaterError:
        raise
    except ChannelFault as fault:
        return Finding(what, is_good=False, detail=f"{fault}; correct location_id")
    is_active = found.status == "ACTIVE"
    name = (found.name or "")[:60]
    return Finding(
        what, is_good=is_active, detail=name if is_active else f"{name} is not active at Square: activate it"
    )


def _webhooks(api: SquareApi) -> Finding:
    """Being polled alone is good enough, and slower."""
    url = api.account.notification_url
    detail = (
        f"signed for {url}" if url else "none; orders are polled. Subscribe in the Developer Console to hear at once"
    )
    return Finding("webhooks", is_good=True, detail=detail)
