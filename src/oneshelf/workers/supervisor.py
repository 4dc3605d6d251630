"""Which steps run, and the only place that starts tasks. A step that dies of a bug takes the engine down with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from oneshelf.clock import Clock
from oneshelf.domain.command import Command
from oneshelf.domain.identity import Channel
from oneshelf.domain.outcome import Outcome
from oneshelf.errors import DatabaseUnavailableError
from oneshelf.files.folder import LOOK_EVERY_S, Watched, Watcher
from oneshelf.flow import (
    alert,
    allocate,
    audit,
    confirm,
    count,
    deliver,
    feed,
    fetch,
    hear,
    interpret,
    measure,
    order,
    plan,
    post,
    push,
    receive,
    reconcile,
    resolve,
    state,
    subscribe,
    survey,
    tally,
    tell,
    trace,
    watch,
)
from oneshelf.flow.channel import OpenChannel, announced_at
from oneshelf.flow.outgoing import Outgoing
from oneshelf.sdk.capability import WriteKind
from oneshelf.sdk.contract import FetchesOrders, Hears, Subscribes
from oneshelf.storage.database import Database
from oneshelf.telemetry import get_logger
from oneshelf.workers.poster import LANES, Poster
from oneshelf.workers.runner import Pulse, Step, run_for_ever, stop_if_cancelled

REFRESH_S = 1.0
# Endpoints that may keep this node waiting at the same time.
DELIVERERS = 4

log = get_logger(__name__)


class Supervisor:
    """Runs every step of the engine in this process. `channels` is kept fresh by `refresh`.

    `patience`: how many times longer than usual a step waits that found nothing to do and is not woken. `public_url`:
    where channels reach the engine; empty: nothing is subscribed to.

    Three are set before it runs, each of them or none. `outgoing` calls those who follow the engine; `watched` is the
    folder into which another system puts files; `give_traces` hands traces to whoever takes them.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        channels: dict[Channel, OpenChannel],
        refresh: Callable[[], Awaitable[None]],
        *,
        patience: float = 1.0,
        public_url: str = "",
    ) -> None:
        self._database = database
        self._clock = clock
        self._channels = channels
        self._refresh = refresh
        self._patience = patience
        self._public_url = public_url
        self.watched: Watched | None = None
        self.outgoing: Outgoing | None = None
        self.give_traces: trace.Give | None = None
        self.pulse = Pulse()
        self._running: dict[Channel, tuple[OpenChannel, list[asyncio.Task[None]]]] = {}

        self.poster = Poster(database, clock.new_id)

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as group:
            for step in (*self._common_steps(), *self._telling_steps(), *self._tracing_steps()):
                group.create_task(self._for_ever(step), name=step.name)
            while True:
                await self._follow_channels(group)
                await asyncio.sleep(REFRESH_S * self._patience)
                # The steps wait out a database that is away, and say so; the channels can wait with them.
                with suppress(DatabaseUnavailableError):
                    await self._refresh()
                stop_if_cancelled()

    async def _follow_channels(self, group: asyncio.TaskGroup) -> None:
        """Start the steps of channels that were added or changed, end those of channels that went."""
        for name, (opened, tasks) in list(self._running.items()):
            if self._channels.get(name) is not opened:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                del self._running[name]
        for name, channel in self._channels.items():
            if name not in self._running:
                steps = self._channel_steps(channel)
                tasks = [group.create_task(self._for_ever(step), name=step.name) for step in steps]
                self._running[name] = (channel, tasks)
                log.info("channel.opened", channel=name, kind=channel.kind)

    async def _for_ever(self, step: Step) -> None:
        await run_for_ever(replace(step, idle_s=step.idle_s * self._patience), self.pulse)

    def _common_steps(self) -> list[Step]:
        database, clock = self._database, self._clock
        lanes = [Step(f"commands {lane}", self.poster.post_next, ("plan",)) for lane in range(1, LANES + 1)]
        return [
            *lanes,
            Step("interpret", lambda: interpret.interpret(database, self._channels), ("post", "confirm", "fetch")),
            Step("order", lambda: order.order(database, clock.new_id, self._channels), ("allocate",)),
            Step("post", lambda: post.post_facts(database, clock.new_id), ("plan", "weigh")),
            Step("expire", lambda: post.post_expiries(database, clock.new_id), ("plan",), idle_s=0.5),
            Step("allocate", lambda: allocate.allocate(database, clock.new_id), ("plan",), idle_s=1.0),
            Step("forget", self._forget, idle_s=60.0),
            Step("plan", self._plan, ("push",), pace_s=0.05),
            Step("resolve", self._resolve, ("plan", "push", "book"), idle_s=0.5),
            Step("book", lambda: post.post_moves(database, clock.new_id), ("plan",), idle_s=0.5),
            Step("count", lambda: count.post_accepted(database, self._post_all), ("plan",), idle_s=1.0),
            Step("state", self._state, ("plan", "push"), idle_s=5.0),
            Step("explain", lambda: resolve.explain_late(database, self._channels), idle_s=5.0),
            Step("watch", lambda: watch.watch(database), idle_s=watch.EVERY_S, pace_s=watch.EVERY_S),
            Step("tally", self._tally, ("plan",), idle_s=tally.EVERY_S, pace_s=tally.EVERY_S),
            Step("survey", lambda: survey.survey(database), idle_s=survey.EVERY_S, pace_s=survey.EVERY_S),
            *self._files(),
            Step("audit", lambda: audit.audit_if_due(database), idle_s=audit.EVERY_S, pace_s=audit.EVERY_S),
            Step(
                "measure",
                lambda: measure.measure(database, self._channels),
                idle_s=measure.LOOK_EVERY_S,
                pace_s=measure.LOOK_EVERY_S,
            ),
        ]

    async def _plan(self) -> int:
        planned = await plan.plan(self._database, blind=self._blind())
        # Of many figures at once those that can wait go by a feed, if it is looked at before they have gone one by one.
        feeding = (one.capability for one in self._channels.values() if one.capability.feed_writes)
        if any(planned >= min(one.feed_writes_least, plan.BATCH) for one in feeding):
            self.pulse.wake(("feed",))
        return planned

    async def _resolve(self) -> int:
        async def take(wish: Command) -> Outcome:
            outcome, _ = await self._post(wish)
            return outcome

        ledger = resolve.Ledger(take, lambda: post.post_moves(self._database, self._clock.new_id))
        return await resolve.resolve(self._database, self._channels, ledger)

    async def _state(self) -> int:
        return await state.state(self._database, self._clock.new_id, self._post)

    async def _post(self, command: Command) -> tuple[Outcome, bool]:
        [answered] = await self.poster.post([command])
        return answered.outcome, answered.was_replayed

    async def _post_all(self, commands: Sequence[Command]) -> list[Outcome]:
        return [answered.outcome for answered in await self.poster.post(commands)]

    def _files(self) -> list[Step]:
        if self.watched is None:
            return []
        watcher = Watcher(self._database, self._clock.new_id, self.watched)
        return [Step("files", watcher.look, ("plan",), idle_s=LOOK_EVERY_S, pace_s=LOOK_EVERY_S)]

    def _telling_steps(self) -> list[Step]:
        database, clock, outgoing = self._database, self._clock, self.outgoing
        if outgoing is None:
            return []

        async def work() -> int:
            return await deliver.deliver(database, clock, outgoing)

        return [
            Step("alert", lambda: alert.alert(database), ("tell",), idle_s=alert.EVERY_S, pace_s=alert.EVERY_S),
            Step("tell", lambda: tell.tell(database, clock.new_id), ("deliver",), pace_s=0.1),
            Step("forget events", lambda: tell.forget(database), idle_s=60.0),
            *(Step(f"deliver {number}", work, idle_s=0.5) for number in range(1, DELIVERERS + 1)),
        ]

    def _tracing_steps(self) -> list[Step]:
        if self.give_traces is None:
            return []
        tracer = trace.Tracer(self._database, self.give_traces)
        return [Step("trace", tracer.trace, idle_s=trace.EVERY_S, pace_s=trace.EVERY_S)]

    def _blind(self) -> set[Channel]:
        """Channels that do not compare what is written."""
        return {
            name
            for name, channel in self._channels.items()
            if channel.capability.write_kind is not WriteKind.COMPARE_AND_SET and channel.capability.shows_figures
        }

    async def _tally(self) -> int:
        return await tally.tally_cancellations(self._database)

    async def _forget(self) -> int:
        return await post.forget_answers(self._database) + await count.end_old_counts(self._database)

    def _channel_steps(self, channel: OpenChannel) -> list[Step]:
        database, clock, name = self._database, self._clock, channel.name
        if not channel.capability.shows_figures:
            return []  # It tells us, and there is nothing to ask it.
        steps: Mapping[str, tuple[Callable[[], Awaitable[int]], tuple[str, ...], float, float]] = {
            "poll": (lambda: receive.poll_orders(database, channel, clock), ("interpret",), 0.25, 0),
            "push": (lambda: push.push(database, channel, clock), (f"confirm {name}",), 0.25, 0.02),
            "confirm": (
                lambda: confirm.confirm(database, channel, clock),
                (f"push {name}", "plan", "resolve"),
                0.2,
                0.1,
            ),
            "sweep": (lambda: reconcile.sweep(database, channel, clock), ("plan", f"confirm {name}"), 0.5, 0.5),
            "look": (
                lambda: reconcile.look_often(database, channel),
                (f"confirm {name}",),
                reconcile.HOT_EVERY_S,
                reconcile.HOT_EVERY_S,
            ),
            "weigh": (
                lambda: reconcile.weigh_suspicions(database, channel, clock),
                ("plan", "resolve", f"confirm {name}"),
                0.5,
                0.1,
            ),
        }
        if channel.capability.feed_writes:
            work = (lambda: feed.feed(database, channel, clock), (f"confirm {name}", f"push {name}"), 5.0, 1.0)
            steps = {**steps, "feed": work}
        has_queue = isinstance(channel.connector, Hears) and channel.connector.has_queue
        # A channel that is polled alone tells of no order that it does not show.
        if isinstance(channel.connector, FetchesOrders) and (has_queue or channel.capability.has_webhooks):
            steps = {**steps, "fetch": (lambda: fetch.fetch(database, channel, clock), ("interpret",), 0.5, 0)}
        if has_queue:
            listener = hear.Listener(database, channel, clock)
            steps = {**steps, "hear": (listener.listen, ("interpret",), 0.25, 0)}
        address = announced_at(channel, self._public_url)
        if address and isinstance(channel.connector, Subscribes):
            watchdog = subscribe.Watchdog(database, channel, clock, address=address)
            steps = {**steps, "subscribe": (watchdog.keep, (f"poll {name}", f"sweep {name}"), 5.0, 5.0)}
        return [
            Step(f"{step} {name}", work, wakes, idle_s=idle_s, pace_s=pace_s)
            for step, (work, wakes, idle_s, pace_s) in steps.items()
        ]
