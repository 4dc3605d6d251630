"""eBay: listings of the Inventory API and of Seller Hub, orders by polling and by notification."""

from oneshelf.connectors.ebay.kind import CONNECTOR

__all__ = ["CONNECTOR"]
