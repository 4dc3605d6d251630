"""Which hosts are this machine."""

from oneshelf.sdk.address import is_loopback

__all__ = ["is_loopback"]
