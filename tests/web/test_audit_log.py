"""Who did what over HTTP is written down, without what was said, and stays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from oneshelf.domain.access import Role, Scope
from oneshelf.errors import DatabaseRefusedError
from web.access import House, open_house
from web.test_login import MUG, OWN, PASSWORD, a_person, log_in

pytestmark = pytest.mark.pg


@pytest.fixture
async def house(dsn: str) -> AsyncIterator[House]:
    async with open_house(dsn) as house:
        yield house


async def written(house: House, admin: str, **asked: Any) -> list[tuple[str, ...]]:
    answer = await house.ask("GET", "/v1/audit-log", token=admin, params=asked)
    assert answer.status_code == 200, answer.text
    return [tuple(one[name] for name in ("via", "who", "act", "object", "result")) for one in answer.json()["entries"]]


async def test_what_a_token_does_and_is_refused_is_written_down_and_what_it_reads_is_not(house: House) -> None:
    admin, weak = await house.token("admin", Scope.ADMIN), await house.token("weak", Scope.READ)
    await house.ask("POST", "/v1/skus", token=admin, json=MUG)
    await house.ask("GET", "/v1/skus", token=admin)
    await house.ask("PUT", "/v1/bundles/DUO/AB", token=weak, json={})
    await house.ask("POST", "/v1/skus", json=MUG)
    assert await written(house, admin) == [
        ("token", "weak", "PUT /v1/bundles/{sku}", "/v1/bundles/DUO/AB", "403"),
        ("token", "admin", "POST /v1/skus", "", "200"),
    ]
    assert [one[1] for one in await written(house, admin, who="weak")] == ["weak"]


@pytest.mark.long
async def test_pages_of_the_log_follow_each_other(house: House) -> None:
    admin = await house.token("admin", Scope.ADMIN)
    for _ in range(3):
        await house.ask("POST", "/v1/skus", token=admin, json=MUG)
    first = (await house.ask("GET", "/v1/audit-log", token=admin, params={"limit": 2})).json()
    assert len(first["entries"]) == 2
    second = (await house.ask("GET", "/v1/audit-log", token=admin, params={"before": first["next"]})).json()
    assert (len(second["entries"]), second["next"]) == (1, None)


async def test_logging_in_and_failing_to_is_written_down_and_no_password_is(house: House) -> None:
    await a_person(house, role=Role.ADMIN)
    await log_in(house, password="a wrong password")
    # A password in the wrong field.
    await log_in(house, name=PASSWORD)
    await log_in(house)
    await house.client.post("/logout", headers=OWN)
    admin = await house.token("admin", Scope.ADMIN)
    assert await written(house, admin) == [
        ("session", "anna", "POST /logout", "", "303"),
        ("form", "anna", "POST /login", "", "303"),
        ("form", "", "POST /login", "", "401"),
        ("form", "", "POST /login", "", "401"),
        ("form", "anna", "POST /set-up", "", "303"),
    ]
    async with house.database.transaction() as tx:
        rows = await (await tx.execute("select l::text from audit_log l")).fetchall()
    assert PASSWORD not in str(rows)


async def test_where_nobody_is_told_apart_nothing_is_written(house: House) -> None:
    await house.client.post("/v1/skus", json=MUG)
    house.later()
    assert await written(house, await house.token("admin", Scope.ADMIN)) == []


@pytest.mark.parametrize(
    "change", [b"update audit_log set who = 'somebody else'", b"delete from audit_log", b"truncate audit_log"]
)
async def test_what_is_written_stays(house: House, change: bytes) -> None:
    admin = await house.token("admin", Scope.ADMIN)
    await house.ask("POST", "/v1/skus", token=admin, json=MUG)
    with pytest.raises(DatabaseRefusedError, match="only added to"):
        await house.run(change)
    assert len(await written(house, admin)) == 1
