"""A client: asks any engine over HTTP, and writes down what came of it. Also what it reads there in the end."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from time import monotonic
from typing import Any

import httpx2
import msgspec

from simulation.cluster.history import History, Op, Outcome
from simulation.cluster.house import House

ASK_S_MAX = 3.0
# Who gave no answer is left alone for a while, as a balancer before the engines would.
SHUNNED_S = 1.0
# Whoever gets no answer asks again with the same key, elsewhere; or gives up, and nobody knows.
ASKS_AGAIN = 0.6
TRIES_MAX = 4
NOTHING_DONE = "overloaded"
_UNSURE = frozenset({"still-posting", "unavailable"})
_PROBLEM = "urn:oneshelf:problem:"


class Till:
    """Asks for one workload."""

    def __init__(self, house: House, history: History, chance: Random) -> None:
        self._house, self._history, self._chance = house, history, chance
        self._shunned_until_s: dict[str, float] = {}
        limits = httpx2.Limits(max_connections=30)
        self.client = httpx2.AsyncClient(timeout=ASK_S_MAX, trust_env=False, limits=limits)

    async def command(self, mark: str, key: str, asked: Mapping[str, Any], *, insists: bool = False) -> Op:
        """One command, asked for once or several times with its key. `insists`: until there is an answer."""
        return await self._ask(mark, "/v1/commands", {"commands": [{**asked, "key": key}]}, asked, insists=insists)

    async def reserve(self, mark: str, key: str, asked: Mapping[str, Any]) -> Op:
        return await self._ask(mark, "/v1/reservations", {**asked, "key": key}, asked)

    async def name(self, *skus: str) -> None:
        """Let the engines know these SKUs, and both locations."""
        await self._insist("/v1/locations", {"locations": [{"location": name} for name in ("BER", "HAM")]})
        await self._insist("/v1/skus", {"skus": [{"sku": sku} for sku in skus]})

    async def read(self, path: str, **question: str | int) -> dict[str, Any] | None:
        """What an engine says: nothing of what it does not know; None where it does not answer."""
        try:
            said = await self.client.get(f"{self._address()}{path}", params=question)
        except httpx2.TransportError:
            return None
        if said.status_code == 404:
            return {}
        return said.json() if said.status_code == 200 else None

    async def movements(self, sku: str) -> list[dict[str, Any]]:
        """All movements of a SKU, newest first. The engines are well."""
        rows: list[dict[str, Any]] = []
        page: dict[str, Any] | None = {"next": None}
        while page is not None:
            before = {} if page["next"] is None else {"before": page["next"]}
            page = await self.read(f"/v1/skus/{sku}/movements", limit=1000, **before)
            assert page is not None, f"the movements of {sku} cannot be read"
            rows += page.get("movements", [])
            if page.get("next") is None:
                break
        return rows

    async def shelf(self, sku: str) -> dict[str, Any]:
        """Where its units are; of a SKU that is lost, none anywhere."""
        found = await self.read(f"/v1/skus/{sku}")
        assert found is not None, f"{sku} cannot be read"
        return found or {"available": 0, "reserved": 0, "balances": []}

    async def _insist(self, path: str, body: Mapping[str, Any]) -> None:
        while True:
            word, _ = await self._once(path, body)
            if word == "":
                return

    async def _ask(
        self, mark: str, path: str, body: Mapping[str, Any], asked: Mapping[str, Any], *, insists: bool = False
    ) -> Op:
        invoked_s, is_unsure, tries = monotonic(), False, 0
        while True:
            word, document = await self._once(path, body)
            tries += 1
            if word == "":
                [answer] = document.get("answers", [document])
                outcome, word, figures = Outcome.OK, answer["outcome"], answer["figures"]
            elif word.startswith(_PROBLEM) and word.removeprefix(_PROBLEM) not in _UNSURE | {NOTHING_DONE}:
                outcome, word, figures = Outcome.REFUSED, word.removeprefix(_PROBLEM), document.get("figures", {})
            else:
                is_unsure |= word != _PROBLEM + NOTHING_DONE
                if insists or (tries < TRIES_MAX and self._chance.random() < ASKS_AGAIN):
                    continue
                outcome, figures = (Outcome.UNKNOWN if is_unsure else Outcome.REFUSED), {}
            op = Op(mark, asked, invoked_s, monotonic(), outcome, word, figures)
            self._history.add(op)
            return op

    async def _once(self, path: str, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """What went wrong (empty: nothing), and the answer."""
        address = self._address()
        try:
            said = await self.client.post(f"{address}{path}", json=body)
        except httpx2.TransportError as failure:
            self._shunned_until_s[address] = monotonic() + SHUNNED_S
            return type(failure).__name__, {}
        try:
            document: dict[str, Any] = msgspec.json.decode(said.content, type=dict[str, Any])
        except msgspec.DecodeError:
            return f"{said.status_code} without a document", {}
        if said.status_code == 200:
            return "", document
        kind = str(document.get("type", ""))
        # A bug of ours must not pass for a refusal.
        assert said.status_code != 422 or kind.endswith("no-room"), document
        return kind if kind.startswith(_PROBLEM) else str(said.status_code), document

    def _address(self) -> str:
        """That of any engine, if possible of one that has answered lately."""
        doors = [engine.door.address for engine in self._house.engines]
        open_doors = [door for door in doors if self._shunned_until_s.get(door, 0.0) < monotonic()]
        return self._chance.choice(open_doors or doors)
