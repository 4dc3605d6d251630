"""The systems beside the engine on a day of a middleware: a warehouse that counts its shelf, and an ERP.

Units lie on the shelf of which no paper says so, or are missing: the warehouse finds out by counting while everybody
sells on, and ranks first. The ERP states what comes and leaves by document, says some of it twice or otherwise, and
states figures of its own, which are wrong.

Written from the meaning of the tables and of the API; no rule of the engine is used.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

import httpx2
import msgspec
from psycopg import Connection

from oneshelf.simulation.faults import Faults
from oneshelf.simulation.network import ENGINE_PORT, HOST, Network

WAREHOUSE, ERP = "wms", "erp"
LOCATION = "BER"
# Seconds between two acts of each, on average; and how long a count takes.
COUNT_S, STATE_S = 6.0, 5.0
COUNTING_S = (0.0, 6.0)
ASK_AGAIN_S = (0.2, 4.0)
# Of the counts those before which something was lost or put there.
HIDDEN_SHARE = 0.5
TWICE_SHARE = 0.3

_BEGUN = """
    select available + committed + reserved + damaged + quality_control + safety_stock, version
    from counts where sku = %s and token = %s
"""
# What statements have put on a shelf, or taken off it, by a version of its balance.
_FOLLOWED = """
    select coalesce(sum(case when from_account = 'found' then units
                             when to_account = 'shrinkage' then -units end), 0)::bigint
    from movements where sku = %s and coalesce(from_location, to_location) = %s and version <= %s
      and source like 'statement %%'
