"""The kind of channel: what it can do, what a person has to tell us, and how one is opened."""

from __future__ import annotations

import httpx2

from oneshelf.clock import Clock
from oneshelf.domain.identity import Channel
from oneshelf.errors import ConfigurationError
from oneshelf.sdk.address import address_from
from oneshelf.sdk.capability import ZOMBIE_S, Capability, Limit, WriteKind
from oneshelf.sdk.contract import Setting
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.message import ChannelConfig
from oneshelf.sdk.secret_store import SecretStore
from oneshelf_corner.connector import BATCH, CALL, CornerConnector
from oneshelf_corner.simulator import CornerSimulator

CAPABILITY = Capability(
    write_kind=WriteKind.COMPARE_AND_SET,  # `from` is compared by the shop itself
    is_applied_when_answered=True,
    key_life_s=0.0,  # it takes no key
    batch_writes=BATCH,
    batch_reads=BATCH,
    apply_s=10.0,
    zombie_s=ZOMBIE_S,
    stale_s=0.0,
    orders_lag_s=0.0,  # changes are numbered as they happen
    poll_orders_s=60.0,
    sweep_stock_s=900.0,
    has_webhooks=True,
    limits=(Limit(CALL, rate_per_s=10.0, burst=20),),
    read_limit=CALL,
)
SETTINGS = (
    Setting("base_url", "The shop's address, such as https://my-corner.example"),
    Setting("token", "The token that the shop shows under Settings, API", is_secret=True),
    Setting("webhook_secret", "What it signs webhooks with; during a rotation both, with a comma", is_secret=True),
)


class CornerKind:
    """A corner shop."""

    name = "corner"
    title = "Corner shop"
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
    ) -> CornerConnector:
        told = {**config.settings, **config.secrets}
        for name in told.keys() - {setting.name for setting in SETTINGS}:
            raise ConfigurationError(f"corner: unknown setting {name!r}")
        for setting in SETTINGS:
            if not told.get(setting.name, "").strip():
                raise ConfigurationError(f"corner: {setting.name} is missing: {setting.help}")
        return CornerConnector(
            http,
            channel=channel,
            clock=clock,
            base_url=address_from(told["base_url"], what="corner: base_url"),
            token=told["token"],
            webhook_secrets=tuple(told["webhook_secret"].split(",")),
        )

    def simulator(
        self, *, seed: int, speed: float, clock: Clock, webhook_client: httpx2.AsyncClient | None = None
    ) -> CornerSimulator:
        return CornerSimulator(seed=seed, speed=speed, clock=clock, webhook_client=webhook_client)


CONNECTOR = CornerKind()
