"""What the engine reckons with, and what it keeps back for it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshelf.domain.blind_window import (
    SAMPLES_MIN,
    BlindWindow,
    Declared,
    Measured,
    budget_left,
    buffer_for,
    default_objective,
    reckoned,
    silence_s,
    threshold_for,
)
from oneshelf.domain.demand import (
    THRESHOLD_DEVIATIONS_MAX,
    Demand,
    buffer_units,
    threshold_units,
    threshold_while_silent,
)
from oneshelf.domain.identity import Channel

SHOP, MARKET, TILL = Channel("shop"), Channel("market"), Channel("till")
AMAZON = Declared(orders_lag_s=120, poll_orders_s=180, apply_s=900, sweep_stock_s=3600, is_blind=True)
WINDOWS = {SHOP: BlindWindow(5, 2), MARKET: BlindWindow(300, 900, is_blind=True), TILL: BlindWindow(1, 1)}


def test_where_nothing_is_measured_the_connector_is_believed() -> None:
    found = reckoned(Measured(), Measured(), Measured(), AMAZON)
    assert (found.tau_in_s, found.tau_out_s) == (300, 900)
    assert not found.is_in_measured


def test_few_samples_lengthen_the_window_and_never_shorten_it() -> None:
    few = reckoned(Measured(10, SAMPLES_MIN - 1), Measured(2000, 1), Measured(), AMAZON)
    assert (few.tau_in_s, few.tau_out_s) == (300, 2000)
    many = reckoned(Measured(10, SAMPLES_MIN), Measured(20, SAMPLES_MIN), Measured(0.5, SAMPLES_MIN), AMAZON)
    assert many == BlindWindow(10, 20, 0.5, is_in_measured=True, is_out_measured=True, is_blind=True)


def test_a_buffer_is_for_the_demand_elsewhere_each_in_its_own_window() -> None:
    demands = {SHOP: Demand(10 / 3600, 2), MARKET: Demand(60 / 3600, 2)}
    kept = buffer_for(SHOP, WINDOWS, demands)
    assert kept.units == buffer_units(rate_per_s=60 / 3600, window_s=302, variance_factor=2).units
    assert kept.window_s == pytest.approx(302)


def test_where_writes_are_blind_the_channels_own_sales_count_too() -> None:
    demands = {SHOP: Demand(10 / 3600, 2), MARKET: Demand(60 / 3600, 2)}
    kept = buffer_for(MARKET, WINDOWS, demands)
    assert kept.rate_per_s * kept.window_s == pytest.approx(10 / 3600 * 905 + 60 / 3600 * 1200)


def test_who_sells_alone_keeps_nothing_back() -> None:
    assert buffer_for(SHOP, WINDOWS, {SHOP: Demand(1.0, 2)}).units == 0


def test_a_threshold_waits_for_the_slowest_channel() -> None:
    total = Demand(60 / 3600, 2)
    slow = threshold_for({SHOP: WINDOWS[SHOP], MARKET: WINDOWS[MARKET]}, total)
    assert slow.window_s == 300 + 2 * 900 + 2
    fast = threshold_for({SHOP: WINDOWS[SHOP], TILL: WINDOWS[TILL]}, total)
    same = threshold_units(rate_per_s=60 / 3600, tau_in_s=5, tau_out_s=2, round_s=2, variance_factor=2)
    assert fast == same


def test_of_a_sku_without_sales_a_few_units_are_enough_to_split() -> None:
    found = threshold_for({SHOP: WINDOWS[SHOP], MARKET: WINDOWS[MARKET]}, Demand())
    assert 1 <= found.units <= 5


def test_an_error_budget_is_used_up_by_misses_in_proportion() -> None:
    assert budget_left(0.99, count=0, met_count=0) is None
    assert budget_left(0.99, count=1000, met_count=1000) == 1
    assert budget_left(0.99, count=1000, met_count=995) == pytest.approx(0.5)
    assert budget_left(0.99, count=1000, met_count=980) == pytest.approx(-1)


def test_the_default_objective_is_what_the_documented_limits_allow() -> None:
    found = default_objective(AMAZON, slowest_out_s=900)
    assert (found.share, found.seen_s, found.detect_s) == (0.99, 1200, 7200)


def test_a_channel_is_silent_after_three_polls_and_its_silence_grows_in_steps() -> None:
    assert [silence_s(unheard_s=seconds, every_s=60) for seconds in (0, 179, 180, 269, 270, 404, 405)] == [
        *(0, 0, 270, 270, 405, 405, 607.5)
    ]


@given(st.floats(0, 1e7), st.floats(0.1, 1e4))
def test_no_silence_is_reckoned_shorter_than_it_is_nor_much_longer(unheard_s: float, every_s: float) -> None:
    silent_s = silence_s(unheard_s=unheard_s, every_s=every_s)
    assert silent_s == 0 or unheard_s < silent_s <= 1.5 * unheard_s * (1 + 1e-9)
    assert (silent_s == 0) is (unheard_s < 3 * every_s)


def test_a_silence_lengthens_the_window_of_the_threshold() -> None:
    demand = Demand(1 / 60, 2)
    usual = threshold_for(WINDOWS, demand)
    assert threshold_while_silent(demand, window_s=usual.window_s, silent_s=0) == usual.units
    assert threshold_while_silent(demand, window_s=usual.window_s, silent_s=3600) > usual.units + 60


@given(st.floats(1e-6, 0.1), st.floats(1, 50), st.floats(1, 1e5))
def test_a_threshold_is_never_further_from_the_mean_than_what_is_looked_for_in_the_database(
    rate_per_s: float, factor: float, window_s: float
) -> None:
    mean = rate_per_s * window_s
    units = threshold_while_silent(Demand(rate_per_s, factor), window_s=window_s, silent_s=0)
    assert units <= mean + THRESHOLD_DEVIATIONS_MAX * math.sqrt(mean * factor) + 1
