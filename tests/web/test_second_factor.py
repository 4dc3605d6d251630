"""A second factor: set up by its owner, asked for after the password, each code once, and codes for who lost it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.clock import SystemClock
from oneshelf.domain.access import Role, needs_second_factor
from oneshelf.storage import second_factors, secret_keys, users
from oneshelf.storage.keyring import Keyring, is_sealed
from oneshelf.web.second_factor import STEP_S, accept, step_of
from web.access import House, open_house
from web.test_login import OWN, a_person, is_in, log_in

pytestmark = pytest.mark.pg

# RFC 6238, appendix B, for SHA-1: the secret, and seconds with the last six digits of their codes.
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC_CODES = {59: "287082", 1111111109: "081804", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"}


@pytest.fixture
async def house(dsn: str, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(dsn) as house:
        house.database.keyring = Keyring(file=tmp_path / "secrets.key")
        yield house


async def post(house: House, path: str, **fields: str) -> httpx2.Response:
    """The form as a browser sends it from its own page."""
    return await house.client.post(path, data=fields, headers=OWN)


def at(seconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize(("seconds", "code"), RFC_CODES.items())
def test_the_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    assert step_of(RFC_SECRET, code, at=at(seconds), last_step=0) == seconds // STEP_S


@given(st.integers(10, 10**8), st.integers(-4, 4))
def test_a_code_is_taken_one_step_early_or_late_and_never_again(step: int, aside: int) -> None:
    code = pyotp.TOTP(RFC_SECRET).at((step + aside) * STEP_S)
    taken = step_of(RFC_SECRET, code, at=at(step * STEP_S + 7), last_step=0)
    near = {pyotp.TOTP(RFC_SECRET).at((step + one) * STEP_S) for one in (-1, 0, 1)}
    assert (taken is not None) == (code in near)
    if taken is not None:
        again = step_of(RFC_SECRET, code, at=at(step * STEP_S + 7), last_step=taken)
        assert again is None or again > taken


@pytest.mark.parametrize("rule", ["nobody", "admins", "everybody"])
@pytest.mark.parametrize("role", Role)
def test_who_has_to_show_one(rule: str, role: Role) -> None:
    assert needs_second_factor(role, rule=rule) == (rule == "everybody" or (rule == "admins" and role is Role.ADMIN))


def secret_on(answer: httpx2.Response) -> str:
    [secret] = re.findall(r"into the app: <code>([A-Z2-7 ]+)</code>", answer.text)
    return str(secret).replace(" ", "")


def codes_on(answer: httpx2.Response) -> list[str]:
    return re.findall(r"<li><code>([A-Z2-7-]+)</code></li>", answer.text)


async def switch_on(house: House, name: str = "anna") -> tuple[str, list[str]]:
    """The secret and the recovery codes of this person, who is logged out afterwards."""
    await a_person(house, name)
    assert (await log_in(house, name)).status_code == 303
    begun = await post(house, "/account/second-factor", act="begin")
    assert "<svg" in begun.text
    assert not re.search(r"<svg[^>]* style=", begun.text)
    secret = secret_on(begun)
    assert (await post(house, "/account/second-factor", act="confirm", code="000000")).status_code == 401
    done = await post(house, "/account/second-factor", act="confirm", code=previous(secret))
    codes = codes_on(done)
    assert (done.status_code, len(set(codes))) == (200, 10)
    await post(house, "/logout")
    house.client.cookies.clear()
    house.later()
    return secret, codes


def previous(secret: str) -> str:
    """A code that is still taken, so that the one of now is left for later."""
    return pyotp.TOTP(secret).at(SystemClock().now() - timedelta(seconds=STEP_S))


async def code_of(secret: str, **said: str) -> dict[str, str]:
    return {"act": "check", "code": pyotp.TOTP(secret).now(), **said}


async def test_the_password_alone_lets_nobody_in_and_a_code_does_once(house: House) -> None:
    secret, _ = await switch_on(house)
    answer = await log_in(house, next="/drifts")
    assert answer.headers["location"] == "/login/second?next=%2Fdrifts"
    house.later()
    assert not await is_in(house)
    page = await house.client.get("/login/second", params={"next": "/drifts"})
    assert "recovery code" in page.text
    assert secret not in page.text.replace(" ", "")
    code = await code_of(secret, next="/drifts")
    assert (await post(house, "/login/second", act="check", code="123 456")).status_code == 401
    assert (await post(house, "/login/second", **code)).headers["location"] == "/drifts"
    assert await is_in(house)
    await post(house, "/logout")
    house.client.cookies.clear()
    await log_in(house)
    assert (await post(house, "/login/second", **code)).status_code == 401
    house.later()
    assert not await is_in(house)


async def test_of_two_who_show_the_same_code_at_once_one_is_let_in(house: House) -> None:
    secret, _ = await switch_on(house)
    code = pyotp.TOTP(secret).now()

    async def show() -> bool:
        async with house.database.transaction() as tx:
            return await accept(tx, house.database.keyring, "anna", code)

    assert sorted(await asyncio.gather(*(show() for _ in range(5)))) == [False] * 4 + [True]


async def test_a_recovery_code_lets_in_once_and_is_kept_as_a_hash(house: House) -> None:
    _, codes = await switch_on(house)
    for times, status in ((1, 303), (2, 401)):
        await log_in(house)
        answer = await post(house, "/login/second", act="check", code=f" {codes[3].lower()} ")
        assert answer.status_code == status, times
        house.client.cookies.clear()
    async with house.database.transaction() as tx:
        kept = await second_factors.find(tx, house.database.keyring, "anna")
        [sealed] = await (await tx.execute("select sealed ->> 'secret' from second_factors")).fetchall()
    assert kept is not None
    assert (kept.code_count, is_sealed(sealed[0])) == (9, True)


async def test_a_secret_that_was_only_shown_asks_nobody_and_lets_nobody_replace_one_in_use(house: House) -> None:
    await a_person(house)
    await log_in(house)
    first = secret_on(await post(house, "/account/second-factor", act="begin"))
    second = secret_on(await post(house, "/account/second-factor", act="begin"))
    assert first != second
    assert (await post(house, "/account/second-factor", act="confirm", code=previous(first))).status_code == 401
    house.client.cookies.clear()
    assert (await log_in(house)).headers["location"] == "/"
    assert (await post(house, "/account/second-factor", act="confirm", code=previous(second))).status_code == 200
    assert (await post(house, "/account/second-factor", act="begin")).status_code == 409


async def test_guessing_ends_after_some_tries_and_says_when_to_come_back(house: House) -> None:
    secret, _ = await switch_on(house)
    await log_in(house)
    answers = [await post(house, "/login/second", act="check", code=f"{at:06}") for at in range(8)]
    assert {one.status_code for one in answers} == {401, 429}
    assert int(answers[-1].headers["retry-after"]) > 0
    assert (await post(house, "/login/second", **await code_of(secret))).status_code == 429


async def test_where_admins_need_one_they_set_it_up_before_they_are_let_in(house: House) -> None:
    house.app.state.engine = replace(house.app.state.engine, second_factor="admins")
    await a_person(house, "ben", Role.OPERATOR)
    assert (await log_in(house, "ben")).headers["location"] == "/"
    house.client.cookies.clear()
    await a_person(house)
    assert (await log_in(house)).headers["location"] == "/login/second?next=%2F"
    assert "needs a second factor" in (await house.client.get("/login/second")).text
    house.later()
    assert not await is_in(house)
    secret = secret_on(await post(house, "/login/second", act="begin"))
    done = await post(house, "/login/second", act="confirm", code=previous(secret))
    assert len(codes_on(done)) == 10
    assert await is_in(house)
    refused = await post(house, "/account/second-factor", act="off", code=pyotp.TOTP(secret).now())
    assert (refused.status_code, "needs a second factor" in refused.text) == (409, True)


async def test_other_codes_and_doing_without_ask_for_a_code(house: House) -> None:
    secret, codes = await switch_on(house)
    await log_in(house)
    assert (await post(house, "/login/second", act="check", code=codes[0])).status_code == 303
    for act in ("codes", "off"):
        assert (await post(house, "/account/second-factor", act=act, code="000000")).status_code == 401
    fresh = codes_on(await post(house, "/account/second-factor", act="codes", code=pyotp.TOTP(secret).now()))
    assert len(set(fresh) | set(codes)) == 20
    off = await post(house, "/account/second-factor", act="off", code=fresh[0])
    assert "is off" in off.text
    house.client.cookies.clear()
    assert (await log_in(house)).headers["location"] == "/"


async def test_who_has_not_said_the_password_is_shown_nothing(house: House) -> None:
    await a_person(house)
    for answer in (
        await house.client.get("/login/second"),
        await post(house, "/login/second", act="begin"),
        await post(house, "/login/second", act="check", code="123456"),
    ):
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert (await house.client.post("/login/second", data={"act": "begin"}, headers={"origin": "https://evil.test"})
            ).status_code == 403  # fmt: skip
    assert (await house.client.post("/account/second-factor", data={}, headers=OWN)).status_code == 401


async def test_a_program_has_no_second_factor(house: House) -> None:
    answer = await house.client.get("/account/second-factor")
    assert answer.status_code == 409
    assert "logged in" in answer.text


async def test_secrets_are_sealed_anew_with_all_others(house: House) -> None:
    secret, _ = await switch_on(house)
    async with house.database.transaction() as tx:
        old = await secret_keys.current(tx)
        [row] = [one for one in await secret_keys.listed(tx) if one.table == secret_keys.FACTORS]
    assert (row.channel, row.key_id) == ("anna", old)
    assert await secret_keys.rotate(house.database) != old
    assert await secret_keys.seal_anew(house.database) == 1
    async with house.database.transaction() as tx:
        kept = await second_factors.find(tx, house.database.keyring, "anna")
        assert kept is not None
        assert kept.secret == secret
        assert await users.sign_out(tx, "anna")
        assert await second_factors.forget(tx, "anna")
    assert (await log_in(house)).headers["location"] == "/"
