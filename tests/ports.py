"""Ports for programs that a test starts."""

from __future__ import annotations

from oneshelf.demo.children import any_free_port


def free_ports(count: int) -> list[int]:
    """So many, each another one: a port stays free until its program listens, and might be drawn again."""
    drawn: set[int] = set()
    while len(drawn) < count:
        drawn.add(any_free_port())
    return list(drawn)
