"""What cannot be read of a till's delivery is said with its place and the way out; the rest of it counts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flow.till_world import back, event, line, opened_till, sale
from oneshelf.connectors.till.kind import CONNECTOR
from oneshelf.domain.identity import Channel
from oneshelf.errors import ConfigurationError, MalformedError
from oneshelf.sdk.message import ChannelConfig, Delivery, DeviceNews, Ignored


def read(document: Any) -> Any:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    [message] = opened_till().connector.parse(Delivery("1", "till/events", body))
    return message


def without(name: str, one: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key != name}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({**sale(1), "type": "refund"}, "type must be one of sale, return, exchange, void, heartbeat"),
        (without("type", sale(1)), "type must be one of"),
        (without("device", sale(1)), "device must be text"),
        ({**sale(1), "device": "a/b"}, "holds a slash"),
        ({**sale(1), "sequence": 0}, "sequence must be a whole number from 1 on"),
        ({**sale(1), "sequence": 1.0}, "sequence must be a whole number"),
        ({**sale(1), "sequence": True}, "sequence must be a whole number"),
        ({**sale(1), "sequence": 10**16}, "sequence must be a whole number"),
        ({**sale(1), "at": "2026-11-26T10:00:00"}, "at has no zone"),
        ({**sale(1), "at": 1_700_000_000}, "at must be an instant"),
        (without("receipt", sale(1)), "receipt must be text"),
        ({**sale(1), "lines": []}, "lines must be a list of 1 to 500 lines"),
        (without("lines", sale(1)), "lines must be a list"),
        (sale(1, lines=[{"units": 1}]), "lines[0]: a line names its sku or its barcode, one of them"),
        (sale(1, lines=[line(), {"sku": "A", "barcode": "1", "units": 1}]), "lines[1]: a line names its sku or"),
        (sale(1, lines=[line(units=-1)]), "lines[0]: units is -1; it must lie between 1"),
        (sale(1, lines=[line(pack=0)]), "lines[0]: pack is 0"),
        (sale(1, lines=[line(units=10**6, pack=10**6)]), "lines[0]: units times pack"),
        (sale(1, lines=[line(price=5)]), "unknown field 'price'; a line takes sku, barcode, units, pack"),
        ({**sale(1), "cashier": "Ada"}, "unknown field 'cashier'; a sale takes"),
        ({**sale(1), "returned": [back()]}, "unknown field 'returned'; a sale takes"),
        (event("return", 1, returned=[line()]), "disposition must be one of available, quality_control, damaged"),
        (event("void", 1, receipt="R-1", lines=[line()]), "unknown field 'lines'; a void takes"),
        ("nothing", "an event is an object"),
    ],
)
def test_a_wrong_event_is_named_and_the_others_count(wrong: Any, words: str) -> None:
    news = read([sale(7), wrong, sale(8)])
    assert isinstance(news, DeviceNews)
    assert [one.sequence for one in news.events] == [7, 8]
    [said] = news.unread
    assert said.startswith("event 2: ")
    assert words in said


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"{", "cannot be read"),
        (b"\xff", "cannot be read"),
        (5, "a delivery is an event, a list of events"),
        ({"events": {}}, "events must be a list"),
        ({"events": [sale(1)], "sent": "now"}, "unknown field 'sent'; a delivery takes sent_at, events"),
        ({"events": [sale(1)], "sent_at": "now"}, "sent_at must be an instant"),
        ([sale(1)] * 5_001, "send at most 5000 at once"),
        ([{}, {}], "event 1: type must be one of"),
    ],
)
def test_a_delivery_of_which_nothing_can_be_read_waits_for_a_person(document: Any, words: str) -> None:
    with pytest.raises(MalformedError) as refusal:
        read(document)
    assert words in str(refusal.value)


def test_nothing_is_nothing() -> None:
    assert isinstance(read([]), Ignored)


def test_one_event_alone_is_a_delivery() -> None:
    assert [one.sequence for one in read(sale(5)).events] == [5]


def test_the_same_content_has_one_fingerprint_however_it_is_written() -> None:
    one = sale(1)
    other = dict(reversed(one.items()))
    assert read(one).events[0].fingerprint == read([other]).events[0].fingerprint


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"allowance_units": "some"}, "allowance_units must be a whole number"),
        ({"allowance_units": "-1"}, "allowance_units must be a whole number"),
        ({"heartbeat_s": "0"}, "heartbeat_s must be a second at least"),
        ({"heartbeat_s": "soon"}, "heartbeat_s must lie between"),
        ({"clock_error_s": "100000"}, "clock_error_s must lie between"),
        ({"base_url": "x"}, "unknown setting base_url"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        opened_till(settings)


@pytest.mark.parametrize("secret", ["", " , ", "a,b,c,d,e,f"])
def test_secrets_are_one_to_five(secret: str) -> None:
    config = ChannelConfig("till", {}, {"webhook_secret": secret})
    with pytest.raises(ConfigurationError, match="webhook_secret"):
        CONNECTOR.open(config, channel=Channel("till"), http=None, clock=None)  # type: ignore[arg-type]  # neither is used
