"""Last write wins: one figure, and the write with the newest stamp stands.

It loses every write that was made at the same time as the winner. With stamps of clocks on the wall it also loses
writes that came after the winner and knew of it, where the winner's clock was fast; with a hybrid clock it does not.
"""

from __future__ import annotations

from typing import NamedTuple

from oneshelf.domain.version.context import Dot
from oneshelf.domain.version.hybrid_clock import Stamp


class LastWrite(NamedTuple):
    """A figure and when it was written. Ordered as a tuple.

    The dot decides between equal stamps, and the figure between two that one source wrote under one dot: without both
    it would depend on the order of arrival which of them stands.
    """

    stamp: Stamp
    dot: Dot
    units: int

    def merge(self, other: LastWrite) -> LastWrite:
        """The later one."""
        return max(self, other)
