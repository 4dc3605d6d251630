"""One package per kind of channel."""
