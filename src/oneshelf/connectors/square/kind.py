"""The kind of channel: what it can do, what a person has to tell us, and how one is opened."""

from __future__ import annotations

import httpx2

from oneshelf.clock import Clock
from oneshelf.connectors.square.account import ORDERS_LAG_S, SETTINGS, TOKEN_LIMIT, account_from, tokens_of
from oneshelf.connectors.square.api import CALLS, LIMITS, SquareApi
from oneshelf.connectors.square.connector import SquareConnector
from oneshelf.connectors.square.simulator import SquareSimulator
from oneshelf.connectors.square.stock import PAGE
from oneshelf.domain.identity import Channel
from oneshelf.sdk.capability import ZOMBIE_S, Capability, WriteKind
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.message import ChannelConfig
from oneshelf.sdk.secret_store import MemorySecretStore, SecretStore

CAPABILITY = Capability(
    # A physical count replaces what Square counted by its instant, whatever that was: see `push`.
    write_kind=WriteKind.BLIND_SET,
    is_applied_when_answered=False,
    # Keys are taken, and for how long they are remembered is not published.
    key_life_s=0.0,
    batch_writes=PAGE,
    batch_reads=PAGE,
    # Square states neither how soon a count shows in a reading, nor how old a reading may be.
    apply_s=60.0,
    zombie_s=ZOMBIE_S,
    stale_s=15.0,
    orders_lag_s=ORDERS_LAG_S,
    poll_orders_s=60.0,
    sweep_stock_s=900.0,
    has_webhooks=True,
    limits=(*LIMITS, TOKEN_LIMIT),
    page_reads=PAGE,
    read_limit=CALLS,
    # The variations, and their counts.
    read_cost=2.0,
    has_single_orders=True,
)


class SquareKind:
    """A seller's Square account, of which one location is published."""

    name = "square"
    title = "Square"
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
    ) -> SquareConnector:
        """Raises ConfigurationError naming a missing, unknown or unusable setting."""
        account = account_from(config)
        tokens = tokens_of(account, http=http, clock=clock, store=store or MemorySecretStore(clock))
        return SquareConnector(SquareApi(account, http=http, tokens=tokens), channel=channel, clock=clock)

    def simulator(
        self, *, seed: int, speed: float, clock: Clock, webhook_client: httpx2.AsyncClient | None = None
    ) -> SquareSimulator:
        return SquareSimulator(seed=seed, speed=speed, clock=clock, webhook_client=webhook_client)


CONNECTOR = SquareKind()
