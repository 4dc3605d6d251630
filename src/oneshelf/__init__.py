"""One true stock count behind every storefront."""

__version__ = "0.1.0"
