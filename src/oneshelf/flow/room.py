"""What the policy lets wholesale take of a balance, asked by whoever sets units aside and by whoever offers them."""

from __future__ import annotations

from collections.abc import Mapping

from oneshelf.domain.ledger import BalanceKey
from oneshelf.domain.wholesale import WHOLESALE, room
from oneshelf.storage import policies, publications, wholesale
from oneshelf.storage.database import Transaction


async def rooms(tx: Transaction, available: Mapping[BalanceKey, int]) -> dict[BalanceKey, int]:
    """`balance -> units` that wholesale may take more. `available`: what lies there, orders that wait served."""
    skus = {sku for sku, _ in available}
    rules = await policies.rules_of(tx, {(sku, WHOLESALE) for sku in skus})
    in_suspense = await publications.in_suspense(tx, skus)
    held = await wholesale.allocated(tx, available)
    return {
        (sku, at): room(
            rules.policy_for(sku, WHOLESALE),
            available_to_sell=max(0, units - in_suspense.get(sku, (0, 0))[0]),
            allocated=held.get((sku, at), 0),
        )
        for (sku, at), units in available.items()
    }
