"""Puts the engine together: database, connectors, steps, web."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

from oneshelf.clock import Clock, SystemClock
from oneshelf.config import Settings, directory_named
from oneshelf.domain.destination import networks_from
from oneshelf.domain.identity import Channel, location_from, name_from
from oneshelf.errors import ConfigurationError, KeyMissingError
from oneshelf.flow.channel import OpenChannel, with_timing
from oneshelf.flow.outgoing import Outgoing
from oneshelf.sdk.capability import effective
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.kinds import kind_named, load_kinds
from oneshelf.sdk.message import ChannelConfig
from oneshelf.storage import catalog, limits, schedules, secret_keys
from oneshelf.storage.catalog import ChannelRow
from oneshelf.storage.database import Database
from oneshelf.storage.embedded import EmbeddedPostgres, is_lost, running_dsn
from oneshelf.storage.kept_secrets import StoredSecrets
from oneshelf.storage.keyring import Keyring
from oneshelf.storage.migrate import migrate
from oneshelf.telemetry import get_logger

if TYPE_CHECKING:
    from fastapi import FastAPI

    from oneshelf.files.folder import Watched
    from oneshelf.flow.trace import Give
    from oneshelf.web.issuer import Issuer
    from oneshelf.workers.supervisor import Supervisor

CALL_DEADLINE_S = 20.0

log = get_logger(__name__)


@contextmanager
def database_dsn(settings: Settings) -> Iterator[str]:
    """The connection string of the database, started if it is the embedded one and nobody runs it yet.

    Several programs may share the embedded database; it lives as long as the one that started it.
    """
    if settings.database_url:
        yield settings.database_url
        return
    directory = _embedded_directory(settings)
    shared = running_dsn(directory)
    if shared is not None:
        yield shared
        return
    with EmbeddedPostgres(directory) as server:
        yield server.dsn


def is_database_lost(settings: Settings, dsn: str) -> bool:
    """Whether `dsn`, which `database_dsn` gave, was an embedded database that ended with whoever had started it."""
    return not settings.database_url and is_lost(_embedded_directory(settings), dsn)


def _embedded_directory(settings: Settings) -> Path:
    return Path(settings.data_dir) / "postgres"


def keyring_of(settings: Settings) -> Keyring:
    """The keys that seal secrets: of the environment, else of a file beside the embedded database's data."""
    typed = settings.secrets_key.get_secret_value()
    if typed:
        return Keyring(typed.split(","))
    return Keyring(file=settings.secrets_key_file or Path(settings.data_dir) / "secrets.key")


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """The database, migrated to this version of the code."""
    with database_dsn(settings) as dsn:
        for name in migrate(dsn):
            log.info("migration.applied", name=name)
        async with Database.open(dsn, keyring=keyring_of(settings)) as database:
            yield database


