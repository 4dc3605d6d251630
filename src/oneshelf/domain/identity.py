"""Names of things, and the one gate through which text and numbers from outside become names and units."""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime
from typing import NewType

from oneshelf.errors import MalformedError

Sku = NewType("Sku", str)
Location = NewType("Location", str)
Channel = NewType("Channel", str)
ChannelSku = NewType("ChannelSku", str)

UNITS_MAX = 1_000_000_000
NAME_LENGTH_MAX = 120

# Control, format (zero width, text direction), surrogate, private and unassigned characters have no place in a name.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Nor have the letters and marks that show nothing: a joiner, and the fillers of Hangul, Khmer, Mongolian and Braille.
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
# What may stand around a name and is taken away: a barcode's separators and the like may not.
_AROUND = "\t\n\r" + "".join(map(chr, (0x20, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)))


def name_from(value: object, *, what: str) -> str:
    """A trimmed name in Unicode form NFC, so that both spellings of "CAFÉ" are one SKU. Case is kept.

    Raises MalformedError when it is not text, empty, too long, or holds invisible or control characters.
    """
    if not isinstance(value, str):
        raise MalformedError(f"{what} must be text, not {type(value).__name__}")
    name = unicodedata.normalize("NFC", value).strip(_AROUND)
    if not name:
        raise MalformedError(f"{what} is empty; write at least one character")
    if len(name) > NAME_LENGTH_MAX:
        raise MalformedError(f"{what} has {len(name)} characters, at most {NAME_LENGTH_MAX} are allowed")
    if name.isascii() and name.isprintable():
        return name  # Nearly all of them are so.
    for character in name:
        if unicodedata.category(character) in _REFUSED_CATEGORIES or character in _UNSEEN:
            raise MalformedError(f"{what} holds the invisible or control character U+{ord(character):04X}")
    return name


def printable(text: str, *, length_max: int) -> str:
    """Somebody else's words, fit to be stored and shown: invisible characters become blanks, cut to size."""
    if text.isprintable():
        return text[:length_max]  # Nearly all of them are so, and have none of the refused ones.
    words = "".join(" " if unicodedata.category(character) in _REFUSED_CATEGORIES else character for character in text)
    return words[:length_max]


def sku_from(value: object) -> Sku:
    """A SKU, see `name_from`."""
    return Sku(name_from(value, what="SKU"))


def source_name_from(value: object) -> str:
    """A system that states figures, see `name_from`.

    Raises MalformedError also for a slash, which parts it from its documents, and a bar, which joins equal ranks.
    """
    name = name_from(value, what="source")
    for character, called in (("/", "slash"), ("|", "bar")):
        if character in name:
            raise MalformedError(f"source {name!r} holds a {called}; leave it out")
    return name


def location_from(value: object) -> Location:
    """A location's name, see `name_from`."""
    return Location(name_from(value, what="location"))


def channel_from(value: object) -> Channel:
    """A channel's name, see `name_from`; it appears in addresses, so a slash is refused."""
    name = name_from(value, what="channel")
    if "/" in name:
        raise MalformedError(f"channel {name!r} holds a slash")
    return Channel(name)


def units_from(value: object, *, what: str, least: int = 0) -> int:
    """A whole number of units between `least` and a thousand million.

    Text, fractions (also 1.0), booleans, NaN and digits of other scripts are refused: no silent rounding.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise MalformedError(f"{what} must be a whole number of units, not {_shown(value)}")
    if not least <= value <= UNITS_MAX:
        raise MalformedError(f"{what} is {_shown(value)}; it must lie between {least} and {UNITS_MAX}")
    return value


def instant_from(value: object, *, what: str) -> datetime:
    """An instant in UTC, from ISO 8601 with a zone, such as 2026-11-25T14:00:00Z or …T15:00:00+01:00.

    A time without a zone is refused: whose clock it was is anybody's guess, and an hour is many sales.
    """
    try:
        instant = datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise MalformedError(f"{what} must be an instant in ISO 8601, such as 2026-11-25T14:00:00Z") from None
    if instant.tzinfo is None:
        raise MalformedError(f"{what} has no zone; add Z for UTC, or an offset such as +01:00")
    try:
        instant = instant.astimezone(UTC)
    except OverflowError:
        raise MalformedError(f"{what} lies outside the years that anybody counts in") from None
    if not 1970 < instant.year < 9999:
        raise MalformedError(f"{what} is of the year {instant.year}; nobody counted then")
    return instant


def day_from(value: object, *, what: str) -> date:
    """A day, from ISO 8601 such as 2026-12-01. Raises MalformedError."""
    try:
        day = date.fromisoformat(value if isinstance(value, str) and len(value) == len("2026-12-01") else "")
    except ValueError:
        raise MalformedError(f"{what} must be a day in ISO 8601, such as 2026-12-01") from None
    if not 1970 < day.year < 9999:
        raise MalformedError(f"{what} is of the year {day.year}; nobody expects anything then")
    return day


def _shown(value: object) -> str:
    if isinstance(value, int) and abs(value) > UNITS_MAX**2:
        return "a number of more than 18 digits"
    return repr(value)[:40]