"""
_WAITING = """
    select s.document, s.state, b.available from statements s
    left join balances b on b.sku = s.sku and b.location = s.location where s.source = 'erp' and s.figure = ''
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a document of the ERP says came, or left (below zero)."""

    sku: str
    units: int


class Peers:
    """`skus`: what there is to count. `session` sees what is committed."""

    def __init__(self, seed: str, network: Network, faults: Faults, session: Connection[tuple[Any, ...]]) -> None:
        self.skus: Sequence[str] = ()
        self.is_closed = False
        self.is_guarded = False
        self._random = Random(f"{seed}:peers")  # noqa: S311  # repeatable, not a secret
        self._network = network
        self._faults = faults
        self._session = session
        # SKU -> units on the shelf of which no paper says so; and those of them that the last count has found.
        self._hidden: Counter[str] = Counter()
        self._found: Counter[str] = Counter()
        self._counted: set[str] = set()
        self._delivered: dict[str, Delivery] = {}
        self._number = 0
        # What nobody may be answered.
        self._broken: list[str] = []

    def acts(self) -> Iterator[Coroutine[Any, Any, None]]:
        """All that they do, until the day is over."""
        yield self._count()
        yield self._state()

    def came(self) -> Counter[str]:
        """SKU -> units that came, or went, by what they have stated and the ledger has to have by now."""
        came = Counter(self._found)
        for document, state, _ in self._session.execute(_WAITING):
            if state == "posted":
                came[self._delivered[document].sku] += self._delivered[document].units
        return came

    def unsettled(self) -> Iterator[str]:
        """What nobody has decided upon yet, or taken, though it could be."""
        yield from self._broken
        [(new,)] = self._session.execute("select count(*) from statements where state = 'new'")
        if new:
            yield f"{new} statements wait"
        kept = set()
        for document, state, available in self._session.execute(_WAITING):
            kept.add(document)
            units = self._delivered[document].units
            if state == "waiting" and (available or 0) + units >= 0:
                yield f"{document} of {units} waits, and {available} are available"
            elif state not in {"posted", "waiting"}:
                yield f"{document} is {state}"
        yield from (f"{document} of the ERP is not known" for document in sorted(self._delivered.keys() - kept))

    # The warehouse ------------------------------------------------------------------------------------------------

    async def _count(self) -> None:
        """Begin a count, look, and state what lies there as of the beginning, while others move it."""
        random = self._random
        while not self.is_closed:
            await asyncio.sleep(random.expovariate(1 / COUNT_S))
            sku = random.choice(self.skus)
            token = await self._begun(sku)
            booked, version = next(iter(self._session.execute(_BEGUN, (sku, token))))
            [(followed,)] = self._session.execute(_FOLLOWED, (sku, LOCATION, version))
            if random.random() < HIDDEN_SHARE:
                # Of a guarded SKU nothing is lost: nobody can promise that it is not.
                self._hidden[sku] += random.choice((1, 2, 5) if self.is_guarded else (-2, -1, 1, 2, 5))
            # Nothing is missing that was not there.
            self._hidden[sku] = found = max(self._hidden[sku], followed - booked)
            lying = booked - followed + found
            await asyncio.sleep(random.uniform(*COUNTING_S))
            self._number += 1
            row = {"figure": "on_hand", "units": lying, "seen": {"token": str(token)}, "sequence": self._number}
            answers = await self._say(WAREHOUSE, {"document": f"count {self._number}", "sku": sku, **row})
            if answers[0]["outcome"] == "quarantined":
                continue
            self._found[sku] = found
            self._counted.add(sku)
            self._faults.saw("a warehouse counted" + (" what no paper knew" if lying != booked else ""))

    async def _begun(self, sku: str) -> UUID:
        told = await self._ask("/v1/counts", {"location": LOCATION, "skus": [sku]})
        return UUID(told["token"])

    # The ERP ------------------------------------------------------------------------------------------------------

    async def _state(self) -> None:
        """What came or left, by document; some of it twice, some of it otherwise; and figures, which are wrong."""
        random = self._random
        while not self.is_closed:
            await asyncio.sleep(random.expovariate(1 / STATE_S))
            kind = random.choice(("delivery", "delivery", "delivery", "otherwise", "figure"))
            if kind == "otherwise" and self._delivered:
                await self._equivocate()
            elif kind == "figure" and self._counted:
                await self._state_figure()
            elif kind == "delivery":
                await self._deliver()

    async def _deliver(self) -> None:
        random = self._random
        self._number += 1
        document, sku = f"GR {self._number}", random.choice(self.skus)
        units = random.choice((1, 2, 4) if self.is_guarded else (-2, -1, 1, 2, 4))
        self._delivered[document] = Delivery(sku, units)
        row = {"document": document, "sku": sku, "figure": "delta", "units": units}
        times = 2 if random.random() < TWICE_SHARE else 1
        answers = await asyncio.gather(*(self._say(ERP, row) for _ in range(times)))
        self._faults.saw("an ERP stated a delivery" + (" twice at the same time" if len(answers) > 1 else ""))

    async def _equivocate(self) -> None:
        document = self._random.choice(sorted(self._delivered))
        told = self._delivered[document]
        row = {"document": document, "sku": told.sku, "figure": "delta", "units": told.units + 1 or 2}
        answers = await self._say(ERP, row)
        if answers[0]["outcome"] != "quarantined":
            self._broken.append(f"{document} says two things, and is not set aside: {answers}")
        self._faults.saw("an ERP said two things by one document")

    async def _state_figure(self) -> None:
        """Of a SKU that the warehouse has counted: that ranks first, and what the ERP states is no news to it."""
        sku = self._random.choice(sorted(self._counted))
        self._number += 1
        [(now,)] = self._session.execute("select db_now()")
        row = {"figure": "on_hand", "units": self._random.randint(0, 30), "seen": {"as_of": now.isoformat()}}
        await self._say(ERP, {"document": f"stock {self._number}", "sku": sku, **row})
        self._faults.saw("an ERP stated a wrong figure")

    # How they ask -------------------------------------------------------------------------------------------------

    async def _say(self, source: str, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        told = await self._ask("/v1/statements", {"source": source, "statements": [{"location": LOCATION, **row}]})
        answers: list[dict[str, Any]] = told.get("answers", [{"outcome": ""}])
        return answers

    async def _ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask until there is an answer, of whichever node answers."""
        content = msgspec.json.encode(body)
        while True:
            up = [node for node in self._network.nodes if node.is_up]
            if up:
                headers = {"Content-Type": "application/json"}
                url = f"http://{HOST}:{ENGINE_PORT}{path}"
                request = httpx2.Request("POST", url, headers=headers, content=content)
                with suppress(httpx2.HTTPError):
                    response = await self._network.ask(self._random.choice(up), request)
                    if response.status_code == 200:
                        told: dict[str, Any] = msgspec.json.decode(response.content)
                        return told
                    if response.status_code < 500:
                        self._broken.append(f"{path} was refused: {response.text}")
                        return {}
            await asyncio.sleep(self._random.uniform(*ASK_AGAIN_S))
