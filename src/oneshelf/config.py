"""Settings: environment over `oneshelf.toml` over defaults. Secrets of channels are in the database, not here."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from oneshelf.domain.destination import networks_from
from oneshelf.errors import ConfigurationError, MalformedError
from oneshelf.sdk.address import address_from

CONNECT_TIMEOUT_S = 10
PORT_MAX = 65_535
DATABASE_FORM = (
    "must be postgresql://USER:PASSWORD@HOST:PORT/NAME, or host=HOST dbname=NAME, with options that PostgreSQL knows; "
    "a special character in the user or the password is written percent-encoded, such as %25 for %"
)


def _default_data_dir() -> Path:
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(home) / "oneshelf"


class Settings(BaseSettings):
    """All settings. In the environment each has the prefix `ONESHELF_`."""

    model_config = SettingsConfigDict(
        env_prefix="ONESHELF_", toml_file="oneshelf.toml", extra="forbid", hide_input_in_errors=True
    )

    # It may hold a password.
    database_url: str = Field(
        default="", repr=False, description="A PostgreSQL server (15 or newer). Empty: the embedded one."
    )
    data_dir: Path = Field(
        default_factory=_default_data_dir,
        validate_default=True,
        description="Where the embedded PostgreSQL keeps its data.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on.")
    api_token: SecretStr = Field(
        default=SecretStr(""),
        description="Bearer token for the API and the pages. Needed unless listening on loopback.",
    )
    secrets_key: SecretStr = Field(
        default=SecretStr(""),
        description="Keys that seal the secrets of channels, the newest first, with commas between. Empty: in a file.",
    )
    secrets_key_file: Path | None = Field(
        default=None, description="The file with these keys. Not said: secrets.key in the data directory."
    )
    public_url: str = Field(
        default="",
        description="Where channels reach the engine, such as https://shelf.example. Empty: nothing is subscribed to.",
    )
    import_folder: str = Field(default="", description="Where another system puts files for us. Empty: nowhere.")
    import_kind: str = Field(default="counts", description="What these files are, as oneshelf stock import --as.")
    import_source: str = Field(default="folder", description="Who sends them; a much shorter one is held.")
    import_location: str = Field(default="", description="Where, for rows of these files that do not say it.")
    import_atomic: str = Field(
        default="file",
        pattern="^(file|row)$",
        description="If a row is wrong: nothing, or all but that row.",
    )
    import_columns: str = Field(default="", description="How the files call columns, such as sku=ItemNo,on_hand=Qty.")
    import_ignore: str = Field(default="", description="Columns of the files that nobody reads; * for all unknown.")
    events_to: str = Field(
        default="",
        description="Networks that are not public and hold endpoints of events, such as 10.1.2.0/24. Empty: none.",
    )
    traces: str = Field(
        default="",
        repr=False,
        description="Who takes traces by OTLP over HTTP, such as http://collector:4318. Empty: as OTEL_… says.",
    )
    tour: bool = Field(default=False, description="The guided tour of the demo on the pages.")
    second_factor: str = Field(
        default="nobody",
        pattern="^(nobody|admins|everybody)$",
        description="Who has to show a second factor beside the password: nobody, admins or everybody.",
    )
    oidc_issuer: str = Field(
        default="",
        description="Whose accounts let people in beside passwords (OpenID Connect). Empty: nobody's.",
    )
    oidc_client_id: str = Field(default="", description="How the issuer knows this engine.")
    oidc_client_secret: SecretStr = Field(default=SecretStr(""), description="What it shows the issuer.")
    oidc_name: str = Field(
        default="your company account", min_length=1, max_length=60, description="What people call these accounts."
    )
    log_level: str = Field(
        default="INFO", pattern="(?i)^(debug|info|warning|error)$", description="Least level to log."
    )
    log_json: bool = Field(default=False, description="Logs as JSON lines.")

    @field_validator("database_url")
    @classmethod
    def _usable_database(cls, text: str) -> str:
        return database_address(text) if text else text

    @field_validator("public_url")
    @classmethod
    def _reachable_address(cls, text: str) -> str:
        return public_address(text) if text else text

    @field_validator("oidc_issuer")
    @classmethod
    def _named_issuer(cls, text: str) -> str:
        return issuer_named(text) if text else text

    @field_validator("traces")
    @classmethod
    def _taker_of_traces(cls, text: str) -> str:
        return collector_address(text) if text else text

    @field_validator("events_to")
    @classmethod
    def _named_networks(cls, text: str) -> str:
        try:
            networks_from(text)
        except MalformedError:
            raise PydanticCustomError("networks", "must be networks such as 10.0.0.0/8, a comma between two") from None
        return text

    @field_validator("data_dir", mode="before")
    @classmethod
    def _named_directory(cls, value: object) -> object:
        return directory_named(str(value)) if isinstance(value, str | Path) else value

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


def database_address(text: str) -> str:
    """The connection string that `text` means; connecting is given up after 10 s where it says nothing else.

    Raises PydanticCustomError, which never repeats the text: a password, or half of one, may be anywhere in it.
    """
    wrong = PydanticCustomError("database_address", DATABASE_FORM)
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(text).items()}
    except (ProgrammingError, UnicodeError):
        raise wrong from None
    ports = [port for port in parts.get("port", "").split(",") if port]
    # Where a slash or an at sign in a password is not encoded, the rest of the password passes for one of these.
    is_torn = "@" in parts.get("host", "") + parts.get("dbname", "")
    if not text.strip() or "\0" in text or is_torn or not all(map(_is_port, ports)):
        raise wrong
    timeout = parts.get("connect_timeout", "")
    if timeout and not timeout.removeprefix("-").isdecimal():
        raise PydanticCustomError("database_address", "connect_timeout must be a whole number of seconds")
    if not timeout and "PGCONNECT_TIMEOUT" not in os.environ:
        return make_conninfo(text, connect_timeout=CONNECT_TIMEOUT_S)
    return text


def public_address(text: str) -> str:
    """The address without a slash at its end. Raises PydanticCustomError for one to which nobody may send orders."""
    try:
        return address_from(text, what="it")
    except ConfigurationError:
        raise PydanticCustomError(
            "public_address", "must be https:// and a host, or http:// on this machine, without user, query or fragment"
        ) from None


def issuer_named(text: str) -> str:
    """The issuer to the letter, as it names itself. Raises PydanticCustomError, which never repeats the text."""
    try:
        address_from(text, what="it")
    except ConfigurationError:
        raise PydanticCustomError(
            "issuer",
            "must be the issuer as it names itself, https:// and a host, or http:// on this machine, without user, "
            "query or fragment; what ends in /.well-known/openid-configuration is named without that",
        ) from None
    return text.strip()


def collector_address(text: str) -> str:
    """The address of who takes traces. Raises PydanticCustomError, which never repeats the text."""
    wrong = PydanticCustomError(
        "collector_address",
        "must be the address of a collector such as http://collector:4318, without user, query or fragment; a "
        "password goes into OTEL_EXPORTER_OTLP_HEADERS",
    )
    try:
        parts = urlsplit(text.strip())
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in {"http", "https"} or not host or "@" in parts.netloc or parts.query or parts.fragment:
        raise wrong
    return text.strip().rstrip("/")


def directory_typed(text: str) -> Path:
    """The directory that somebody named with --data-dir. Raises ConfigurationError."""
    try:
        return directory_named(text)
    except PydanticCustomError as problem:
        raise ConfigurationError(f"--data-dir: {problem.message()}") from None


def directory_named(text: str) -> Path:
    """The directory with this name. Raises PydanticCustomError for none, and for a name that is not UTF-8."""
    if not text.strip():
        raise PydanticCustomError("directory", "must name a directory; leave it out for the usual one")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("directory", "the name of the directory is not UTF-8") from None
    if "\0" in text:
        raise PydanticCustomError("directory", "the name of the directory holds a NUL character")
    return Path(text)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) <= PORT_MAX


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
