"""The kind of channel: a wholesale buyer, and what a person has to tell us of them."""

from __future__ import annotations

import httpx2

from oneshelf.clock import Clock
from oneshelf.connectors.wholesale.connector import WholesaleConnector
from oneshelf.connectors.wholesale.parse import Buyer
from oneshelf.connectors.wholesale.simulator import WholesaleSimulator
from oneshelf.domain.identity import Channel
from oneshelf.domain.wholesale import order_id_of
from oneshelf.errors import ConfigurationError, MalformedError
from oneshelf.sdk.capability import without_figures
from oneshelf.sdk.contract import Setting
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.message import ChannelConfig
from oneshelf.sdk.secret_store import SecretStore
from oneshelf.sdk.settings import filled, secrets_from
from oneshelf.sdk.x12 import is_name

DAY_S = 86_400.0

CAPABILITY = without_figures(silence_s=DAY_S, takes_purchase_orders=True)

SETTINGS = (
    Setting("webhook_secret", "What signs their orders; several with a comma during a rotation", is_secret=True),
    Setting("customer", "By which name their orders are kept, as CUSTOMER/PO"),
    Setting("x12_theirs", "What they go by in X12 (ISA05, ISA06), as ZZ:ACME; empty: they send none", default=""),
    Setting("x12_ours", "What we go by to them in X12 (ISA07, ISA08), as ZZ:SHELF", default=""),
)


class WholesaleKind:
    """Any buyer who can post JSON, or whose EDI gateway can post X12."""

    name = "wholesale"
    title = "Wholesale"
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
    ) -> WholesaleConnector:
        """Raises ConfigurationError naming a missing, unknown or unusable setting."""
        del http, store
        settings = filled(SETTINGS, config.settings, channel=channel, title=self.title, is_secret=False)
        typed = filled(SETTINGS, config.secrets, channel=channel, title=self.title, is_secret=True)
        secrets = secrets_from(typed["webhook_secret"], channel=channel, name="webhook_secret")
        try:
            order_id_of(settings["customer"], "any")
        except MalformedError as problem:
            raise ConfigurationError(f"channel {channel}: customer: {problem}") from None
        buyer = Buyer(settings["customer"], settings["x12_theirs"], settings["x12_ours"])
        if bool(buyer.theirs) is not bool(buyer.ours):
            raise ConfigurationError(f"channel {channel}: x12_theirs and x12_ours are said both or neither")
        for name, value in (("x12_theirs", buyer.theirs), ("x12_ours", buyer.ours)):
            if value and not is_name(value):
                raise ConfigurationError(f"channel {channel}: {name} must be QUALIFIER:ID, such as ZZ:ACME")
        return WholesaleConnector(clock=clock, secrets=secrets, buyer=buyer)

    def simulator(
        self, *, seed: int, speed: float, clock: Clock, webhook_client: httpx2.AsyncClient | None = None
    ) -> WholesaleSimulator:
        return WholesaleSimulator(seed=seed, speed=speed, clock=clock, webhook_client=webhook_client)


CONNECTOR = WholesaleKind()
