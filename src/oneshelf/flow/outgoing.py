"""One call to an endpoint, or to people: to the address that was checked, with a deadline, little of it read."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence

import httpx2

from oneshelf.domain import alert_words
from oneshelf.domain.delivery import Reply
from oneshelf.domain.destination import Destination, Network, destination_from, reachable
from oneshelf.domain.event import Event, signed
from oneshelf.domain.identity import printable
from oneshelf.domain.mailbox import Mailbox
from oneshelf.errors import ConfigurationError, MalformedError, invariant
from oneshelf.flow import mailing
from oneshelf.storage import endpoints
from oneshelf.storage.endpoints import Claimed
from oneshelf.storage.keyring import Keyring
from oneshelf.telemetry import is_inside_transaction

# Standard Webhooks asks for 15 to 30 s.
DEADLINE_S = 15.0
READ_BYTES_MAX = 4_096
WORDS_LENGTH_MAX = 200

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system finds them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class Outgoing:
    """Calls endpoints. `allowed`: networks that are not public and may be called all the same.

    `tls`: whom a mail server has to be vouched for by; None: by whom this machine trusts.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        *,
        allowed: Sequence[Network] = (),
        deadline_s: float = DEADLINE_S,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._client = client
        self._allowed = tuple(allowed)
        self._deadline_s = deadline_s
        self._resolve = resolve
        self._tls = tls

    async def send(self, keyring: Keyring, held: Claimed, event: Event) -> Reply:
        """One attempt. Whatever goes wrong is an answer with words that hold no secret and no URL."""
        try:
            keys = endpoints.keys_of(keyring, held.secrets)
        except ConfigurationError as problem:
            return Reply(None, str(problem))
        body = event.body()

        async def sent() -> Reply:
            headers = signed(event.event_id, body, secrets=keys, at=held.now)
            return await self._post(held.url, body, headers, allows_http=held.allows_http)

        return await self._tried(sent)

    async def chat(self, held: Claimed, events: Sequence[Event], *, url: str) -> Reply:
        """One message about these alerts, as Slack's incoming webhooks take it. The URL alone lets it in."""
        words = f"{alert_words.subject(events)}\n{alert_words.text(events)}"
        # What would be a link or a mention there is only text: a SKU calls nobody.
        escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        body = json.dumps({"text": escaped}).encode()
        return await self._tried(lambda: self._post(url, body, {}, allows_http=held.allows_http))

    async def mail(self, held: Claimed, events: Sequence[Event], *, mailbox: Mailbox, password: str) -> Reply:
        """One mail about these alerts."""
        message = mailing.written(mailbox, events, at=held.now)
        tls = self._tls or ssl.create_default_context()

        async def sent() -> Reply:
            address = await self._address(mailbox.server, mailbox.port)
            return await mailing.mail(
                mailbox, message, address=address, password=password, tls=tls, deadline_s=self._deadline_s
            )

        return await self._tried(sent)

    async def _tried(self, attempt: Callable[[], Awaitable[Reply]]) -> Reply:
        invariant(not is_inside_transaction(), "an endpoint would be called inside a transaction")
        try:
            async with asyncio.timeout(self._deadline_s):
                return await attempt()
        except MalformedError as problem:
            return Reply(None, str(problem))
        except TimeoutError:
            return Reply(None, f"no answer within {self._deadline_s:g} s")
        except (httpx2.RequestError, httpx2.InvalidURL, OSError, UnicodeError) as failure:
            return Reply(None, f"not reached or no whole answer ({type(failure).__name__})")

    async def _post(self, url: str, body: bytes, headers: dict[str, str], *, allows_http: bool) -> Reply:
        place = destination_from(url, allows_http=allows_http)
        return await self._call(place, await self._address(place.host, place.port), body, headers)

    async def _address(self, host: str, port: int) -> str:
        """The address that is connected to: resolved once and checked, so that it cannot be another one by then."""
        found = reachable(await self._resolve(host, port), self._allowed)
        if not found:
            raise MalformedError(
                "its address is not public; the operator may allow its network: ONESHELF_EVENTS_TO=10.1.2.0/24"
            )
        return found[0]

    async def _call(self, place: Destination, address: str, body: bytes, headers: dict[str, str]) -> Reply:
        literal = f"[{address}]" if ":" in address else address
        request = self._client.build_request(
            "POST",
            f"{place.scheme}://{literal}:{place.port}{place.target}",
            content=body,
            headers={
                **headers,
                "host": place.authority,
                "content-type": "application/json",
                "user-agent": "oneshelf",
                "accept-encoding": "identity",
            },
            # The certificate has to be of the name, not of the address.
            extensions={"sni_hostname": place.host},
            timeout=httpx2.Timeout(self._deadline_s),
        )
        response = await self._client.send(request, stream=True, follow_redirects=False)
        try:
            words = await _beginning(response)
        finally:
            await response.aclose()
        return Reply(response.status_code, f"{response.status_code} {words}".strip(), _retry_after_s(response))


async def _beginning(response: httpx2.Response) -> str:
    """The first words of an answer that is none of our business: no more of it is read."""
    if response.is_success:
        return ""
    read = b""
    async for piece in response.aiter_raw():
        read += piece
        if len(read) >= READ_BYTES_MAX:
            break
    return printable(read[:READ_BYTES_MAX].decode("utf-8", "replace"), length_max=WORDS_LENGTH_MAX)


def _retry_after_s(response: httpx2.Response) -> float:
    """In seconds; a date is not read."""
    try:
        asked_s = float(response.headers.get("retry-after", ""))
    except ValueError:
        return 0.0
    return max(0.0, asked_s) if math.isfinite(asked_s) else 0.0
