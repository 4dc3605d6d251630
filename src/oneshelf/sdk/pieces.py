"""A long answer of a simulator, piece by piece, as a channel's storage sends it."""

from __future__ import annotations

from collections.abc import AsyncIterator

PIECE_BYTES = 65_536


async def pieces_of(content: bytes) -> AsyncIterator[bytes]:
    """The content in its order. It goes out as fast as it is taken."""
    for start in range(0, len(content), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]
