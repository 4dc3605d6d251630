"""Who may do what: scopes that routes ask for, and roles that have them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from oneshelf.errors import MalformedError


class Scope(StrEnum):
    """What a route may ask for. ADMIN has all the others in it; any of the others has READ in it."""

    READ = "read"
    STOCK_WRITE = "stock:write"
    PUBLISH_WRITE = "publish:write"
    ADMIN = "admin"


class Role(StrEnum):
    """What a person is here. Each may do all that the one before may."""

    VIEWER = "viewer"
    WAREHOUSE = "warehouse"
    OPERATOR = "operator"
    ADMIN = "admin"


SCOPES_OF: dict[Role, frozenset[Scope]] = {
    Role.VIEWER: frozenset({Scope.READ}),
    Role.WAREHOUSE: frozenset({Scope.READ, Scope.STOCK_WRITE}),
    Role.OPERATOR: frozenset({Scope.READ, Scope.STOCK_WRITE, Scope.PUBLISH_WRITE}),
    Role.ADMIN: frozenset(Scope),
}


def needs_second_factor(role: Role, *, rule: str) -> bool:
    """Whether whoever has this role has to show a second factor. `rule`: nobody, admins or everybody."""
    return rule == "everybody" or (rule == "admins" and role is Role.ADMIN)


class Via(StrEnum):
    """How somebody came in."""

    OPEN = "open"
    SETTING = "setting"
    TOKEN = "token"  # noqa: S105  # a word
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever asks. `name`: of the token or the user. `rate_per_s`: requests, None without a limit.

    `credential`: names the token or the session; never what opens it.
    """

    via: Via
    name: str
    scopes: frozenset[Scope]
    credential: str = ""
    rate_per_s: float | None = None

    def may(self, needed: Scope) -> bool:
        """Whether the scopes are enough for what a route asks for."""
        return needed in self.scopes


@dataclass(frozen=True, slots=True)
class Account:
    """Who somebody is at an issuer of OpenID Connect. `subject` never changes there; `email` may, and may be "".

    `is_email_verified`: the issuer has seen that the address is theirs.
    """

    issuer: str
    subject: str
    email: str = ""
    is_email_verified: bool = False


# Nobody was told apart: without any user and token, on this machine alone.
ANYBODY = Principal(Via.OPEN, "anybody", frozenset(Scope))


def whole(scopes: Collection[Scope]) -> frozenset[Scope]:
    """The scopes with all that is in them."""
    return frozenset(Scope) if Scope.ADMIN in scopes else frozenset({*scopes, Scope.READ})


def scopes_from(texts: Collection[str]) -> frozenset[Scope]:
    """Scopes that somebody typed. Raises MalformedError, which names them all, for another and for none."""
    names = [scope.value for scope in Scope]
    if not texts or not set(texts) <= set(names):
        raise MalformedError(f"a token has one or more of the scopes {', '.join(names)}")
    return frozenset(map(Scope, texts))
