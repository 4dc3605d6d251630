"""The four failure stories of the field, each as one act that any engine can be put through.

They go at the channels' real pace: limits, delays and what connectors declare of them are the documented ones. Only
idle looks of the engine are more seldom than in production, as in all of the simulation.
"""

from __future__ import annotations

import tomllib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from oneshelf.simulation.run import live
from oneshelf.simulation.staged import Staged
from oneshelf.simulation.world import World
from simulation.mutants import Mutant, planted
from simulation.stories.teller import SKU, Teller, Told

SHOPIFY, AMAZON = "shopify", "amazon"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tale:
    """`units` are there at the beginning, and `shown` by each channel. `heading`: in the page of the stories."""

    heading: str
    act: Callable[[Teller], Awaitable[None]]
    units: int
    shown: Mapping[str, int]
    mode: str = "pooled"
    timing: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


async def _stale_write(tell: Teller) -> None:
    await tell.when_orders_were_polled(SHOPIFY)
    # The order is announced first; that the figure has changed comes second, and arrives.
    tell.shopify.switches.set({"webhook_lost": {"next": 1}})
    tell.buy(SHOPIFY, 3, what="a buyer orders 3; the order's webhook is lost, that of the changed figure arrives")
    await tell.until(1.0)
    tell.tell("the hub has compared: less is shown than its books say")
    await tell.until(1.5)
    tell.buy(SHOPIFY, 4)
    await tell.until(15)
    tell.tell("the hub has polled all orders")


async def _reforced(tell: Teller) -> None:
    await tell.when_orders_were_polled(SHOPIFY)
    tell.shopify.switches.set({"slow_write": {"next": 1}})
    await tell.receive(2)
    tell.tell("2 units come in; the hub decides to write 7 where 5 are shown")
    await tell.when(lambda: tell.shopify.switches.hits["slow_write"] > 0)
    tell.shopify.switches.set({"webhook_lost": {"next": 2}})
    tell.buy(SHOPIFY, 3, what="the write is under way when a buyer orders 3; no webhook of it arrives")
    await tell.until(1.5)
    tell.tell("the write was refused as stale, and the hub has reacted")
    await tell.until(2.0)
    tell.buy(SHOPIFY, 6)
    await tell.until(15)
    tell.tell("the hub has polled all orders")


async def _lying_accepted(tell: Teller) -> None:
    tell.amazon.switches.set({"write_never_applied": 1.0})
    tell.amazon.habits.unpaid_share = 0.0
    tell.buy(SHOPIFY, 6, what="a buyer orders all 6 at Shopify; from now on Amazon accepts writes and applies none")
    await tell.until(75)
    tell.tell("the hub has cut Amazon, to give its units to Shopify")
    await tell.note("drifts while lying", "/v1/drifts")
    await tell.until(76)
    tell.buy(SHOPIFY, 3)
    await tell.until(77)
    tell.buy(AMAZON, 6)
    await tell.until(85)
    tell.tell("all orders are known")


async def _pending(tell: Teller) -> None:
    tell.amazon.habits.confirm_s, tell.amazon.habits.unpaid_share = (2400.0, 2400.0), 0.0
    tell.buy(AMAZON, 3, what="a buyer orders 3 at Amazon and does not pay yet: Pending")
    unpaid = tell.buy(AMAZON, 1, what="another one orders 1 and will never pay: Pending")
    await tell.until(12)
    tell.tell("the hub has polled Amazon's orders")
    await tell.note("orders while pending", "/v1/orders")
    await tell.note("shelf while pending", f"/v1/skus/{SKU}")
    await tell.until(13)
    tell.buy(SHOPIFY, 3)
    await tell.until(25)
    tell.amazon.cancel(unpaid)
    tell.tell("Amazon cancels the order of the one who does not pay")
    await tell.until(70)
    tell.tell("the other one has paid")
    await tell.note("orders when paid", "/v1/orders")


TALES: Mapping[str, Tale] = {
    "stale absolute write": Tale(
        heading="A sold unit is put back on sale", act=_stale_write, units=5, shown={SHOPIFY: 5}
    ),
    "compare-and-set re-forced": Tale(
        heading="The comparison fails, and the same wish is forced", act=_reforced, units=5, shown={SHOPIFY: 5}
    ),
    "lying accepted": Tale(
        heading="Accepted, and never applied",
        act=_lying_accepted,
        units=12,
        shown={SHOPIFY: 6, AMAZON: 6},
        mode="guarded",
        timing={AMAZON: {"zombie_s": 2.0}},
    ),
    "pending orders": Tale(heading="Sold, and not paid yet", act=_pending, units=5, shown={SHOPIFY: 5, AMAZON: 5}),
}


@dataclass(frozen=True, slots=True)
class Naive:
    """A block of naive.toml: the tale that it belongs to, what such a hub does, and the changes that make it so."""

    tale: str
    does: str
    change: list[Mapping[str, str]] = field(default_factory=list)

    @property
    def changes(self) -> list[Mutant]:
        return [Mutant(name=f"naive: {self.tale}", **one) for one in self.change]


NAIVE = {
    one["tale"]: Naive(**one) for one in tomllib.loads((Path(__file__).parent / "naive.toml").read_text())["naive"]
}


def tell(dsn: str, name: str, *, is_naive: bool, seed: int = 1) -> Told:
    """Play a tale on this migrated database, which is emptied first: by our engine, or as the naive hub.

    Ours is judged as every simulated day is, by the auditor; the naive one only by its story.
    """
    tale, told = TALES[name], Told()

    async def act(world: World) -> None:
        with ExitStack() as stack:
            for change in NAIVE[name].changes if is_naive else ():
                stack.enter_context(planted(change))
            teller = Teller(world, told)
            await tale.act(teller)
            await teller.end()

    staged = Staged(
        act=act,
        goods={SKU: tale.units},
        channels=tuple(tale.shown),
        shown=tale.shown,
        mode=tale.mode,
        timing=tale.timing,
        is_judged=not is_naive,
    )
    told.violation = live(dsn, seed, scenario=staged).violation
    return told
