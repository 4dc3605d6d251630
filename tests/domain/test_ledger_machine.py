"""Thousands of steps of everything that can happen: the engine agrees with the ledger on paper, account by account."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import ClassVar

import pytest

from domain.histories import ELSEWHERE, OUTCOMES, Tally, live_until
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


class PureMachine(LedgerMachine):
    """The rules of the domain, without a database."""

    met: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.shelf = shelf()
        self.now = NOON
        self.books: dict[str, Counter[str]] = {}
        self.added_up = 0

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
        # Added up as they come: a history of n steps would cost its square.
        for movement in self.shelf.movements[self.added_up :]:
            for account, units in ((movement.origin, -movement.units), (movement.target, movement.units)):
                is_outside = isinstance(account.name, Outside)
                name = account.name.value if is_outside else f"{account.location} {account.name.value}"
                self.books.setdefault(movement.sku, Counter())[name] += units
        self.added_up = len(self.shelf.movements)
        found = {sku: {name: units for name, units in account.items() if units} for sku, account in self.books.items()}
        return {sku: account for sku, account in found.items() if account}


# Together 50,000 steps (`make simulate` takes a million); in shares, so that the workers of a run can each take some.
STEPS, SHARES = 50_000, 4


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(1, SHARES + 1))
def test_the_rules_agree_with_a_ledger_on_paper_whatever_happens(seed: int) -> None:
    tally = Tally()
    live_until(PureMachine, tally, lambda: not tally.missed(), seed=seed, steps=STEPS // SHARES)
    print(f"seed {seed}: {tally.steps} steps in {tally.histories} histories: {sorted(tally.met.items())}")
    assert tally.steps >= STEPS // SHARES
    assert not tally.missed(), "never met"


def test_what_the_machine_is_excused_from_meeting_exists() -> None:
    assert set(ELSEWHERE) < OUTCOMES
