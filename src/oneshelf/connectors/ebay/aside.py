"""Which listings were taken off sale because nothing was left: noted before it is done, so that no kill loses it.

Nothing at eBay tells a listing that we ended from one that a person ended. A note names the listing (its item id), and
not only its SKU: what came back has another id, and the note ends with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from oneshelf.clock import Clock
from oneshelf.connectors.ebay.kept_note import KeptNote
from oneshelf.domain.identity import ChannelSku
from oneshelf.sdk.secret_store import SecretStore

NAME = "aside"
# What still stands on sale so long after it was noted was never ended: no reading is older, no call under way.
NOTE_S = 900.0


class Note(msgspec.Struct, frozen=True, array_like=True):
    """One listing that was, or is about to be, taken off sale. `noted_at`: seconds since 1970. `offer_id`: its offer's
    name in the Inventory API; empty where it has none, or nobody noted it.
    """

    item_id: str
    noted_at: float
    offer_id: str = ""


class Aside:
    """The notes of one account, shared by all nodes. It knows what it read last."""

    def __init__(self, store: SecretStore, *, clock: Clock) -> None:
        self._clock = clock
        self._kept = KeptNote(store, NAME, dict[str, Note], empty={}, what="the notes of ended listings")
        self._notes: dict[str, Note] = {}

    async def look(self) -> None:
        """Read what is noted now. Raises RetryLaterError."""
        self._notes = await self._kept.read()

    def item_id(self, channel_sku: ChannelSku) -> str | None:
        """The listing of this SKU that we took off sale, or were about to. None: there is none."""
        note = self._notes.get(channel_sku)
        return None if note is None else note.item_id

    def offer_id(self, channel_sku: ChannelSku) -> str:
        """The offer of this SKU that we withdrew, or were about to. Empty: there is none, or nobody noted it."""
        note = self._notes.get(channel_sku)
        return "" if note is None else note.offer_id

    async def note(self, channel_sku: ChannelSku, item_id: str, *, offer_id: str = "") -> None:
        """It is about to be taken off sale. Raises RetryLaterError: then it is not noted, and must not be ended."""
        await self._change({channel_sku: Note(item_id, self._clock.now().timestamp(), offer_id)}, gone=())

    async def drop(self, channel_skus: Iterable[ChannelSku]) -> None:
        """These are on sale again, or were never ended. Raises RetryLaterError."""
        gone = {sku for sku in channel_skus if sku in self._notes}
        if gone:
            await self._change({}, gone=gone)

    def is_over(self, channel_sku: ChannelSku, *, live_item_id: str) -> bool:
        """Whether the note says nothing any more, as this listing stands on sale under the SKU."""
        note = self._notes.get(channel_sku)
        if note is None:
            return False
        return note.item_id != live_item_id or self._clock.now().timestamp() - note.noted_at > NOTE_S

    async def _change(self, noted: Mapping[str, Note], *, gone: Iterable[str]) -> None:
        """Another node may note something at the same time: then both stand."""
        left = frozenset(gone)
        await self._kept.change(lambda notes: {sku: one for sku, one in notes.items() if sku not in left} | dict(noted))
        await self.look()
