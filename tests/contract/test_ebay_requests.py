"""What the connector asks of eBay obeys eBay's own contracts, and eBay's own signatures are taken and refused.

The contracts are not part of the project. Point ONESHELF_SPECS at a folder with `ebay/*` to run this.
"""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from typing import Any

import httpx2
import msgspec
import pytest

from connectors.amazon.harness import Exchange
from connectors.ebay.desk import CAP, INVENTORY, MUG, TRADING, ebay_of, played, pushed
from connectors.ebay.test_ebay_notifications import ADDRESS as NEWS
from connectors.ebay.test_ebay_notifications import answering
from contract import ebay_specs as specs
from oneshelf.connectors.ebay.signature import is_signed, key_from, signature_from
from oneshelf.domain.identity import ChannelSku
from oneshelf.sdk.conformance.bench import CHANNEL, HOOK_ADDRESS, Bench, open_connector
from oneshelf.sdk.contract import FetchesOrders, Subscribes, WritesStockFile
from oneshelf.sdk.fault import RefusedError
from oneshelf.sdk.message import Accepted, ChannelConfig

pytestmark = pytest.mark.skipif(not specs.are_here(), reason=specs.ABSENT)


def checked(bench: Bench) -> Counter[str]:
    """How many requests of each operation obey their contract. Raises for one that does not."""
    tally: Counter[str] = Counter()
    for sent in bench.wire.sent:
        if sent.url.endswith("/oauth2/token"):
            tally["without a contract: oauth2/token"] += 1
        elif sent.url.endswith("/ws/api.dll"):
            name = sent.headers["x-ebay-api-call-name"]
            is_known = specs.check_xml(sent.body, root=f"{name}Request")
            tally[name if is_known else f"without a contract: {name}"] += 1
        else:
            request = httpx2.Request(sent.method, sent.url, headers=sent.headers, content=sent.body)
            answer = httpx2.Response(sent.status or 200, request=request)
            tally[specs.check_request(Exchange(request, sent.body, answer, b""))] += 1
    return tally


async def _everything(bench: Bench) -> None:
    await bench.connector.preflight()
    cursor = (await bench.poll(None)).cursor
    await bench.fetched()
    await bench.read(*bench.skus)
    await bench.read(CAP)
    await bench.read(ChannelSku("GONE"))
    order_id = bench.placed((MUG, 2))
    await bench.live(3600.0)
    line_id = bench.booked(order_id).lines[0].line_id
    bench.simulator.ship_units(order_id, line_id, 1)
    await bench.settled_orders(cursor)
    assert isinstance(bench.connector, FetchesOrders)
    await bench.connector.fetch_order(order_id)
    for sku in (MUG, CAP):
        for units in (4, 0, 6):
            while await pushed(bench, sku, units) != Accepted():
                await bench.live(5.0)
            await bench.applied()
    for request in bench.hooks.got:
        await bench.verified(request)
    await bench.live(900.0)
    await bench.poll(cursor)  # It asks for changed listings too.
    await _a_report_is_read(bench)
    assert isinstance(bench.connector, Subscribes)
    with pytest.raises(RefusedError, match="does not take"):
        # Nobody answers the challenge there.
        await bench.connector.keep_subscriptions(f"{HOOK_ADDRESS}/silent")


async def _a_report_is_read(bench: Bench) -> None:
    assert isinstance(bench.connector, WritesStockFile)
    file = await bench.connector.begin_stock_file(asked_at=bench.clock.now())
    await bench.live(300.0)
    file = await bench.connector.stock_file(file)
    async with aclosing(bench.connector.read_stock_file(file)) as parts:
        assert [one async for some in parts for one in some]


async def _a_group_comes_back(bench: Bench) -> None:
    """Variations sell out and end by themselves, and are put on sale again, all together."""
    await bench.read(MUG, CAP)
    for sku in (MUG, CAP):
        bench.placed((sku, 10))
    await bench.read(MUG, CAP)
    while await pushed(bench, MUG, 5) != Accepted():
        await bench.live(5.0)
    await bench.applied()
    assert {sku: bench.shown()[sku] for sku in (MUG, CAP)} == {MUG: 5, CAP: 0}


async def _subscriptions_are_kept(bench: Bench) -> None:
    """Made where there are none, and switched on again where eBay or somebody switched them off."""
    simulator = ebay_of(bench)
    simulator._notifications.alert_email = ""
    settings = {**bench.config.settings, "alert_email": "me@shelf.example"}
    config = ChannelConfig(channel=CHANNEL, settings=settings, secrets=bench.config.secrets)
    bench.connector = connector = open_connector(bench.kind, config, http=bench.http, clock=bench.clock)
    assert isinstance(connector, Subscribes)
    answering(bench)
    assert (await connector.keep_subscriptions(NEWS)).created
    ours = [one for one in simulator.sender.destinations.values() if one.endpoint == NEWS]
    ours[0].status = "MARKED_DOWN"
    for one in simulator.sender.subscriptions.values():
        one.status = "DISABLED"
    assert (await connector.keep_subscriptions(NEWS)).created


def test_every_request_of_the_connector_obeys_ebays_contracts() -> None:
    tally: Counter[str] = Counter()

    async def of_both_worlds(bench: Bench) -> None:
        await _everything(bench)
        tally.update(checked(bench))

    async def of_a_group(bench: Bench) -> None:
        await _a_group_comes_back(bench)
        tally.update(checked(bench))

    async def of_news(bench: Bench) -> None:
        await _subscriptions_are_kept(bench)
        tally.update(checked(bench))

    played(of_both_worlds, lanes=[INVENTORY, TRADING, TRADING], items=3, has_control=False)
    played(of_a_group, lanes=[INVENTORY, INVENTORY], has_control=False, group_share=1.0)
    played(of_news)
    print(f"\nrequests valid: {dict(sorted(tally.items()))}")
    called = specs.called_by_the_connector()
    print(f"called by the connector, and not validated: {sorted(called - set(tally)) or 'none'}")
    assert {"updateOffer", "getInventoryItemGroup", "publishOfferByInventoryItemGroup", "GetItem"} <= called
    assert called <= set(tally)
    assert {name for name in tally if name.startswith("without a contract")} == {
        "without a contract: RelistFixedPriceItem",
        "without a contract: oauth2/token",
    }


def vectors() -> dict[str, Any]:
    """eBay's own, of event-notification-nodejs-sdk."""
    found: dict[str, Any] = msgspec.json.decode((specs.folder() / specs.VECTORS).read_bytes())
    return found


@pytest.mark.parametrize("name", ["VALID", "SIGNATURE_MISMATCH"])
def test_ebays_own_signatures_are_taken_and_refused(name: str) -> None:
    vector = vectors()[name]
    signature = signature_from(vector["signature"])
    key = key_from(vector["response"]["key"])
    compact = msgspec.json.encode(vector["message"])
    pretty = msgspec.json.format(compact, indent=2)
    assert is_signed(compact, signature, key) is (name == "VALID")
    assert is_signed(pretty, signature, key) is (name == "VALID"), "with blanks it is the same document"
    assert not is_signed(compact.replace(b"test_user", b"test_usez"), signature, key)
    assert not is_signed(compact + b"\n", signature, key)
