"""A channel whose settings are wrong is paused until somebody acts, and none of its listings is blamed."""

from __future__ import annotations

import pytest

from flow.world import SHOP, open_world
from oneshelf.clock import SystemClock
from oneshelf.connectors.shopify import simulator
from oneshelf.flow import push
from oneshelf.flow.channel import NEEDS_PERSON_PAUSE_S

pytestmark = pytest.mark.pg


async def test_a_wrong_setting_pauses_the_channel_and_parks_no_listing(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One listing alone waits, so that a refusal of the request would be blamed on it."""
    async with open_world(dsn, skus={"MUG": 5}) as world:
        monkeypatch.setattr(simulator, "VERSIONS", ("2027-01",))  # the version that we ask for is no longer served
        await world.receive("MUG", 3)
        shop = world.channels.by_name[SHOP]
        while not await world.rows("select 1 from channels where channel = 'shop' and fail_streak > 0"):
            await world.turn()
        await push.push(world.database, shop, SystemClock())
        assert [row["parked_reason"] for row in await world.listings() if row["channel"] == SHOP] == [""]
        (row,) = await world.rows(
            """
            select last_fault, extract(epoch from paused_until - db_now()) as left_s
            from channels where channel = 'shop'
            """
        )
        assert "api_version" in row["last_fault"]
        assert row["left_s"] > NEEDS_PERSON_PAUSE_S / 2