class OpenChannels:
    """The connected channels with their connectors, kept in step with the rows of `channels`."""

    def __init__(self, database: Database, clock: Clock, client: httpx2.AsyncClient) -> None:
        self._database = database
        self._clock = clock
        self._client = client
        self._kinds = load_kinds()
        self._rows: dict[Channel, tuple[object, ...]] = {}
        self._locked: set[Channel] = set()
        self.by_name: dict[Channel, OpenChannel] = {}

    async def refresh(self) -> None:
        """Open channels that were added or changed since the last look. A wrong one is logged and left out."""
        async with self._database.transaction() as tx:
            rows = await catalog.channels(tx)
        for row in rows:
            identity = (row.kind, row.location, row.settings, row.secrets, row.timing, row.fallbacks)
            if self._rows.get(row.channel) == identity:
                continue
            try:
                opened = await self._open(row)
            except KeyMissingError as problem:
                # A channel that is open stays so: its secrets are those of before, only sealed anew.
                if row.channel not in self._locked:
                    log.error("channel.locked", channel=row.channel, words=str(problem))  # noqa: TRY400  # a setting
                self._locked.add(row.channel)
                continue
            except ConfigurationError as problem:
                log.error("channel.misconfigured", channel=row.channel, words=str(problem))  # noqa: TRY400  # a setting, no bug
                self.by_name.pop(row.channel, None)
            else:
                self.by_name[row.channel] = opened
            # Last: a database that went away meanwhile leaves the channel to the next look.
            self._rows[row.channel] = identity
            self._locked.discard(row.channel)
        for name in set(self._rows) - {row.channel for row in rows}:
            del self._rows[name]
            self.by_name.pop(name, None)

    async def _open(self, row: ChannelRow) -> OpenChannel:
        kind = kind_named(self._kinds, row.kind)
        declared = with_timing(kind.capability, row.timing)
        capability = effective(declared, row.lost)
        limiter = limits.StoredLimiter(self._database, row.channel)
        http = ChannelHttp(self._client, clock=self._clock, limiter=limiter, deadline_s=CALL_DEADLINE_S)
        typed = secret_keys.opened(self._database.keyring, row.secrets, table=secret_keys.TYPED, channel=row.channel)
        config = ChannelConfig(channel=row.channel, settings=row.settings, secrets=typed)
        store = StoredSecrets(self._database, row.channel, typed=typed, clock=self._clock)
        try:
            connector = kind.open(config, channel=row.channel, http=http, clock=self._clock, store=store)
        except ConfigurationError:
            raise
        except Exception as failure:
            # A connector may be anybody's code: one that cannot be opened keeps no other channel from its work.
            raise ConfigurationError(f"the connector {row.kind} failed with {type(failure).__name__}") from failure
        buckets = [(limit.operation, limit.rate_per_s, limit.burst) for limit in capability.limits]
        async with self._database.transaction() as tx:
            await limits.ensure(tx, row.channel, buckets)
            if capability.shows_figures:
                every_s = {"orders": capability.poll_orders_s, "stock": capability.sweep_stock_s}
                await schedules.ensure(tx, row.channel, every_s)
        return OpenChannel(
            name=row.channel,
            kind=row.kind,
            connector=connector,
            capability=capability,
            declared=declared,
            clock_ahead_s=lambda: http.clock_ahead_s,
            own_suspense_s=row.timing.get("suspense_s", 0.0),
            connected_at=row.created_at,
        )


@asynccontextmanager
async def open_channels(
    database: Database, clock: Clock | None = None, client: httpx2.AsyncClient | None = None
) -> AsyncIterator[OpenChannels]:
    """All connected channels, opened; called through `client`, or one of their own."""
    limits_of_client = httpx2.Limits(max_connections=100, max_keepalive_connections=20)
    async with client or httpx2.AsyncClient(
        limits=limits_of_client, follow_redirects=False, trust_env=False
    ) as connected:
        channels = OpenChannels(database, clock or SystemClock(), connected)
        await channels.refresh()
        yield channels


def watched_folder(settings: Settings) -> Watched | None:
    """The folder into which another system puts files. Raises MalformedError or ConfigurationError for a wrong one."""
    if not settings.import_folder:
        return None
    from oneshelf.files.folder import Watched
    from oneshelf.files.importing import Atomic
    from oneshelf.files.table import Reading

    folder = directory_named(settings.import_folder)
    if not folder.is_dir():
        raise ConfigurationError(f"ONESHELF_IMPORT_FOLDER: {folder} is no folder. Way out: make it, or leave it out")
    pairs = [one.partition("=") for one in settings.import_columns.split(",") if one.strip()]
    return Watched(
        folder=folder,
        kind=settings.import_kind,
        source=name_from(settings.import_source, what="ONESHELF_IMPORT_SOURCE"),
        atomic=Atomic(settings.import_atomic),
        reading=Reading(
            names={ours.strip(): theirs.strip() for ours, _, theirs in pairs},
            ignored=frozenset(filter(None, settings.import_ignore.split(","))),
        ),
        location=location_from(settings.import_location) if settings.import_location else None,
    )


@dataclass(frozen=True, slots=True)
class Assembled:
    """An engine, put together. `supervisor` does its work; `application` answers what is asked of it."""

    supervisor: Supervisor
    application: FastAPI


