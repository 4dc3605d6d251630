"""Square, through its REST API and its webhooks: a till that sells by itself, online or not."""

from oneshelf.connectors.square.kind import CONNECTOR

__all__ = ["CONNECTOR"]
