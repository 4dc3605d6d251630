"""Tills: any point of sale that posts signed events of its sales, on line or hours later."""

from oneshelf.connectors.till.kind import CONNECTOR

__all__ = ["CONNECTOR"]
