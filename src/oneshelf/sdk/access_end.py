"""A credential that ends on a known day unless a person renews it, and how that is told in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol, runtime_checkable

from oneshelf.domain.alert import ACCESS_ENDS_DAYS
from oneshelf.sdk.message import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessEnd:
    """`what`: the credential, in shop words. `begun_on`: as a person told in `setting`. `way_out`: how to renew it."""

    what: str
    begun_on: date
    life: timedelta
    setting: str
    way_out: str

    @property
    def ends_on(self) -> date:
        return self.begun_on + self.life


@runtime_checkable
class EndsAccess(Protocol):
    """What a connector adds whose credentials end on a day that a person's settings tell."""

    def access_ends(self) -> Sequence[AccessEnd]:
        """All of which the day is known. Calls nobody."""
        ...


def finding_of(end: AccessEnd, *, today: date) -> Finding:
    """How long a credential has to live: told from 30 days before its end on, and not good from 7 days on."""
    if end.begun_on > today:
        return Finding(end.what, is_good=False, detail=f"{end.setting} is {end.begun_on}, which is yet to come")
    left = (end.ends_on - today).days
    if left <= 0:
        return Finding(end.what, is_good=False, detail=f"it ended on {end.ends_on}; {end.way_out}")
    early, soon, last = ACCESS_ENDS_DAYS
    if left > early:
        return Finding(end.what, is_good=True, detail=f"good until {end.ends_on}")
    hurry = "today" if left <= last else f"within {left} days"
    return Finding(end.what, is_good=left > soon, detail=f"it ends on {end.ends_on}: {end.way_out}, {hurry}")
