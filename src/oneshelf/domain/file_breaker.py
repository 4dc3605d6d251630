"""When a file is held: it would empty so much, or says so much less than the one before, that a person looks first."""

from __future__ import annotations

from enum import StrEnum

from oneshelf.domain.breaker import Limits, is_truncated


class Allowance(StrEnum):
    """What a person says is meant so."""

    ZEROS = "zeros"
    FEWER = "fewer"
    AGAIN = "again"  # it was taken back, and is to count after all


def too_many_zeros(*, zeroed: int, filled: int, limits: Limits) -> bool:
    """Whether a file would leave nothing of too many SKUs. `filled`: of how many there is something, at its locations.

    The limits are those of a channel that is held: a file that is let through here may still be held there.
    """
    return zeroed >= limits.zero_least and zeroed > limits.zero_share * filled


def too_few_rows(*, rows: int, before: int, limits: Limits) -> bool:
    """Whether a file was probably cut off. `before`: rows of the last one of the same kind and source."""
    return is_truncated(seen=rows, before=before, limits=limits)
