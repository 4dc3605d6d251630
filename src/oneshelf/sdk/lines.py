"""Lines of a file that comes piece by piece and is never all of it in memory."""

from __future__ import annotations

from oneshelf.errors import MalformedError

# A line is one listing: that has some hundred bytes, and with a long description some thousand.
LINE_BYTES_MAX = 1_000_000


class Lines:
    """Puts lines together from pieces that end anywhere. `rest`: what is no whole line yet."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []
        self._size = 0

    @property
    def rest(self) -> bytes:
        return b"".join(self._begun)

    def take(self, piece: bytes) -> list[bytes]:
        """The lines that end in this piece, without the empty ones. Raises MalformedError for one without an end."""
        *ended, last = piece.split(b"\n")
        found: list[bytes] = []
        if ended:
            found = [line for line in (self.rest + ended[0], *ended[1:]) if line.strip()]
            self._begun, self._size = [], 0
        if last:
            self._begun.append(last)
            self._size += len(last)
        if self._size > LINE_BYTES_MAX:
            raise MalformedError(f"a line of more than {LINE_BYTES_MAX} bytes")
        return found
