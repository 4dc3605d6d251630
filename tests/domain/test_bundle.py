"""Bundles are sold as one and counted as their components."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from domain.shop import (
    BERLIN,
    BUNDLES,
    CAP,
    DUO,
    LINKS,
    MUG,
    NOON,
    SHOP,
    ask,
    assert_sound,
    claim,
    demand,
    figures,
    held,
    hold,
    key,
    lock,
    release,
    shelf,
)
from oneshelf.domain.availability import Derivation, at_least, derive, derive_bundle
from oneshelf.domain.bundle import BundleOfBundles, BundleWish, Defined, HasHistory, Standing, may_define
from oneshelf.domain.command import Component, Count, OrderRef, Receive, Reserve, Return, ReturnInto
from oneshelf.domain.fulfilment import Link, post_order
from oneshelf.domain.identity import ChannelSku, Location, Sku
from oneshelf.domain.ledger import Shelf
from oneshelf.domain.order import OrderLine, OrderSnapshot
from oneshelf.domain.outcome import Claimed, IsBundle, NotThatManyShipped, Posted, Reserved, Short, UnknownSku
from oneshelf.errors import MalformedError


def order_duos(on: Shelf, units: int, **said: Any) -> None:
    line = OrderLine("l1", ChannelSku("duo"), units, **said)
    post_order(on, OrderSnapshot(SHOP, "o1", "1", NOON, False, (line,)), LINKS)


def partly(wanted: Reserve) -> Reserve:
    return msgspec.structs.replace(wanted, key=key(), allows_partial=True)


def offered(units: int, in_suspense: int = 0) -> Derivation:
    there = {Location("BER"): units}
    return derive(
        available=there, ledger_versions={Location("BER"): 1}, in_suspense=in_suspense, suspense_version=0, pack_units=1
    )


def standing(
    skus: set[Sku], *, bundles: set[Sku] | None = None, used_by: set[Sku] | None = None, has_history: bool = False
) -> Standing:
    return Standing(skus=skus, bundles=bundles or set(), used_by=used_by or set(), has_history=has_history)


def test_a_bundle_takes_its_components() -> None:
    on = shelf(MUG=5, CAP=5)
    assert isinstance(ask(on, lock(demand(DUO, 2))), Reserved)
    assert figures(on) == {"available": 1, "reserved": 4}
    assert figures(on, CAP) == {"available": 3, "reserved": 2}
    assert_sound(on)


def test_a_bundle_and_its_component_in_one_basket_are_added_up_before_the_check() -> None:
    on = shelf(MUG=2, CAP=5)
    assert ask(on, lock(demand(DUO, 1), demand(MUG, 1))) == Short(MUG, BERLIN, asked=3, available=2)
    assert figures(on) == {"available": 2}
    assert isinstance(ask(on, lock(demand(DUO, 1), demand(CAP, 4))), Reserved)
    assert figures(on) == {"reserved": 2}


def test_a_bundle_that_lacks_one_component_names_it() -> None:
    on = shelf(MUG=9)
    assert ask(on, lock(demand(DUO, 2))) == Short(CAP, BERLIN, asked=2, available=0)


def test_a_bundle_is_never_stocked_itself() -> None:
    on = shelf(MUG=5, CAP=5)
    for command in (
        Receive(key=key(), sku=DUO, location=BERLIN, units=1),
        Count(key=key(), sku=DUO, location=BERLIN, units=1),
    ):
        assert ask(on, command) == IsBundle(DUO, "CAP, MUG")
    assert (DUO, BERLIN) not in on.balances


def test_an_order_line_of_a_bundle_holds_each_component_and_ships_as_one() -> None:
    on = shelf(MUG=5, CAP=5)
    order_duos(on, 2)
    assert [(line.sku, line.pack_units) for line in on.positions(SHOP, "o1", "l1")] == [(CAP, 1), (MUG, 2)]
    assert (figures(on)["committed"], figures(on, CAP)["committed"]) == (4, 2)
    order_duos(on, 2, units_shipped=1, units_cancelled=1)
    assert (figures(on), figures(on, CAP)) == ({"available": 3}, {"available": 4})
    back = Return(key=key(), order=OrderRef(SHOP, "o1"), sku=MUG, location=BERLIN, units=2, into=ReturnInto.AVAILABLE)
    assert ask(on, back) == Posted(units_moved=2, available=5)
    assert isinstance(ask(on, back), NotThatManyShipped)
    assert_sound(on)


def test_a_listing_of_a_bundle_is_lowered_once_for_all_its_components() -> None:
    on = shelf(MUG=5, CAP=5)
    line = OrderLine("l1", ChannelSku("duo"), 2)
    posted = post_order(on, OrderSnapshot(SHOP, "o1", "1", NOON, False, (line,)), LINKS)
    assert posted.off_listing == {"duo": 2}


def test_a_pack_of_bundles_takes_packs_times_components() -> None:
    assert Link(DUO, BERLIN, 3, BUNDLES[DUO]).counted == ((CAP, 3), (MUG, 6))


def test_a_new_definition_leaves_posted_lines_as_they_were_exploded() -> None:
    on = shelf(MUG=9, CAP=9)
    order_duos(on, 1)
    other = {ChannelSku("duo"): Link(DUO, BERLIN, 1, (Component(sku=MUG, units=5),))}
    line = OrderLine("l1", ChannelSku("duo"), 2)
    post_order(on, OrderSnapshot(SHOP, "o1", "2", NOON, False, (line,)), other)
    assert (figures(on)["committed"], figures(on, CAP)["committed"]) == (4, 2)


def test_a_channel_order_of_bundles_beyond_the_shelf_is_short_of_each_component() -> None:
    on = shelf(MUG=3)
    order_duos(on, 2)
    assert [(line.sku, line.units_short) for line in on.positions(SHOP, "o1", "l1")] == [(CAP, 2), (MUG, 1)]
    ask(on, Receive(key=key(), sku=MUG, location=BERLIN, units=1))
    assert figures(on) == {"committed": 4}
    assert_sound(on)


@pytest.mark.parametrize("is_told_first", [True, False])
def test_the_claim_of_a_bundle_and_the_order_of_it_take_the_units_once(is_told_first: bool) -> None:
    on = shelf(MUG=4, CAP=4)
    reservation = held(on, demand(DUO, 1))
    for is_telling in (is_told_first, not is_told_first):
        if is_telling:
            order_duos(on, 1)
        else:
            assert ask(on, claim(reservation)) == Claimed(reservation, units=3, units_short=0)
    assert figures(on) == {"available": 2, "committed": 2}
    assert figures(on, CAP) == {"available": 3, "committed": 1}
    assert_sound(on)


def test_a_released_bundle_gives_every_component_back() -> None:
    on = shelf(MUG=4, CAP=4)
    ask(on, release(held(on, demand(DUO, 2))))
    assert (figures(on), figures(on, CAP)) == ({"available": 4}, {"available": 4})


def test_a_part_of_a_basket_is_granted_in_the_order_asked_and_only_whole_bundles() -> None:
    on = shelf(MUG=5, CAP=1)
    wanted = hold(demand(DUO, 2), demand(MUG, 4))
    assert isinstance(ask(on, wanted), Short)
    outcome = ask(on, partly(wanted))
    assert isinstance(outcome, Reserved)
    assert [(one.sku, one.granted, one.refused) for one in outcome.grants] == [(DUO, 1, 1), (MUG, 3, 1)]
    assert (outcome.units, outcome.units_short) == (6, 0)
    assert figures(on) == {"reserved": 5}
    assert_sound(on)


def test_a_part_of_nothing_is_short() -> None:
    on = shelf(MUG=1)
    assert ask(on, partly(hold(demand(DUO, 1)))) == Short(CAP, BERLIN, asked=1, available=0)
    assert figures(on) == {"available": 1}


def test_the_scarcest_component_decides_how_many_bundles_are_offered() -> None:
    mugs, caps = offered(7, in_suspense=1), offered(9)
    duo = derive_bundle([(BUNDLES[DUO][1], mugs), (BUNDLES[DUO][0], caps)], pack_units=2)
    assert (duo.available_to_sell, duo.units) == (3, 1)
    assert [(one.sku, one.bundles) for one in duo.components] == [(MUG, 3), (CAP, 9)]
    assert at_least(duo, 99).version == 99
    assert at_least(duo, 1) == duo


def test_what_may_be_a_bundle() -> None:
    duo = BundleWish(sku=DUO, components=BUNDLES[DUO])
    named = {DUO, MUG, CAP}
    assert may_define(duo, standing(named)) == Defined(DUO)
    assert may_define(duo, standing(named - {CAP})) == UnknownSku(CAP)
    assert may_define(duo, standing(named, bundles={DUO})) == Defined(DUO)
    assert may_define(duo, standing(named, bundles={MUG})) == BundleOfBundles(DUO, MUG)
    assert may_define(duo, standing(named, used_by={Sku("BIG")})) == BundleOfBundles(Sku("BIG"), DUO)
    assert may_define(duo, standing(named, has_history=True)) == HasHistory(DUO)
    for components in ((), (Component(sku=DUO, units=1),), (BUNDLES[DUO][0],) * 2):
        with pytest.raises(MalformedError, match="bundle DUO"):
            BundleWish(sku=DUO, components=components)
