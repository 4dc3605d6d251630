"""The kind of channel: tills that go off line, and what a person has to tell us of them."""

from __future__ import annotations

import httpx2

from oneshelf.clock import Clock
from oneshelf.connectors.till.connector import TillConnector
from oneshelf.connectors.till.simulator import TillSimulator
from oneshelf.domain.identity import Channel, units_from
from oneshelf.errors import ConfigurationError, MalformedError
from oneshelf.sdk.capability import without_figures
from oneshelf.sdk.contract import Setting
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.message import ChannelConfig
from oneshelf.sdk.secret_store import SecretStore
from oneshelf.sdk.settings import filled, seconds_from, secrets_from

HEARTBEAT_S = 900.0
CLOCK_ERROR_S = 120

CAPABILITY = without_figures(silence_s=HEARTBEAT_S)

SETTINGS = (
    Setting("webhook_secret", "What signs its events; several with a comma during a rotation", is_secret=True),
    Setting(
        "allowance_units",
        "Units of each SKU that its devices may sell before we hear of it: kept back from guarded listings elsewhere",
        default="1",
    ),
    Setting(
        "heartbeat_s",
        "Seconds after which a device that tells nothing is shown as off line",
        default=f"{HEARTBEAT_S:g}",
    ),
    Setting("clock_error_s", "Seconds by which the clock of a device may be wrong", default=str(CLOCK_ERROR_S)),
)


class TillKind:
    """Any point of sale that can post JSON."""

    name = "till"
    title = "Till"
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
    ) -> TillConnector:
        """Raises ConfigurationError naming a missing, unknown or unusable setting."""
        del http, store
        settings = filled(SETTINGS, config.settings, channel=channel, title=self.title, is_secret=False)
        typed = filled(SETTINGS, config.secrets, channel=channel, title=self.title, is_secret=True)
        secrets = secrets_from(typed["webhook_secret"], channel=channel, name="webhook_secret")
        _whole(settings["allowance_units"], channel=channel, name="allowance_units")
        if seconds_from(settings["heartbeat_s"], channel=channel, name="heartbeat_s", most=7 * 86_400.0) < 1:
            raise ConfigurationError(f"channel {channel}: heartbeat_s must be a second at least")
        error_s = seconds_from(settings["clock_error_s"], channel=channel, name="clock_error_s", most=86_400.0)
        return TillConnector(clock=clock, secrets=secrets, clock_error_s=round(error_s))

    def simulator(
        self, *, seed: int, speed: float, clock: Clock, webhook_client: httpx2.AsyncClient | None = None
    ) -> TillSimulator:
        return TillSimulator(seed=seed, speed=speed, clock=clock, webhook_client=webhook_client)


def _whole(text: str, *, channel: Channel, name: str) -> int:
    try:
        return units_from(int(text) if text.isascii() and text.isdigit() and len(text) < 12 else text, what=name)
    except MalformedError as problem:
        raise ConfigurationError(f"channel {channel}: {problem}") from None


CONNECTOR = TillKind()
