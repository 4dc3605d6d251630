"""Failures of the engine itself, named for what to do next.

A refusal (short stock, unknown SKU) is never an exception: it is a value, see `domain.command`.
A channel's failures live in `sdk.fault`.
"""

from __future__ import annotations

from typing import NoReturn


class OneshelfError(Exception):
    """Base of every failure that oneshelf raises on purpose. The text says what is wrong and the way out."""


class ConfigurationError(OneshelfError):
    """Something a person has to set right: a setting, a missing program, a wrong database."""


class KeyMissingError(ConfigurationError):
    """A secret is sealed by a key that is not on this machine. Put the key back; nothing is lost."""


class DatabaseUnavailableError(OneshelfError):
    """PostgreSQL cannot be reached right now. Nothing was written; try again."""


class DatabaseRefusedError(OneshelfError):
    """PostgreSQL will not take these rows as they are: a figure or a text beyond its bounds. Nothing was written."""


class AnotherAuditError(OneshelfError):
    """Somebody else audits the same at this moment. Wait for them; nothing was done."""


class RowExistsError(DatabaseRefusedError):
    """Somebody else wrote the same key at the same time and was faster. Nothing was written; look again."""


class OverloadedError(OneshelfError):
    """More is asked for than can be done in time. Nothing was done; try again in a moment."""


class StillPostingError(OneshelfError):
    """The answer takes too long. Whether it was done is not known yet; ask again with the same key."""


class IssuerUnavailableError(OneshelfError):
    """The issuer of log-ins cannot be asked now, or answers what cannot be used. Try again; see `oneshelf doctor`."""


class IdentityRefusedError(OneshelfError):
    """What the issuer says of somebody does not hold, so nobody is let in by it. Log in anew."""


class MalformedError(OneshelfError):
    """Input that cannot be read. It is refused or parked with this text; it is never guessed at."""


class InvariantError(BaseException):
    """A bug in oneshelf. Nobody catches it: the worker stops, the transaction is rolled back.

    It is a `BaseException` so that no `except Exception` can swallow it.
    """


def invariant(claim: bool, what: str, /) -> None:
    """Stop this worker unless `claim` holds. `what` names the rule and the figures that break it."""
    if not claim:
        broken(what)


def broken(what: str, /) -> NoReturn:
    """Stop this worker: the rule `what` does not hold."""
    raise InvariantError(what)


class CannotResolveError(OneshelfError):
    """A drift cannot be resolved as a person wished. The message says why, and what can be done."""


class UnknownDriftError(CannotResolveError):
    """There is no such drift."""


class UnknownConflictError(CannotResolveError):
    """There is no such conflict."""


class UnknownEndpointError(OneshelfError):
    """There is no such endpoint. The text names those there are."""
