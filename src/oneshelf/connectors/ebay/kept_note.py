"""One note of an account that outlives the process, shared by all nodes. It stands beside others in the same store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from oneshelf.domain.kept import Kept
from oneshelf.errors import DatabaseUnavailableError
from oneshelf.sdk.decoding import document_from
from oneshelf.sdk.fault import RetryLaterError
from oneshelf.sdk.secret_store import SecretStore

_TRIES_MAX = 3
Content = TypeVar("Content")


class KeptNote(Generic[Content]):
    """A note under a name. `what`: what it tells, in an error. `empty`: what stands there before anybody wrote."""

    def __init__(self, store: SecretStore, name: str, kind: type[Content], *, empty: Content, what: str) -> None:
        self._store = store
        self._name = name
        self._kind = kind
        self._empty = msgspec.json.encode(empty).decode()
        self._what = what

    async def read(self) -> Content:
        """What it says now. Raises RetryLaterError."""
        return self._content((await self._latest()).values.get(self._name))

    async def change(self, changed: Callable[[Content], Content]) -> None:
        """Write what `changed` makes of it. Another node may write at the same time: then both are heard.

        Raises RetryLaterError: then nothing was written.
        """
        for _ in range(_TRIES_MAX):
            kept = await self._latest()
            content = changed(self._content(kept.values.get(self._name)))
            values = {**kept.values, self._name: msgspec.json.encode(content).decode()}
            try:
                if await self._store.replace(values, read=kept):
                    return
            except DatabaseUnavailableError as problem:
                raise RetryLaterError(f"{self._what} cannot be written: {problem}") from None
        raise RetryLaterError(f"{self._what}: others were faster, or the channel's secrets were changed")

    async def _latest(self) -> Kept:
        try:
            return await self._store.latest()
        except DatabaseUnavailableError as problem:
            raise RetryLaterError(f"{self._what} cannot be read: {problem}") from None

    def _content(self, told: str | None) -> Content:
        return document_from((told or self._empty).encode(), self._kind, what=self._what)
