"""Access tokens that end: one in use, one request for the next, also between the nodes that share a store.

What a channel hands out is kept before it is used. A refresh token that is used up and a new one that was lost would
end the access for good; a process that dies at any point leaves either the old pair in the store or the new one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from oneshelf.clock import Clock
from oneshelf.domain.kept import Kept
from oneshelf.errors import DatabaseUnavailableError
from oneshelf.sdk.fault import ReauthenticateError, RetryLaterError
from oneshelf.sdk.http import Reply
from oneshelf.sdk.secret_store import SecretStore

# A token this close to its end is not used any more; for short-lived ones a tenth of the life is enough.
MARGIN_S = 60.0
MARGIN_SHARE = 0.1

# Longer than any call takes: whoever claimed to ask, and has not kept anything by then, is dead.
CLAIM_S = 30.0
_LOOK_AGAIN_S = 0.25


@dataclass(frozen=True, slots=True)
class Grant:
    """What a channel handed out. `life_s`: of the access token, from when it was asked for.

    `refresh_token`: what the next grant is asked for with; empty: with what this one was.
    """

    access_token: str = field(repr=False)
    life_s: float
    refresh_token: str = field(default="", repr=False)


class Tokens:
    """The access token of one account. Callers that come while it is being fetched wait for that one fetch.

    `ask` is given a refresh token and asks the channel once. `refresh_token`: what a person typed in; empty: the
    channel needs none. `typed`: what tells this access from another one of the same channel. Whoever types in another
    refresh token, application or account wins over everything that was kept before.
    """

    def __init__(
        self,
        ask: Callable[[str], Awaitable[Grant]],
        *,
        clock: Clock,
        store: SecretStore,
        refresh_token: str = "",
        typed: tuple[str, ...] = (),
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._store = store
        self._refresh_token = refresh_token
        told = "\0".join((*typed, refresh_token))
        self._origin = hashlib.sha256(told.encode()).hexdigest()[:32]
        self._flight = asyncio.Lock()
        self._token: str | None = None
        self._usable_until = 0.0

    async def access_token(self) -> str:
        """A token that is good as far as we know. Raises ReauthenticateError, RetryLaterError."""
        return await self._good(rejected=None)

    async def renewed(self, rejected: str) -> str:
        """Another token than the `rejected` one, which the channel did not take."""
        return await self._good(rejected=rejected)

    async def _good(self, *, rejected: str | None) -> str:
        if (token := self._at_hand(rejected)) is not None:
            return token
        async with self._flight:
            if (token := self._at_hand(rejected)) is not None:
                return token
            return await self._next(rejected)

    def _at_hand(self, rejected: str | None) -> str | None:
        is_usable = self._token != rejected and self._clock.monotonic() < self._usable_until
        return self._token if is_usable else None

    async def _next(self, rejected: str | None) -> str:
        """The token that another node has kept, or a new one."""
        give_up_at = self._clock.monotonic() + CLAIM_S
        while True:
            if self._has_taken(await self._store.latest(), rejected):
                return self._token or ""
            if await self._store.claim(for_s=CLAIM_S):
                break
            if self._clock.monotonic() >= give_up_at:
                raise RetryLaterError("another node is asking for a token, and does not come to an end")
            await self._clock.sleep(_LOOK_AGAIN_S)
        try:
            return await self._fetched(rejected)
        except BaseException:
            # Also where the task is cancelled: the others need not wait for somebody who has gone. Without the
            # database the claim ends by itself.
            with suppress(DatabaseUnavailableError):
                await self._store.release()
            raise

    async def _fetched(self, rejected: str | None) -> str:
        # Read again under the claim: somebody may have come to an end in the moment before it.
        kept = await self._store.latest()
        if self._has_taken(kept, rejected):
            await self._store.release()
            return self._token or ""
        asked_at = self._clock.monotonic()
        refresh_token = self._kept(kept, "refresh_token") or self._refresh_token
        grant = await self._ask(refresh_token)
        usable_until = asked_at + grant.life_s - min(MARGIN_S, grant.life_s * MARGIN_SHARE)
        values = {
            "origin": self._origin,
            "access_token": grant.access_token,
            "usable_s": repr(usable_until - self._clock.monotonic()),
            # What was typed in is not kept a second time.
            "refresh_token": grant.refresh_token or self._kept(kept, "refresh_token"),
        }
        if not await self._store.replace(values, read=kept):
            raise RetryLaterError("others were faster, or the secrets were changed, while a token was asked for")
        self._token, self._usable_until = grant.access_token, usable_until
        return grant.access_token

    def _has_taken(self, kept: Kept, rejected: str | None) -> bool:
        """Whether the kept token is one that may be used; then it is ours too."""
        token = self._kept(kept, "access_token")
        left_s = float(self._kept(kept, "usable_s") or 0.0) - kept.age_s
        if not token or token == rejected or left_s <= 0:
            return False
        self._token, self._usable_until = token, self._clock.monotonic() + left_s
        return True

    def _kept(self, kept: Kept, name: str) -> str:
        """A kept value, where it follows from what is typed in now."""
        return kept.values.get(name, "") if kept.values.get("origin") == self._origin else ""


class FixedToken:
    """A token without an end. One that the channel does not take is replaced by a person."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def access_token(self) -> str:
        return self._token


async def called_with_token(
    tokens: Tokens | FixedToken,
    call: Callable[[str], Awaitable[Reply]],
    *,
    is_about_token: Callable[[ReauthenticateError], bool],
) -> Reply:
    """The reply to `call`, which is given a token; once more with another one where the channel rejects the first.

    A rejected token was never acted upon, so that the second attempt is safe for a write too.
    """
    token = await tokens.access_token()
    try:
        return await call(token)
    except ReauthenticateError as refusal:
        if isinstance(tokens, FixedToken) or not is_about_token(refusal):
            raise
    return await call(await tokens.renewed(token))
