"""Rows of `endpoints` and `endpoint_secrets`: who is told, with which secrets, and how that goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from oneshelf.domain.delivery import EndpointKind
from oneshelf.storage import secret_keys
from oneshelf.storage.database import Transaction, only_row
from oneshelf.storage.keyring import Keyring

_COLUMNS = """
    p.endpoint, p.kind, p.url, p.event_types, p.allows_http, p.state, p.created_at, p.fail_streak, p.failing_since,
    p.last_words, p.delivered_at, p.delivered_count, p.failed_count,
    (select count(*) from deliveries d where d.endpoint = p.endpoint and d.given_up_at is null) as waiting_count,
    (select count(*) from deliveries d where d.endpoint = p.endpoint and d.given_up_at is not null) as given_up_count,
    (select extract(epoch from db_now() - min(d.queued_at))::float8 from deliveries d
     where d.endpoint = p.endpoint and d.given_up_at is null) as oldest_s
"""
# owner -> what is sealed for it, the newest first.
_SECRETS = """
    coalesce((select json_object_agg(s.owner, s.sealed order by s.number desc) from endpoint_secrets s
              where s.endpoint = p.endpoint and (s.expires_at is null or s.expires_at > db_now())), '{}')
"""
_SIGNING = "signing"


class EndpointRow(NamedTuple):
    """An endpoint as a person looks at it, without its secrets. Empty `event_types`: all of them; of people all alerts.

    `kind`: see `domain.delivery.EndpointKind`. `url`: as it is shown; of a chat not the part that is secret.

    `state`: active, paused (by a person), gone (it answered 410), failing (for days, so it is not called any more).
    `oldest_s`: how long the oldest event that it has not got has waited; None: it has all.
    """

    endpoint: str
    kind: str
    url: str
    event_types: list[str]
    allows_http: bool
    state: str
    created_at: datetime
    fail_streak: int
    failing_since: datetime | None
    last_words: str
    delivered_at: datetime | None
    delivered_count: int
    failed_count: int
    waiting_count: int
    given_up_count: int
    oldest_s: float | None

    @property
    def is_disabled(self) -> bool:
        """Whether it is not called until a person says so, and no person said that it should not be."""
        return self.state in {"gone", "failing"}


class Claimed(NamedTuple):
    """An endpoint that this node holds until the lease runs out. `secrets`: all that are signed with, see `keys_of`.

    `settings`, `sealed`: of people, how they are reached, and the secret part of that, see `flow.follow`.
    """

    endpoint: str
    url: str
    allows_http: bool
    fail_streak: int
    failing_since: datetime | None
    secrets: Mapping[str, Mapping[str, str]]
    lease: UUID
    now: datetime
    kind: str = "webhook"
    settings: Mapping[str, Any] = MappingProxyType({})
    sealed: Mapping[str, str] = MappingProxyType({})


class Reached(NamedTuple):
    """How an endpoint is reached beside its URL: its kind, its settings, and what is secret of them, sealed."""

    kind: EndpointKind = EndpointKind.WEBHOOK
    settings: Mapping[str, Any] = MappingProxyType({})
    sealed: Mapping[str, str] = MappingProxyType({})


_AS_SIGNED = Reached()


async def define(
    tx: Transaction,
    endpoint: str,
    url: str,
    *,
    event_types: Sequence[str],
    allows_http: bool,
    reached: Reached = _AS_SIGNED,
) -> bool | None:
    """Tell this endpoint what happens from now on. False: it was there, and this is where and what it is told now.

    None: there is one of this name that is of another kind; it is left as it is.
    """
    cursor = await tx.execute(
        """
        insert into endpoints (endpoint, kind, url, event_types, allows_http, settings, sealed)
        values (%(endpoint)s, %(kind)s, %(url)s, %(types)s, %(allows_http)s, %(settings)s, %(sealed)s)
        on conflict (endpoint) do update set
            url = excluded.url, event_types = excluded.event_types, allows_http = excluded.allows_http,
            settings = excluded.settings, sealed = excluded.sealed
        where endpoints.kind = excluded.kind
        returning xmax = 0
        """,
        {
            "endpoint": endpoint,
            "kind": reached.kind.value,
            "url": url,
            "types": list(event_types),
            "allows_http": allows_http,
            "settings": Jsonb(dict(reached.settings)),
            "sealed": Jsonb(dict(reached.sealed)),
        },
    )
    row = await cursor.fetchone()
    return None if row is None else bool(row[0])


async def reached(tx: Transaction, endpoint: str) -> Reached:
    """How it is reached. The secret part is sealed."""
    cursor = await tx.execute(
        "select kind, settings, sealed from endpoints where endpoint = %(endpoint)s", {"endpoint": endpoint}
    )
    kind, settings, sealed = await only_row(cursor)
    return Reached(EndpointKind(kind), settings, sealed)


async def add_secret(tx: Transaction, keyring: Keyring, endpoint: str, secret: str, *, overlap_s: float) -> None:
    """Sign with this secret from now on, and with those before it for `overlap_s` more. Raises KeyMissingError."""
    number, owner = await _next_owner(tx, endpoint)
    values = await secret_keys.sealed(tx, keyring, {_SIGNING: secret}, table=secret_keys.SIGNING, channel=owner)
    await tx.execute(
        """
        update endpoint_secrets set expires_at = least(expires_at, db_now() + make_interval(secs => %(overlap_s)s))
        where endpoint = %(endpoint)s
        """,
        {"endpoint": endpoint, "overlap_s": overlap_s},
    )
    await tx.execute("delete from endpoint_secrets where expires_at <= db_now()")
    await tx.execute(
        "insert into endpoint_secrets (endpoint, number, sealed) values (%(endpoint)s, %(number)s, %(sealed)s)",
        {"endpoint": endpoint, "number": number, "sealed": Jsonb(values)},
    )


async def _next_owner(tx: Transaction, endpoint: str) -> tuple[int, str]:
    """The number of its next secret, and whose that is. Of two who add one at a time, one waits for the other."""
    await tx.execute("select from endpoints where endpoint = %(endpoint)s for no key update", {"endpoint": endpoint})
    cursor = await tx.execute(
        """
        select n, %(endpoint)s || ' ' || n
        from (select coalesce(max(number), 0) + 1 as n from endpoint_secrets where endpoint = %(endpoint)s) as next
        """,
        {"endpoint": endpoint},
    )
    number, owner = await only_row(cursor)
    return number, owner


async def secrets_of(tx: Transaction, endpoint: str) -> Mapping[str, Mapping[str, str]]:
    """What its events are signed with, as it is stored, see `keys_of`."""
    cursor = await tx.execute(
        f"select {_SECRETS} from endpoints p where p.endpoint = %(endpoint)s", {"endpoint": endpoint}
    )
    row = await cursor.fetchone()
    return row[0] if row else {}


def keys_of(keyring: Keyring, stored: Mapping[str, Mapping[str, str]]) -> list[str]:
    """What is signed with, newest first. Never shown, never logged. Raises KeyMissingError or ConfigurationError."""
    return [
        secret_keys.opened(keyring, values, table=secret_keys.SIGNING, channel=owner)[_SIGNING]
        for owner, values in stored.items()
    ]


async def listed(tx: Transaction, *, only: str | None = None) -> list[EndpointRow]:
    """All endpoints in the order of their names, or one."""
    cursor = tx.cursor(row_factory=class_row(EndpointRow))
    await cursor.execute(
        f"""
        select {_COLUMNS} from endpoints p where %(only)s::text is null or p.endpoint = %(only)s order by p.endpoint
        """,
        {"only": only},
    )
    return await cursor.fetchall()


async def remove(tx: Transaction, endpoint: str) -> bool:
    """Forget an endpoint, its secrets and what it was still to be sent. False: there is none."""
    gone = await tx.execute("delete from endpoints where endpoint = %(endpoint)s", {"endpoint": endpoint})
    return gone.rowcount == 1


async def set_state(tx: Transaction, endpoint: str, state: str) -> bool:
    """Pause an endpoint, or call it again: then what waits for it is due, and old failures are forgotten."""
    changed = await tx.execute(
        """
        update endpoints set state = %(state)s, fail_streak = 0, failing_since = null, next_at = db_now()
        where endpoint = %(endpoint)s
        """,
        {"endpoint": endpoint, "state": state},
    )
    if state == "active":
        await make_due(tx, endpoint)
    return changed.rowcount == 1


async def make_due(tx: Transaction, endpoint: str) -> None:
    """Try at once what waits for another attempt."""
    await tx.execute(
        """
        update deliveries set next_at = db_now()
        where endpoint = %(endpoint)s and given_up_at is null and next_at > db_now()
        """,
        {"endpoint": endpoint},
    )


async def claim(tx: Transaction, *, lease: UUID, lease_s: float) -> Claimed | None:
    """Take the endpoint whose oldest event has waited longest, if nobody else holds it."""
    cursor = tx.cursor(row_factory=class_row(Claimed))
    await cursor.execute(
        f"""
        with due as (
            select p.endpoint from endpoints p
            where p.state = 'active' and p.next_at <= db_now() and (p.lease_until is null or p.lease_until < db_now())
              and exists (select from deliveries d where d.endpoint = p.endpoint and d.given_up_at is null
                          and d.next_at <= db_now())
            order by p.next_at, p.endpoint limit 1 for update of p skip locked
        )
        update endpoints p set lease = %(lease)s, lease_until = db_now() + make_interval(secs => %(lease_s)s)
        from due where p.endpoint = due.endpoint
        returning p.endpoint, p.url, p.allows_http, p.fail_streak, p.failing_since,
                  {_SECRETS} as secrets,
                  p.lease, db_now() as now, p.kind, p.settings, p.sealed
        """,
        {"lease": lease, "lease_s": lease_s},
    )
    return await cursor.fetchone()


async def lock(tx: Transaction, held: Claimed) -> bool:
    """Hold the endpoint until this transaction ends, if the lease still stands."""
    cursor = await tx.execute(
        "select from endpoints where endpoint = %(endpoint)s and lease = %(lease)s for update",
        {"endpoint": held.endpoint, "lease": held.lease},
    )
    return await cursor.fetchone() is not None


async def went_well(tx: Transaction, held: Claimed, *, delivered_count: int) -> None:
    """It took events. What had to wait while it failed is due at once."""
    await tx.execute(
        """
        update endpoints set fail_streak = 0, failing_since = null, last_words = '', delivered_at = db_now(),
            delivered_count = delivered_count + %(count)s, next_at = db_now(), lease = null, lease_until = null
        where endpoint = %(endpoint)s
        """,
        {"endpoint": held.endpoint, "count": delivered_count},
    )


async def failed(
    tx: Transaction, held: Claimed, *, words: str, failed_count: int, rest_s: float, state: str = "active"
) -> None:
    """It is not called for a while, or (another state) not at all any more."""
    await tx.execute(
        """
        update endpoints set fail_streak = fail_streak + 1, failing_since = coalesce(failing_since, db_now()),
            last_words = %(words)s, failed_count = failed_count + %(count)s,
            state = case when state = 'active' then %(state)s else state end,
            next_at = db_now() + make_interval(secs => %(rest_s)s), lease = null, lease_until = null
        where endpoint = %(endpoint)s
        """,
        {"endpoint": held.endpoint, "words": words, "count": failed_count, "rest_s": rest_s, "state": state},
    )
