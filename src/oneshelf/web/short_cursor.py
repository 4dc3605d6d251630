"""The cursor of `/v1/short`: a place in the queue of those that wait, as one word for an address."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

from oneshelf.domain.identity import instant_from, location_from, printable, sku_from
from oneshelf.errors import MalformedError
from oneshelf.storage.detail_views import ShortPlace

# Names of 120 characters, an order's three, of up to four bytes each, and base64.
CURSOR_LENGTH_MAX = 4_000


def cursor_of(place: ShortPlace) -> str:
    """A word that `place_from` reads."""
    told = msgspec.json.encode((place.since, place.source, place.sku, place.location))
    return urlsafe_b64encode(told).decode().rstrip("=")


def place_from(cursor: str) -> ShortPlace:
    """The place that a cursor names. Raises MalformedError for one that no page gave."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        told = urlsafe_b64decode(padded)
        since, source, sku, location = msgspec.json.decode(told, type=tuple[str, str, str, str])
    except (UnicodeEncodeError, binascii.Error, msgspec.DecodeError):
        raise MalformedError("after must be the `next` of another page") from None
    if printable(source, length_max=len(source)) != source:
        raise MalformedError("after must be the `next` of another page")
    return ShortPlace(instant_from(since, what="after"), source, sku_from(sku), location_from(location))
