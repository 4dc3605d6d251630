"""What a device at a counter tells by number: sales, returns, exchanges and voids, late, twice, in any order.

A number is told once: the same number with the same content says nothing new, and with other content it is shown to a
person and moves nothing. Numbers begin at 1 and leave none out, so that a missing one is noticed.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from oneshelf.domain.command import ReturnInto
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.domain.order import HandedOver, OrderLine, OrderSnapshot

SEQUENCE_MAX = 10**15
# A till that was off the network for longer than that has lost its clock: nobody keeps sales back for a quarter.
OFFLINE_MAX = timedelta(days=92)
SOLD, VOIDED = "1", "2"


class DeviceEventKind(StrEnum):
    """What happened at the counter."""

    SALE = "sale"
    RETURN = "return"
    EXCHANGE = "exchange"  # some came back and others left, on one receipt
    VOID = "void"  # the sale of that receipt did not take place


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLine:
    """`units` of a listing that left, or that a customer brought and that went `into` a stock state."""

    channel_sku: ChannelSku
    units: int
    into: ReturnInto | None = None
    is_barcode: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEvent:
    """One number of one device. `at` is by the device's clock.

    `receipt` is its own, but for a void: that of the sale, which `receipt_device` made.
    """

    device: str
    sequence: int
    kind: DeviceEventKind
    at: datetime
    receipt: str
    receipt_device: str
    lines: tuple[DeviceLine, ...] = ()

    @property
    def fingerprint(self) -> bytes:
        """Equal for the same content, however it was written down."""
        return hashlib.sha256(msgspec.json.encode(self)).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAlive:
    """A device is on, and `sequence` is the last number that it used."""

    device: str
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Instants:
    """When an event happened, as far as a clock that is wrong can tell: between `came_at` and `left_at`.

    What left is counted as late as it can have been, what came as early: so each count keeps the lower figure where
    nobody can know whether it had seen it.
    """

    placed_at: datetime
    left_at: datetime
    came_at: datetime


def instants(at: datetime, *, received_at: datetime, sent_at: datetime | None, error_s: int) -> Instants:
    """`at` by our clock. `sent_at`: what the device's clock showed when it sent: so much of its error is known.

    What was told as of the future, or from before anybody keeps sales back, is of a clock that is lost: then what left
    counts from now, and what came from long ago.
    """
    placed_at = at + (received_at - sent_at) if sent_at is not None else at
    error = timedelta(seconds=error_s)
    if placed_at < received_at - OFFLINE_MAX:
        return Instants(placed_at=received_at, left_at=received_at, came_at=received_at - OFFLINE_MAX)
    placed_at = min(placed_at, received_at)
    return Instants(placed_at=placed_at, left_at=min(placed_at + error, received_at), came_at=placed_at - error)


def order_of(
    channel: Channel, event: DeviceEvent, when: Instants, *, voided_at: datetime | None = None
) -> OrderSnapshot:
    """The receipt as an order whose units have changed hands. `voided_at`: it did not take place, and was back then."""
    lines = tuple(_line(number, line, is_void=voided_at is not None) for number, line in enumerate(event.lines, 1))
    return OrderSnapshot(
        channel=channel,
        order_id=f"{event.device}/{event.receipt}",
        version=SOLD if voided_at is None else VOIDED,
        placed_at=when.placed_at,
        is_pending=False,
        lines=lines,
        handed_over=HandedOver(left_at=when.left_at, came_at=voided_at or when.came_at),
    )


def _line(number: int, line: DeviceLine, *, is_void: bool) -> OrderLine:
    if line.into is not None:
        return OrderLine(
            str(number), line.channel_sku, units_ordered=0, units_brought=line.units, brought_into=line.into
        )
    taken_back = line.units if is_void else 0
    return OrderLine(
        str(number),
        line.channel_sku,
        units_ordered=line.units,
        units_cancelled=taken_back,
        units_relisted=taken_back,
        units_shipped=line.units - taken_back,
    )


# Numbers --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """Numbers from `first` to `last` that are missing since `noticed_at`."""

    first: int
    last: int
    noticed_at: datetime

    @property
    def size(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Numbers:
    """How far a device's numbers have got: `highest` was used, and all up to it are told but for the sorted `gaps`."""

    highest: int = 0
    gaps: tuple[Gap, ...] = ()

    def heard(self, sequences: Iterable[int], *, used: int = 0, now: datetime) -> Numbers:
        """With these told, and all up to `used` said to be used. In any order it ends the same."""
        highest, gaps = self.highest, list(self.gaps)
        for sequence in sorted(set(sequences)):
            if sequence > highest:
                if sequence > highest + 1:
                    gaps.append(Gap(highest + 1, sequence - 1, now))
                highest = sequence
                continue
            place = bisect_right(gaps, sequence, key=_first) - 1
            if place >= 0 and sequence <= gaps[place].last:
                gaps[place : place + 1] = _without(gaps[place], sequence)
        if used > highest:
            gaps.append(Gap(highest + 1, used, now))
            highest = used
        return Numbers(highest, tuple(gaps))


def _first(gap: Gap) -> int:
    return gap.first


def _without(gap: Gap, sequence: int) -> list[Gap]:
    parts = [Gap(gap.first, sequence - 1, gap.noticed_at), Gap(sequence + 1, gap.last, gap.noticed_at)]
    return [part for part in parts if part.size > 0]
