"""Names and numbers from outside pass one gate."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from oneshelf.domain.identity import UNITS_MAX, channel_from, instant_from, sku_from, units_from
from oneshelf.errors import MalformedError


def test_both_spellings_of_an_accented_sku_are_one_sku() -> None:
    assert sku_from("CAFE\u0301") == sku_from("CAF\u00c9") == "CAFÉ"


@pytest.mark.parametrize("around", ["  {} ", "\t{}\r\n", "\u00a0{}\u3000"])
def test_a_sku_is_trimmed_and_keeps_its_case(around: str) -> None:
    assert sku_from(around.format("Mug-Blue")) == "Mug-Blue"


@pytest.mark.parametrize("text", ["=cmd()", "../etc", "'; drop table skus; --", "<script>alert(1)</script>"])
def test_a_sku_that_looks_like_an_attack_is_only_text(text: str) -> None:
    assert sku_from(text) == text


@pytest.mark.parametrize(
    "value",
    [
        "",
        "   ",
        "a\x00b",
        "a\nb",
        "a\x1d",
        "\x1ca",
        "\u3164",
        "a\u034fb",
        "\u2800a",
        "a\u200bb",
        "a\u202eb",
        "\ud800",
        "x" * 121,
        5,
        None,
        True,
        ["a"],
    ],
)
def test_a_name_with_invisible_characters_or_no_name_at_all_is_refused(value: object) -> None:
    with pytest.raises(MalformedError, match="SKU"):
        sku_from(value)


def test_a_channel_name_may_not_hold_a_slash() -> None:
    with pytest.raises(MalformedError, match="slash"):
        channel_from("a/b")


@pytest.mark.parametrize("value", [0, 1, UNITS_MAX])
def test_whole_numbers_of_units_are_taken(value: int) -> None:
    assert units_from(value, what="units") == value


@pytest.mark.parametrize(
    "value",
    [
        -1,
        1.0,
        1.5,
        float("nan"),
        float("inf"),
        "5",
        "٣",
        "7_0",
        " 7 ",
        True,
        None,
        UNITS_MAX + 1,
        2**63,
        pytest.param(10**5000, id="5001 digits"),
    ],
)
def test_anything_but_a_sane_whole_number_of_units_is_refused(value: object) -> None:
    with pytest.raises(MalformedError, match="units"):
        units_from(value, what="units")


def test_a_smallest_number_of_units_can_be_asked_for() -> None:
    with pytest.raises(MalformedError, match="between 1 and"):
        units_from(0, what="units", least=1)


@pytest.mark.parametrize("text", ["2026-11-25T14:00:00Z", "2026-11-25T15:00:00+01:00", "2026-11-25 14:00+00:00"])
def test_an_instant_is_the_same_in_every_zone(text: str) -> None:
    assert instant_from(text, what="as_of") == datetime(2026, 11, 25, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        *("2026-11-25T14:00:00", "2026-11-25", "noon", "", "2026-13-01T00:00Z", "0001-01-01T00:00+14:00"),
        *("9999-12-31T23:59Z", "1970-01-01T00:00Z", 1764079200, None, True, datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_time_that_may_mean_several_instants_or_none_is_refused(value: object) -> None:
    with pytest.raises(MalformedError, match="as_of"):
        instant_from(value, what="as_of")
