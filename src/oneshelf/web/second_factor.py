"""The second factor: set up with a picture, asked for after the password, and codes for whoever has lost it."""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import b32encode
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import pyotp
import segno
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from oneshelf.domain.access import Role, Via, needs_second_factor
from oneshelf.errors import MalformedError
from oneshelf.storage import second_factors, sessions, users
from oneshelf.storage.database import Transaction, now
from oneshelf.storage.keyring import Keyring
from oneshelf.web.audit_log import WHO
from oneshelf.web.auth import principal_of, session_cookie, session_of
from oneshelf.web.engine import engine_of
from oneshelf.web.login import address_of, page_of_ours
from oneshelf.web.pages.frame import Form, Said, form_of, page, screen
from oneshelf.web.passwords import forget_tries, take_a_try
from oneshelf.web.problems import ProblemError

# RFC 6238, section 5.2: one step to either side for clocks and typing.
STEP_S, STEPS_ASIDE = 30, 1
RECOVERY_CODES, RECOVERY_BYTES = 10, 15
ISSUER = "oneshelf"
WRONG = "This code is wrong, or was used before. Wait for the next one."
_DIGITS = re.compile(r"[0-9]{6}", re.ASCII)


class Person(NamedTuple):
    """Whose second factor it is. `user_id`: of somebody who is logging in; None: is logged in already."""

    name: str
    role: Role | None
    user_id: UUID | None = None


async def accept(tx: Transaction, keyring: Keyring, person: str, text: str, *, is_new: bool = False) -> bool:
    """Whether this is a code of the person now, or a recovery code; it is good no more afterwards.

    `is_new`: the first code of a secret that was shown, which confirms it.
    """
    factor = await second_factors.find(tx, keyring, person, locked=True)
    typed = text.replace(" ", "").replace("-", "").upper()
    if factor is None or factor.is_confirmed == is_new:
        return False
    if _DIGITS.fullmatch(typed):
        step = step_of(factor.secret, typed, at=await now(tx), last_step=factor.last_step)
        if step is not None:
            await second_factors.take_step(tx, person, step)
        return step is not None
    return not is_new and await second_factors.take_code(tx, person, typed)


def step_of(secret: str, code: str, *, at: datetime, last_step: int) -> int | None:
    """The step of time that has this code, near `at` and after the last that was taken; None for none."""
    timed, here = pyotp.TOTP(secret, interval=STEP_S), int(at.timestamp()) // STEP_S
    for step in range(here - STEPS_ASIDE, here + STEPS_ASIDE + 1):
        if step > last_step and hmac.compare_digest(timed.at(step * STEP_S), code):
            return step
    return None


@screen
async def log_in_page(request: Request) -> Response:
    """After the password: the code is asked for, or a second factor set up where one is demanded."""
    person = await _half(request)
    return _to_log_in() if person is None else await _shown(request, person)


@screen
async def log_in(request: Request) -> Response:
    """The session begins where the code is right. Each is good once, on all nodes."""
    form, person = await form_of(request), await _half(request)
    if person is None or person.user_id is None:
        return _to_log_in()
    if form.text("act") == "begin":
        return await _begin(request, person, form)
    request.scope[WHO] = person.name
    refused = await _tried(request, person, form)
    if refused is not None:
        return refused
    engine = engine_of(request)
    codes: list[str] = []
    async with engine.database.transaction() as tx:
        if form.text("act") == "confirm":
            codes = await _new_codes(tx, person.name)
        await users.note_login(tx, person.user_id)
        session = await sessions.begin(tx, person.user_id, instead_of=session_of(request))
    answer = (
        await _shown(request, person, codes=codes)
        if codes
        else RedirectResponse(page_of_ours(form.text("next")), status_code=303)
    )
    session_cookie(answer, request, session)
    return answer


@screen
async def own_page(request: Request) -> Response:
    """Whether I have one, and how to change that."""
    return await _shown(request, _logged_in(request))


@screen
async def change(request: Request) -> Response:
    """Set it up, have other recovery codes, or do without; each of these but the first asks for a code."""
    form, person = await form_of(request), _logged_in(request)
    act, engine = form.text("act"), engine_of(request)
    if act == "begin":
        return await _begin(request, person, form)
    if act not in {"confirm", "codes", "off"}:
        raise MalformedError("say what to do: begin, confirm, codes or off")
    async with engine.database.transaction() as tx:
        role = next((Role(row.role) for row in await users.listed(tx) if row.name == person.name), Role.VIEWER)
    if act == "off" and needs_second_factor(role, rule=engine.second_factor):
        return await _shown(request, person, Said("Your role needs a second factor here.", "bad"), status=409)
    refused = await _tried(request, person, form)
    if refused is not None:
        return refused
    async with engine.database.transaction() as tx:
        if act == "off":
            await second_factors.forget(tx, person.name)
            codes: list[str] = []
        else:
            codes = await _new_codes(tx, person.name)
    said = Said("The second factor is off.") if act == "off" else None
    return await _shown(request, person, said, codes=codes)


