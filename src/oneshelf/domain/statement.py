"""What another system states: a figure with what it had seen, or a difference that is a fact of its own.

Each statement is of one SKU at one location and carries its source's document number: the same number is the same
statement, and the same number with another content is two stories of one event, which are never merged.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import quote
from uuid import UUID

import msgspec

from oneshelf.domain.command import CLOCK_ERROR_S, CLOCK_ERROR_S_MAX, KEY_LENGTH_MAX, CommandKey, CountedFigure
from oneshelf.domain.identity import UNITS_MAX, Location, Sku
from oneshelf.domain.version.leader import Version
from oneshelf.errors import MalformedError

DOCUMENTS_MAX = 1_000
# A clock that reads zero: what was counted then had seen nothing but what it quotes.
_HASH_LENGTH = 12


class Stated(StrEnum):
    """What became of a statement."""

    NEW = "new"  # nobody has decided yet
    POSTED = "posted"  # a difference: the ledger moved it
    WAITING = "waiting"  # a difference that the ledger cannot take yet: too few units are there
    ECHO = "echo"  # what we told them first: no news
    AGREED = "agreed"  # it says what the ledger says, within the tolerance
    RULES = "rules"  # the ledger follows it
    BEATEN = "beaten"  # another one, or the engine, decided
    SUPERSEDED = "superseded"  # a later one has seen it
    DISMISSED = "dismissed"  # a person set it aside


# Among these it is decided who rules.
LIVE = (Stated.NEW, Stated.AGREED, Stated.RULES, Stated.BEATEN)


class Document(msgspec.Struct, frozen=True, order=True):
    """What somebody has read: a document of a source, or an order of a channel (`is_shipped`: that it left, too)."""

    source: str
    number: str
    is_shipped: bool = False


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """One row of what a source states. `units`: the figure; of a difference (no `figure`) what came or left.

    What the figure had seen: `documents`, or all until `as_of` on a clock wrong by `error_s` and those besides, or all
    until the count token was given. `epoch`, `sequence`: the source's own order of its statements, where it has one.
    `write_id`: the movement of ours from which the source has this.
    """

    source: str
    document: str
    sku: Sku
    location: Location
    units: int
    figure: CountedFigure | None = None
    documents: tuple[Document, ...] = ()
    as_of: datetime | None = None
    error_s: int | None = None
    token: UUID | None = None
    epoch: int = 0
    sequence: int | None = None
    happened_at: datetime | None = None
    write_id: UUID | None = None

    def __post_init__(self) -> None:
        if self.figure is None:
            if self.units == 0 or abs(self.units) > UNITS_MAX:
                raise MalformedError(f"{self.document}: a difference of {self.units} units; it must not be 0 or huge")
            if self.documents or self.as_of or self.token:
                raise MalformedError(f"{self.document}: a difference has seen nothing; say seen with a figure")
        else:
            self._check_figure()
        if self.error_s is not None and not 0 <= self.error_s <= CLOCK_ERROR_S_MAX:
            raise MalformedError(f"error_s is {self.error_s}; it must be 0 to {CLOCK_ERROR_S_MAX} seconds")
        if self.epoch < 0 or (self.sequence is not None and self.sequence < 0):
            raise MalformedError(f"{self.document}: epoch and sequence are whole numbers from 0")
        # Raises where the number is too long to be a key of the ledger.
        _ = self.key

    def _check_figure(self) -> None:
        if not 0 <= self.units <= UNITS_MAX:
            raise MalformedError(f"{self.document}: {self.units} units; a figure is 0 to {UNITS_MAX}")
        if self.happened_at is not None:
            raise MalformedError(f"{self.document}: happened_at is of a difference; a figure says seen.as_of")
        if self.token is not None and (self.as_of is not None or self.documents):
            raise MalformedError(f"{self.document}: a count token says all that was seen; leave out the rest")
        if len(self.documents) > DOCUMENTS_MAX:
            raise MalformedError(
                f"{self.document} quotes {len(self.documents)} documents, at most {DOCUMENTS_MAX} are allowed; "
                "say as_of, and quote only what is later"
            )

    @property
    def key(self) -> CommandKey:
        """The key under which the ledger takes the difference. The movements carry it as their source."""
        return key_of(self.source, self.document, sku=self.sku, location=self.location)

    @property
    def fingerprint(self) -> bytes:
        """What must be the same when a document number comes again."""
        return hashlib.sha256(msgspec.json.encode(self)).digest()

    @property
    def seen_sources(self) -> tuple[str, ...]:
        """What movements of the quoted documents carry as their source, or, of orders, how it begins."""
        return tuple(sorted({seen for one in self.documents for seen in self._carried(one)}))

    def _carried(self, one: Document) -> tuple[str, ...]:
        order = f"order {one.source}/{one.number}/"
        shipped = (f"{SHIPPED}{order}",) if one.is_shipped else ()
        return (str(key_of(one.source, one.number, sku=self.sku, location=self.location)), order, *shipped)

    def __str__(self) -> str:
        return f"{self.source} {self.document}"


# Before the source of an order's movements, where what left for it was seen too.
SHIPPED = "shipped "


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A statement of a figure among others. `value`: the figure now if it ruled, what it had not seen added."""

    statement_id: UUID
    statement: Statement
    received_at: datetime
    value: int
    error_s: int = CLOCK_ERROR_S
    begun_at: datetime | None = None
    units_ambiguous: int = 0
    is_favoured: bool = False

    @property
    def instant(self) -> datetime:
        """What instant it is of, as far as anybody knows."""
        return self.statement.as_of or self.begun_at or self.received_at

    def has_seen(self, other: Standing) -> bool:
        """Whether it was made in the knowledge of the other: by its source's own order, or quoted, or later by far."""
        mine, theirs = self.statement, other.statement
        if any((one.source, one.number) == (theirs.source, theirs.document) for one in mine.documents):
            return True
        if mine.source == theirs.source:
            if mine.sequence is not None and theirs.sequence is not None:
                return Version(mine.epoch, mine.sequence) > Version(theirs.epoch, theirs.sequence)
            if mine.epoch != theirs.epoch:
                return mine.epoch > theirs.epoch
            return self.instant > other.instant
        if self.begun_at is not None:
            return other.received_at <= self.begun_at
        if mine.as_of is None or theirs.as_of is None:
            return False
        return mine.as_of - theirs.as_of > timedelta(seconds=self.error_s + other.error_s)


def key_of(source: str, document: str, *, sku: Sku, location: Location) -> CommandKey:
    """The key of what a document says of one SKU at one location. Raises MalformedError for a number too long."""
    line = hashlib.sha256(f"{len(sku)} {sku}{location}".encode()).hexdigest()[:_HASH_LENGTH]
    number = f"{quote(document, safe='')}#{line}"
    if len(number) > KEY_LENGTH_MAX:
        raise MalformedError(f"the document number {document[:40]!r} is too long once it is written in plain letters")
    return CommandKey(scope=f"source {source}", key=number)
