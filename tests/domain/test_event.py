"""How an event is signed, when it is sent again, and where it may be sent."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from standardwebhooks.webhooks import Webhook

from oneshelf.domain.delivery import (
    ATTEMPTS_MAX,
    DISABLED_AFTER,
    ENDPOINT_REST_S_MAX,
    JITTER_SHARE,
    RETRY_AFTER_S_MAX,
    RETRY_S,
    Reply,
    is_hopeless,
    rest_s,
    retry_after_s,
)
from oneshelf.domain.destination import destination_from, may_call, networks_from, reachable
from oneshelf.domain.event import Event, Wanted, event_types_from, key_of, secret_of, signed
from oneshelf.errors import MalformedError

NOON = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
# The vector of the specification's own library: libraries/python/tests/test_webhooks.py, 2026-07-24.
VECTOR_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_signature_is_that_of_the_specification() -> None:
    at = datetime.fromtimestamp(1614265330, tz=UTC)
    headers = signed("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', secrets=[VECTOR_SECRET], at=at)
    assert headers["webhook-signature"] == VECTOR
    assert headers["webhook-timestamp"] == "1614265330"


def test_an_event_is_verified_by_somebody_elses_code_and_one_changed_byte_is_not() -> None:
    event = Event(
        position=7, event_id="evt_7_ab", event_type="stock.changed", happened_at=NOON, figures={"sku": "CAFÉ", "ats": 3}
    )
    secret, now = secret_of(bytes(range(32))), datetime.now(UTC)  # noqa: TID251  # what the other side compares with
    headers = signed(event.event_id, event.body(), secrets=[secret], at=now)
    assert Webhook(secret).verify(event.body(), headers)["data"] == {"sku": "CAFÉ", "ats": 3}
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(secret).verify(event.body().replace(b"3", b"4"), headers)


@pytest.mark.parametrize(
    "wrong", ["", "whsec_", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + "A" * 100, "whsec_ä"]
)
def test_what_is_no_secret_is_refused_and_not_repeated(wrong: str) -> None:
    with pytest.raises(MalformedError) as refused:
        key_of(wrong)
    assert not wrong or wrong == "whsec_" or wrong not in str(refused.value)


def test_types_are_named_and_filtered() -> None:
    assert event_types_from(["drift.opened", "stock.changed", "drift.opened"]) == ["stock.changed", "drift.opened"]
    with pytest.raises(MalformedError, match=r"there are: stock\.changed"):
        event_types_from(["stock"])
    event = Event(
        position=1, event_id="evt_1_a", event_type="stock.changed", happened_at=NOON, figures={}, skus=("MUG",)
    )
    assert Wanted().takes(event)
    assert Wanted(event_types=frozenset({"stock.changed"}), skus=frozenset({"MUG", "CAP"})).takes(event)
    assert not Wanted(skus=frozenset({"CAP"})).takes(event)
    assert not Wanted(channels=frozenset({"shop"})).takes(event)


def test_the_schedule_is_that_of_the_specification() -> None:
    waits = [retry_after_s(failed, chance=0.0) for failed in range(1, ATTEMPTS_MAX)]
    assert [wait for wait in waits if wait is not None] == list(RETRY_S)
    assert timedelta(seconds=sum(RETRY_S)) == timedelta(hours=75, minutes=35, seconds=5)
    assert retry_after_s(ATTEMPTS_MAX, chance=0.0) is None
    assert all(one < another for one, another in pairwise(RETRY_S))


def test_what_failed_together_does_not_come_back_together() -> None:
    waits = {retry_after_s(3, chance=chance / 10) for chance in range(10)}
    assert len(waits) == 10
    assert all(wait is not None and RETRY_S[2] <= wait <= RETRY_S[2] * (1 + JITTER_SHARE) for wait in waits)


def test_an_endpoint_may_ask_for_more_time_but_not_for_a_day() -> None:
    assert retry_after_s(1, chance=0.0, asked_s=60.0) == 60.0
    assert retry_after_s(1, chance=0.0, asked_s=1e9) == RETRY_AFTER_S_MAX
    assert rest_s(1, chance=0.0) == RETRY_S[0]
    assert rest_s(99, chance=0.0) == ENDPOINT_REST_S_MAX
    assert rest_s(1, chance=0.0, asked_s=60.0) == 60.0


@pytest.mark.parametrize(
    ("status", "is_delivered"),
    [(200, True), (204, True), (299, True), (301, False), (410, False), (500, False), (None, False)],
)
def test_only_2xx_is_delivered(status: int | None, is_delivered: bool) -> None:
    assert Reply(status, "").is_delivered is is_delivered


def test_days_without_a_success_are_hopeless() -> None:
    assert not is_hopeless(None, now=NOON)
    assert not is_hopeless(NOON - DISABLED_AFTER + timedelta(seconds=1), now=NOON)
    assert is_hopeless(NOON - DISABLED_AFTER, now=NOON)
    assert timedelta(seconds=sum(RETRY_S) * (1 + JITTER_SHARE)) < DISABLED_AFTER, "the schedule comes to its end first"


INSIDE = (
    *("127.0.0.1", "127.255.255.254", "0.0.0.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "192.0.2.1"),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.88.99.1"),
    *("::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "fec0::1", "2001::1", "100::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:7f00:1", "::127.0.0.1", "::10.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:c0a8:101::"),
)
OUTSIDE = (
    "8.8.8.8",
    "1.1.1.1",
    "100.63.255.255",
    "100.128.0.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
)


@pytest.mark.parametrize("address", INSIDE)
def test_nothing_inside_is_called(address: str) -> None:
    assert not may_call(ipaddress.ip_address(address))
    assert reachable([address, "8.8.8.8"]) == ["8.8.8.8"]


@pytest.mark.parametrize("address", OUTSIDE)
def test_what_is_public_is_called(address: str) -> None:
    assert may_call(ipaddress.ip_address(address))


def test_the_operator_may_open_a_network_and_no_more() -> None:
    allowed = networks_from("10.1.2.0/24, fd00::/8")
    assert reachable(["10.1.2.9", "10.1.3.1", "fd00::1", "::ffff:10.1.2.3", "::1"], allowed) == [
        *("10.1.2.9", "fd00::1", "::ffff:a01:203")
    ]
    assert networks_from("") == ()
    with pytest.raises(MalformedError, match="not a network"):
        networks_from("10.1.2.0/33")


@pytest.mark.parametrize(
    "url",
    [
        *("http://erp.example/", "ftp://erp.example/", "file:///etc/passwd", "//erp.example", "erp.example", ""),
        *("https://", "https://user:word@erp.example/", "https://erp.example@10.0.0.1/", "https://erp.example/#x"),
        *("https://erp.example:99999/", "https://erp.example/\r\nhost: x", "https://erp.example\\@10.0.0.1/"),
        *("https://[::1/", "https://erp.example/ x", "https://ärp.example/", "https://erp.example/" + "x" * 2_000),
    ],
)
def test_a_url_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(MalformedError) as refused:
        destination_from(url, allows_http=False)
    assert len(url) < 12 or url not in str(refused.value)


def test_a_url_is_taken_apart() -> None:
    place = destination_from("https://erp.example:8443/hook?shop=1", allows_http=False)
    assert (place.host, place.port, place.target, place.authority) == (
        *("erp.example", 8443, "/hook?shop=1", "erp.example:8443"),
    )
    assert destination_from("http://erp.example", allows_http=True).authority == "erp.example"
    assert destination_from("https://[2606:4700::1111]/", allows_http=False).authority == "[2606:4700::1111]"
