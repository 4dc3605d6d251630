"""What is on sale at eBay, of both worlds: what each listing shows, and where its quantity is written.

A listing is made by the Inventory API or by anything else (Seller Hub, the Trading API). "Any listing created using the
Inventory API cannot be revised or relisted using the Trading API", and the others are unknown to the Inventory API. So
each SKU is looked up, and remembered. https://developer.ebay.com/api-docs/sell/static/inventory/
inventory-item-to-offer.html (checked 2026-11-26).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from oneshelf.connectors.ebay.inventory import Item, Offer
from oneshelf.connectors.ebay.trading import Offered
from oneshelf.domain.identity import ChannelSku, name_from
from oneshelf.errors import MalformedError
from oneshelf.sdk.message import StockReading

TWICE = "two listings are on sale under this SKU: end one of them, or give it another SKU"
NO_SKU = "a variation without a SKU cannot be written: give it one at eBay"
AUCTION = "an auction: it sells one unit, by itself"
WITHDRAWN = "its offer is not published: publish it at eBay to sell here"
NOTHING_LEFT = "taken off sale while there is nothing left"
SPREAD = "eBay divides its quantity among several inventory locations: leave it one"
WHICH_OFFER = "several of its offers are not published, and which was on sale nobody knows: publish that one at eBay"
NO_QUANTITY = "eBay does not tell a quantity"


@dataclass(frozen=True, slots=True)
class InInventory:
    """Written through the Inventory API. `offers`: the live one, or the one that is to be published again."""

    item: Item
    offers: tuple[Offer, ...]
    is_live: bool


@dataclass(frozen=True, slots=True)
class InTrading:
    """Written through the Trading API. `sku`: of a variation; empty where the listing has none."""

    item_id: str
    sku: str
    is_live: bool = True


Place = InInventory | InTrading


@dataclass(frozen=True, slots=True)
class Shown:
    """One listing. `place` is None where it cannot be written; the reading's note says why."""

    reading: StockReading
    place: Place | None


def restful_id(item_id: str, variation_id: str = "0") -> str:
    """eBay's own name of what has no SKU.

    https://developer.ebay.com/api-docs/buy/static/api-browse.html (checked 2026-11-26).
    """
    return f"v1|{item_id}|{variation_id}"


def item_id_in(channel_sku: ChannelSku) -> str | None:
    """The item id in a RESTful id; None: it is a SKU."""
    parts = channel_sku.split("|")
    return parts[1] if len(parts) == 3 and parts[0] == "v1" and parts[1].isdigit() and parts[2].isdigit() else None


def merchant_sku(sku: str) -> str | None:
    """The SKU as a name; None where it is none."""
    try:
        return name_from(sku, what="SKU")
    except MalformedError:
        return None


def shown_in_inventory(
    item: Item, offers: Iterable[Offer], *, is_aside: bool, aside_offer_id: str = "", marketplace_id: str = ""
) -> Shown | None:
    """A listing of the Inventory API. None: the item was never offered, so that it is no listing.

    It shows the lesser of what the item and the offer have. An item of zero whose offer is not published was taken off
    sale because there was nothing left (`is_aside`: by us, as we remember); one with units was taken off by a person,
    and is left alone. Of several offers the one comes back that we withdrew (`aside_offer_id`), or else that of the
    account's marketplace: nothing at eBay tells a draft that nobody ever published from an offer that was withdrawn.
    """
    known = tuple(offers)
    if not known:
        return None
    fixed = tuple(offer for offer in known if offer.is_fixed_price)
    live = tuple(offer for offer in fixed if offer.is_live)
    group = live[0].listing_id if live else ""
    if any(offer.is_live and not offer.is_fixed_price for offer in known):
        return _unwritable(item, AUCTION)
    if len(live) > 1:
        return _unwritable(item, TWICE)
    if len(item.locations) > 1:
        return _unwritable(item, SPREAD, group=group)
    if live:
        told = [units for units in (item.units, live[0].units) if units is not None]
        if not told:
            return _unwritable(item, NO_QUANTITY, group=group)
        note = "on hold: eBay lets nobody buy it" if live[0].is_on_hold else ""
        return Shown(_reading(item, min(told), note=note, group=group), InInventory(item, live, is_live=True))
    if item.units and not is_aside:
        return _unwritable(item, WITHDRAWN)
    ours = [offer for offer in fixed if offer.offer_id == aside_offer_id]
    ours = ours or [offer for offer in fixed if len(fixed) == 1 or offer.marketplace_id == marketplace_id]
    if len(ours) == 1:
        return Shown(_reading(item, 0, note=NOTHING_LEFT), InInventory(item, (ours[0],), is_live=False))
    return Shown(_reading(item, 0, note=WHICH_OFFER if fixed else NOTHING_LEFT), None)


