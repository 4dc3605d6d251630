"""Passwords: which are taken, how they are kept (Argon2id), and how often one may be tried."""

from __future__ import annotations

import asyncio
import hashlib
import unicodedata
from dataclasses import dataclass, field

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from oneshelf.domain.identity import name_from
from oneshelf.errors import MalformedError
from oneshelf.storage import access_limits
from oneshelf.storage.access_limits import Bucket
from oneshelf.storage.database import Transaction

# OWASP ASVS 5.0, 6.2: at least 12 characters; the most bounds the work of a stranger's try.
LENGTH_MIN, LENGTH_MAX = 12, 128
# OWASP Password Storage Cheat Sheet, 2025: 19 MiB, two passes, one lane.
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
HASHES_AT_ONCE = 2
# OpenID Connect Core 1.0, section 2: at most 255 ASCII characters.
SUBJECT_LENGTH_MAX = 255
# Of one name from one address, of one name from everywhere, and of one address whatever the name.
TRIES, TRIES_IN_S = 5, 15 * 60
NAME_TRIES, NAME_TRIES_IN_S = 50, 3600
ADDRESS_TRIES, ADDRESS_TRIES_IN_S = 100, 3600


@dataclass(slots=True)
class Passwords:
    """Hashes and compares, in threads, a few at once: each takes 19 MiB."""

    _hasher: PasswordHasher = field(
        default_factory=lambda: PasswordHasher(
            time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES, type=Type.ID
        )
    )
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(HASHES_AT_ONCE))
    _nobodys: str = ""

    async def hashed(self, password: str) -> str:
        """The hash to be kept."""
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, _normal(password))

    async def is_right(self, password: str, *, kept: str) -> bool:
        """Whether this is the password. `kept` is "" for nobody's, which is wrong after as long a time."""
        if not kept and not self._nobodys:
            self._nobodys = await self.hashed("of nobody at all")
        async with self._turns:
            is_same = await asyncio.to_thread(self._verified, kept or self._nobodys, _normal(password))
        return is_same and bool(kept)

    def _verified(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False


def password_from(text: str, *, again: str, name: str) -> str:
    """A password that somebody chose, and typed twice. Raises MalformedError, which does not repeat it."""
    length = len(_normal(text))
    if not LENGTH_MIN <= length <= LENGTH_MAX:
        raise MalformedError(
            f"a password has {LENGTH_MIN} to {LENGTH_MAX} characters, this one {length}; a few words make a good one"
        )
    if _normal(text).casefold() in {name, name * 2} or len(set(text)) < 5:
        raise MalformedError("this password is too easy to guess; a few words make a good one")
    if text != again:
        raise MalformedError("the two passwords are not the same")
    return text


def user_name_from(text: str) -> str:
    """The name of a person, in lower case. Raises MalformedError."""
    return name_from(text, what="name").casefold()


def subject_from(text: str) -> str:
    """Who somebody is at an issuer, to the letter, as an admin types it. Raises MalformedError."""
    if not 0 < len(text) <= SUBJECT_LENGTH_MAX or not text.isascii() or not text.isprintable():
        raise MalformedError(
            f"a subject has 1 to {SUBJECT_LENGTH_MAX} ASCII characters; oneshelf audit-log shows whose was refused"
        )
    return text


def unlinked_words(name: str) -> str:
    """What holds once no account elsewhere is this person's. An address is what an account is found by."""
    if "@" not in name:
        return f"no account elsewhere lets {name} in"
    return (
        f"the account elsewhere lets {name} in no more; one whose verified address this is will be linked when it "
        f"comes. To keep {name} out: oneshelf user disable {name}"
    )


async def take_a_try(tx: Transaction, *, name: str, address: str) -> float:
    """Count one try to log in, on all nodes. 0 where it is allowed, else the seconds to wait.

    The name is hashed: it may be a password in the wrong field.
    """
    who = hashlib.sha256(name.encode()).hexdigest()[:32]
    buckets = (
        Bucket(f"login/{who}/{address}", TRIES / TRIES_IN_S, TRIES),
        Bucket(f"login/{who}", NAME_TRIES / NAME_TRIES_IN_S, NAME_TRIES),
        _of_address(address),
    )
    return max([await access_limits.take(tx, bucket) for bucket in buckets])


async def take_a_try_from(tx: Transaction, address: str) -> float:
    """As `take_a_try`, where nobody has said a name: of one address whatever it is about."""
    return await access_limits.take(tx, _of_address(address))


async def forget_tries(tx: Transaction, *, name: str, address: str) -> None:
    """The right password came: earlier tries from there count no more."""
    who = hashlib.sha256(name.encode()).hexdigest()[:32]
    await access_limits.fill(tx, f"login/{who}/{address}")


def _of_address(address: str) -> Bucket:
    return Bucket(f"login from {address}", ADDRESS_TRIES / ADDRESS_TRIES_IN_S, ADDRESS_TRIES)


def _normal(password: str) -> str:
    # The same keys give the same password on every system.
    return unicodedata.normalize("NFC", password)
