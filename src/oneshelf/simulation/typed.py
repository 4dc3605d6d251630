"""What merchants type at a channel that rules, and which of it nobody can tell the units of.

Written from the meaning of the tables and from the truth of the channel; no rule of the engine is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from psycopg import Connection

# What the engine's adoptions have put there, or taken away, of each SKU.
_ADOPTED = """
    select sku, sum(case when to_account = 'available' then units else -units end)::bigint from movements
    where source like 'drift %' and reason = 'adjusted' group by sku
"""
_KNOWN = """
    select channel_sku, sku, phase, base_units - (net_units - base_net) from listings
    where channel = %s and channel_sku = any(%s)
"""


class Typed:
    """All that was typed on a day while the channel ruled.

    A figure that is typed while a write of ours has no answer started from what was shown before that write or after
    it: the channel shows it, and not from what. So of its SKU nobody can say what the ledger has to follow.
    """

    def __init__(self) -> None:
        # SKU -> units that came, or went.
        self.units: Counter[str] = Counter()
        self.blurred: set[str] = set()
        # Listings with a figure that the engine does not believe yet, so that a write would start from another one.
        self._fresh: set[str] = set()

    def types(self, listing: str, sku: str, by_units: int) -> None:
        self.units[sku] += by_units
        self._fresh.add(listing)

    def look(self, session: Connection[tuple[Any, ...]], channel: str, shown: Mapping[str, int]) -> int:
        """After a change of the ledger. `shown`: listing -> units. Returns how many more SKUs nobody can tell of."""
        before = len(self.blurred)
        if self._fresh:
            for listing, sku, phase, believed in session.execute(_KNOWN, (channel, sorted(self._fresh)), prepare=True):
                if phase == "unknown":
                    self.blurred.add(sku)
                elif phase in {"idle", "accepted"} and believed == shown[listing]:
                    self._fresh.discard(listing)
        return len(self.blurred) - before

    def came(self, session: Connection[tuple[Any, ...]], *, untold: Collection[str]) -> Counter[str]:
        """SKU -> units that came, or went, by what was typed; of those that nobody can tell, by what was adopted."""
        open_skus = self.blurred.union(untold)
        adopted = dict(session.execute(_ADOPTED))
        skus = {*self.units, *adopted}
        return Counter({sku: adopted.get(sku, 0) if sku in open_skus else self.units[sku] for sku in sorted(skus)})
