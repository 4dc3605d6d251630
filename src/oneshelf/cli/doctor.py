"""Examines an installation: each finding says what to do where it is not good."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from oneshelf.app import database_dsn, keyring_of, open_channels, open_issuer
from oneshelf.clock import SystemClock
from oneshelf.config import Settings
from oneshelf.errors import OneshelfError
from oneshelf.flow import examine as findings_of
from oneshelf.sdk.message import Finding
from oneshelf.storage import catalog
from oneshelf.storage.database import Database
from oneshelf.storage.migrate import check, reach
from oneshelf.telemetry import configure_logging


def examine(settings: Settings) -> list[Finding]:
    """Database, schema, clocks, then each channel's preflight. Stops at the first that makes the next meaningless."""
    configure_logging(level="ERROR")
    try:
        with database_dsn(settings) as dsn:
            # The pool would only say that it did not get a connection, and this why.
            reach(dsn)
            return asyncio.run(_examine(dsn, settings))
    except OneshelfError as problem:
        return [Finding("database", is_good=False, detail=str(problem))]


async def _examine(dsn: str, settings: Settings) -> list[Finding]:
    keyring = keyring_of(settings)
    async with Database.open(dsn, application_name="oneshelf doctor", keyring=keyring) as database:
        findings = await findings_of.server(database)
        try:
            check(dsn)
        except OneshelfError as problem:
            return [*findings, Finding("schema", is_good=False, detail=str(problem))]
        findings.append(Finding("schema", is_good=True, detail="as this version needs it"))
        findings += await findings_of.engine(database)
        return [*findings, *await _issuer(settings), *await _channels(database, settings.public_url)]


async def _issuer(settings: Settings) -> list[Finding]:
    """Whether the issuer of log-ins answers, and has a key that we take; nothing where there is none."""
    what = "issuer of log-ins"
    try:
        async with open_issuer(settings, SystemClock()) as issuer:
            if issuer is None:
                return []
            count = len(list(await issuer.keys()))
    except OneshelfError as problem:
        return [Finding(what, is_good=False, detail=str(problem))]
    if not count:
        return [Finding(what, is_good=False, detail="it has no key for RS256 or ES256; have it sign by one of these")]
    return [Finding(what, is_good=True, detail=f"{settings.oidc_issuer} answers, keys: {count}")]


async def _channels(database: Database, public_url: str) -> list[Finding]:
    findings: list[Finding] = []
    async with open_channels(database) as channels:
        async with database.transaction() as tx:
            rows = await catalog.channels(tx)
        for row in rows:
            told = await findings_of.channel(database, row, channels.by_name.get(row.channel), public_url)
            findings += [replace(one, what=f"channel {row.channel}: {one.what}") for one in told]
    if not rows:
        findings.append(Finding("channels", is_good=True, detail="none is connected yet; see oneshelf channel add"))
    return findings
