"""Settings: environment over `oneshelf.toml` over defaults. Secrets of channels are in the database, not here."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from oneshelf.errors import ConfigurationError


def _default_data_dir() -> Path:
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(home) / "oneshelf"


class Settings(BaseSettings):
    """All settings. In the environment each has the prefix `ONESHELF_`."""

    model_config = SettingsConfigDict(env_prefix="ONESHELF_", toml_file="oneshelf.toml", extra="forbid")

    database_url: str = Field(default="", description="A PostgreSQL server (15 or newer). Empty: the embedded one.")
    data_dir: Path = Field(
        default_factory=_default_data_dir, description="Where the embedded PostgreSQL keeps its data."
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on.")
    api_token: SecretStr = Field(
        default=SecretStr(""),
        description="Bearer token for the API and the pages. Needed unless listening on loopback.",
    )
    log_level: str = Field(
        default="INFO", pattern="(?i)^(debug|info|warning|error)$", description="Least level to log."
    )
    log_json: bool = Field(default=False, description="Logs as JSON lines.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls))


def load_settings() -> Settings:
    """The settings of this process. Raises ConfigurationError naming each wrong one."""
    try:
        return Settings()
    except ValidationError as problem:
        wrong = "; ".join(
            f"ONESHELF_{'_'.join(str(part) for part in error['loc']).upper()}: {error['msg']}"
            for error in problem.errors()
        )
        raise ConfigurationError(f"wrong settings: {wrong}. See the settings in README.md") from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as problem:
        raise ConfigurationError(f"oneshelf.toml cannot be read: {problem}") from problem
