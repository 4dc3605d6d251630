"""What a person tells us to connect an Amazon account, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from urllib.parse import urlsplit

from oneshelf.connectors.amazon.parse import MERCHANT_CHANNEL
from oneshelf.connectors.amazon.queue_access import QUEUE_SECRETS, QUEUE_SETTINGS, QueueAccess, queue_from
from oneshelf.errors import ConfigurationError
from oneshelf.sdk.address import address_from, is_loopback
from oneshelf.sdk.contract import Setting
from oneshelf.sdk.message import ChannelConfig
from oneshelf.sdk.settings import day_from, filled, seconds_from

ORDERS_LAG_S, ORDERS_LAG_S_MAX = 120.0, 3600.0

SETTINGS = (
    Setting("seller_id", "The merchant token of the account, as Seller Central shows it"),
    Setting(
        "marketplace_id",
        "The store whose listings are kept, such as ATVPDKIKX0DER; several of one region with commas between them: "
        "Amazon keeps one quantity for all of them",
        default="ATVPDKIKX0DER",
    ),
    Setting(
        "base_url",
        "The endpoint of the account's region",
        default="https://sellingpartnerapi-na.amazon.com",
    ),
    Setting(
        "orders_lag_s",
        "Seconds that a new order may stay invisible to a search of the orders; Amazon hides the last two minutes",
        default=str(ORDERS_LAG_S),
    ),
    Setting(
        "supply_source_id",
        "Multi-Location Inventory only: the supply source whose quantity is kept, such as SUPPLY-1; "
        "every listing must show 0 for DEFAULT",
        default="",
    ),
    Setting(
        "secret_renewed_on",
        "The day on which the client secret was made, such as 2026-11-26: its end is told of in time",
        default="",
        is_memo=True,
    ),
    *QUEUE_SETTINGS,
    Setting("token_url", "Where Login with Amazon grants tokens", default="https://api.amazon.com/auth/o2/token"),
    Setting("client_id", "The application's LWA client id", is_secret=True),
    Setting("client_secret", "The application's LWA client secret; it dies after 180 days", is_secret=True),
    Setting("refresh_token", "The token that the self-authorization showed once", is_secret=True),
    *QUEUE_SECRETS,
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """The three secrets of Login with Amazon. They never appear in a `repr`."""

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Account:
    """One seller in one region. A marketplace is a view: Amazon keeps one quantity per seller, SKU and channel.

    `supply_source_id`: empty where the account has one stock, which Amazon calls DEFAULT. `secret_renewed_on`: None
    where nobody told. `queue`: where its news lies; None: orders are polled alone.
    """

    seller_id: str
    marketplace_ids: tuple[str, ...]
    base_url: str
    token_url: str
    orders_lag: timedelta
    credentials: Credentials
    supply_source_id: str = ""
    secret_renewed_on: date | None = None
    queue: QueueAccess | None = None

    @property
    def merchant_code(self) -> str:
        """The fulfilment channel whose quantity is ours."""
        return self.supply_source_id or MERCHANT_CHANNEL


def account_from(config: ChannelConfig) -> Account:
    """The account a person configured. Raises ConfigurationError naming a missing, unknown or unsafe setting."""
    public = filled(SETTINGS, config.settings, channel=config.channel, title="Amazon", is_secret=False)
    secret = filled(SETTINGS, config.secrets, channel=config.channel, title="Amazon", is_secret=True)
    base_url = address_from(public["base_url"], what=f"channel {config.channel}: base_url")
    token_url = address_from(public["token_url"], what=f"channel {config.channel}: token_url")
    host = urlsplit(base_url).hostname or ""
    if is_loopback(host) and not is_loopback(urlsplit(token_url).hostname or ""):
        # A simulator's endpoint: its secrets would be sent to Amazon, and nobody would see why nothing works.
        raise ConfigurationError(
            f"channel {config.channel}: {host} is not Amazon; set token_url too "
            f"(of a simulator: {base_url}/auth/o2/token)"
        )
    return Account(
        seller_id=public["seller_id"],
        marketplace_ids=_marketplaces(config.channel, public["marketplace_id"]),
        base_url=base_url,
        token_url=token_url,
        orders_lag=timedelta(
            seconds=seconds_from(
                public["orders_lag_s"], channel=config.channel, name="orders_lag_s", most=ORDERS_LAG_S_MAX
            )
        ),
        credentials=Credentials(**{name: secret[name] for name in ("client_id", "client_secret", "refresh_token")}),
        supply_source_id=_supply_source(config.channel, public["supply_source_id"]),
        secret_renewed_on=day_from(public["secret_renewed_on"], channel=config.channel, name="secret_renewed_on"),
        queue=queue_from(config.channel, public, secret),
    )


def _marketplaces(channel: str, value: str) -> tuple[str, ...]:
    told = [part.strip() for part in value.split(",")]
    if not all(part.isascii() and part.isalnum() for part in told) or len(set(told)) < len(told):
        raise ConfigurationError(
            f"channel {channel}: marketplace_id must be an id such as ATVPDKIKX0DER, or several different ones with "
            f"commas between them"
        )
    return tuple(told)


def _supply_source(channel: str, value: str) -> str:
    if value == MERCHANT_CHANNEL or value.startswith("AMAZON"):
        raise ConfigurationError(
            f"channel {channel}: {value} is no supply source; leave supply_source_id out unless the account uses "
            f"Multi-Location Inventory"
        )
    return value
