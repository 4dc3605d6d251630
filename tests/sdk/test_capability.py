"""What the engine relies on: declared, less what a probe has shown to be lost."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, combinations

import pytest

from oneshelf.connectors.amazon import CONNECTOR as AMAZON
from oneshelf.connectors.shopify import CONNECTOR as SHOPIFY
from oneshelf.domain.probing import Ability
from oneshelf.sdk.capability import Capability, WriteKind, effective

DECLARED = (SHOPIFY.capability, AMAZON.capability)
SUBSETS = list(chain.from_iterable(combinations(Ability, count) for count in range(len(Ability) + 1)))


@pytest.mark.parametrize("declared", DECLARED, ids=["shopify", "amazon"])
def test_what_nobody_has_shown_to_fail_is_believed(declared: Capability) -> None:
    assert effective(declared, ()) == declared


def test_a_shop_that_ignores_the_compared_figure_is_written_blindly_and_believed_when_read() -> None:
    declared = SHOPIFY.capability
    assert declared.write_kind is WriteKind.COMPARE_AND_SET
    given = effective(declared, {Ability.COMPARE})
    assert given == replace(declared, write_kind=WriteKind.BLIND_SET, is_applied_when_answered=False)


def test_a_shop_that_ignores_keys_has_no_key_life_and_compares_as_before() -> None:
    declared = SHOPIFY.capability
    assert declared.key_life_s > 0
    assert effective(declared, {Ability.KEY}) == replace(declared, key_life_s=0.0)


@pytest.mark.parametrize("declared", DECLARED, ids=["shopify", "amazon"])
@pytest.mark.parametrize("lost", SUBSETS, ids=str)
def test_nothing_that_is_lost_makes_a_channel_able_to_do_more(declared: Capability, lost: tuple[Ability, ...]) -> None:
    given = effective(declared, lost)
    order = list(WriteKind)
    assert order.index(given.write_kind) >= order.index(declared.write_kind)
    assert given.key_life_s in {0.0, declared.key_life_s}
    assert given.is_applied_when_answered <= declared.is_applied_when_answered
    # Once and again is the same, and the order of losses does not matter.
    assert effective(given, lost) == given
    for ability in lost:
        assert effective(effective(declared, {ability}), lost) == given
