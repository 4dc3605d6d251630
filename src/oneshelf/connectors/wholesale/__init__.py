"""Wholesale buyers: whoever sends purchase orders by EDI X12 or JSON, to an address of ours."""

from oneshelf.connectors.wholesale.kind import CONNECTOR

__all__ = ["CONNECTOR"]
