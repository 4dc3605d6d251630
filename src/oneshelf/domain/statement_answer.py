"""What is answered to a statement."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from oneshelf.domain.statement import Stated


class Refused(StrEnum):
    """Why a statement was not taken. Nothing of it is kept."""

    UNKNOWN_SOURCE = "unknown_source"
    UNKNOWN_SKU = "unknown_sku"
    UNKNOWN_LOCATION = "unknown_location"
    IS_BUNDLE = "is_bundle"
    NO_SUCH_COUNT = "no_such_count"
    BEFORE_HISTORY = "before_history"
    IN_FUTURE = "in_future"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one row. `words` say it for a person. `conflict_id`: where what disagreed is written down."""

    outcome: Stated | Refused
    words: str
    statement_id: UUID | None = None
    conflict_id: UUID | None = None
    is_replayed: bool = False
