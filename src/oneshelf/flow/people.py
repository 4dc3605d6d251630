"""People who are told of alerts in words: by mail, or in a chat that takes Slack's incoming webhooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import msgspec

from oneshelf.domain.delivery import EndpointKind, Reply
from oneshelf.domain.destination import destination_from
from oneshelf.domain.event import ALERTS, Event, event_types_from
from oneshelf.domain.mailbox import Mailbox
from oneshelf.errors import ConfigurationError
from oneshelf.flow.outgoing import Outgoing
from oneshelf.storage import endpoints, secret_keys
from oneshelf.storage.database import Database
from oneshelf.storage.endpoints import Claimed, Reached
from oneshelf.storage.keyring import Keyring

# Names of what is sealed.
PASSWORD, URL = "password", "url"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleWish:
    """People as somebody wants them told. `shown`: where they are, without what is secret. Empty types: all alerts."""

    endpoint: str
    kind: EndpointKind
    shown: str
    event_types: tuple[str, ...]
    settings: Mapping[str, object] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    allows_http: bool = False


def mail_wish(endpoint: str, mailbox: Mailbox, *, password: str, event_types: Iterable[str]) -> PeopleWish:
    """Told by mail. Raises MalformedError for a type that is no alert."""
    return PeopleWish(
        endpoint=endpoint,
        kind=EndpointKind.MAIL,
        shown=mailbox.address,
        event_types=tuple(event_types_from(event_types, only=ALERTS)),
        settings=asdict(mailbox),
        secrets={PASSWORD: password} if password else {},
    )


def chat_wish(endpoint: str, url: str, *, allows_http: bool, event_types: Iterable[str]) -> PeopleWish:
    """Told in a chat, by the URL of an incoming webhook: whoever has it writes there. Raises MalformedError."""
    place = destination_from(url, allows_http=allows_http)
    return PeopleWish(
        endpoint=endpoint,
        kind=EndpointKind.CHAT,
        shown=f"{place.scheme}://{place.authority}/…",
        event_types=tuple(event_types_from(event_types, only=ALERTS)),
        secrets={URL: url},
        allows_http=allows_http,
    )


async def define(database: Database, wish: PeopleWish) -> bool | None:
    """Tell them from now on. True: they are new; False: they are told so from now on; None: the name is taken."""
    async with database.transaction() as tx:
        sealed = await secret_keys.sealed(
            tx, database.keyring, wish.secrets, table=secret_keys.ENDPOINTS, channel=wish.endpoint
        )
        return await endpoints.define(
            tx,
            wish.endpoint,
            wish.shown,
            event_types=wish.event_types,
            allows_http=wish.allows_http,
            reached=Reached(wish.kind, wish.settings, sealed),
        )


async def told(keyring: Keyring, outgoing: Outgoing, held: Claimed, events: Sequence[Event]) -> Reply:
    """One message about these alerts, and what came of it."""
    try:
        secrets = secret_keys.opened(keyring, held.sealed, table=secret_keys.ENDPOINTS, channel=held.endpoint)
    except ConfigurationError as problem:
        return Reply(None, str(problem))
    if held.kind == EndpointKind.CHAT:
        return await outgoing.chat(held, events, url=secrets[URL])
    mailbox = msgspec.convert(held.settings, Mailbox)
    return await outgoing.mail(held, events, mailbox=mailbox, password=secrets.get(PASSWORD, ""))
