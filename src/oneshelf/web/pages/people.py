"""People: who may log in, and as what. A password is set by its owner alone, by a link that is shown once."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from oneshelf.domain.access import Account, Role
from oneshelf.errors import MalformedError
from oneshelf.storage import identities, second_factors, users
from oneshelf.storage.database import Transaction, now
from oneshelf.web.auth import principal_of
from oneshelf.web.engine import engine_of
from oneshelf.web.pages.frame import Said, Told, form_of, not_done, page, person_of, screen, status_of
from oneshelf.web.passwords import subject_from, unlinked_words, user_name_from
from oneshelf.web.wording import sentence

if TYPE_CHECKING:
    from oneshelf.web.issuer import Issuer

MAY = {
    Role.VIEWER: "sees everything but Settings",
    Role.WAREHOUSE: "also moves, counts and reserves units",
    Role.OPERATOR: "also says what listings show, and brings in files",
    Role.ADMIN: "also connects channels, and says who may do what",
}
# What would keep an admin out of here, or let in whoever has only the session, is done by another one.
_OF_ANOTHER = frozenset({"role", "disable", "reset", "reset-second-factor", "link", "unlink"})


@screen
async def listed(request: Request) -> Response:
    """All people."""
    return await _shown(request)


@screen
async def add(request: Request) -> Response:
    """Add a person, and show the link with which they set a password. A name is used once, so twice adds nobody."""
    form, engine = await form_of(request), engine_of(request)
    try:
        name, role = user_name_from(form.text("name")), _role_from(form.text("role"))
    except MalformedError as failure:
        return await _shown(request, told=not_done("person", form, str(failure)), status=status_of(failure))
    principal = principal_of(request.scope)
    by = principal.name if principal else ""
    async with engine.database.transaction() as tx:
        is_new = await users.add(tx, engine.clock.new_id(), name=name, role=role, created_by=by)
        link = await users.invite(tx, name) if is_new else ""
    if not is_new:
        words = f"There is, or was, a user {name}: a name is used once."
        return await _shown(request, told=not_done("person", form, words), status=409)
    return await _shown(request, Said(f"{name} is added as {role.value}."), link=link, whose=name)


@screen
async def change(request: Request) -> Response:
    """Another role, out or in again, out everywhere, a new link, or an account elsewhere."""
    form, name = await form_of(request), user_name_from(request.path_params["name"])
    act = form.text("act")
    if act in _OF_ANOTHER and name == person_of(request):
        words = "This is another admin's to do, or oneshelf user's on the machine: it could keep you out."
        return await _shown(request, Said(words, "bad"), status=409)
    async with engine_of(request).database.transaction() as tx:
        if act == "reset":
            link = await users.invite(tx, name)
            is_known, words = bool(link), f"The password of {name} is good no more."
        elif act == "link":
            link, words = "", f"The account is {name}'s: whoever has it logs in as {name}."
            account = _account_from(form.text("subject"), engine_of(request).issuer)
            is_known = await identities.link(tx, name, account, by=person_of(request))
        else:
            link = ""
            is_known, words = await _changed(tx, name, act, form.text("role"))
    if not is_known and act == "link":
        words = f"Not linked: {name} is not let in here, or has another account there, or this one is somebody else's."
        return await _shown(request, Said(words, "bad"), status=404)
    if not is_known:
        return await _shown(request, Said(f"There is no user {name} that this can be done to.", "bad"), status=404)
    return await _shown(request, Said(words), link=link, whose=name)


async def _changed(tx: Transaction, name: str, act: str, role: str) -> tuple[bool, str]:
    match act:
        case "role":
            wanted = _role_from(role)
            return await users.set_role(tx, name, wanted), f"{name} is {wanted.value}, and has to log in again."
        case "disable":
            return await users.set_disabled(tx, name, is_disabled=True), f"{name} is let in no more."
        case "enable":
            return await users.set_disabled(tx, name, is_disabled=False), f"{name} is let in again."
        case "reset-second-factor":
            await second_factors.forget(tx, name)
            return await users.sign_out(tx, name), f"{name} logs in with the password alone, and sets another one up."
        case "unlink":
            words = f"{sentence(unlinked_words(name))} A password does, by a new link."
            return await identities.unlink(tx, name) and await users.sign_out(tx, name), words
        case "sign-out":
            return await users.sign_out(tx, name), f"{name} is logged out everywhere."
        case _:
            raise MalformedError(
                "say what to do: role, disable, enable, sign-out, reset, reset-second-factor, link or unlink"
            )


def _account_from(subject: str, issuer: Issuer | None) -> Account:
    if issuer is None:
        raise MalformedError("there are no accounts elsewhere here; ONESHELF_OIDC_ISSUER is not set")
    return Account(issuer.registration.issuer, subject_from(subject))


def _role_from(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise MalformedError(f"a role is one of {', '.join(Role)}") from None


async def _shown(  # all that the page may be shown with
    request: Request,
    said: Said | None = None,
    *,
    status: int = 200,
    link: str = "",
    whose: str = "",
    told: Told | None = None,
) -> Response:
    engine = engine_of(request)
    async with engine.database.transaction() as tx:
        at = await now(tx)
        rows = await users.listed(tx)
    base = engine.public_url or str(request.base_url).rstrip("/")
    context = {
        "at": at,
        "people": rows,
        "me": person_of(request),
        "roles": {role.value: words for role, words in MAY.items()},
        "link": f"{base}/set-up?{urlencode({'link': link})}" if link else "",
        "whose": whose,
        "issuer_name": engine.issuer.registration.name if engine.issuer is not None else "",
    }
    return page(request, "people.html", context, said=said, told=told, status=status)


ROUTES = [
    Route("/settings/people", listed),
    Route("/settings/people", add, methods=["POST"]),
    Route("/settings/people/{name:path}", change, methods=["POST"]),
]
