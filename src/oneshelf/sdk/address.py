"""Addresses of channels that a person types: secrets travel to them."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from oneshelf.errors import ConfigurationError


def is_loopback(host: str) -> bool:
    """Whether what is sent to `host` stays on this machine, so that it needs no encryption."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def is_address(host: str) -> bool:
    """Whether `host` is an address itself, and no name that somebody makes lead to one."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def address_from(text: str, *, what: str) -> str:
    """The address without a slash at its end. https, or http to this very machine. Raises ConfigurationError."""
    try:
        parts = urlsplit(text.strip())
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError(f"{what} is not an address such as https://host") from None
    if not host or "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(f"{what} is not an address such as https://host")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise ConfigurationError(f"{what} must begin with https:// (http only on this machine)")
    return text.strip().rstrip("/")


def may_download(address: str, *, is_on_this_machine: bool) -> bool:
    """Whether a file may be fetched from an address that lets anybody in who knows it: over https only.

    `is_on_this_machine`: the channel is, as a simulator is; then plain http to this machine will do.
    """
    try:
        url = urlsplit(address)
    except ValueError:
        return False
    is_here = is_loopback(url.hostname or "") and is_on_this_machine
    return url.scheme == "https" or (url.scheme == "http" and is_here)
