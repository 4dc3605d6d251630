"""What a person tells us to connect an eBay account, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from oneshelf.errors import ConfigurationError
from oneshelf.sdk.address import address_from
from oneshelf.sdk.contract import Setting
from oneshelf.sdk.message import ChannelConfig
from oneshelf.sdk.settings import day_from, filled, seconds_from, secrets_from

# The number of a site at the Trading API, and the language in which a listing is written there.
# https://developer.ebay.com/devzone/merchandising/docs/concepts/siteidtoglobalid.html (checked 2026-11-26).
SITES: Mapping[str, tuple[int, str]] = {
    "EBAY_US": (0, "en-US"),
    "EBAY_CA": (2, "en-CA"),
    "EBAY_GB": (3, "en-GB"),
    "EBAY_AU": (15, "en-AU"),
    "EBAY_AT": (16, "de-AT"),
    "EBAY_BE": (123, "nl-BE"),
    "EBAY_FR": (71, "fr-FR"),
    "EBAY_DE": (77, "de-DE"),
    "EBAY_IT": (101, "it-IT"),
    "EBAY_NL": (146, "nl-NL"),
    "EBAY_ES": (186, "es-ES"),
    "EBAY_CH": (193, "de-CH"),
    "EBAY_HK": (201, "zh-HK"),
    "EBAY_IE": (205, "en-IE"),
    "EBAY_PL": (212, "pl-PL"),
}

ORDERS_LAG_S, ORDERS_LAG_S_MAX = 900.0, 3600.0
# "Refresh tokens are valid for 18 months", https://developer.ebay.com/api-docs/static/oauth-rate-limits.html; the
# `refresh_token_expires_in` of the samples is as many seconds (oauth-auth-code-grant-request.html, 2026-11-27).
CONSENT_LIFE = timedelta(seconds=47_304_000)

SETTINGS = (
    Setting("user_id", "The seller's immutable eBay user id, not the login name"),
    Setting("marketplace_id", "The site on which the listings stand, such as EBAY_US", default="EBAY_US"),
    Setting(
        "base_url", "eBay's API; https://api.sandbox.ebay.com for a sandbox keyset", default="https://api.ebay.com"
    ),
    Setting(
        "orders_lag_s",
        "Seconds that a new order may stay invisible to a search of the orders; eBay states none",
        default=str(ORDERS_LAG_S),
    ),
    Setting(
        "alert_email",
        "Where eBay writes when deliveries fail; needed for webhooks where the keyset has none yet",
        default="",
    ),
    Setting(
        "checkout_location",
        "For the check at the checkout: the merchantLocationKey that is sold from; left out, whichever eBay names",
        default="",
    ),
    Setting(
        "consented_on",
        "The day on which the seller consented, such as 2026-11-26: the end of the consent is told of in time",
        default="",
        is_memo=True,
    ),
    Setting("client_id", "The keyset's App ID (client id)", is_secret=True),
    Setting("client_secret", "The keyset's Cert ID (client secret)", is_secret=True),
    Setting("refresh_token", "What the seller's consent gave; it lives about 18 months", is_secret=True),
    Setting(
        "verification_token",
        "For webhooks: 32 to 80 letters, digits, _ or -, of your own choice",
        is_secret=True,
    ),
    Setting(
        "checkout_user",
        "For the check at the checkout: the user name that eBay shows, of your own choice; left out, nobody may ask",
        is_secret=True,
        default="",
    ),
    Setting(
        "checkout_password",
        "For the check at the checkout: 20 to 128 letters, digits or signs but the comma, of your own choice",
        is_secret=True,
        default="",
    ),
)
_VERIFICATION_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,80}", re.ASCII)
# What every sender writes in the same bytes; a colon ends a user name (RFC 7617).
_CHECKOUT_USER = re.compile(r"[!-9;-~]{1,64}", re.ASCII)
_CHECKOUT_PASSWORD = re.compile(r"[!-~]{20,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The keyset and the seller's consent. They never appear in a `repr`."""

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CheckoutAccess:
    """Who may ask at the checkout; several passwords while they rotate. `location`: of `checkout.questions_from`."""

    location: str
    user: str = field(repr=False)
    passwords: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Account:
    """One seller under one keyset. `site_id`: of the Trading API; `language`: of the listings.

    `checkout`: None: nobody may ask. `consented_on`: None where nobody told.
    """

    user_id: str
    marketplace_id: str
    site_id: int
    language: str
    base_url: str
    orders_lag_s: float
    alert_email: str
    credentials: Credentials
    verification_token: str = field(repr=False)
    checkout: CheckoutAccess | None = None
    consented_on: date | None = None


def account_from(config: ChannelConfig) -> Account:
    """The account a person configured. Raises ConfigurationError naming a missing, unknown or unsafe setting."""
    public = filled(SETTINGS, config.settings, channel=config.channel, title="eBay", is_secret=False)
    secret = filled(SETTINGS, config.secrets, channel=config.channel, title="eBay", is_secret=True)
    where = f"channel {config.channel}"
    if public["marketplace_id"] not in SITES:
        raise ConfigurationError(f"{where}: marketplace_id must be one of {', '.join(SITES)}")
    verification_token = secret.pop("verification_token")
    if _VERIFICATION_TOKEN.fullmatch(verification_token) is None:
        raise ConfigurationError(f"{where}: the secret verification_token takes 32 to 80 letters, digits, _ or -")
    checkout = _checkout_from(
        config.channel, public["checkout_location"], secret.pop("checkout_user"), secret.pop("checkout_password")
    )
    site_id, language = SITES[public["marketplace_id"]]
    return Account(
        user_id=public["user_id"],
        marketplace_id=public["marketplace_id"],
        site_id=site_id,
        language=language,
        base_url=address_from(public["base_url"], what=f"{where}: base_url"),
        orders_lag_s=seconds_from(
            public["orders_lag_s"], channel=config.channel, name="orders_lag_s", most=ORDERS_LAG_S_MAX
        ),
        alert_email=public["alert_email"],
        credentials=Credentials(**secret),
        verification_token=verification_token,
        checkout=checkout,
        consented_on=day_from(public["consented_on"], channel=config.channel, name="consented_on"),
    )


def _checkout_from(channel: str, location: str, user: str, password: str) -> CheckoutAccess | None:
    if not user and not password:
        return None
    where = f"channel {channel}"
    if not user or not password:
        raise ConfigurationError(f"{where}: the secrets checkout_user and checkout_password are given together")
    if _CHECKOUT_USER.fullmatch(user) is None:
        raise ConfigurationError(f"{where}: the secret checkout_user takes 1 to 64 letters, digits or signs, no colon")
    passwords = secrets_from(password, channel=channel, name="the secret checkout_password")
    if any(_CHECKOUT_PASSWORD.fullmatch(one) is None for one in passwords):
        raise ConfigurationError(f"{where}: the secret checkout_password takes 20 to 128 letters, digits or signs")
    return CheckoutAccess(location, user, tuple(passwords))
