"""What Amazon says is wrong with a listing is read with its figure, in a line that a person can act on."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.amazon.harness import bench
from oneshelf.connectors.amazon.issues import WORDS_LENGTH_MAX, listing_issues, refusal_words
from oneshelf.connectors.amazon.simulator_rows import BLOCKED
from oneshelf.domain.identity import ChannelSku
from oneshelf.sdk.message import Accepted

QUANTITY = "fulfillment_availability"
SHOWN = f"4000001: {BLOCKED} ({QUANTITY}; ATTRIBUTE_SUPPRESSED)"


def issue(code: str, message: str, severity: str = "ERROR", **more: Any) -> dict[str, Any]:
    return {"code": code, "message": message, "severity": severity, "categories": [], **more}


def enforced(status: str) -> dict[str, Any]:
    return {"enforcements": {"actions": [{"action": "LISTING_SUPPRESSED"}], "exemption": {"status": status}}}


def told(*issues: object) -> str | None:
    return listing_issues({"issues": list(issues)})


def test_an_answer_without_issues_tells_nothing_and_an_empty_list_tells_that_nothing_is_wrong() -> None:
    assert listing_issues({}) is None
    assert told() == ""
    assert told(issue("1", "no picture", "WARNING"), issue("2", "nice", "INFO")) == ""


def test_an_error_is_told_with_its_code_its_words_and_the_attributes_it_is_about() -> None:
    assert told(issue("90220", "is missing", attributeNames=["brand", "model"])) == "90220: is missing (brand, model)"
    assert told(issue("8572", "no such product")) == "8572: no such product"


def test_what_amazon_does_to_the_listing_is_told_unless_it_is_exempt() -> None:
    assert told(issue("1", "bad", **enforced("NOT_EXEMPT"))) == "1: bad (LISTING_SUPPRESSED)"
    for status in ("EXEMPT", "EXEMPT_UNTIL_EXPIRY_DATE"):
        assert told(issue("1", "bad", **enforced(status))) == "1: bad"


def test_what_is_about_the_quantity_comes_first_and_each_thing_is_said_once() -> None:
    picture, stuck = issue("1", "no picture"), issue("2", "stuck", attributeNames=[QUANTITY])
    assert told(picture, stuck, dict(picture), dict(stuck)) == f"2: stuck ({QUANTITY}); 1: no picture"


def test_more_than_fits_is_told_as_a_number_and_never_cut_within_an_issue() -> None:
    many = [issue(str(number), "word " * 12) for number in range(40)]
    words = told(*many)
    assert words is not None
    *shown, last = words.split("; ")
    assert last == f"and {40 - len(shown)} more"
    assert all(one.endswith("word ") for one in shown)
    assert told(issue("1", "x" * 900)) == f"1: {'x' * 900}"[:WORDS_LENGTH_MAX]


@pytest.mark.parametrize("issues", [None, "none", {"code": "1"}, [None, 7, "x"], [{"severity": "ERROR"}]])
def test_issues_that_are_not_what_the_model_says_keep_no_figure_from_being_read(issues: object) -> None:
    assert listing_issues({"issues": issues}) in {"", "None: None"}
    odd = {"severity": "ERROR", "attributeNames": 5, "enforcements": {"actions": [None, {"action": 3}]}}
    assert listing_issues({"issues": [odd]}) == "None: None"


def test_a_refused_submission_names_the_attributes_too() -> None:
    refused = {
        "status": "INVALID",
        "issues": [issue("7", "odd", attributeNames=[QUANTITY]), issue("8", "w", "WARNING")],
    }
    assert refusal_words(refused) == f"7: odd ({QUANTITY})"
    assert refusal_words({"status": "INVALID", "issues": [issue("8", "w", "WARNING")]}) == "8: w"


async def test_a_blocked_listing_takes_every_quantity_applies_none_and_says_why_with_each_reading() -> None:
    async with bench({"MUG": 10, "x,y": 3, "CUP": 4}) as desk:
        sku = ChannelSku("MUG")
        page = await desk.patiently(lambda: desk.connector.fetch_stock(None))
        assert {one.issues for one in page.readings} == {""}
        for one in ("MUG", "x,y"):
            desk.simulator.block_quantity(one)
            for units in (6, 2):
                assert await desk.connector.push([desk.write(one, units)]) == (Accepted(),)
        await desk.clock.advance(3600)
        assert desk.units() == {"MUG": 10, "x,y": 3, "CUP": 4}
        # In a batch, alone (a comma keeps it out of every batch), and in a pass over all.
        readings = await desk.connector.read_stock([sku, ChannelSku("x,y"), ChannelSku("CUP")])
        page = await desk.patiently(lambda: desk.connector.fetch_stock(None))
        for shown in (readings, page.readings):
            assert {one.channel_sku: (one.units, one.issues) for one in shown} == {
                "MUG": (10, SHOWN),
                "x,y": (3, SHOWN),
                "CUP": (4, ""),
            }
        desk.simulator.block_quantity("MUG", "")
        assert await desk.connector.push([desk.write("MUG", 2)]) == (Accepted(),)
        await desk.clock.advance(3600)
        [reading] = await desk.connector.read_stock([sku])
        assert (reading.units, reading.issues) == (2, "")