def _unwritable(item: Item, note: str, *, group: str = "") -> Shown:
    return Shown(_reading(item, None, note=note, group=group), None)


def _reading(item: Item, units: int | None, *, note: str = "", group: str = "") -> StockReading:
    return StockReading(
        channel_sku=ChannelSku(item.sku),
        units=units,
        merchant_sku=merchant_sku(item.sku),
        title=item.title or item.sku,
        note=note,
        group=group,
    )


def shown_in_trading(offered: Offered) -> Shown | None:
    """A listing of the Trading API, or a variation of one. None: it is not on sale any more."""
    if not offered.is_active:
        return None
    channel_sku = ChannelSku(offered.sku or restful_id(offered.item_id))
    units, note = offered.units, ""
    if not offered.is_fixed_price:
        units, note = None, AUCTION
    elif offered.is_variation and not offered.sku:
        units, note = None, NO_SKU
    elif units is None:
        note = NO_QUANTITY
    reading = StockReading(
        channel_sku=channel_sku,
        units=units,
        merchant_sku=merchant_sku(offered.sku) if offered.sku else None,
        title=offered.title or channel_sku,
        note=note,
        group=offered.item_id,
    )
    sku = offered.sku if offered.is_variation else ""
    return Shown(reading, InTrading(offered.item_id, sku) if units is not None else None)


def shown_aside(channel_sku: ChannelSku, place: InTrading) -> Shown:
    """A listing of the Trading API that we ended when nothing was left, and that is to be listed anew."""
    reading = StockReading(
        channel_sku=channel_sku,
        units=0,
        merchant_sku=merchant_sku(channel_sku),
        title=channel_sku,
        note=NOTHING_LEFT,
        group=place.item_id,
    )
    return Shown(reading, place)


def shown_deleted(channel_sku: ChannelSku, place: InTrading) -> Shown:
    """A variation that its live listing does not have any more, after a zero was written to it.

    Without out-of-stock control eBay deletes a variation that has sold nothing, see `simulator_books.Books.drop`.
    """
    told = shown_aside(channel_sku, place).reading
    return Shown(replace(told, note="eBay has deleted the variation with its zero: add it again at eBay"), place)


def sold_twice(shown: Shown) -> Shown:
    """The listing, where another one is on sale under its SKU: nobody knows which of them an order or a write means."""
    reading = shown.reading
    return Shown(
        StockReading(
            channel_sku=reading.channel_sku,
            units=None,
            merchant_sku=reading.merchant_sku,
            title=reading.title,
            note=TWICE,
            group=reading.group,
        ),
        None,
    )


def merged(found: Iterable[Shown]) -> dict[ChannelSku, Shown]:
    """listing -> what it shows. One SKU on two listings cannot be written; variations without a SKU are one entry."""
    by_sku: dict[ChannelSku, Shown] = {}
    for shown in found:
        channel_sku = shown.reading.channel_sku
        known = by_sku.get(channel_sku)
        if known is None:
            by_sku[channel_sku] = shown
        elif known.reading.note != NO_SKU:
            by_sku[channel_sku] = sold_twice(known)
    return by_sku


class Memory:
    """Where the listings of an account are written, as far as this process has seen."""

    def __init__(self) -> None:
        self._places: dict[ChannelSku, Place | str] = {}

    def remember(self, shown: Mapping[ChannelSku, Shown]) -> None:
        for channel_sku, one in shown.items():
            self._places[channel_sku] = one.place if one.place is not None else one.reading.note

    def place(self, channel_sku: ChannelSku) -> Place | str | None:
        """Where it is written; a text: why it cannot be; None: not seen."""
        return self._places.get(channel_sku)

    def put(self, channel_sku: ChannelSku, place: Place) -> None:
        self._places[channel_sku] = place

    def forget(self, channel_sku: ChannelSku) -> None:
        self._places.pop(channel_sku, None)
