"""Amazon as a kind of channel: what it can do, what a person has to tell us, and how one is opened."""

from __future__ import annotations

import httpx2

from oneshelf.clock import Clock
from oneshelf.connectors.amazon.account import ORDERS_LAG_S, SETTINGS, account_from
from oneshelf.connectors.amazon.api import DOCUMENT_LIMIT
from oneshelf.connectors.amazon.fba import LIMIT as FBA_LIMIT
from oneshelf.connectors.amazon.feeds import LIMITS as FEED_LIMITS
from oneshelf.connectors.amazon.feeds import MESSAGES_LEAST, MESSAGES_MAX, SHOWN_S, STUCK_S
from oneshelf.connectors.amazon.listening import GET_ORDER_LIMIT, FetchingAmazonConnector, ListeningAmazonConnector
from oneshelf.connectors.amazon.listings import BATCH_MAX
from oneshelf.connectors.amazon.reports import LIMITS as REPORT_LIMITS
from oneshelf.connectors.amazon.reports import REPORT_AGE_S
from oneshelf.connectors.amazon.simulator import AmazonSimulator
from oneshelf.connectors.amazon.sqs import SQS_LIMIT
from oneshelf.connectors.amazon.subscriptions import LIMITS as NOTIFICATION_LIMITS
from oneshelf.domain.identity import Channel
from oneshelf.sdk.capability import ZOMBIE_S, Capability, Limit, WriteKind
from oneshelf.sdk.contract import Connector, Setting
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.message import ChannelConfig
from oneshelf.sdk.secret_store import SecretStore
from oneshelf.sdk.simulator import Simulator


class AmazonKind:
    """Amazon as a kind of channel, see `sdk.contract.ConnectorKind`."""

    @property
    def name(self) -> str:
        return "amazon"

    @property
    def title(self) -> str:
        return "Amazon (Selling Partner API)"

    @property
    def capability(self) -> Capability:
        return Capability(
            write_kind=WriteKind.BLIND_SET,
            is_applied_when_answered=False,
            key_life_s=0.0,
            batch_writes=BATCH_MAX,
            batch_reads=BATCH_MAX,
            apply_s=900.0,
            zombie_s=ZOMBIE_S,
            # Amazon states none.
            stale_s=60.0,
            orders_lag_s=ORDERS_LAG_S,
            poll_orders_s=180.0,
            sweep_stock_s=3600.0,
            has_webhooks=False,
            has_queue=True,
            has_single_orders=True,
            limits=(
                Limit("searchOrders", 0.0056, 20),
                GET_ORDER_LIMIT,
                Limit("patchListingsItem", 5.0, 5),
                Limit("searchListingsItems", 5.0, 5),
                Limit("getListingsItem", 5.0, 10),
                # Amazon documents none for tokens; one token lives an hour, so this is only a brake.
                Limit("token", 1.0, 5),
                *REPORT_LIMITS,
                *FEED_LIMITS,
                DOCUMENT_LIMIT,
                *NOTIFICATION_LIMITS,
                FBA_LIMIT,
                SQS_LIMIT,
            ),
            page_reads=BATCH_MAX,
            read_limit="searchListingsItems",
            has_stock_file=True,
            stock_file_age_s=REPORT_AGE_S,
            feed_writes=MESSAGES_MAX,
            feed_writes_least=MESSAGES_LEAST,
            feed_s_max=STUCK_S,
            feed_shown_s=SHOWN_S,
        )

    @property
    def settings(self) -> tuple[Setting, ...]:
        return SETTINGS

    def open(
        self,
        config: ChannelConfig,
        *,
        channel: Channel,
        http: ChannelHttp,
        clock: Clock,
        store: SecretStore | None = None,
    ) -> Connector:
        account = account_from(config)
        opened = FetchingAmazonConnector if account.queue is None else ListeningAmazonConnector
        return opened(account, channel=channel, http=http, clock=clock)

    def simulator(
        self, *, seed: int, speed: float, clock: Clock, webhook_client: httpx2.AsyncClient | None = None
    ) -> Simulator:
        del webhook_client  # Amazon sends none.
        return AmazonSimulator(seed=seed, speed=speed, clock=clock)


CONNECTOR = AmazonKind()
