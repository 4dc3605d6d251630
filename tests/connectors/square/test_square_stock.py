"""What is read of a variation, and which count is not ours to write."""

from __future__ import annotations

from typing import Any

import httpx2
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.square.till import at_the_till, square_of
from oneshelf.connectors.square import CONNECTOR
from oneshelf.connectors.square.account import API_VERSION
from oneshelf.connectors.square.stock import (
    BY_MEASURE,
    COUNT_PAGES_MAX,
    NO_TRACKING,
    NOT_HERE,
    NOT_STOCKED,
    SOLD_OUT,
)
from oneshelf.domain.identity import Channel, ChannelSku
from oneshelf.sdk.conformance.bench import ADDRESS, Bench
from oneshelf.sdk.fault import RetryLaterError
from oneshelf.sdk.http import ChannelHttp
from oneshelf.sdk.limits import Unlimited
from oneshelf.sdk.message import ChannelConfig, StockReading
from oneshelf.sdk.virtual_time import VirtualClock, run_virtually

HERE = "L1"
MUG = ChannelSku("MUG1")


def variation(**changed: Any) -> dict[str, Any]:
    facts = {"item_id": "I1", "name": "Blue", "sku": "MUG-BLUE", "track_inventory": True}
    held = {name: changed.pop(name) for name in list(changed) if name.startswith(("present", "absent"))}
    return {"type": "ITEM_VARIATION", "id": MUG, **held, "item_variation_data": {**facts, **changed}}


def here(**told: Any) -> list[dict[str, Any]]:
    return [{"location_id": "L2", "track_inventory": False}, {"location_id": HERE, **told}]


def read(document: dict[str, Any], *pages: dict[str, Any]) -> StockReading:
    """What is read where Square shows this variation, and these pages of counts."""
    clock, left = VirtualClock("stock"), list(pages)

    async def catalog(_request: Request) -> Response:
        item = {"type": "ITEM", "id": "I1", "item_data": {"name": "Mug"}}
        answer = {"objects": [document], "related_objects": [item]}
        return JSONResponse(answer, headers={"square-version": API_VERSION})

    async def counts(request: Request) -> Response:
        asked = msgspec.json.decode(await request.body())
        assert asked["location_ids"] == [HERE]
        assert asked["states"] == ["IN_STOCK"]
        return JSONResponse(left.pop(0) if left else {}, headers={"square-version": API_VERSION})

    async def play() -> StockReading:
        routes = [
            Route("/v2/catalog/batch-retrieve", catalog, methods=["POST"]),
            Route("/v2/inventory/counts/batch-retrieve", counts, methods=["POST"]),
        ]
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(Starlette(routes=routes))) as client:
            http = ChannelHttp(client, clock=clock, limiter=Unlimited())
            told = ChannelConfig("till", {"location_id": HERE, "base_url": ADDRESS}, {"access_token": "EAAA"})
            connector = CONNECTOR.open(told, channel=Channel("till"), http=http, clock=clock)
            [reading] = await connector.read_stock([MUG])
            return reading

    return run_virtually(clock, play())


def counted(quantity: str, *, place: str = HERE, state: str = "IN_STOCK") -> dict[str, Any]:
    return {"catalog_object_id": MUG, "location_id": place, "state": state, "quantity": quantity}


def test_a_variation_is_read_with_its_count_its_sku_and_the_name_of_its_item() -> None:
    reading = read(variation(), {"counts": [counted("7")]})
    assert reading == StockReading(MUG, 7, merchant_sku="MUG-BLUE", title="Mug Blue")


@pytest.mark.parametrize(("quantity", "units"), [("0", 0), ("12.00000", 12), ("2.9", 2), ("-3", -3), ("-0.5", -1)])
def test_a_count_is_whole_units_that_can_be_sold(quantity: str, units: int) -> None:
    assert read(variation(), {"counts": [counted(quantity)]}).units == units


def test_what_was_never_counted_has_none() -> None:
    """ "The absence of an inventory count indicates that the catalog object hasn't interacted" with the place."""
    assert read(variation()).units == 0


def test_counts_of_other_places_and_states_are_not_ours() -> None:
    others = [counted("5", place="L2"), counted("6", state="WASTE"), counted("4")]
    assert read(variation(), {"counts": others}).units == 4


def test_counts_come_in_pages() -> None:
    assert read(variation(), {"counts": [], "cursor": "a"}, {"counts": [counted("4")]}).units == 4
    with pytest.raises(RetryLaterError):
        read(variation(), *[{"cursor": "again"}] * COUNT_PAGES_MAX)


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ({"track_inventory": False}, NO_TRACKING),
        ({"track_inventory": None}, NO_TRACKING),
        ({"location_overrides": here(track_inventory=False)}, NO_TRACKING),
        ({"measurement_unit_id": "KILO"}, BY_MEASURE),
        ({"stockable": False}, NOT_STOCKED),
        ({"present_at_all_locations": False}, NOT_HERE),
        ({"absent_at_location_ids": [HERE]}, NOT_HERE),
        ({"location_overrides": here(sold_out=True)}, SOLD_OUT),
    ],
)
def test_a_count_that_is_not_ours_to_write_says_why(changed: dict[str, Any], note: str) -> None:
    reading = read(variation(**changed), {"counts": [counted("7")]})
    assert (reading.units, reading.note) == (None, note)


@pytest.mark.parametrize(
    "changed",
    [
        {"track_inventory": None, "location_overrides": here(track_inventory=True)},
        {"present_at_all_locations": False, "present_at_location_ids": [HERE]},
        {"absent_at_location_ids": ["L2"]},
        {"location_overrides": here(sold_out=False)},
    ],
)
def test_the_location_has_the_last_word(changed: dict[str, Any]) -> None:
    assert read(variation(**changed), {"counts": [counted("7")]}).units == 7


def test_what_square_itself_marks_as_sold_out_has_none() -> None:
    assert read(variation(location_overrides=here(sold_out=True)), {"counts": [counted("0")]}).units == 0


def test_a_mark_by_hand_keeps_a_listing_from_being_written_until_it_is_taken_off() -> None:
    async def play(bench: Bench) -> None:
        sku = bench.skus[0]
        square_of(bench).sold_out.add(sku)
        [reading] = (await bench.read(sku)).values()
        assert (reading.units, reading.note) == (None, SOLD_OUT)
        square_of(bench).sold_out.clear()
        assert await bench.units_read(sku) == 10

    at_the_till(play)
