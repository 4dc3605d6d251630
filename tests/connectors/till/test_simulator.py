"""A day at simulated tills, with everything that can go wrong on the way: the ledger ends as the shop's own books."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import Response

from flow.shelf_world import CLOCK
from flow.till_world import SECRET, Tills, open_tills
from oneshelf.connectors.till.simulator import DEVICES, FAULTS, TillSimulator
from oneshelf.flow import interpret, post, receive
from oneshelf.sdk import message
from oneshelf.sdk.fault import SignatureError
from oneshelf.sdk.simulator import CatalogueItem

pytestmark = [pytest.mark.pg, pytest.mark.timeout(300)]
SPEED = 3_000.0


class Door:
    """The engine's door for webhooks, in process. Every now and then it is shut."""

    def __init__(self, tills: Tills) -> None:
        self.tills = tills
        self.dice = Random(5)
        self.refused = 0

    async def __call__(self, scope: Any, received: Any, send: Any) -> None:
        request = Request(scope, received)
        body = await request.body()
        status = 200
        if self.dice.random() < 0.1:
            status, self.refused = 503, self.refused + 1
        else:
            try:
                webhook = message.Request(dict(request.headers), body)
                await receive.receive_webhook(self.tills.ledger.database, self.tills.channel, webhook)
            except SignatureError:
                status = 401
        await Response(status_code=status)(scope, received, send)


@pytest.mark.long
@pytest.mark.parametrize("seed", [3, 4])
async def test_a_day_at_the_tills_ends_as_the_books_say(dsn: str, seed: int) -> None:
    print(f"seed {seed}")
    dice = Random(seed)
    async with open_tills(dsn, {"MUG": 60, "CAP": 45}, {"clock_error_s": "30"}) as tills:
        door = Door(tills)
        client = httpx2.AsyncClient(transport=httpx2.ASGITransport(door))
        simulator = TillSimulator(seed=seed, speed=SPEED, clock=CLOCK, webhook_client=client)
        simulator.stock_catalogue([CatalogueItem("MUG", "Mug", 60), CatalogueItem("CAP", "Cap", 45)])
        simulator.connect(address="http://engine.test/webhooks/till", secret=SECRET)
        simulator.switches.set({"offline": 0.1, "duplicate": 0.5, "reorder": 0.8, "gap": 0.1, "equivocation": 0.6})
        life = asyncio.get_running_loop().create_task(simulator.run())
        try:
            damaged = await _a_day(simulator, dice)
            simulator.switches.set(dict.fromkeys(FAULTS, 0.0))
            await _until_all_is_told(simulator, tills)
        finally:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)
            await client.aclose()
        shelf = {listing.channel_sku: listing.units for listing in simulator.listings()}
        for sku, units in shelf.items():
            figures = await tills.ledger.figures(sku)
            assert figures.get("available", 0) == units, sku
            assert figures.get("damaged", 0) == damaged[sku], sku
        assert await tills.gaps() == []
        assert await tills.parked() == []
        told = {name: (await tills.device(name)).highest for name in DEVICES}
        assert told == {name: device.sequence for name, device in simulator.devices.items()}
        await tills.ledger.assert_sound()
        hits = simulator.switches.hits
        assert min(hits[name] for name in FAULTS) > 0, hits
        assert door.refused > 0
        assert (await tills.ledger.rows("select count(*) as n from device_conflicts"))[0]["n"] > 0


async def _a_day(simulator: TillSimulator, dice: Random) -> dict[str, int]:
    """Buyers buy, cashiers void, customers return. Returns what came back damaged."""
    damaged = {"MUG": 0, "CAP": 0}
    for _ in range(120):
        order_id = simulator.place([(dice.choice(["MUG", "CAP"]), dice.choice([1, 1, 2]))])
        if order_id is not None and dice.random() < 0.15:
            assert simulator.cancel(order_id)
        elif order_id is not None and dice.random() < 0.2:
            order = next(one for one in simulator.orders() if one.order_id == order_id)
            restock = dice.random() < 0.5
            assert simulator.refund(order_id, order.lines[0].line_id, 1, restock=restock)
            damaged[order.lines[0].channel_sku] += not restock
        await asyncio.sleep(0.01)
    return damaged


async def _until_all_is_told(simulator: TillSimulator, tills: Tills) -> None:
    deadline = CLOCK.monotonic() + 120
    while True:
        while await interpret.interpret(tills.ledger.database, {tills.channel.name: tills.channel}):
            pass
        while await post.post_facts(tills.ledger.database, CLOCK.new_id):
            pass
        highest = await tills.ledger.rows("select sum(told_count)::bigint as told from devices")
        if highest[0]["told"] == sum(device.sequence for device in simulator.devices.values()):
            return
        assert CLOCK.monotonic() < deadline, f"only {highest} of {simulator.devices}"
        await asyncio.sleep(0.1)
