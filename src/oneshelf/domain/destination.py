"""Which addresses the engine calls when somebody tells it to: none inside the house, unless its operator says so.

Whoever may add an endpoint would otherwise have the engine knock at databases, at the machines beside it, and at the
metadata service of a cloud (169.254.169.254), which hands out credentials (OWASP API7:2023).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Union
from urllib.parse import urlsplit

from oneshelf.errors import MalformedError

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]  # noqa: UP007  # isinstance and mypy agree on this one
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]  # noqa: UP007  # as above

URL_LENGTH_MAX = 2_000
# IPv4 inside IPv6: NAT64 (RFC 6052) and 6to4 (RFC 3056), beside the mapped form that the library knows.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")
# Not global, whatever the library of an older Python says: shared (carriers, and clouds' metadata), benchmarks, relays,
# site-local, local NAT64, Teredo.
_NEVER: tuple[Network, ...] = tuple(
    map(
        ipaddress.ip_network,
        (
            "100.64.0.0/10",
            "192.0.0.0/24",
            "192.88.99.0/24",
            "198.18.0.0/15",
            "240.0.0.0/4",
            "2001::/32",
            "64:ff9b:1::/48",
            "fec0::/10",
        ),
    )
)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an endpoint is, apart from its address on the network. `target`: path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The `host` header."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == _PORTS[self.scheme] else f"{name}:{self.port}"


_PORTS = {"https": 443, "http": 80}


def destination_from(url: str, *, allows_http: bool) -> Destination:
    """The destination in a URL. Raises MalformedError, which does not repeat it: a query may be a secret."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise MalformedError("the URL of an endpoint is such as https://erp.example/stock") from None
    is_plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    if not is_plain or not host or len(url) > URL_LENGTH_MAX or parts.fragment:
        raise MalformedError(
            "the URL of an endpoint is such as https://erp.example/stock, in ASCII, without a fragment"
        )
    if parts.username is not None or parts.password is not None:
        raise MalformedError(
            "no user and no password in the URL of an endpoint: events are signed with a secret instead"
        )
    if parts.scheme != "https" and not (allows_http and parts.scheme == "http"):
        raise MalformedError("the URL of an endpoint begins with https://; in a network of your own, say --allow-http")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination(parts.scheme, host, port or _PORTS[parts.scheme], target)


def networks_from(text: str) -> tuple[Network, ...]:
    """Networks with a comma between two, such as `10.0.0.0/8,127.0.0.1`. Raises MalformedError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    try:
        return tuple(ipaddress.ip_network(name) for name in names)
    except ValueError as problem:
        raise MalformedError(f"not a network such as 10.0.0.0/8: {problem}") from None


def may_call(address: Address, allowed: Sequence[Network] = ()) -> bool:
    """Whether an endpoint may be at this address: a public one, or one in a network that the operator named."""
    inner = _carried(address)
    if any(one in network for network in allowed for one in (address, *inner) if one.version == network.version):
        return True
    if inner:
        return all(may_call(one) for one in inner)
    is_elsewhere = any(address in network for network in _NEVER if network.version == address.version)
    return address.is_global and not (is_elsewhere or address.is_multicast or address.is_unspecified)


def reachable(addresses: Iterable[str], allowed: Sequence[Network] = ()) -> list[str]:
    """Of the addresses that a name resolves to, those that may be called."""
    found = (ipaddress.ip_address(text.partition("%")[0]) for text in addresses)
    return [str(address) for address in found if may_call(address, allowed)]


def _carried(address: Address) -> tuple[Address, ...]:
    """The IPv4 address that an IPv6 address leads to, if it does."""
    if not isinstance(address, ipaddress.IPv6Address):
        return ()
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64 or (int(address) >> 32 == 0 and int(address) > 1):
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    if address in _SIX_TO_FOUR:
        return (ipaddress.IPv4Address(int(address) >> 80 & 0xFFFFFFFF),)
    return ()
