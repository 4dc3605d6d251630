"""What the simulated Trading API changes: quantities of up to four listings in a call, and the end of one."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from oneshelf.connectors.ebay import simulator_trading_documents as documents
from oneshelf.connectors.ebay.simulator_books import Books, Lane, Listing, Variation
from oneshelf.connectors.ebay.simulator_faults import Faults
from oneshelf.connectors.ebay.simulator_inventory_documents import PRICE
from oneshelf.connectors.ebay.simulator_xml import Node, element, price, texts
from oneshelf.domain.identity import UNITS_MAX

NODES_MAX = 4


class TradingError(Exception):
    """A call, or one node of it, that is refused, with eBay's number. `values`: what it is about."""

    def __init__(self, code: str, words: str, *, values: Sequence[str] = (), is_system: bool = False) -> None:
        super().__init__(words)
        self.element = documents.problem(code, words, values=values, is_system=is_system)


Answer = tuple[str, list[Element], list[Element | None]]


class Revisions:
    """The calls that write, over the books."""

    def __init__(self, books: Books, faults: Faults) -> None:
        self._books = books
        self._faults = faults

    def revise(self, node: Node) -> Answer:
        """Each node by itself: some may be written and others not.

        https://developer.ebay.com/devzone/xml/docs/reference/ebay/ReviseInventoryStatus.html (checked 2026-11-26).
        """
        nodes = node.all("InventoryStatus")
        if not nodes:
            raise TradingError("37", "Input data is invalid. InventoryStatus is required.")
        if len(nodes) > NODES_MAX:
            # https://developer.ebay.com/support/knowledge-base/2156 (checked 2026-11-26)
            raise TradingError("21916254", "You have exceeded the maximum allowed containers.")
        written: list[Element | None] = []
        errors: list[Element] = []
        for one in nodes:
            try:
                written.append(self._revised(one))
            except TradingError as refusal:
                errors.append(refusal.element)
        if not errors:
            return "Success", [], written
        return ("PartialFailure" if written else "Failure"), errors, written

    def _revised(self, node: Node) -> Element:
        variation = self._variation(node)
        listing, item_id = variation.listing, variation.listing.listing_id
        if self._faults.switches.strikes("row_failed"):
            raise TradingError("10007", "Internal error to the application.", values=[item_id], is_system=True)
        units = _units(node.text("Quantity"))
        if units is None or (units == 0 and self._books.is_refused_as_zero(variation, 0)):
            # The words: https://github.com/davidtsadler/ebay-sdk-php/issues/27 (checked 2026-11-26).
            words = "Quantity is not valid. The quantity must be a valid number greater than 0."
            raise TradingError("515", words, values=[item_id, variation.sku])
        if listing.is_on_hold:
            raise TradingError("240", "The item cannot be listed or modified. It is on hold.", values=[item_id])
        if not self._books.revise(listing):
            # Which number this has is not documented; 240 is the one for everything that forbids a change.
            words = "The item cannot be listed or modified. Its limit of revisions is reached for today."
            raise TradingError("240", words, values=[item_id])
        total = variation.figures.units + variation.figures.sold
        if units == 0 and variation.variation_id and not self._books.has_control and not variation.figures.sold:
            self._books.drop(variation)
        else:
            self._books.submit(variation, item_units=units, offer_units=None)
        # The quantity of the answer is of no use since 2022: it is what was there before.
        return element(
            "InventoryStatus",
            *texts({"SKU": variation.sku, "ItemID": item_id}),
            price("StartPrice", PRICE),
            *texts({"Quantity": total}),
        )

    def _variation(self, node: Node) -> Variation:
        """What a node is about. An ItemID is needed, as listings are tracked by it unless they were listed otherwise;
        a SKU that does not fit to it is ignored, where there are no variations."""
        item_id, sku = node.text("ItemID"), node.text("SKU")
        listing = self._changeable(item_id)
        if not listing.is_live:
            raise TradingError("291", "You are not allowed to revise ended listings.", values=[item_id])
        if listing.left[0].variation_id == 0:
            return listing.left[0]
        if not sku:
            # https://developer.ebay.com/support/knowledge-base/1450 (checked 2026-11-26)
            words = "Variation is required for a listing that previously had variations."
            raise TradingError("21916583", words, values=[item_id])
        found = next((one for one in listing.left if one.sku == sku), None)
        if found is None:
            raise TradingError("17", "This item cannot be accessed: it has no such SKU.", values=[item_id, sku])
        return found

    def _changeable(self, item_id: str) -> Listing:
        listing = self._books.listings.get(item_id)
        if listing is None:
            raise TradingError("17", "This item cannot be accessed because you are not the seller.", values=[item_id])
        if listing.lane is Lane.INVENTORY:
            words = "Inventory-based listing management is not currently supported by this tool."
            raise TradingError("21919474", words, values=[item_id])
        return listing

    def end(self, node: Node) -> Answer:
        """The listing ends. Its answer tells when."""
        listing = self._changeable(node.text("ItemID"))
        if not node.text("EndingReason"):
            raise TradingError("37", "Input data is invalid. EndingReason is required.")
        if not listing.is_live:
            raise TradingError("1047", "The auction has already been closed.", values=[listing.listing_id])
        self._books.end(listing, reason=node.text("EndingReason"))
        return "Success", [], [*texts({"EndTime": listing.ended_at})]

    def relist(self, node: Node) -> Answer:
        """The same variations on a new listing, with new quantities where some are told."""
        listing = self._changeable(node.text("Item/ItemID"))
        current = [one for one in listing.left if self._books.catalogue.get(one.sku) is one]
        if listing.is_live or not current:
            raise TradingError("240", "The item cannot be relisted: it is live, or gone.", values=[listing.listing_id])
        units = {}
        for one in node.all("Item/Variations/Variation"):
            units[one.text("SKU")] = _units(one.text("Quantity")) or 0
        if node.has("Item/Quantity"):
            units[current[0].sku] = _units(node.text("Item/Quantity")) or 0
        figures = [units.get(one.sku, one.figures.units) for one in current]
        if not any(figures) and not self._books.has_control:
            raise TradingError("515", "Quantity is not valid. The quantity must be a valid number greater than 0.")
        again = self._books.relist(listing, units)
        ends_at = documents.ends_at(again, self._books.stamp())
        told = {"ItemID": again.listing_id, "StartTime": again.started_at, "EndTime": ends_at}
        return "Success", [], [*texts(told)]


def _units(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text) <= UNITS_MAX else None
