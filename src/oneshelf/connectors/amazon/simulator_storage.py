"""Where the simulated Amazon's documents lie: reports, feeds and what came of them. An address lives five minutes.

Who knows an address needs no token. A dead one is refused as the storage does it, in XML.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from oneshelf.clock import Clock
from oneshelf.sdk.pieces import pieces_of
from oneshelf.sdk.switches import Switches

PATH = "/_documents/{token}"
ADDRESS_LIFE_S = 300.0
# However fast the simulation runs: whoever fetches a document is as slow as ever.
TRUE_LIFE_S_LEAST = 10.0
FAULTS = ("document_expired", "document_truncated")
_EXPIRED = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
_MISSING = "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"


@dataclass(slots=True)
class Kept:
    """One document. `content` is None while nobody has put it there."""

    content: bytes | None
    content_type: str
    is_packed: bool


@dataclass(slots=True)
class Storage:
    """All documents, and the addresses that were told."""

    clock: Clock
    random: Random
    chance: Random
    speed: float
    switches: Switches
    _documents: dict[str, Kept] = field(default_factory=dict)
    # Token -> document and until when.
    _addresses: dict[str, tuple[str, float]] = field(default_factory=dict)

    def keep(self, content: bytes | None, *, content_type: str, is_packed: bool = False) -> str:
        """The id of a new document; without content it is a place to put one."""
        bits = f"{self.random.getrandbits(128):032x}"
        document_id = f"amzn1.spdoc.1.4.na.{bits[:8]}-{bits[8:12]}-{bits[12:16]}-{bits[16:20]}-{bits[20:]}"
        self._documents[document_id] = Kept(content, content_type, is_packed)
        return document_id

    def address(self, document_id: str, base: str) -> str | None:
        """An address of a document, good for five minutes; None: there is no such document."""
        if document_id not in self._documents:
            return None
        now = self.clock.monotonic()
        self._addresses = {token: one for token, one in self._addresses.items() if one[1] > now}
        token = f"{self.random.getrandbits(160):040x}"
        self._addresses[token] = (document_id, now + max(TRUE_LIFE_S_LEAST, ADDRESS_LIFE_S / self.speed))
        return base.rstrip("/") + PATH.replace("{token}", token)

    def drop(self, document_id: str) -> None:
        """Its time is over: nobody gets it any more."""
        self._documents.pop(document_id, None)
        self._addresses = {token: one for token, one in self._addresses.items() if one[0] != document_id}

    def is_packed(self, document_id: str) -> bool:
        return self._documents[document_id].is_packed

    def content(self, document_id: str) -> bytes | None:
        """What was put there; None: nothing, or no such document."""
        kept = self._documents.get(document_id)
        return kept.content if kept else None

    async def get(self, request: Request) -> Response:
        kept = self._reached(request)
        if kept is None:
            return Response(_EXPIRED, status_code=403, media_type="application/xml")
        if kept.content is None:
            return Response(_MISSING, status_code=404, media_type="application/xml")
        content = kept.content
        if content and self.switches.strikes("document_truncated"):
            content = content[: self.chance.randrange(len(content) // 4, len(content))]
        headers = {"Content-Length": str(len(content)), "Content-Type": kept.content_type}
        return StreamingResponse(pieces_of(content), headers=headers)

    async def put(self, request: Request) -> Response:
        kept = self._reached(request)
        if kept is None or request.headers.get("content-type") != kept.content_type:
            # The address was signed for one kind of content.
            return Response(_EXPIRED, status_code=403, media_type="application/xml")
        kept.content = await request.body()
        return Response(status_code=200)

    def _reached(self, request: Request) -> Kept | None:
        document_id, until = self._addresses.get(request.path_params["token"], ("", 0.0))
        is_dead = self.clock.monotonic() >= until or self.switches.strikes("document_expired")
        return None if is_dead else self._documents[document_id]
