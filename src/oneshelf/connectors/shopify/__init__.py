"""Shopify, through the GraphQL Admin API and its webhooks."""

from oneshelf.connectors.shopify.kind import CONNECTOR

__all__ = ["CONNECTOR"]
