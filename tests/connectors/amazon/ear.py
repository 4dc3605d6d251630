"""An Amazon connector that listens to its queue, on the bench."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from connectors.amazon.harness import ADDRESS, Bench, bench, turns
from oneshelf.clock import Clock
from oneshelf.connectors.amazon import CONNECTOR
from oneshelf.connectors.amazon.listening import ListeningAmazonConnector
from oneshelf.domain.identity import Channel
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.message import ChannelConfig, Heard, Message


@dataclass
class Ear:
    """A bench whose connector listens."""

    desk: Bench
    connector: ListeningAmazonConnector

    async def hear(self) -> Heard:
        """What lies there now; time passes where nothing does."""
        async with asyncio.TaskGroup() as group:
            hearing = group.create_task(self.connector.hear())
            await turns()
            while not hearing.done():
                await self.desk.clock.advance(1)
                await turns()
        return hearing.result()

    async def messages(self) -> list[Message]:
        """All that lies there by and by, acknowledged."""
        found: list[Message] = []
        while (heard := await self.hear()).deliveries:
            found += [message for told in heard.deliveries for message in self.connector.parse(told)]
            await self.connector.acknowledge(heard.receipts)
        return found


def listening(desk: Bench, *, clock: Clock | None = None, **settings: str) -> ListeningAmazonConnector:
    account = desk.simulator.listening_account(address=ADDRESS)
    secrets = {name: settings.pop(name, text) for name, text in account.secrets.items()}
    config = ChannelConfig("amazon-us", settings={**account.settings, **settings}, secrets=secrets)
    http = ChannelHttp(desk.client, clock=desk.clock, limiter=desk.budget)
    connector = CONNECTOR.open(config, channel=Channel("amazon-us"), http=http, clock=clock or desk.clock)
    assert isinstance(connector, ListeningAmazonConnector)
    return connector


@asynccontextmanager
async def ear(*, subscribed: bool = True) -> AsyncIterator[Ear]:
    async with bench({"MUG": 5}) as desk:
        if subscribed:
            desk.simulator.notifications.subscribe_all()
        yield Ear(desk, listening(desk))
