"""Corner shops as a channel: `CONNECTOR` is what the entry point names."""

from oneshelf_corner.kind import CONNECTOR

__all__ = ["CONNECTOR"]