async def _tried(request: Request, person: Person, form: Form) -> Response | None:
    """The answer to a wrong code, or to too many; None where it is right, which it is once."""
    engine = engine_of(request)
    address = address_of(request)
    who = f"second factor of {person.name}"
    async with engine.database.transaction() as tx:
        wait_s = await take_a_try(tx, name=who, address=address)
    if wait_s:
        words = f"Too many tries. Wait {wait_s / 60:.0f} min and try again."
        answer = await _shown(request, person, Said(words, "bad"), form=form, status=429)
        answer.headers["Retry-After"] = str(int(wait_s) + 1)
        return answer
    is_new = form.text("act") == "confirm"
    async with engine.database.transaction() as tx:
        is_right = await accept(tx, engine.database.keyring, person.name, form.text("code"), is_new=is_new)
        if is_right:
            await forget_tries(tx, name=who, address=address)
    return None if is_right else await _shown(request, person, Said(WRONG, "bad"), form=form, status=401)


async def _begin(request: Request, person: Person, form: Form) -> Response:
    """Show a new secret, this once. One that is in use stays: whoever has only a password cannot replace it."""
    engine = engine_of(request)
    async with engine.database.transaction() as tx:
        is_begun = await second_factors.begin(tx, engine.database.keyring, person.name, pyotp.random_base32())
    said = None if is_begun else Said("There is one already. Switch it off first.", "bad")
    return await _shown(request, person, said, form=form, status=200 if is_begun else 409)


async def _new_codes(tx: Transaction, person: str) -> list[str]:
    codes = [b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode() for _ in range(RECOVERY_CODES)]
    await second_factors.set_codes(tx, person, codes)
    return codes


async def _shown(
    request: Request,
    person: Person,
    said: Said | None = None,
    *,
    form: Form | None = None,
    codes: Sequence[str] = (),
    status: int = 200,
) -> Response:
    engine = engine_of(request)
    async with engine.database.transaction() as tx:
        factor = await second_factors.find(tx, engine.database.keyring, person.name)
    is_new = factor is not None and not factor.is_confirmed
    shows_secret = is_new and form is not None and form.text("act") in {"begin", "confirm"}
    secret = factor.secret if factor is not None and shows_secret else ""
    drawn = ""
    if secret:
        address = pyotp.TOTP(secret, interval=STEP_S).provisioning_uri(name=person.name, issuer_name=ISSUER)
        drawn = segno.make(address, error="m").svg_inline(scale=5, border=3, dark="#000", light="#fff")
    context = {
        "name": person.name,
        "is_login": person.user_id is not None,
        "place_of_forms": "/login/second" if person.user_id is not None else "/account/second-factor",
        "is_on": factor is not None and factor.is_confirmed,
        "code_count": factor.code_count if factor is not None else 0,
        "secret": " ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        "drawn": drawn,
        "codes": ["-".join(code[at : at + 4] for at in range(0, len(code), 4)) for code in codes],
        "next": page_of_ours(form.text("next") if form else request.query_params.get("next", "")),
    }
    return page(request, "second_factor.html", context, said=said, status=status)


async def _half(request: Request) -> Person | None:
    """Who has said the right password, and nothing else yet."""
    async with engine_of(request).database.transaction() as tx:
        half = await sessions.waiting(tx, session_of(request))
    return Person(half.name, half.role, half.user_id) if half else None


def _logged_in(request: Request) -> Person:
    principal = principal_of(request.scope)
    if principal is None or principal.via is not Via.SESSION:
        raise ProblemError(409, "a second factor is of a person who is logged in; log in first", kind="not-a-person")
    return Person(principal.name, None)


def _to_log_in() -> Response:
    return RedirectResponse("/login", status_code=303)


ROUTES = [
    Route("/login/second", log_in_page, methods=["GET"]),
    Route("/login/second", log_in, methods=["POST"]),
    Route("/account/second-factor", own_page),
    Route("/account/second-factor", change, methods=["POST"]),
]
