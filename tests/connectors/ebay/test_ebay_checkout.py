"""What eBay asks at the checkout, in every way in which its page can be read, and what it is answered."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.connectors.ebay.account import account_from
from oneshelf.connectors.ebay.checkout import FULFILLMENTS, LOCATION_NAMES, QUESTIONS_MAX, answer_to, questions_from
from oneshelf.errors import ConfigurationError, MalformedError
from oneshelf.sdk.checkout import CheckoutAnswer, CheckoutOutcome, CheckoutQuestion
from oneshelf.sdk.message import ChannelConfig

# The sample of the page, word by word.
SAMPLE = {
    "locationID": "SUNNYVALE-123",
    "SKU": "SKU1234",
    "fulfillmentType": "SHIP_TO_HOME",
    "requestedQuantity": 10,
}
AT = datetime(2026, 11, 27, 2, 30, 0, 900_000, UTC)
YES, NO = CheckoutAnswer(CheckoutOutcome.AVAILABLE, 12), CheckoutAnswer(CheckoutOutcome.TOO_FEW, 9)


def asked(**changed: Any) -> dict[str, Any]:
    told = {**SAMPLE, **changed}
    return {name: value for name, value in told.items() if value is not None}


def test_the_sample_of_the_page_is_one_question_with_one_answer() -> None:
    assert questions_from(SAMPLE, location="") == (CheckoutQuestion("SKU1234", 10),)
    # 2026-11-27T02:30:00Z: whole seconds of the UTC epoch.
    expected = {"isAvailable": True, "lastUpdated": 1_795_746_600, "totalAvailableQuantity": 12}
    assert answer_to(SAMPLE, [YES], at=AT) == expected


def test_the_location_goes_by_either_name_and_by_both_where_they_agree() -> None:
    for names in (LOCATION_NAMES[:1], LOCATION_NAMES[1:], LOCATION_NAMES):
        told = asked(**{name: None for name in LOCATION_NAMES} | dict.fromkeys(names, "BER"))
        assert questions_from(told, location="BER") == (CheckoutQuestion("SKU1234", 10),)
        assert questions_from(told, location="") == (CheckoutQuestion("SKU1234", 10),)
        # "This field is case-sensitive."
        assert questions_from(told, location="ber") == (CheckoutQuestion("SKU1234", 10, is_here=False),)


def test_a_list_is_answered_with_a_list_that_says_what_each_is_about() -> None:
    document = [asked(), asked(locationID=None, merchantLocationKey="BER", SKU="CAP", requestedQuantity=9)]
    assert questions_from(document, location="SUNNYVALE-123") == (
        CheckoutQuestion("SKU1234", 10),
        CheckoutQuestion("CAP", 9, is_here=False),
    )
    told: Any = answer_to(document, [NO, CheckoutAnswer(CheckoutOutcome.ELSEWHERE)], at=AT)
    assert [(one["SKU"], one["isAvailable"], one["totalAvailableQuantity"]) for one in told] == [
        ("SKU1234", False, 9),
        ("CAP", False, 0),
    ]
    assert (told[0]["locationID"], told[1]["merchantLocationKey"]) == ("SUNNYVALE-123", "BER")
    assert answer_to([SAMPLE], [YES], at=AT) != answer_to(SAMPLE, [YES], at=AT)


def test_what_the_page_may_add_is_passed_over() -> None:
    assert questions_from(asked(buyerCountry="US", requestId=7), location="") == (CheckoutQuestion("SKU1234", 10),)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (None, "the body must be an object"),
        ("SKU1234", "the body must be an object"),
        (10, "the body must be an object"),
        ([], "1 to 100 questions, and this one has 0"),
        ([SAMPLE] * (QUESTIONS_MAX + 1), "1 to 100 questions, and this one has 101"),
        ([SAMPLE, [SAMPLE]], "question 2 must be an object"),
        ({"requests": [SAMPLE]}, "must name one location, and there is none"),
        (asked(locationID=None), "merchantLocationKey or locationID must name one location, and there is none"),
        (asked(merchantLocationKey="BER"), "must name one location, and there is two different ones"),
        (asked(locationID=""), "locationID must be text"),
        (asked(locationID=7), "locationID must be text"),
        (asked(locationID="B\x00R"), "locationID holds invisible characters"),
        (asked(SKU=None), "SKU must be text"),
        (asked(SKU=None, sku="SKU1234"), "SKU must be text"),
        (asked(SKU=1234), "SKU must be text"),
        (asked(SKU="SKU\n1234"), "SKU holds invisible characters"),
        (asked(requestedQuantity=None), "requestedQuantity must be a whole number of units"),
        (asked(requestedQuantity="10"), "requestedQuantity must be a whole number of units"),
        (asked(requestedQuantity=1.0), "requestedQuantity must be a whole number of units"),
        (asked(requestedQuantity=True), "requestedQuantity must be a whole number of units"),
        (asked(requestedQuantity=0), "requestedQuantity is 0"),
        (asked(requestedQuantity=-1), "requestedQuantity is -1"),
        (asked(requestedQuantity=10**12), "requestedQuantity is"),
        (asked(fulfillmentType=None), "fulfillmentType must be one of PICKUP_IN_STORE"),
        (asked(fulfillmentType="ship_to_home"), "fulfillmentType must be one of"),
        (asked(fulfillmentType=["SHIP_TO_HOME"]), "fulfillmentType must be one of"),
        ([SAMPLE, asked(requestedQuantity="10")], "question 2: requestedQuantity must be"),
    ],
)
def test_what_is_no_question_is_refused_with_the_member_that_is_wrong(document: object, said: str) -> None:
    with pytest.raises(MalformedError) as refused:
        questions_from(document, location="")
    assert said in str(refused.value)


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*SAMPLE, "x"]), inner, max_size=5),
    max_leaves=8,
)
_QUESTIONS = st.builds(
    lambda name, place, sku, how, units: {name: place, "SKU": sku, "fulfillmentType": how, "requestedQuantity": units},
    st.sampled_from(LOCATION_NAMES),
    st.sampled_from(["BER", "ber", "CGN"]),
    st.text("AB-1", min_size=1, max_size=5),
    st.sampled_from(FULFILLMENTS),
    st.integers(1, 50),
)


@given(_ANYTHING)
def test_whatever_comes_is_read_or_refused_in_words(document: object) -> None:
    with suppress(MalformedError):
        assert questions_from(document, location="BER")


@given(_QUESTIONS | st.lists(_QUESTIONS, min_size=1, max_size=6))
def test_a_question_is_answered_in_its_own_shape(document: Any) -> None:
    questions = questions_from(document, location="BER")
    told: Any = answer_to(document, [YES] * len(questions), at=AT)
    assert isinstance(told, list) is isinstance(document, list)
    for one in told if isinstance(told, list) else [told]:
        assert {"isAvailable", "lastUpdated", "totalAvailableQuantity"} <= set(one)
    asked_of = document if isinstance(document, list) else [document]
    assert [one.sku for one in questions] == [one["SKU"] for one in asked_of]
    assert [one.is_here for one in questions] == ["BER" in one.values() for one in asked_of]


# Who may ask ------------------------------------------------------------------------------------------------------

_SECRETS = {"client_id": "app", "client_secret": "cert", "refresh_token": "v^1", "verification_token": "t" * 32}
PASSWORD = "of-my-own-choice-20-long"


def config(**secrets: str) -> ChannelConfig:
    return ChannelConfig("my-ebay", {"user_id": "Ab1"}, {**_SECRETS, **secrets})


def test_nobody_may_ask_unless_both_are_given() -> None:
    assert account_from(config()).checkout is None
    access = account_from(config(checkout_user="ebay", checkout_password=f"{PASSWORD},{PASSWORD[::-1]}")).checkout
    assert access is not None
    assert (access.user, access.passwords, access.location) == ("ebay", (PASSWORD, PASSWORD[::-1]), "")
    assert "ebay" not in repr(access)
    assert PASSWORD not in repr(access)


@pytest.mark.parametrize(
    ("secrets", "said"),
    [
        ({"checkout_user": "ebay"}, "checkout_user and checkout_password are given together"),
        ({"checkout_password": PASSWORD}, "checkout_user and checkout_password are given together"),
        ({"checkout_user": "e:bay", "checkout_password": PASSWORD}, "checkout_user takes 1 to 64"),
        ({"checkout_user": "é", "checkout_password": PASSWORD}, "checkout_user takes 1 to 64"),
        ({"checkout_user": "ebay", "checkout_password": "s" * 19}, "checkout_password takes 20 to 128"),
        ({"checkout_user": "ebay", "checkout_password": "two words of twenty"}, "checkout_password takes 20 to 128"),
        ({"checkout_user": "ebay", "checkout_password": f"{PASSWORD},short"}, "checkout_password takes 20 to 128"),
    ],
)
def test_what_cannot_be_kept_secret_is_refused_and_not_repeated(secrets: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        account_from(config(**secrets))
    assert not any(len(value) > 5 and value in str(refused.value) for value in secrets.values())
