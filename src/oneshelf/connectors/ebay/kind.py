"""The kind of channel: what it can do, what a person has to tell us, and how one is opened."""

from __future__ import annotations

import httpx2

from oneshelf.clock import Clock
from oneshelf.connectors.ebay.account import ORDERS_LAG_S, SETTINGS, account_from
from oneshelf.connectors.ebay.api import INVENTORY, LIMITS, EbayApi
from oneshelf.connectors.ebay.connector import EbayConnector
from oneshelf.connectors.ebay.inventory import BATCH_MAX
from oneshelf.connectors.ebay.reports import REPORT_AGE_S
from oneshelf.connectors.ebay.simulator import EbaySimulator
from oneshelf.connectors.ebay.tokens import app_tokens, user_tokens
from oneshelf.domain.identity import Channel
from oneshelf.sdk.capability import ZOMBIE_S, Capability, WriteKind
from oneshelf.sdk.contract import Connector
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.message import ChannelConfig
from oneshelf.sdk.secret_store import MemorySecretStore, SecretStore

CAPABILITY = Capability(
    write_kind=WriteKind.BLIND_SET,
    is_applied_when_answered=False,
    key_life_s=0.0,
    batch_writes=BATCH_MAX,
    batch_reads=BATCH_MAX,
    # eBay states neither how long an accepted quantity takes to show, nor how old a reading may be.
    apply_s=120.0,
    zombie_s=ZOMBIE_S,
    stale_s=60.0,
    orders_lag_s=ORDERS_LAG_S,
    poll_orders_s=60.0,
    sweep_stock_s=3600.0,
    has_webhooks=True,
    limits=LIMITS,
    page_reads=BATCH_MAX,
    read_limit=INVENTORY,
    # The offers of a page are asked for SKU by SKU.
    read_cost=BATCH_MAX + 1.0,
    has_stock_file=True,
    stock_file_age_s=REPORT_AGE_S,
    # "250 revisions in a calendar day", https://developer.ebay.com/develop/guides-v2/listing-management (2026-11-26).
    changes_per_day=250,
    has_single_orders=True,
    asks_at_checkout=True,
    # No topic tells of a quantity that changed.
    silent_states=("available", "committed", "reserved", "damaged", "quality_control", "safety_stock", "incoming"),
)


class EbayKind:
    """An eBay seller's account."""

    name = "ebay"
    title = "eBay"
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
    ) -> Connector:
        """Raises ConfigurationError naming a missing, unknown or unusable setting."""
        account = account_from(config)
        api = EbayApi(
            account,
            http=http,
            clock=clock,
            user_tokens=user_tokens(account, http=http, clock=clock),
            app_tokens=app_tokens(account, http=http, clock=clock),
        )
        # The refresh token stays the same: only what was taken off sale is to be kept, and which report was asked for.
        kept = store or MemorySecretStore(clock)
        return EbayConnector(api, channel=channel, clock=clock, orders_lag_s=account.orders_lag_s, store=kept)

    def simulator(
        self, *, seed: int, speed: float, clock: Clock, webhook_client: httpx2.AsyncClient | None = None
    ) -> EbaySimulator:
        return EbaySimulator(seed=seed, speed=speed, clock=clock, webhook_client=webhook_client)


CONNECTOR = EbayKind()
