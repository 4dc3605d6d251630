"""What a person tells us to connect an eBay account, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from oneshelf.errors import ConfigurationError
from oneshelf.sdk.address import address_from
from oneshelf.sdk.contract import Setting
from oneshelf.sdk.message import ChannelConfig
from oneshelf.sdk.settings import filled, seconds_from

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
    Setting("client_id", "The keyset's App ID (client id)", is_secret=True),
    Setting("client_secret", "The keyset's Cert ID (client secret)", is_secret=True),
    Setting("refresh_token", "What the seller's consent gave; it lives about 18 months", is_secret=True),
    Setting(
        "verification_token",
        "For webhooks: 32 to 80 letters, digits, _ or -, of your own choice",
        is_secret=True,
    ),
)
_VERIFICATION_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,80}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The keyset and the seller's consent. They never appear in a `repr`."""

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Account:
    """One seller under one keyset. `site_id`: of the Trading API; `language`: of the listings."""

    user_id: str
    marketplace_id: str
    site_id: int
    language: str
    base_url: str
    orders_lag_s: float
    alert_email: str
    credentials: Credentials
    verification_token: str = field(repr=False)


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
    )
