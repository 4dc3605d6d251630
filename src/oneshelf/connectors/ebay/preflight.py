"""What must be right before an eBay channel goes live, each with the way out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from oneshelf.clock import Clock
from oneshelf.connectors.ebay import trading
from oneshelf.connectors.ebay.account import CONSENT_LIFE, Account
from oneshelf.connectors.ebay.api import FULFILLMENT, INVENTORY, TRADING, EbayApi, document_of
from oneshelf.connectors.ebay.inventory import PATH as INVENTORY_PATH
from oneshelf.connectors.ebay.json_reading import instant_text
from oneshelf.connectors.ebay.polling import PATH as ORDERS_PATH
from oneshelf.connectors.ebay.tokens import WAY_OUT
from oneshelf.errors import MalformedError
from oneshelf.sdk.access_end import AccessEnd, finding_of
from oneshelf.sdk.fault import ChannelFault, ReauthenticateError, RetryLaterError
from oneshelf.sdk.message import Finding

CONTROL = "out-of-stock control"
CONSENT = "the seller's consent"
UNKNOWN_END = "it lives 18 months, and eBay does not say since when: set consented_on, and its end is told of in time"
# With less than this a day's work would come to a halt.
LEFT_SHARE_LEAST = 0.05


async def findings_of(api: EbayApi, *, clock: Clock) -> tuple[Finding, ...]:
    """One line per claim."""
    try:
        await api.user_tokens.access_token()
    except (ChannelFault, MalformedError) as fault:
        return (Finding(CONSENT, is_good=False, detail=str(fault)),)
    ends = [finding_of(end, today=clock.now().date()) for end in access_ends(api.account)]
    findings = ends or [Finding(CONSENT, is_good=True, detail=UNKNOWN_END)]
    findings.append(await _tried("the keyset", api.app_tokens.access_token, ""))
    findings.append(
        await _tried("orders can be read", lambda: _orders(api, clock), _scope("sell.fulfillment.readonly"))
    )
    findings.append(await _tried("listings of the Inventory API", lambda: _items(api), _scope("sell.inventory")))
    findings.append(await _tried("listings of Seller Hub", lambda: _active(api), "authorize the application again"))
    findings.append(await _control(api))
    return (*findings, *await _quotas(api))


def access_ends(account: Account) -> tuple[AccessEnd, ...]:
    """When the consent ends, where a person told when it was given: a refresh says nothing of it."""
    if account.consented_on is None:
        return ()
    begun_on = account.consented_on
    return (AccessEnd(what=CONSENT, begun_on=begun_on, life=CONSENT_LIFE, setting="consented_on", way_out=WAY_OUT),)


def _scope(scope: str) -> str:
    return f"authorize the application again with the scope https://api.ebay.com/oauth/api_scope/{scope}"


async def _tried(what: str, call: Callable[[], Awaitable[object]], way_out: str) -> Finding:
    try:
        await call()
    except ReauthenticateError as fault:
        detail = f"{way_out}: {fault}" if way_out else str(fault)
        return Finding(what, is_good=False, detail=detail)
    except RetryLaterError as busy:
        return Finding(what, is_good=False, detail=f"try again in {busy.retry_after_s:.0f} s: {busy}")
    except (ChannelFault, MalformedError) as fault:
        return Finding(what, is_good=False, detail=str(fault))
    return Finding(what, is_good=True)


async def _orders(api: EbayApi, clock: Clock) -> None:
    params = {"filter": f"creationdate:[{instant_text(clock.now())[:10]}T00:00:00.000Z..]", "limit": "1"}
    reply = await api.read("getOrders", "GET", ORDERS_PATH, budget=FULFILLMENT, params=params)
    document_of("getOrders", reply)


async def _items(api: EbayApi) -> None:
    params = {"limit": "1", "offset": "0"}
    reply = await api.read(
        "getInventoryItems", "GET", f"{INVENTORY_PATH}/inventory_item", budget=INVENTORY, params=params
    )
    if reply.status != 404:
        document_of("getInventoryItems", reply)


async def _active(api: EbayApi) -> None:
    trading.listings_in(await api.trading_read("GetMyeBaySelling", trading.active_list(1)))


async def _control(api: EbayApi) -> Finding:
    try:
        answer = await api.trading_read("GetUserPreferences", trading.preferences())
    except (ChannelFault, MalformedError) as fault:
        return Finding(CONTROL, is_good=False, detail=str(fault))
    is_on = trading.has_out_of_stock_control(answer)
    detail = (
        "off: eBay refuses a quantity of zero and goes on selling, so that a listing has to be ended; switch it on "
        "under My eBay, Account, Site preferences, Multi-quantity listings"
    )
    return Finding(CONTROL, is_good=is_on, detail="" if is_on else detail)


async def _quotas(api: EbayApi) -> tuple[Finding, ...]:
    """What is left of each API's calls of today; we count on with what eBay counts."""
    findings = []
    for budget in (INVENTORY, FULFILLMENT, TRADING):
        what = f"calls left today: {budget}"
        try:
            told = await api.quotas(budget)
        except (ChannelFault, MalformedError) as fault:
            findings.append(Finding(what, is_good=False, detail=str(fault)))
            continue
        if not told:
            continue
        least = min(told, key=lambda quota: quota.left / max(1, quota.limit))
        is_good = least.left > least.limit * LEFT_SHARE_LEAST
        detail = f"{least.left} of {least.limit}, until {instant_text(least.ends_at)}"
        findings.append(Finding(what, is_good=is_good, detail=detail if is_good else f"{detail}; wait until then"))
    return tuple(findings)
