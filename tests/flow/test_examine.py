"""What an examination finds says what to do where it is not good."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oneshelf.flow import examine
from oneshelf.flow.connect import found
from oneshelf.sdk.fault import ReauthenticateError
from oneshelf.sdk.message import Finding
from web.paper import Shop, open_shop

pytestmark = pytest.mark.pg


async def examined(shop: Shop, **opened: object) -> dict[str, Finding]:
    [channel] = shop.channels.values()
    row = await found(shop.database, channel.name)
    assert row is not None
    told = await examine.channel(shop.database, row, replace(channel, **opened), "")  # type: ignore[arg-type]  # all that is called of it
    return {one.what: one for one in told}


@pytest.mark.parametrize(("ahead_s", "is_good"), [(0.4, True), (-0.4, True), (30.0, False), (-30.0, False)])
async def test_a_channel_whose_clock_is_another_is_found(dsn: str, ahead_s: float, is_good: bool) -> None:
    async with open_shop(dsn) as shop:
        await shop.connect("paper", mode="watch")
        clock = (await examined(shop, clock_ahead_s=lambda: ahead_s))["clock of the channel"]
        assert (clock.is_good, "NTP" in clock.detail) == (is_good, not is_good)
        assert "clock of the channel" not in await examined(shop)


async def test_a_channel_that_turns_us_away_is_found_in_its_own_words(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        paper = await shop.connect("paper", mode="watch")

        async def refuse() -> tuple[Finding, ...]:
            raise ReauthenticateError("the stamp has run dry")

        paper.preflight = refuse  # type: ignore[method-assign]  # replaced on purpose
        answer = (await examined(shop))["answers"]
        assert (answer.is_good, "run dry" in answer.detail) == (False, True)


async def test_a_channel_that_cannot_be_opened_names_the_command(dsn: str) -> None:
    async with open_shop(dsn) as shop:
        await shop.connect("paper", mode="watch")
        row = await found(shop.database, next(iter(shop.channels)))
        assert row is not None
        [only] = await examine.channel(shop.database, row, None, "")
        assert (only.is_good, "oneshelf channel add paper paper" in only.detail) == (False, True)
