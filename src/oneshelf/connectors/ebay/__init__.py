"""eBay: listings of the Inventory API and of the Trading API."""
