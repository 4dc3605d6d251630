"""Orders are polled page by page; a channel that has more than one run takes is gone on with at once."""

from __future__ import annotations

from datetime import datetime

import pytest
from structlog.testing import capture_logs

from oneshelf.clock import SystemClock
from oneshelf.flow import receive
from oneshelf.flow.channel import OpenChannel
from oneshelf.sdk.message import Delivery, OrderPage
from oneshelf.storage import schedules
from storage.pinned import SHOP, pinned
from web.paper import CAPABILITY, PaperConnector

pytestmark = pytest.mark.pg

CLOCK = SystemClock()
PAGES = 5


class LongConnector(PaperConnector):
    """Has so many pages of orders. `cursor`: how many were read."""

    async def poll_orders(
        self, cursor: str | None, *, since: datetime | None = None, asked_at: datetime | None = None
    ) -> OrderPage:
        number = int(cursor or 0) + 1
        told = Delivery(key=f"page-{number}", topic="order", body=b"{}")
        has_more = number < PAGES
        return OrderPage((told,), str(number), has_more=has_more, covered_until=None if has_more else CLOCK.now())


async def test_a_poll_of_more_pages_than_one_run_takes_goes_on_at_once(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "PAGES_MAX", 3)
    async with pinned(dsn) as pin:
        channel = OpenChannel(SHOP, "paper", LongConnector(SHOP), CAPABILITY)
        async with pin.database.transaction() as tx:
            await schedules.ensure(tx, SHOP, {"orders": 3600.0})
        with capture_logs() as logs:
            assert await receive.poll_orders(pin.database, channel, CLOCK) == 3
            assert [one["event"] for one in logs] == ["orders.interrupted"]
            assert await receive.poll_orders(pin.database, channel, CLOCK) == 2
            assert len(logs) == 1
        assert await receive.poll_orders(pin.database, channel, CLOCK) == 0
