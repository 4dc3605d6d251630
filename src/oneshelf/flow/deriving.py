"""What the listings of some SKUs would show if they were planned now: what planning stores, and who asks only reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from oneshelf.domain.availability import Derivation
from oneshelf.domain.identity import Sku
from oneshelf.domain.offering import Offered, OfferKey, Rules, Stock, derive_all
from oneshelf.flow.pooling import sellable_now
from oneshelf.storage import demand, offers, policies, rights
from oneshelf.storage.database import Transaction


@dataclass(frozen=True, slots=True)
class Derived:
    """The listings of some SKUs, and what each would show by its policy. `guards`: of SKUs that are not pooled."""

    sold: Mapping[OfferKey, Offered]
    stock: Stock
    figures: Mapping[OfferKey, Derivation]
    guards: Mapping[Sku, rights.Guard]

    def guards_of(self, key: OfferKey) -> list[rights.Guard]:
        """How the SKU of this listing, and the units that it sells, are shared where they are not pooled."""
        one = self.sold[key]
        return [self.guards[sku] for sku in {one.sku, *one.counted} if sku in self.guards]


async def derived_now(tx: Transaction, skus: Collection[Sku], *, at: datetime) -> Derived:
    """All listings of these SKUs. The transaction should see one instant; nothing is locked or stored.

    How the units of a guarded SKU are split is not in it: that depends on what each listing may sell meanwhile.
    """
    sold = await offers.of_skus(tx, skus)
    rules = await policies.rules_of(tx, {(one.sku, one.channel) for one in sold})
    stock = await offers.stock_of(tx, sold)
    stock = replace(stock, pools=await sellable_now(tx, stock.shelves, at=at))
    return Derived(
        sold={one.key: one for one in sold},
        stock=stock,
        figures=await figures_of(tx, sold, rules, stock),
        guards=await rights.guards(tx, {sku for one in sold for sku in (one.sku, *one.counted)}),
    )


async def figures_of(
    tx: Transaction, offers: Sequence[Offered], rules: Rules, stock: Stock
) -> dict[OfferKey, Derivation]:
    """What each of these shows by its policy, and by the buffer that was measured for it, see `derive_all`."""
    buffered = {one.key: (one.sku, one.channel) for one in offers if rules.policy_of(one).asks_computed_buffer}
    measured = await demand.buffers(tx, set(buffered.values())) if buffered else {}
    return derive_all(offers, rules, stock, computed_buffers={key: measured[sold] for key, sold in buffered.items()})
