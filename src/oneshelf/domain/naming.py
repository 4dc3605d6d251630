"""What became of a SKU that somebody named, in words."""

from __future__ import annotations

from oneshelf.domain.identity import Sku


def in_words(sku: Sku, *, is_new: bool, linked_count: int) -> str:
    """`linked_count`: listings that carried the name before anybody had said it, and are linked now."""
    words = f"{sku} is named" if is_new else f"{sku} was named before; its title is kept"
    if not linked_count:
        return words
    listings = "1 listing that carries it is" if linked_count == 1 else f"{linked_count:,} listings that carry it are"
    return f"{words}; {listings} linked to it now"
