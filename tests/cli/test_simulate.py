"""Which days are asked for is understood or answered in one line, before anything is started."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner, Result

from oneshelf.cli import app

NOT_UTF_8 = "\udce4"


def refused(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    result = CliRunner().invoke(app, ["simulate", "--seeds", "1", *arguments], catch_exceptions=False)
    assert result.exit_code == 2, result.output
    return result


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("etsy", "no kind of channel 'etsy' in simulated days; there are: shopify, amazon, ebay"),
        ("ebay,till", "no kind of channel 'till' in simulated days; there are: shopify, amazon, ebay"),
        ("", "no kind of channel is named; there are: shopify, amazon, ebay"),
        (" , ", "no kind of channel is named; there are: shopify, amazon, ebay"),
        (NOT_UTF_8, "--channels is not UTF-8"),
        ("x" * 100_000, "--channels has 100000 characters"),
    ],
)
def test_channels_that_no_day_has_are_refused_with_those_there_are(
    typed: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = refused(monkeypatch, "--channels", typed).stderr
    assert said in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("typed", ["0", "-3", "3601", "nan", "inf", "soon"])
def test_a_day_of_no_length_is_refused(typed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--seconds" in refused(monkeypatch, f"--seconds={typed}").stderr
