"""Logging in by an account at an issuer: there and back (OpenID Connect Core 1.0, the code flow with PKCE).

The browser keeps a secret for the time of it, and state, nonce and verifier follow from that. Whoever comes back
without it, or with it a second time, is not let in. An account lets in only whom an admin has named, see `_holder`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import shlex
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, NamedTuple

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from oneshelf.domain.access import Account
from oneshelf.errors import IdentityRefusedError, IssuerUnavailableError, MalformedError
from oneshelf.storage import identities, sessions, sign_ins, users
from oneshelf.storage.audit_log import Entry
from oneshelf.storage.database import Transaction
from oneshelf.storage.identities import Holder
from oneshelf.telemetry import get_logger
from oneshelf.web import audit_log
from oneshelf.web.auth import cookie_of, session_cookie, session_of, set_cookie
from oneshelf.web.engine import engine_of
from oneshelf.web.login import ENTRANCE, address_of, page_of_ours
from oneshelf.web.pages.frame import page, screen
from oneshelf.web.passwords import take_a_try_from, user_name_from
from oneshelf.web.problems import ProblemError

if TYPE_CHECKING:
    from oneshelf.web.issuer import Issuer

BACK = "/login/oidc/return"
COOKIE = "oneshelf_issuer"
VIA = "issuer"
SECRET_BYTES = 32
CODE_LENGTH_MAX = 4_096
FOLLOWING_LENGTH_MAX = 2_000

# A word of RFC 6749, section 4.1.2.1.
_ERROR = re.compile(r"[a-z_]{1,40}", re.ASCII)

log = get_logger(__name__)


class Begun(NamedTuple):
    """One log-in, as it follows from what the browser keeps."""

    browser: str

    @property
    def state(self) -> str:
        """Comes back with the browser."""
        return self._named(b"state")

    @property
    def nonce(self) -> str:
        """Comes back in the token."""
        return self._named(b"nonce")

    @property
    def verifier(self) -> str:
        """Shows the issuer that whoever brings the code has begun (RFC 7636)."""
        return self._named(b"verifier")

    @property
    def challenge(self) -> str:
        """What the issuer compares the verifier with, by S256."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())

    def _named(self, what: bytes) -> str:
        return _text(hmac.digest(self.browser.encode(), what, "sha256"))


@screen
async def begin(request: Request) -> Response:
    """Off to the issuer. What the address asks for beside a page of ours counts for nothing."""
    issuer, engine = _issuer_of(request), engine_of(request)
    if request.headers.get("sec-fetch-dest", "document") != "document":
        # A picture on another site's page would use up the tries of whoever looks at it.
        raise ProblemError(403, "a person follows the link to this address; a page does not load it")
    following = page_of_ours(request.query_params.get("next", ""))
    async with engine.database.transaction() as tx:
        wait_s = await take_a_try_from(tx, address_of(request))
    if wait_s:
        words = f"Too many tries. Wait {wait_s / 60:.0f} min and try again."
        answer = _not_let_in(request, words, status=429)
        answer.headers["Retry-After"] = str(int(wait_s) + 1)
        return answer
    begun = Begun(secrets.token_urlsafe(SECRET_BYTES))
    try:
        place = await issuer.address(state=begun.state, nonce=begun.nonce, challenge=begun.challenge)
    except IssuerUnavailableError as problem:
        return _unavailable(request, problem)
    async with engine.database.transaction() as tx:
        await sign_ins.begin(tx, begun.browser, following=following if len(following) <= FOLLOWING_LENGTH_MAX else "/")
    answer = RedirectResponse(place, status_code=303)
    set_cookie(answer, request, COOKIE, begun.browser, lives_s=sign_ins.LIVES_S)
    return answer


@screen
async def come_back(request: Request) -> Response:
    """A new session where the issuer vouches for an account that is a person's here."""
    issuer, begun = _issuer_of(request), Begun(cookie_of(request, COOKIE))
    shown = request.query_params.get("state", "")
    if not begun.browser or not hmac.compare_digest(shown.encode(), begun.state.encode()):
        words = (
            "This log-in was not begun in this browser, or not under this address, or too long ago, or another one was "
            "begun here since."
        )
        return _not_let_in(request, words, status=400)
    async with engine_of(request).database.transaction() as tx:
        following = await sign_ins.take(tx, begun.browser)
    if following is None:
        answer = _not_let_in(request, "This log-in is over already, or took too long.", status=410)
    else:
        answer = await _vouched(request, issuer, begun, following)
    set_cookie(answer, request, COOKIE, "", lives_s=0)
    return answer


