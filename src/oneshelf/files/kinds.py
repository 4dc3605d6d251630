"""The kinds of files there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oneshelf.errors import MalformedError
from oneshelf.files.kind import RowKind
from oneshelf.files.link_rows import Links
from oneshelf.files.name_rows import Locations, Skus
from oneshelf.files.rule_rows import Policies
from oneshelf.files.stock_rows import Counts, Receipts
from oneshelf.files.wholesale_rows import WholesaleOrders

KINDS: Mapping[str, RowKind[Any]] = {
    kind.name: kind for kind in (Skus(), Locations(), Links(), Counts(), Receipts(), Policies(), WholesaleOrders())
}


def kind_named(name: str) -> RowKind[Any]:
    """The kind with this name. Raises MalformedError, which names them all."""
    if name not in KINDS:
        raise MalformedError(f"there is no kind of file {name[:40]!r}; there are: {', '.join(KINDS)}")
    return KINDS[name]
