"""The rules of transfers: units leave one location, are on their way, and arrive, short or over."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from oneshelf.domain.account import Account, Outside, StockState
from oneshelf.domain.command import Arrive, Dispatch, TransferCommand
from oneshelf.domain.ledger import Shelf, Transfer
from oneshelf.domain.movement import Reason
from oneshelf.domain.outcome import Arrived, NoRoom, NoSuchTransfer, Posted, Short, TransferEnded, TransferExists


def post_transfer(
    shelf: Shelf, command: TransferCommand, *, now: datetime
) -> Posted | Arrived | Short | NoRoom | NoSuchTransfer | TransferExists | TransferEnded:
    """Decide a dispatch or an arrival."""
    match command:
        case Dispatch():
            return _dispatch(shelf, command, now)
        case Arrive():
            return _arrive(shelf, command)
        case _:
            assert_never(command)


def _dispatch(shelf: Shelf, command: Dispatch, now: datetime) -> Posted | Short | TransferExists:
    sku, origin = command.sku, command.origin
    known = shelf.transfers.get((sku, command.transfer_id))
    if known:
        return TransferExists(command.transfer_id, sku, known.units_sent)
    if shelf.available(sku, origin) < command.units:
        return Short(sku, origin, asked=command.units, available=shelf.available(sku, origin))
    transfer = Transfer(
        sku=sku,
        transfer_id=command.transfer_id,
        origin=origin,
        target=command.target,
        units_sent=command.units,
        created_at=now,
    )
    shelf.transfers[transfer.key] = transfer
    shelf.changed_transfers.add(transfer.key)
    shelf.move(
        sku,
        origin=Account(StockState.AVAILABLE, origin),
        target=Account(Outside.IN_TRANSIT),
        units=command.units,
        reason=Reason.DISPATCHED,
        source=transfer.source,
    )
    return Posted(units_moved=command.units, available=shelf.available(sku, origin))


def _arrive(shelf: Shelf, command: Arrive) -> Arrived | NoRoom | NoSuchTransfer | TransferEnded:
    transfer = shelf.transfers.get((command.sku, command.transfer_id))
    if transfer is None:
        return NoSuchTransfer(command.transfer_id, command.sku)
    if transfer.units_under_way == 0:
        return TransferEnded(
            transfer.transfer_id,
            transfer.sku,
            units_sent=transfer.units_sent,
            units_arrived=transfer.units_arrived + transfer.units_over,
            units_lost=transfer.units_lost,
        )
    if refusal := shelf.no_room(transfer.sku, transfer.target, command.units):
        return refusal
    sent = min(command.units, transfer.units_under_way)
    over = command.units - sent
    lost = transfer.units_under_way - sent if command.is_last else 0
    way, there = Account(Outside.IN_TRANSIT), Account(StockState.AVAILABLE, transfer.target)
    # More than was sent is a slip of the pen or somebody else's: on hand, and for sale once a person has looked.
    aside = Account(StockState.QUALITY_CONTROL, transfer.target)
    for origin, target, units, reason in (
        (way, there, sent, Reason.ARRIVED),
        (Account(Outside.FOUND), aside, over, Reason.ARRIVED_OVER),
        (way, Account(Outside.SHRINKAGE), lost, Reason.LOST_IN_TRANSIT),
    ):
        shelf.move(transfer.sku, origin=origin, target=target, units=units, reason=reason, source=transfer.source)
    transfer.units_arrived += sent
    transfer.units_over += over
    transfer.units_lost += lost
    shelf.changed_transfers.add(transfer.key)
    shelf.fill_shortages()
    return Arrived(command.units, over, lost, available=shelf.available(transfer.sku, transfer.target))