async def _vouched(request: Request, issuer: Issuer, begun: Begun, following: str) -> Response:
    named = request.query_params.get("iss")
    try:
        account = await issuer.account(_code_of(request), verifier=begun.verifier, nonce=begun.nonce, named=named)
    except IssuerUnavailableError as problem:
        return _unavailable(request, problem)
    except IdentityRefusedError as problem:
        log.warning("log_in.refused", issuer=issuer.registration.issuer, words=str(problem))
        await _note(request, f"{problem} ({issuer.registration.issuer})", result="401")
        return _not_let_in(request, f"You are not let in by {issuer.registration.name}: {problem}.", status=401)
    return await _let_in(request, account, following)


def _code_of(request: Request) -> str:
    code = request.query_params.get("code", "")
    error = request.query_params.get("error")
    if error is not None or not 0 < len(code) <= CODE_LENGTH_MAX:
        said = f" ({error})" if error is not None and _ERROR.fullmatch(error) else ""
        raise IdentityRefusedError(f"nobody has logged in there{said}")
    return code


async def _let_in(request: Request, account: Account, following: str) -> Response:
    async with engine_of(request).database.transaction() as tx:
        holder, is_linked_now = await _holder(tx, account)
        if holder is not None:
            await users.note_login(tx, holder.user_id)
            session = await sessions.begin(tx, holder.user_id, instead_of=session_of(request))
    about = f"{account.subject} at {account.issuer}"
    if holder is None:
        email = f"{account.email}, {'verified' if account.is_email_verified else 'not verified'}"
        await _note(request, f"{about} ({email if account.email else 'no e-mail'})", result="403")
        words = "Nobody here has this account. An admin adds you, or says that it is yours:"
        return _not_let_in(request, words, command=_linking(account.subject), status=403)
    if is_linked_now:
        await _note(request, f"{about} ({account.email})", who=holder.name, act="user link", result="linked")
    await _note(request, about, who=holder.name, result="303")
    answer = RedirectResponse(following, status_code=303)
    session_cookie(answer, request, session)
    return answer


async def _holder(tx: Transaction, account: Account) -> tuple[Holder | None, bool]:
    """Whom this account lets in, and whether that was found out just now.

    An account that is nobody's becomes that of a person whose name an admin has made the e-mail address: where the
    issuer has verified it, and no other account there is the person's. In ASCII alone: in Unicode other letters fold
    to the same.
    """
    holder, is_linked_now = await identities.holder_of(tx, account), False
    name = _name_in(account)
    if holder is None and name:
        is_linked_now = await identities.link(tx, name, account, by=account.issuer)
        holder = await identities.holder_of(tx, account)
    return (None, False) if holder is None or holder.is_disabled else (holder, is_linked_now)


def _name_in(account: Account) -> str:
    """The name that an admin may have given to a person for this account; "" where nothing vouches for one."""
    address = account.email
    if not account.is_email_verified or "@" not in address or not address.isascii():
        return ""
    try:
        name = user_name_from(address)
    except MalformedError:
        return ""
    # To the letter but for its case: nothing is cut off.
    return name if name == address.lower() else ""


async def _note(request: Request, about: str, *, result: str, who: str = "", act: str = f"GET {BACK}") -> None:
    entry = Entry(VIA, who, act, result, object=about, address=address_of(request))
    await audit_log.write(engine_of(request).database, entry)


def _issuer_of(request: Request) -> Issuer:
    issuer = engine_of(request).issuer
    if issuer is None:
        raise ProblemError(404, "people log in here with a name and a password alone; ONESHELF_OIDC_ISSUER is not set")
    return issuer


def _unavailable(request: Request, problem: IssuerUnavailableError) -> Response:
    log.warning("issuer.unavailable", words=str(problem))
    words = "The issuer of these accounts cannot be asked now. An admin is told why by oneshelf doctor."
    return _not_let_in(request, words, status=503)


def _linking(subject: str) -> str:
    """The command for an admin, to be pasted as it is: what an issuer calls somebody is no command of its own."""
    return f"oneshelf user link NAME {'-- ' if subject.startswith('-') else ''}{shlex.quote(subject)}"


def _not_let_in(request: Request, words: str, *, status: int, command: str = "") -> Response:
    return page(request, "not_let_in.html", {"words": words, "command": command}, status=status)


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


ROUTES = [
    Route(ENTRANCE, begin, methods=["GET"]),
    Route(BACK, come_back, methods=["GET"]),
]