@asynccontextmanager
async def open_outgoing(settings: Settings) -> AsyncIterator[Outgoing]:
    """What calls endpoints. No connection is kept: the next one may be of another name at the same address."""
    limits_of_client = httpx2.Limits(max_connections=100, max_keepalive_connections=0)
    async with httpx2.AsyncClient(limits=limits_of_client, follow_redirects=False, trust_env=False) as client:
        yield Outgoing(client, allowed=networks_from(settings.events_to))


@asynccontextmanager
async def open_issuer(settings: Settings, clock: Clock) -> AsyncIterator[Issuer | None]:
    """Whose accounts let people in; None where nobody's do. It is not asked yet.

    Raises ConfigurationError where a setting or the extra is missing.
    """
    if not settings.oidc_issuer:
        yield None
        return
    secret = settings.oidc_client_secret.get_secret_value()
    needed = {
        "OIDC_CLIENT_ID": settings.oidc_client_id,
        "OIDC_CLIENT_SECRET": secret,
        "PUBLIC_URL": settings.public_url,
    }
    missing = [f"ONESHELF_{name}" for name, value in needed.items() if not value]
    if missing:
        raise ConfigurationError(f"ONESHELF_OIDC_ISSUER needs {' and '.join(missing)} as well, or is left out")
    try:
        from oneshelf.web.issuer import Issuer, Registration
    except ImportError:
        raise ConfigurationError(
            "ONESHELF_OIDC_ISSUER needs what the extra `oidc` installs: pip install 'oneshelf[oidc]'"
        ) from None
    known = Registration(
        settings.oidc_issuer, settings.oidc_client_id, secret, public_url=settings.public_url, name=settings.oidc_name
    )
    async with httpx2.AsyncClient(follow_redirects=False, trust_env=False) as client:
        yield Issuer(client, clock, known)


@asynccontextmanager
async def open_traces(settings: Settings) -> AsyncIterator[Give | None]:
    """What gives traces away; None where nobody asks for them. Raises ConfigurationError where that cannot be done."""
    if not settings.traces and not is_asked_for(os.environ):
        yield None
        return
    try:
        from oneshelf.workers.otlp import Exporter
    except ImportError:
        if settings.traces:
            raise ConfigurationError(
                "ONESHELF_TRACES needs what the extra `traces` installs: pip install 'oneshelf[traces]'"
            ) from None
        # It is said to all programs of this machine.
        log.warning("traces.not_installed", words="pip install 'oneshelf[traces]'")
        yield None
        return
    exporter = Exporter(settings.traces)
    try:
        yield exporter.give
    finally:
        exporter.close()


def is_asked_for(environment: Mapping[str, str]) -> bool:
    """Whether the standard variables of OpenTelemetry ask for traces."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return any(environment.get(f"OTEL_EXPORTER_OTLP_{name}ENDPOINT") for name in ("", "TRACES_"))


@asynccontextmanager
async def assembled(
    database: Database,
    clock: Clock,
    *,
    client: httpx2.AsyncClient | None = None,
    api_token: str = "",
    patience: float = 1.0,
    public_url: str = "",
) -> AsyncIterator[Assembled]:
    """The engine on a migrated database. `client`: how it calls channels. The last two: see `Supervisor`."""
    # Here, since every command opens the database, and loading what only `serve` needs takes longer than most of them.
    from oneshelf.web.engine import StepFigures
    from oneshelf.web.server import create_app
    from oneshelf.workers.supervisor import Supervisor

    async with open_channels(database, clock, client) as channels:
        supervisor = Supervisor(
            database, clock, channels.by_name, channels.refresh, patience=patience, public_url=public_url
        )
        application = create_app(
            database=database,
            channels=channels.by_name,
            clock=clock,
            wake=supervisor.pulse.wake,
            post=supervisor.poster.post,
            api_token=api_token,
        )
        application.state.engine = replace(
            application.state.engine,
            public_url=public_url,
            steps=StepFigures(supervisor.pulse.failing, supervisor.pulse.done, supervisor.pulse.ages_s),
            refresh=channels.refresh,
        )
        yield Assembled(supervisor, application)
