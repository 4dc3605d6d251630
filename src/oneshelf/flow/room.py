"""What the policy lets wholesale take of a balance, asked by whoever sets units aside and by whoever offers them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from oneshelf.domain.identity import Sku
from oneshelf.domain.ledger import BalanceKey
from oneshelf.domain.offering import Rules
from oneshelf.domain.wholesale import WHOLESALE, room
from oneshelf.storage import policies, publications, wholesale
from oneshelf.storage.database import Transaction


async def rooms(tx: Transaction, available: Mapping[BalanceKey, int]) -> dict[BalanceKey, int]:
    """`balance -> units` that wholesale may take more. `available`: what lies there, orders that wait served."""
    rules = await policies.rules_of(tx, {(sku, WHOLESALE) for sku, _ in available})
    return {key: one.units(rules) for key, one in (await places(tx, available)).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A balance as wholesale sees it: `available` to sell now, and what wholesale holds already."""

    sku: Sku
    available: int
    allocated: int

    def units(self, rules: Rules) -> int:
        """How many units more wholesale may take by these rules."""
        policy = rules.policy_for(self.sku, WHOLESALE)
        return room(policy, available_to_sell=self.available, allocated=self.allocated)


async def places(tx: Transaction, available: Mapping[BalanceKey, int]) -> dict[BalanceKey, Place]:
    """These balances as wholesale sees them. What is in suspense may be sold, and is nobody's."""
    in_suspense = await publications.in_suspense(tx, {sku for sku, _ in available})
    held = await wholesale.allocated(tx, available)
    return {
        (sku, at): Place(
            sku=sku,
            available=max(0, units - in_suspense.get(sku, (0, 0))[0]),
            allocated=held.get((sku, at), 0),
        )
        for (sku, at), units in available.items()
    }
