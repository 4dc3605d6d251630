"""A user name and a password in a header: the right ones in one spelling, and nothing else."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.sdk.basic import basic, is_basic

OLD, NEW = "the old one, of a year", "the new one"


def test_each_password_of_a_rotation_is_right() -> None:
    assert basic("Aladdin", "open sesame") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="  # the example of RFC 7617
    for password in (OLD, NEW):
        assert is_basic(basic("ebay", password), user="ebay", passwords=[OLD, NEW])
    assert is_basic(basic("ebay", OLD).replace("Basic", "basic"), user="ebay", passwords=[OLD])


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "Basic",
        "Basic ",
        basic("ebay", NEW)[:-1],
        basic("ebay", NEW) + "=",
        basic("ebay", NEW + " "),
        basic("Ebay", NEW),
        basic("", NEW),
        basic("ebay", ""),
        basic("ebay", OLD),
        "Bearer " + NEW,
        "Basic " + NEW,
        "Basic ebay:" + NEW,
        "Basic é",
        basic("ebay", NEW) + ", " + basic("ebay", NEW),
        "Basic " + base64.urlsafe_b64encode(b"\xff\xfe:\xff").decode(),
    ],
)
def test_nothing_else_is(shown: str) -> None:
    assert not is_basic(shown, user="ebay", passwords=[NEW])


@given(st.text(max_size=60))
def test_no_header_breaks_it(shown: str) -> None:
    assert not is_basic(shown, user="ebay", passwords=[NEW])
    assert not is_basic("Basic " + shown, user="ebay", passwords=[NEW])
