"""What must be right before an Amazon channel goes live: credentials, roles, the secret's age, the stock's place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from oneshelf.clock import Clock
from oneshelf.connectors.amazon import parse
from oneshelf.connectors.amazon.account import Account
from oneshelf.connectors.amazon.api import ORDERS_PATH, SellingPartnerApi, refuse
from oneshelf.connectors.amazon.patches import quantity_patch
from oneshelf.sdk.access_end import AccessEnd, finding_of
from oneshelf.sdk.fault import ChannelFault, ReauthenticateError
from oneshelf.sdk.message import Finding, StockPage, StockReading
from oneshelf.sdk.tokens import Tokens

# "Rotate your application's client secret every 180 days":
# https://developer-docs.amazon.com/sp-api/docs/rotating-your-apps-lwa-credentials (checked 2026-11-26).
SECRET_LIFE = timedelta(days=180)
AN_HOUR = timedelta(hours=1)

_ADVICE = "add the role {role} and authorize the application again"
_EXPIRED = "Amazon takes no token of ours any more; authorize the application again"


class Preflight:
    """The checks of one account. They change nothing."""

    def __init__(self, account: Account, api: SellingPartnerApi, tokens: Tokens, *, clock: Clock) -> None:
        self._account = account
        self._api = api
        self._tokens = tokens
        self._clock = clock

    async def findings(self, first_page: Callable[[], Awaitable[StockPage]]) -> tuple[Finding, ...]:
        """One line per claim. `first_page`: of the account's listings."""
        try:
            await self._tokens.access_token()
        except ChannelFault as fault:
            return (Finding("credentials", is_good=False, detail=str(fault)), *self._secret())
        return (
            Finding("credentials", is_good=True),
            *self._secret(),
            await self._orders(),
            *await self._listings(first_page),
        )

    def _secret(self) -> tuple[Finding, ...]:
        """How long the secret has to live, where a person told when it was made."""
        return tuple(finding_of(end, today=self._clock.now().date()) for end in access_ends(self._account))

    async def _orders(self) -> Finding:
        query = {
            "lastUpdatedAfter": parse.instant_text(self._clock.now() - AN_HOUR),
            "marketplaceIds": ",".join(self._account.marketplace_ids),
            "fulfilledBy": "MERCHANT",
            "maxResultsPerPage": "1",
        }
        what = "orders can be read"
        try:
            refuse("searchOrders", await self._api.read("searchOrders", ORDERS_PATH, query))
        except ChannelFault as fault:
            return Finding(what, is_good=False, detail=_words(fault, role="Inventory and Order Tracking"))
        return Finding(what, is_good=True)

    async def _listings(self, first_page: Callable[[], Awaitable[StockPage]]) -> tuple[Finding, ...]:
        what, role = "listings can be read", "Product Listing"
        try:
            page = await first_page()
        except ChannelFault as fault:
            return (Finding(what, is_good=False, detail=_words(fault, role=role)),)
        found = (Finding(what, is_good=True), *self._supply_source(page))
        own = next((row for row in page.readings if row.units is not None), None)
        if own is None:
            detail = "the first listings hold none that the seller fulfils, so writing could not be tried"
            return (*found, Finding("listings can be written", is_good=False, detail=detail))
        try:
            refusal = await self._preview(own)
        except ChannelFault as fault:
            # Roles are fixed when the seller authorises: reading may work where writing is forbidden.
            refusal = _words(fault, role=role)
        return (*found, Finding("listings can be written", is_good=refusal is None, detail=refusal or ""))

    def _supply_source(self, page: StockPage) -> tuple[Finding, ...]:
        """Where stock lies in several places DEFAULT must show 0, or Amazon sells those units too."""
        source = self._account.supply_source_id
        if not source:
            return ()
        wrong = [row for row in page.readings if row.note.startswith(parse.MERCHANT_CHANNEL)]
        missing = [row for row in page.readings if row.note.endswith(f"and not from {source}")]
        words = [*(f"{row.channel_sku}: {row.note}" for row in wrong[:3])]
        if missing:
            words.append(f"{len(missing)} of {len(page.readings)} listings have no stock at {source}, which is fine")
        return (Finding(f"stock at {source}", is_good=not wrong, detail="; ".join(words)),)

    async def _preview(self, listing: StockReading) -> str | None:
        """Amazon's words where it would refuse the figure that it shows now. Changes nothing."""
        reply = await self._api.preview(
            "patchListingsItem",
            self._api.item_path(listing.channel_sku),
            {"marketplaceIds": self._account.marketplace_ids[0], "mode": "VALIDATION_PREVIEW"},
            quantity_patch(self._account, listing.units or 0),
        )
        refuse("patchListingsItem", reply)
        return parse.preview_refusal(reply.document())


def access_ends(account: Account) -> tuple[AccessEnd, ...]:
    """When the client secret dies, where a person told when it was made."""
    if account.secret_renewed_on is None:
        return ()
    return (
        AccessEnd(
            what="client secret",
            begun_on=account.secret_renewed_on,
            life=SECRET_LIFE,
            setting="secret_renewed_on",
            way_out="make a new one in the Developer Console, type it in, and set secret_renewed_on",
        ),
    )


def _words(fault: ChannelFault, *, role: str) -> str:
    """A missing role and a token that is not taken are answered alike, but for the words."""
    if not isinstance(fault, ReauthenticateError):
        return str(fault)
    is_role = fault.status == 403 and not parse.is_token_rejected(str(fault))
    return f"{_ADVICE.format(role=role) if is_role else _EXPIRED}: {fault}"
