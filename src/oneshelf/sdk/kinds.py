"""The kinds of channels that are installed: what stands under the entry point group `oneshelf.connectors`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points

from oneshelf.errors import ConfigurationError
from oneshelf.sdk.contract import ConnectorKind


def load_kinds() -> Mapping[str, ConnectorKind]:
    """All installed kinds of channels, by name."""
    kinds: dict[str, ConnectorKind] = {}
    for entry in entry_points(group="oneshelf.connectors"):
        kinds[entry.name] = entry.load()
    return kinds


def kind_named(kinds: Mapping[str, ConnectorKind], name: str) -> ConnectorKind:
    """One kind. Raises ConfigurationError that names those there are."""
    if name not in kinds:
        raise ConfigurationError(f"no connector for {name!r} is installed; there are: {', '.join(sorted(kinds))}")
    return kinds[name]
