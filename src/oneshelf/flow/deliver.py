"""Send events to the endpoints that follow them, signed, until each is taken.

Reads: endpoints, deliveries, events. Writes: deliveries, and how it goes with the endpoint. Next: nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from oneshelf.clock import Clock
from oneshelf.domain.delivery import EndpointKind, Reply, is_hopeless, rest_s, retry_after_s
from oneshelf.flow import people
from oneshelf.flow.outgoing import DEADLINE_S, Outgoing
from oneshelf.storage import deliveries, endpoints
from oneshelf.storage.database import Database, now
from oneshelf.storage.deliveries import Due, Failed
from oneshelf.storage.endpoints import Claimed
from oneshelf.telemetry import get_logger

# Events of different subjects that are on their way to one endpoint at the same time.
AT_ONCE = 8
# Alerts in one message to people.
ALERTS_MAX = 100
# A turn sends one batch and writes down what came of it: longer than the deadline of a call.
LEASE_S = 4 * DEADLINE_S

log = get_logger(__name__)

_CHANCES = 1 << 32


async def deliver(database: Database, clock: Clock, outgoing: Outgoing) -> int:
    """Send one batch to the endpoint that waits longest. Returns how many events it took or refused.

    A killed node's batch is sent again when its lease has run out: at least once, with the same ids.
    """
    lease = clock.new_id()
    async with database.transaction() as tx:
        held = await endpoints.claim(tx, lease=lease, lease_s=LEASE_S)
        if held is None:
            return 0
        # One knocks at a door behind which nobody answered the last time.
        due = await deliveries.due(tx, held.endpoint, limit=_at_once(held))
    replies = await _sent(database, outgoing, held, due)
    await _record(database, held, list(zip(due, replies, strict=True)))
    return len(due)


def _at_once(held: Claimed) -> int:
    """How many events are sent in this turn. People get one message about all of them, also again."""
    if held.kind != EndpointKind.WEBHOOK:
        return ALERTS_MAX
    return 1 if held.fail_streak else AT_ONCE


async def _sent(database: Database, outgoing: Outgoing, held: Claimed, due: Sequence[Due]) -> Sequence[Reply]:
    if held.kind == EndpointKind.WEBHOOK:
        return await asyncio.gather(*(outgoing.send(database.keyring, held, one.event) for one in due))
    if not due:
        return []
    return [await people.told(database.keyring, outgoing, held, [one.event for one in due])] * len(due)


async def _record(database: Database, held: Claimed, tried: Sequence[tuple[Due, Reply]]) -> None:
    """What came of a batch, where the lease still stands: whoever has it by now sends them again."""
    chance = _chance(held.lease)
    taken = [due for due, reply in tried if reply.is_delivered]
    refused = [(due, reply) for due, reply in tried if not reply.is_delivered]
    state = "active"
    async with database.transaction() as tx:
        if not await endpoints.lock(tx, held):
            return
        await deliveries.done(tx, held, taken)
        await deliveries.failed(tx, held, [_failed(due, reply, chance) for due, reply in refused])
        if taken or not refused:
            await endpoints.went_well(tx, held, delivered_count=len(taken))
            if held.fail_streak:
                await endpoints.make_due(tx, held.endpoint)
        if refused:
            last = refused[-1][1]
            state = _state([reply for _, reply in refused], held if not taken else None, at=await now(tx))
            await endpoints.failed(
                tx,
                held,
                words=last.words,
                failed_count=len(refused),
                rest_s=rest_s(1 if taken else held.fail_streak + 1, chance=chance, asked_s=last.retry_after_s),
                state=state,
            )
    _say(held, taken, [reply for _, reply in refused], state)


def _failed(due: Due, reply: Reply, chance: float) -> Failed:
    after_s = retry_after_s(due.tries + 1, chance=chance, asked_s=reply.retry_after_s)
    return Failed(due, reply.words, after_s)


def _state(replies: Sequence[Reply], held: Claimed | None, *, at: datetime) -> str:
    if any(reply.is_gone for reply in replies):
        return "gone"
    if held is not None and is_hopeless(held.failing_since, now=at):
        return "failing"
    return "active"


def _say(held: Claimed, taken: Sequence[Due], refused: Sequence[Reply], state: str) -> None:
    """One line per change of state."""
    if state != "active":
        log.error("endpoint.disabled", endpoint=held.endpoint, state=state, words=refused[-1].words)
    elif refused and not held.fail_streak:
        log.warning("endpoint.failing", endpoint=held.endpoint, words=refused[-1].words)
    elif taken and held.fail_streak:
        log.info("endpoint.recovered", endpoint=held.endpoint)


def _chance(lease: UUID) -> float:
    """From 0 to 1, out of the randomness that the clock has put into an id."""
    return (lease.int % _CHANCES) / _CHANCES
