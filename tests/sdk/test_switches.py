"""The faults of a simulated channel."""

from __future__ import annotations

from random import Random

import pytest

from oneshelf.errors import MalformedError
from oneshelf.sdk.switches import Switches

OCCASIONS = 4000


def switches(seed: int = 1) -> Switches:
    return Switches(Random(seed), ("throttle", "reply_lost"))


def struck(faults: Switches, name: str, occasions: int) -> int:
    return sum(faults.strikes(name) for _ in range(occasions))


def test_every_fault_is_off_until_somebody_sets_it() -> None:
    faults = switches()
    assert struck(faults, "throttle", OCCASIONS) == 0
    assert not faults.hits


def test_a_fault_strikes_the_next_n_times_and_then_no_more() -> None:
    faults = switches()
    faults.set({"reply_lost": {"next": 2}})
    faults.set({"reply_lost": {"next": 1}})
    assert [faults.strikes("reply_lost") for _ in range(5)] == [True, True, True, False, False]
    assert faults.hits == {"reply_lost": 3}
    assert struck(faults, "throttle", 10) == 0


def test_a_fault_strikes_a_share_of_the_occasions() -> None:
    for seed in range(5):
        print(f"seed {seed}")
        faults = switches(seed)
        faults.set({"throttle": 0.25})
        hits = struck(faults, "throttle", OCCASIONS)
        assert 0.2 * OCCASIONS < hits < 0.3 * OCCASIONS
        assert faults.hits["throttle"] == hits


def test_a_share_of_one_strikes_always_and_of_nought_never() -> None:
    faults = switches()
    faults.set({"throttle": 1, "reply_lost": 0})
    assert struck(faults, "throttle", 100) == 100
    assert struck(faults, "reply_lost", 100) == 0
    faults.set({"throttle": 0.0})
    assert struck(faults, "throttle", 100) == 0


def test_the_same_seed_strikes_at_the_same_occasions() -> None:
    courses = []
    for seed in (3, 3, 4):
        print(f"seed {seed}")
        faults = switches(seed)
        faults.set({"throttle": 0.5})
        courses.append([faults.strikes("throttle") for _ in range(100)])
    assert courses[0] == courses[1] != courses[2]


@pytest.mark.parametrize(
    "wanted",
    [
        {"thortle": 0.5},
        {"throttle": -0.1},
        {"throttle": 1.1},
        {"throttle": float("nan")},
        {"throttle": True},
        {"throttle": "0.5"},
        {"throttle": None},
        {"throttle": []},
        {"throttle": {}},
        {"throttle": {"next": -1}},
        {"throttle": {"next": 1.5}},
        {"throttle": {"next": True}},
        {"throttle": {"next": 1, "share": 0.5}},
        {"throttle": {"last": 1}},
    ],
)
def test_a_wrong_setting_is_refused_and_changes_nothing(wanted: dict[str, object]) -> None:
    faults = switches()
    with pytest.raises(MalformedError, match=f"fault '{next(iter(wanted))}'"):
        faults.set({"reply_lost": {"next": 5}, **wanted})
    assert struck(faults, "throttle", 100) == struck(faults, "reply_lost", 100) == 0


def test_an_unknown_fault_is_answered_with_the_known_ones() -> None:
    with pytest.raises(MalformedError, match="knows throttle, reply_lost"):
        switches().set({"flood": 1})
