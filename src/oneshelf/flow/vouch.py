"""Say whether what a buyer is about to pay for can still be sold, by the ledger as it is now.

Reads: listings, balances, policies, pools, what listings may sell. Writes: nothing, and holds nothing back.
Next: whoever asked.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from oneshelf.domain.identity import Channel
from oneshelf.domain.rights import Mode
from oneshelf.flow.deriving import Derived, derived_now
from oneshelf.sdk.checkout import CheckoutAnswer, CheckoutOutcome, CheckoutQuestion
from oneshelf.storage import offers, views
from oneshelf.storage.database import Database, now


class Vouched(NamedTuple):
    """An answer for each question, in their order, all as of `at`."""

    answers: list[CheckoutAnswer]
    at: datetime


async def vouch(database: Database, channel: Channel, questions: Sequence[CheckoutQuestion]) -> Vouched:
    """How many can be sold now of each listing that is asked about: what it would show if it were planned now.

    What is asked of one SKU in one call is added up: it may be one order. Of several listings with one SKU nobody says
    which is bought: the one with the fewest counts.
    """
    asked: Counter[str] = Counter()
    for question in questions:
        if question.is_here:
            asked[question.sku] += question.units
    async with database.transaction() as tx:
        await views.freeze(tx)
        at = await now(tx)
        found = await offers.asked_of(tx, channel, asked) if asked else []
        derived = await derived_now(tx, {one.sku for one in found if one.is_live}, at=at)
    named: defaultdict[str, list[offers.Asked]] = defaultdict(list)
    for one in found:
        for name in {str(one.key[1]), one.merchant_sku}:
            named[name].append(one)
    answers = [
        _answer(named[question.sku], derived, units=asked[question.sku])
        if question.is_here
        else CheckoutAnswer(CheckoutOutcome.ELSEWHERE)
        for question in questions
    ]
    return Vouched(answers, at)


def _answer(found: Sequence[offers.Asked], derived: Derived, *, units: int) -> CheckoutAnswer:
    live = [one for one in found if one.is_live]
    if not live:
        return CheckoutAnswer(CheckoutOutcome.NOT_LIVE if found else CheckoutOutcome.UNKNOWN)
    left = min(_sellable(one, derived) for one in live)
    return CheckoutAnswer(CheckoutOutcome.AVAILABLE if units <= left else CheckoutOutcome.TOO_FEW, left)


def _sellable(one: offers.Asked, derived: Derived) -> int:
    guards, units = derived.guards_of(one.key), derived.figures[one.key].units
    if any(guard.mode is Mode.FROZEN for guard in guards):
        return 0
    if any(guard.is_guarded for guard in guards):
        # Its part, once it is planned and once it is granted: what is taken from it need not be written yet, and what
        # is given to it another listing may still sell.
        return min(units, one.desired_units or 0, one.rights_units or 0)
    return units
