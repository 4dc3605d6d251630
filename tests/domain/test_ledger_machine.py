"""Thousands of steps of everything that can happen: the engine agrees with the ledger on paper, account by account."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from domain.machine import Figures, LedgerMachine
from domain.shop import DUO, NOON, ask, assert_sound, shelf
from oneshelf.domain.account import Outside
from oneshelf.domain.bundle import BundleWish
from oneshelf.domain.command import Command
from oneshelf.domain.fulfilment import Link, post_order
from oneshelf.domain.identity import ChannelSku, Location, Sku
from oneshelf.domain.ledger import Backorder
from oneshelf.domain.order import OrderSnapshot
from oneshelf.domain.outcome import Outcome
from oneshelf.domain.reservation import expire

MUG_LINK = Link(Sku("MUG"), Location("BER"), 1)
REFUSALS = {
    "IsBundle",
    "Short",
    "TooFew",
    "ReservationEnded",
    "NotAHold",
    "NotThatManyShipped",
    "NotThatManyHeld",
    "NoSuchLine",
}
DONE = {"partly", "waits", "Posted", "Reserved", "Claimed", "Released", "CountedShort", "Arrived", "PostedLate", "told"}
TRANSFERS = {"TransferExists", "TransferEnded", "NoSuchTransfer"}


class PureMachine(LedgerMachine):
    """The rules of the domain, without a database."""

    met: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.shelf = shelf()
        self.now = NOON

    def ask(self, command: Command) -> Outcome:
        outcome = ask(self.shelf, command, now=self.present())
        assert_sound(self.shelf)
        return outcome

    def tell(self, snapshot: OrderSnapshot) -> None:
        expire(self.shelf, now=self.present())
        duo = Link(DUO, Location("BER"), 1, self.shelf.bundles[DUO])
        post_order(self.shelf, snapshot, {ChannelSku("mug"): MUG_LINK, ChannelSku("duo"): duo})
        assert_sound(self.shelf)

    def define(self, bundle: BundleWish) -> None:
        self.shelf.bundles = {bundle.sku: bundle.components}

    def allow(self, place: tuple[Sku, Location], policy: Backorder | None) -> None:
        others = {key: one for key, one in self.shelf.backorders.items() if key != place}
        self.shelf.backorders = {**others, place: policy} if policy else others

    def pass_time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    def present(self) -> datetime:
        # No two things happen at the same instant.
        self.now += timedelta(milliseconds=1)
        return self.now

    def accounts(self) -> Figures:
        books: dict[str, Counter[str]] = {}
        for movement in self.shelf.movements:
            for account, units in ((movement.origin, -movement.units), (movement.target, movement.units)):
                is_outside = isinstance(account.name, Outside)
                name = account.name.value if is_outside else f"{account.location} {account.name.value}"
                books.setdefault(movement.sku, Counter())[name] += units
        found = {sku: {name: units for name, units in account.items() if units} for sku, account in books.items()}
        return {sku: account for sku, account in found.items() if account}


def test_the_rules_agree_with_a_ledger_on_paper_whatever_happens() -> None:
    PureMachine.met.clear()
    run_state_machine_as_test(
        PureMachine,
        settings=settings(
            max_examples=200,
            stateful_step_count=80,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert PureMachine.met.total() > 3_000
    missed = (DONE | REFUSALS | TRANSFERS) - set(PureMachine.met)
    assert not missed, f"never met: {missed}; met {PureMachine.met}"
