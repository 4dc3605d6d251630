"""What the laws are asked of. Each thing is drawn as one number: thousands cost little, and they still shrink."""

from __future__ import annotations

from math import prod
from random import Random

from hypothesis import strategies as st

from oneshelf.domain.version.context import Dot, context_of
from oneshelf.domain.version.hybrid_clock import Stamp

SOURCES = ("erp", "shop", "wms")
NUMBERS = range(1, 6)
DOTS = [Dot(source, number) for number in NUMBERS for source in SOURCES]


def numbers(*below: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Some numbers at once, each from 0 to less than its bound."""
    return st.integers(0, prod(below) - 1).map(lambda number: _split(number, below))


def rows(*below: int, most: int) -> st.SearchStrategy[list[tuple[int, ...]]]:
    """Up to `most` times some numbers, drawn as so many pairs of bytes."""

    def split(drawn: bytes) -> list[tuple[int, ...]]:
        return [_split(int.from_bytes(drawn[at : at + 2]), below) for at in range(0, len(drawn), 2)]

    return st.integers(0, most).flatmap(lambda length: st.binary(min_size=2 * length, max_size=2 * length)).map(split)


def _split(number: int, below: tuple[int, ...]) -> tuple[int, ...]:
    parts = []
    for bound in below:
        number, part = divmod(number, bound)
        parts.append(part)
    return tuple(parts)


def some_dots(mask: int) -> list[Dot]:
    """The dots whose bits are set."""
    return [dot for place, dot in enumerate(DOTS) if mask >> place & 1]


def stamp_of(number: int) -> Stamp:
    """One of 54 stamps."""
    return Stamp(number % 6, number // 6 % 3, SOURCES[number // 18 % 3])


contexts = st.integers(0, 2 ** len(DOTS) - 1).map(lambda mask: context_of(dots=some_dots(mask)))
randoms = st.integers(0, 2**32 - 1).map(Random)
