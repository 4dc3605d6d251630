"""X12 as partners send it, damaged in every way: the segment is named, and nothing changes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import suppress
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow.shelf_world import CLOCK, Ledger, open_ledger
from oneshelf.domain.identity import Location
from oneshelf.errors import MalformedError
from oneshelf.files import x12_orders
from oneshelf.flow import allocate
from oneshelf.flow.allocate import Shown
from oneshelf.sdk.x12 import BYTES_MAX, Address, X12Error, read, written
from oneshelf.storage.x12_partners import Partner


def interchange(
    *documents: str, control: str = "000000101", sender: str = "ACME", version: str = "00401", usage: str = "P"
) -> str:
    """An interchange of these purchase orders, one line for each segment."""
    repeat = "U" if version == "00401" else "^"
    isa = (
        f"ISA*00*{'':10}*00*{'':10}*ZZ*{sender:15}*ZZ*{'SHELF':15}*261126*0900*{repeat}*{version}*{control}*0*{usage}*>"
    )
    said = [isa, f"GS*PO*{sender}*SHELF*20261126*0900*7*X*{version}0"]
    for number, document in enumerate(documents, 1):
        body = document.split()
        said += [f"ST*850*{number:04}", *body, f"SE*{len(body) + 2}*{number:04}"]
    return "".join(f"{one}~\n" for one in (*said, f"GE*{len(documents)}*7", f"IEA*1*{control}"))


ORDER = """
BEG*00*SA*PO-1**20261126 REF*DP*012 DTM*010*20311201 DTM*001*20311215
PO1*1*4*EA*2.50**VN*MUG*UP*401234567890 PO1*2*2.0*PC***BP*X-99*SK*CAP CTT*2*6
"""


def test_both_versions_are_read_with_whatever_separators() -> None:
    for version in ("00401", "00501"):
        found = read(interchange(ORDER, version=version).encode())
        assert (found.sender, found.receiver, found.control, found.version) == (
            "ZZ:ACME",
            "ZZ:SHELF",
            "000000101",
            version,
        )
        assert [segment.tag for segment in found.sets[0].segments] == ["BEG", "REF", "DTM", "DTM", "PO1", "PO1", "CTT"]
    other = interchange(ORDER).replace("~\n", "'").replace("*", "|").replace(">", ":")
    assert [one.elements for one in read(other.encode()).sets[0].segments] == [
        one.elements for one in read(interchange(ORDER).encode()).sets[0].segments
    ]
    assert read(b"\xef\xbb\xbf" + interchange(ORDER).replace("\n", "\r\n").encode()).control == "000000101"


WHOLE = interchange(ORDER)
DAMAGE = {
    "no SE": (WHOLE.replace("SE*9*0001~\n", ""), "segment 11 (GE): begins or ends an envelope before set '0001' ended"),
    "no GE": (WHOLE.replace("GE*1*7~\n", ""), "segment 12 (IEA): stands outside of a transaction set"),
    "no IEA": (WHOLE.replace("IEA*1*000000101~\n", ""), "segment 1 (ISA): has no IEA: the file was cut off"),
    "no GS": (re.sub(r"GS.*\n", "", WHOLE), "segment 2 (ST): stands outside of a functional group"),
    "no ISA": (WHOLE.partition("\n")[2], "segment 1 (GS*): an interchange begins with ISA"),
    "cut off": (WHOLE[:-30], "ends without '~': the file was cut off"),
    "cut in the ISA": (WHOLE[:50], "segment 1 (ISA): has 50 characters of 106"),
    "a wrong count of segments": (
        WHOLE.replace("SE*9*", "SE*8*"),
        "segment 11 (SE): SE01 says 8 segments from ST to SE",
    ),
    "a count that is none": (WHOLE.replace("SE*9*", "SE*nine*"), "SE01 is 'nine', and has to be a whole number"),
    "a wrong count of sets": (WHOLE.replace("GE*1*7", "GE*2*7"), "segment 12 (GE): GE01 says 2 transaction sets"),
    "a wrong count of groups": (WHOLE.replace("IEA*1*", "IEA*2*"), "segment 13 (IEA): IEA01 says 2 functional groups"),
    "another control of the set": (WHOLE.replace("SE*9*0001", "SE*9*0002"), "SE02 is '0002', and ST02 was '0001'"),
    "another control of the group": (WHOLE.replace("GE*1*7", "GE*1*8"), "GE02 is '8', and GS06 was '7'"),
    "another control at the end": (WHOLE.replace("IEA*1*000000101", "IEA*1*000000102"), "IEA02 is '000000102'"),
    "a control number twice": (
        interchange(ORDER, ORDER).replace("ST*850*0002", "ST*850*0001"),
        "segment 12 (ST): ST02 '0001' stands in this group before",
    ),
    "another version": (WHOLE.replace("*00401*", "*00301*"), "segment 1 (ISA): version '00301' is not read"),
    "wrong separators in the ISA": (WHOLE.replace("*ZZ*", "|ZZ|", 1), "at character 32 stands '|' and not '*'"),
    "separators that are alike": (WHOLE.replace("*>~", "*~~"), "separators have to be three different signs"),
    "another separator later": (
        WHOLE.replace("PO1*1*4", "PO1|1|4"),
        "segment 8 (PO1): 'PO1|1|4' is no name of a segment",
    ),
    "a terminator that is lost": (WHOLE.replace("CTT*2*6~", "CTT*2*6"), "(GE): begins or ends an envelope before"),
    "an editor wrapped it": (WHOLE.replace("ISA*00*", "ISA*00*\n", 1), "at character 18 stands"),
    "two interchanges": (WHOLE + WHOLE, "segment 14 (ISA): stands behind the end of the interchange"),
    "something behind": (WHOLE + "hello", "segment 14 (hel): an interchange begins with ISA"),
    "nothing": ("", "the file is empty"),
    "an invisible name": (WHOLE.replace("CTT*", "C\u200b*"), "is no name of a segment"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_named_with_its_segment(what: str) -> None:
    text, said = DAMAGE[what]
    with pytest.raises(MalformedError) as refused:
        read(text.encode())
    assert said in str(refused.value)


def test_what_is_no_text_or_huge_is_refused() -> None:
    with pytest.raises(MalformedError, match="byte 1 is no UTF-8"):
        read(b"\xff\xfe" + WHOLE.encode())
    with pytest.raises(MalformedError, match=f"at most {BYTES_MAX} is read"):
        read(WHOLE.encode() + b" " * BYTES_MAX)


@given(st.data())
def test_no_damage_is_anything_but_an_error_in_words(data: st.DataObject) -> None:
    """Cut, doubled, changed: it is an interchange still, or it is refused; nothing else comes of it."""
    at = data.draw(st.integers(0, len(WHOLE) - 1))
    length = data.draw(st.integers(0, 40))
    new = data.draw(st.text(alphabet="*~>|AZ09\n\r \x00é", max_size=5))
    text = WHOLE[:at] + new + WHOLE[at + length :]
    with suppress(MalformedError):
        assert len(read(text.encode()).sets) == 1


def test_what_is_written_can_be_read() -> None:
    address = Address(sender="ZZ:SHELF", receiver="01:123456789", version="005010")
    text = written(address, 42, CLOCK.now(), [("855", [("BAK", "00", "AC", "PO*1~", "20261126"), ("CTT", 0)])])
    found = read(text.encode())
    assert (found.sender, found.receiver, found.control, found.version) == (
        "ZZ:SHELF",
        "01:123456789",
        "000000042",
        "00501",
    )
    assert found.sets[0].segments[0].elements == ("00", "AC", "PO 1 ", "20261126")


# On the database ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def ledger(dsn: str) -> AsyncIterator[Ledger]:
    """A hundred mugs, three caps, and a partner."""
    async with open_ledger(dsn, {"MUG": 100, "CAP": 3}) as ledger:
        partner = Partner("Acme", "ZZ:ACME", "ZZ:SHELF", Location("BER"), "004010")
        await x12_orders.know_partner(ledger.database, partner)
        yield ledger


async def bring(ledger: Ledger, text: str) -> x12_orders.Brought:
    return await x12_orders.bring_in(ledger.database, CLOCK.new_id, text.encode())


async def refused(ledger: Ledger, text: str) -> str:
    with pytest.raises(MalformedError) as refused:
        await bring(ledger, text)
    return str(refused.value)


async def lines(ledger: Ledger, po: str = "PO-1") -> list[tuple[str, int, int, int, int]]:
    found = await allocate.show(ledger.database, f"Acme/{po}")
    assert isinstance(found, Shown)
    return [
        (one.sku, one.units_ordered, one.units_allocated, one.units_backordered, one.units_cancelled)
        for one in found.lines
    ]


@pytest.mark.pg
async def test_an_order_is_kept_and_answered(ledger: Ledger) -> None:
    brought = await bring(ledger, WHOLE)
    assert await lines(ledger) == [("MUG", 4, 4, 0, 0), ("CAP", 2, 1, 1, 0)]
    [order] = brought.orders
    assert (str(order.order.ship_by), str(order.order.cancel_after)) == ("2031-12-01", "2031-12-15")
    answer = read(brought.answer.encode())
    assert (answer.sender, answer.receiver, answer.control) == ("ZZ:SHELF", "ZZ:ACME", "000000001")
    receipt, acknowledgment = answer.sets
    assert [(one.tag, *one.elements) for one in receipt.segments] == [
        ("AK1", "PO", "7"),
        ("AK2", "850", "0001"),
        ("AK5", "A"),
        ("AK9", "A", "1", "1", "1"),
    ]
    today = acknowledgment.segments[0].get(4)
    assert [(one.tag, *one.elements) for one in acknowledgment.segments] == [
        ("BAK", "00", "AC", "PO-1", today),
        ("PO1", "1", "4", "EA", "", "", "VN", "MUG"),
        ("ACK", "IA", "4", "EA", "068", "20311201"),
        ("PO1", "2", "2", "EA", "", "", "VN", "CAP"),
        ("ACK", "IQ", "1", "EA", "068", "20311201"),
        ("ACK", "IB", "1", "EA"),
        ("CTT", "2"),
    ]


@pytest.mark.pg
async def test_the_same_interchange_again_changes_nothing_and_its_number_means_no_other(ledger: Ledger) -> None:
    await bring(ledger, WHOLE)
    again = await bring(ledger, WHOLE)
    assert again.is_replayed
    assert [one.order.order_id for one in again.orders] == ["Acme/PO-1"]
    other = interchange(ORDER.replace("PO-1", "PO-2"))
    assert "ISA13 '000000101' of Acme was read before, in another file" in await refused(ledger, other)
    # The partner sends the order again in an interchange of its own: it is the same order.
    await bring(ledger, interchange(ORDER, control="000000102"))
    assert await lines(ledger) == [("MUG", 4, 4, 0, 0), ("CAP", 2, 1, 1, 0)]
    changed = interchange(ORDER.replace("*4*EA", "*5*EA").replace("2*6", "2*7"), control="000000103")
    assert "segment 4 (BEG): order 'PO-1' was sent before, and says something else" in await refused(ledger, changed)


@pytest.mark.pg
async def test_a_file_whose_reader_died_before_it_was_noted_is_read_again_and_nothing_twice(ledger: Ledger) -> None:
    replaced = interchange(ORDER.replace("BEG*00", "BEG*05"), control="000000102")
    await bring(ledger, WHOLE)
    for text in (WHOLE, replaced, replaced):
        await bring(ledger, text)
        await ledger.rows("delete from x12_interchanges returning 1")
    assert await lines(ledger) == [("MUG", 4, 4, 0, 0), ("CAP", 2, 1, 1, 0)]
    found = await allocate.show(ledger.database, "Acme/PO-1")
    assert isinstance(found, Shown)
    assert found.order.version == 1
    await ledger.assert_sound()


@pytest.mark.pg
async def test_a_replacement_states_the_order_anew_and_a_cancellation_ends_it(ledger: Ledger) -> None:
    await bring(ledger, WHOLE)
    replaced = ORDER.replace("BEG*00", "BEG*05").replace("*4*EA", "*9*EA").replace("2*6", "2*11")
    await bring(ledger, interchange(replaced, control="000000102"))
    assert await lines(ledger) == [("MUG", 9, 9, 0, 0), ("CAP", 2, 1, 1, 0)]
    await bring(ledger, interchange(replaced, control="000000103"))
    found = await allocate.show(ledger.database, "Acme/PO-1")
    assert isinstance(found, Shown)
    assert found.order.version == 2
    await bring(ledger, interchange("BEG*01*SA*PO-1**20261126", control="000000104"))
    assert await lines(ledger) == [("MUG", 9, 0, 0, 9), ("CAP", 2, 0, 0, 2)]
    ended = read((await x12_orders.acknowledge(ledger.database, "Acme/PO-1")).encode())
    assert [one.get(2) for one in ended.sets[0].segments if one.tag == "BAK"] == ["RD"]
    assert [one.get(1) for one in ended.sets[0].segments if one.tag == "ACK"] == ["IR", "IR"]
    # Stated anew, all of it is wanted again, once.
    for control in ("000000105", "000000106"):
        await bring(ledger, interchange(replaced, control=control))
        assert await lines(ledger) == [("MUG", 9, 9, 0, 0), ("CAP", 2, 1, 1, 0)]
    await ledger.assert_sound()


@pytest.mark.pg
async def test_a_confirmation_and_a_duplicate_repeat_the_order_as_it_was_changed_last(ledger: Ledger) -> None:
    await bring(ledger, WHOLE)
    replaced = ORDER.replace("*4*EA", "*9*EA").replace("2*6", "2*11")
    await bring(ledger, interchange(replaced.replace("BEG*00", "BEG*05"), control="000000102"))
    for number, purpose in enumerate(("00", "06", "07"), 3):
        await bring(ledger, interchange(replaced.replace("BEG*00", f"BEG*{purpose}"), control=f"00000010{number}"))
    assert await lines(ledger) == [("MUG", 9, 9, 0, 0), ("CAP", 2, 1, 1, 0)]
    said = await refused(ledger, interchange(ORDER.replace("BEG*00", "BEG*07"), control="000000109"))
    assert "a changed order has BEG01 05" in said


@pytest.mark.long
def test_a_large_interchange_is_read_in_a_time_that_follows_its_size() -> None:
    """Eight megabytes of small orders took longer than anybody waits."""
    text = interchange(*("BEG*00*SA*PO-1**20261126" for _ in range(40_000)))
    began = process_time()
    found = read(text.encode())
    assert (len(found.sets), process_time() - began < 20) == (40_000, True)


WRONG = {
    "an unknown SKU": (ORDER.replace("VN*MUG", "VN*MUGG"), "segment 8 (PO1): PO106 and what follows names no SKU"),
    "no SKU": (ORDER.replace("*VN*MUG*UP*401234567890", ""), "names no SKU, but nothing"),
    "no number": (ORDER.replace("PO1*1*4*", "PO1*1*four*"), "segment 8 (PO1): PO102 is 'four'"),
    "half a unit": (ORDER.replace("*2.0*", "*2.5*"), "segment 9 (PO1): PO102 is '2.5'"),
    "nothing of it": (ORDER.replace("PO1*1*4*", "PO1*1*0*"), "PO102 is 0; it must lie between 1"),
    "less than nothing": (ORDER.replace("PO1*1*4*", "PO1*1*-4*"), "PO102 is '-4'"),
    "cases": (ORDER.replace("*4*EA*", "*4*CA*"), "PO103 'CA' is no single unit"),
    "a wrong count of lines": (
        ORDER.replace("CTT*2", "CTT*3"),
        "segment 10 (CTT): CTT01 says 3 lines, and there are 2",
    ),
    "a wrong sum": (ORDER.replace("CTT*2*6", "CTT*2*7"), "CTT02 says '7' units, and there are 6"),
    "a day that is none": (ORDER.replace("20311201", "20311301"), "segment 6 (DTM): DTM02 is '20311301'"),
    "a NUL in a SKU": (ORDER.replace("VN*MUG", "VN*MU\0G"), "segment 8 (PO1): holds a NUL character"),
    "days the wrong way": (ORDER.replace("20311215", "20311115"), "cancel_after 2031-11-15 is before ship_by"),
    "a day that is over": (
        ORDER.replace("20311201", "20201201").replace("20311215", "20201215"),
        "cancel_after 2020-12-15 is over",
    ),
    "no BEG": (ORDER.replace("BEG*00*SA*PO-1**20261126", "REF*DP*1"), "begins with BEG"),
    "no order number": (ORDER.replace("SA*PO-1*", "SA**"), "segment 4 (BEG): BEG03 is empty"),
    "another purpose": (ORDER.replace("BEG*00", "BEG*77"), "BEG01 '77' is not understood; there are: 00 original"),
    "no line": ("BEG*00*SA*PO-1**20261126", "has 0 lines"),
    "a line twice": (ORDER.replace("PO1*2*", "PO1*1*"), "line 1 stands in the order twice"),
    "nothing to cancel": ("BEG*01*SA*PO-9**20261126", "cancels order 'PO-9', which nobody has sent"),
}


@pytest.mark.pg
async def test_what_means_nothing_is_named_with_its_segment_and_nothing_of_the_file_is_kept(ledger: Ledger) -> None:
    good = ORDER.replace("PO-1", "PO-7")
    for what, (order, said) in WRONG.items():
        assert said in await refused(ledger, interchange(order)), what
        # Also where another order of the file is right.
        await refused(ledger, interchange(good, order))
    assert "stands in this file twice" in await refused(ledger, interchange(ORDER, ORDER))
    assert "no partner goes by 'ZZ:EVIL'" in await refused(ledger, interchange(ORDER, sender="EVIL"))
    assert "segment 1 (ISA): holds a NUL" in await refused(ledger, WHOLE.replace("000000101", "00000010\0"))
    assert "to Acme we are ZZ:SHELF" in await refused(ledger, WHOLE.replace("SHELF ", "SHOLF "))
    assert "ST01 '860' is not read" in await refused(ledger, WHOLE.replace("ST*850", "ST*860"))
    assert await ledger.rows("select 1 from wholesale_orders union all select 1 from x12_interchanges") == []
    assert await ledger.figures() == {"available": 100}
    await ledger.assert_sound()


@pytest.mark.pg
async def test_a_test_interchange_is_judged_and_nothing_is_kept(ledger: Ledger) -> None:
    assert (await bring(ledger, interchange(ORDER, usage="T"))).is_test
    assert await ledger.rows("select 1 from wholesale_orders union all select 1 from x12_interchanges") == []


@pytest.mark.pg
async def test_inventory_advice_tells_what_wholesale_may_still_take(ledger: Ledger) -> None:
    await bring(ledger, WHOLE)
    told = read((await x12_orders.advise(ledger.database, "Acme")).encode())
    segments = told.sets[0].segments
    assert [one.elements for one in segments if one.tag == "LIN"] == [("1", "VN", "CAP"), ("2", "VN", "MUG")]
    # Half of what is there, less what is allocated.
    assert [one.elements for one in segments if one.tag == "QTY"] == [("33", "0", "EA"), ("33", "46", "EA")]
    assert [one.elements for one in segments if one.tag == "CTT"] == [("2",)]
    for wrong in ("Nobody", ""):
        with pytest.raises(MalformedError, match="is no partner who speaks X12; there are: Acme"):
            await x12_orders.advise(ledger.database, wrong)


@pytest.mark.pg
async def test_a_receipt_of_the_partner_is_taken_and_answered_with_nothing(ledger: Ledger) -> None:
    theirs = Address(sender="ZZ:ACME", receiver="ZZ:SHELF", version="004010")
    text = written(theirs, 9, CLOCK.now(), [("997", [("AK1", "PR", 1), ("AK9", "A", 1, 1, 1)])])
    brought = await bring(ledger, text)
    assert (brought.orders, brought.answer) == ([], "")


@pytest.mark.pg
async def test_a_partner_goes_by_a_name_that_an_interchange_can_hold(ledger: Ledger) -> None:
    for theirs, said in (("ACME", "must be QUALIFIER:ID"), ("ZZ:A*B", "separates elements"), ("ZZ:ACME", "another")):
        partner = Partner("Other", theirs, "ZZ:SHELF", Location("BER"), "004010")
        with pytest.raises(MalformedError, match=said):
            await x12_orders.know_partner(ledger.database, partner)
    partner = Partner("Other", "ZZ:OTHER", "ZZ:SHELF", Location("MARS"), "004010")
    with pytest.raises(MalformedError, match="no location MARS"):
        await x12_orders.know_partner(ledger.database, partner)
    assert issubclass(X12Error, MalformedError)
