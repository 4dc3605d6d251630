"""Statements, rules of truth and conflicts over the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from oneshelf.domain.command import Command
from oneshelf.domain.outcome import Outcome
from oneshelf.flow import post
from oneshelf.flow import state as flow_state
from web.paper import Shop, open_shop

pytestmark = pytest.mark.pg

MUG = {"sku": "MUG", "location": "BERLIN"}


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    async with open_shop(dsn) as shop:
        await shop.name_skus("MUG")
        assert (await shop.client.put("/v1/sources", json={"source": "erp"})).status_code == 200
        yield shop


async def state(shop: Shop, *rows: dict[str, Any], source: str = "erp") -> list[dict[str, Any]]:
    answer = await shop.client.post("/v1/statements", json={"source": source, "statements": [*rows]})
    assert answer.status_code == 200, answer.text
    answers: list[dict[str, Any]] = answer.json()["answers"]
    return answers


async def decide(shop: Shop) -> None:
    """As a running engine does within seconds."""

    async def ask(command: Command) -> tuple[Outcome, bool]:
        [answered] = await post.post_commands(shop.database, shop.clock.new_id, [command])
        return answered.outcome, answered.was_replayed

    await flow_state.state(shop.database, shop.clock.new_id, ask)


def delta(document: str, units: int) -> dict[str, Any]:
    return {"document": document, **MUG, "figure": "delta", "units": units}


def on_hand(document: str, units: int, *seen: str, **more: Any) -> dict[str, Any]:
    documents = [{"source": "erp", "number": number} for number in seen]
    return {"document": document, **MUG, "figure": "on_hand", "units": units, "seen": {"documents": documents}, **more}


async def available(shop: Shop) -> int:
    units: int = (await shop.client.get("/v1/skus/MUG")).json()["available"]
    return units


async def test_each_row_has_its_own_answer_and_the_same_batch_again_moves_nothing(shop: Shop) -> None:
    rows = [delta("GR-1", 10), on_hand("S-1", 12, "GR-1"), {**delta("GR-2", 1), "sku": "CAP"}]
    first = await state(shop, *rows)
    assert [one["outcome"] for one in first] == ["posted", "beaten", "unknown_sku"]
    assert await available(shop) == 10
    again = await state(shop, *rows)
    assert [(one["outcome"], one["replayed"]) for one in again[:2]] == [("posted", True), ("beaten", True)]
    assert await available(shop) == 10
    for wrong, words in (({**on_hand("S-3", 1), "seen": {}}, "what it had seen"), ({"document": "S-4"}, "sku")):
        body = {"source": "erp", "statements": [delta("GR-9", 1), wrong]}
        refused = await shop.client.post("/v1/statements", json=body)
        assert (refused.status_code, words in refused.json()["detail"]) == (422, True)
    assert await available(shop) == 10
    assert [one["outcome"] for one in await state(shop, delta("GR-1", 1), source="sap")] == ["unknown_source"]


async def test_a_rule_is_previewed_then_decides_anew_and_is_told_with_its_history(shop: Shop) -> None:
    await state(shop, delta("GR-1", 10), on_hand("S-1", 12, "GR-1"))
    rule = {"pattern": "MU*", "strategy": "leader", "leader": "erp", "reason": "the ERP counts mugs"}
    previewed = (await shop.client.post("/v1/truth-rules/preview", json=rule)).json()
    (effect,) = previewed["effects"]
    assert (effect["now_by"], effect["would_by"]) == ("the engine", "erp S-1")
    assert (effect["now_units"], effect["would_units"]) == (10, 12)
    assert await available(shop) == 10
    assert (await shop.client.put("/v1/truth-rules", json=rule)).json()["changed"] is True
    await decide(shop)
    assert await available(shop) == 12
    (held,) = (await shop.client.get("/v1/truth-rules")).json()["rules"]
    assert (held["pattern"], held["leader"], held["set_by"]) == ("MU*", "erp", "api")
    assert (await shop.client.request("DELETE", "/v1/truth-rules", json={"pattern": "MU*"})).json()["changed"]
    changes = (await shop.client.get("/v1/truth-rules/history")).json()["changes"]
    assert [(one["before"].get("leader"), one["after"].get("leader")) for one in changes] == [
        ("erp", None),
        (None, "erp"),
    ]
    assert changes[1]["reason"] == "the ERP counts mugs"
    then = await shop.client.get("/v1/truth-rules", params={"at": changes[1]["changed_at"]})
    assert [one["leader"] for one in then.json()["rules"]] == ["erp"]
    missing = await shop.client.put("/v1/truth-rules", json={"strategy": "leader", "leader": "sap"})
    assert (missing.status_code, "oneshelf source add sap" in missing.json()["detail"]) == (404, True)
    for ranks in (["erp|"], ["|"], ["erp", " | shop"]):
        gap = await shop.client.put("/v1/truth-rules", json={"strategy": "ranks", "ranks": ranks})
        assert (gap.status_code, "has a gap" in gap.json()["detail"]) == (422, True), ranks
    assert (await shop.client.get("/v1/truth-rules")).json()["rules"] == []


async def test_a_conflict_is_shown_and_overruled_once_either_way(shop: Shop) -> None:
    await state(shop, delta("GR-1", 10), on_hand("S-1", 12, "GR-1"))
    (found,) = (await shop.client.get("/v1/conflicts", params={"open": "true"})).json()["conflicts"]
    assert (found["kind"], found["winner"]["value"], found["beaten"]["value"]) == ("statement", 10, 12)
    address = f"/v1/conflicts/{found['conflict_id']}/ruling"
    for _ in range(2):
        assert (await shop.client.put(address, json={"by": "Ada", "reason": "I looked"})).status_code == 200
        assert await available(shop) == 12
    told = (await shop.client.get(f"/v1/conflicts/{found['conflict_id']}")).json()
    assert (told["state"], told["ruled_by"], told["reason"]) == ("overruled", "Ada", "I looked")

    await shop.client.put("/v1/truth-rules", json={"strategy": "leader", "leader": "erp"})
    (adopted,) = await state(shop, on_hand("S-2", 20, "GR-1", "S-1"))
    assert (adopted["outcome"], await available(shop)) == ("rules", 20)
    for _ in range(2):
        back = await shop.client.put(f"/v1/conflicts/{adopted['conflict_id']}/ruling", json={"by": "Ada"})
        assert (back.status_code, await available(shop)) == (200, 12), back.text
    assert (await shop.client.put("/v1/conflicts/first/ruling", json={"by": "Ada"})).status_code == 422
    nobody = await shop.client.put(f"/v1/conflicts/{shop.clock.new_id()}/ruling", json={"by": "Ada"})
    assert nobody.status_code == 404
