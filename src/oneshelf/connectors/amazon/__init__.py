"""Amazon: seller-fulfilled listings through the Selling Partner API."""

from oneshelf.connectors.amazon.kind import CONNECTOR

__all__ = ["CONNECTOR"]
