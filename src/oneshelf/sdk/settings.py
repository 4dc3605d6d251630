"""What a person told of a channel, held against what its kind asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from oneshelf.errors import ConfigurationError
from oneshelf.sdk.contract import Setting

SECRETS_MAX = 5


def filled(
    settings: Sequence[Setting], told: Mapping[str, str], *, channel: str, title: str, is_secret: bool
) -> dict[str, str]:
    """Name -> value of all settings (or secrets), with defaults where nothing was told. `title`: of the kind.

    Raises ConfigurationError naming a missing or unknown one; no value is in its words.
    """
    word = "secret" if is_secret else "setting"
    known = {setting.name: setting for setting in settings if setting.is_secret is is_secret}
    for name in told:
        if name not in known:
            raise ConfigurationError(f"channel {channel}: unknown {word} {name}; {title} takes {', '.join(known)}")
    values = {}
    for name, setting in known.items():
        value = told.get(name, "").strip() or setting.default
        if value is None:
            raise ConfigurationError(f"channel {channel}: the {word} {name} is missing. {setting.help}")
        values[name] = value
    return values


def seconds_from(value: str, *, channel: str, name: str, most: float) -> float:
    """A setting in seconds, from 0 to `most`. Raises ConfigurationError."""
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= most:
        raise ConfigurationError(f"channel {channel}: {name} must lie between 0 and {most:g} seconds")
    return seconds


def day_from(value: str, *, channel: str, name: str) -> date | None:
    """A setting that is a day; None where it was left out. Raises ConfigurationError."""
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        raise ConfigurationError(f"channel {channel}: {name} must be a day such as 2026-11-26") from None


def secrets_from(text: str, *, channel: str, name: str) -> list[str]:
    """One secret, or several with commas while they rotate. Raises ConfigurationError."""
    secrets = [secret.strip() for secret in text.split(",") if secret.strip()]
    if not 1 <= len(secrets) <= SECRETS_MAX:
        raise ConfigurationError(f"channel {channel}: {name} takes 1 to {SECRETS_MAX} secrets, with commas")
    return secrets
