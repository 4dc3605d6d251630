"""The cursor of `/v1/short`: a place in the queue of those that wait, as one word for an address."""

from __future__ import annotations

from oneshelf.domain.identity import instant_from, location_from, sku_from
from oneshelf.storage.detail_views import ShortPlace
from oneshelf.web import cursor


def cursor_of(place: ShortPlace) -> str:
    """A word that `place_from` reads."""
    return cursor.cursor_of(place.since.isoformat(), place.source, place.sku, place.location)


def place_from(word: str) -> ShortPlace:
    """The place that a cursor names. Raises MalformedError for one that no page gave."""
    since, source, sku, location = cursor.names_from(word, count=4)
    return ShortPlace(instant_from(since, what="after"), source, sku_from(sku), location_from(location))
