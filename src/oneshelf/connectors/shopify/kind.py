"""The kind of channel: what it can do, what a person has to tell us, and how one is opened."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx2

from oneshelf.clock import Clock
from oneshelf.connectors.shopify.access import SECRETS, TOKEN_LIMIT, access_from, tokens_of
from oneshelf.connectors.shopify.connector import ShopifyConnector
from oneshelf.connectors.shopify.documents import ARRAY_LENGTH_MAX, VARIANTS_PER_PAGE
from oneshelf.connectors.shopify.graphql import FILE_LIMIT, LIMITS, POINTS, READ_POINTS, ShopifyApi
from oneshelf.connectors.shopify.json_reading import number_in, number_in_gid
from oneshelf.connectors.shopify.moving import MOVABLE_STATES
from oneshelf.connectors.shopify.polling import ORDERS_LAG_S
from oneshelf.connectors.shopify.simulator import ShopifySimulator
from oneshelf.domain.identity import Channel
from oneshelf.errors import ConfigurationError, MalformedError
from oneshelf.sdk.address import is_loopback
from oneshelf.sdk.capability import ZOMBIE_S, Capability, WriteKind
from oneshelf.sdk.contract import Setting
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.message import ChannelConfig
from oneshelf.sdk.secret_store import MemorySecretStore, SecretStore

_API_VERSION = re.compile(r"20[0-9]{2}-(?:01|04|07|10)", re.ASCII)
ORDERS_LAG_S_MAX = 3600.0

CAPABILITY = Capability(
    write_kind=WriteKind.COMPARE_AND_SET,
    is_applied_when_answered=True,
    # Documented are 24 h from the first request (https://shopify.dev/docs/api/usage/implementing-idempotency,
    # checked 2026-11-23). We count from when we made the key, on another clock, and after the end the same key is a
    # new write: half of it leaves room for a slow queue and for an hour of difference between the clocks.
    key_life_s=12 * 3600.0,
    batch_writes=ARRAY_LENGTH_MAX,
    batch_reads=ARRAY_LENGTH_MAX,
    apply_s=10.0,
    zombie_s=ZOMBIE_S,
    # Shopify states none.
    stale_s=10.0,
    orders_lag_s=ORDERS_LAG_S,
    poll_orders_s=60.0,
    sweep_stock_s=900.0,
    has_webhooks=True,
    limits=(*LIMITS, TOKEN_LIMIT, FILE_LIMIT),
    page_reads=VARIANTS_PER_PAGE,
    read_limit=POINTS,
    read_cost=READ_POINTS,
    has_stock_file=True,
    # The body of inventory_levels/update has `available` alone, and no topic exists for the other states.
    # Committed units are moved by orders alone, and what is on hand is a sum.
    movable_states=tuple(state.value for state in MOVABLE_STATES),
    silent_states=("committed", "reserved", "damaged", "quality_control", "safety_stock", "incoming"),
)

SETTINGS = (
    Setting("base_url", "The shop's address, such as https://my-shop.myshopify.com"),
    Setting("location_id", "The location whose stock this channel publishes: its number or its gid"),
    Setting("api_version", "The version of the Admin API", default="2026-10"),
    Setting(
        "orders_lag_s",
        "Seconds that a new order may stay invisible to a search of the orders",
        default=str(ORDERS_LAG_S),
    ),
    *SECRETS,
)


class ShopifyKind:
    """A Shopify shop, of which one location is published."""

    name = "shopify"
    title = "Shopify"
    capability = CAPABILITY
    settings = SETTINGS

    def open(
        self,
        config: ChannelConfig,
        *,
        channel: Channel,
        http: ChannelHttp,
        clock: Clock,
        store: SecretStore | None = None,
    ) -> ShopifyConnector:
        """Raises ConfigurationError naming a missing, unknown or unusable setting."""
        settings = _chosen(config.settings, is_secret=False)
        access = access_from(_chosen(config.secrets, is_secret=True))
        base_url = _base_url(settings["base_url"])
        kept = store or MemorySecretStore(clock)
        tokens = tokens_of(access, base_url=base_url, http=http, clock=clock, store=kept)
        api = ShopifyApi(http, base_url=base_url, api_version=_api_version(settings["api_version"]), tokens=tokens)
        return ShopifyConnector(
            api,
            channel=channel,
            clock=clock,
            location=_location(settings["location_id"]),
            access=access,
            orders_lag_s=_orders_lag_s(settings["orders_lag_s"]),
        )

    def simulator(
        self, *, seed: int, speed: float, clock: Clock, webhook_client: httpx2.AsyncClient | None = None
    ) -> ShopifySimulator:
        return ShopifySimulator(seed=seed, speed=speed, clock=clock, webhook_client=webhook_client)


def _chosen(given: Mapping[str, str], *, is_secret: bool) -> dict[str, str]:
    known = {setting.name: setting for setting in SETTINGS if setting.is_secret == is_secret}
    sort = "secret" if is_secret else "setting"
    for name in given:
        if name not in known:
            raise ConfigurationError(f"shopify: unknown {sort} {name!r}; known are {', '.join(known)}")
    chosen = {name: given.get(name, "").strip() or setting.default for name, setting in known.items()}
    for name, value in chosen.items():
        if value is None:
            raise ConfigurationError(f"shopify: the {sort} {name!r} is missing: {known[name].help}")
    return {name: value or "" for name, value in chosen.items()}


def _base_url(text: str) -> str:
    try:
        url = urlsplit(text)
        host, _port = url.hostname or "", url.port
    except ValueError:
        raise ConfigurationError("shopify: the setting 'base_url' is not an address") from None
    is_plain = url.path in {"", "/"} and not (url.query or url.fragment or url.username or url.password)
    if not host or not is_plain or url.scheme not in {"https", "http"}:
        raise ConfigurationError("shopify: the setting 'base_url' must be https:// and the shop's host, without a path")
    # The access token travels in a header, so an unencrypted connection must not leave this machine.
    if url.scheme == "http" and not is_loopback(host):
        raise ConfigurationError("shopify: the setting 'base_url' may be http:// for this machine only")
    return f"{url.scheme}://{url.netloc}"


def _orders_lag_s(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= ORDERS_LAG_S_MAX:
        raise ConfigurationError(f"shopify: the setting 'orders_lag_s' takes 0 to {ORDERS_LAG_S_MAX:.0f} seconds")
    return seconds


def _api_version(text: str) -> str:
    if _API_VERSION.fullmatch(text) is None:
        raise ConfigurationError("shopify: the setting 'api_version' must be a version such as 2026-10")
    return text


def _location(text: str) -> str:
    try:
        number = number_in(text) or number_in_gid(text, "Location")
    except MalformedError:
        raise ConfigurationError(
            "shopify: the setting 'location_id' must be a number or gid://shopify/Location/number"
        ) from None
    return number


CONNECTOR = ShopifyKind()
