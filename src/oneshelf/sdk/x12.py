"""EDI X12: interchanges read segment by segment, each with its number, and written.

Envelopes are read as strictly as bodies of requests: separators, control numbers and counts have to fit, since what is
cut off or changed on the way looks like a smaller order. Versions 00401 and 00501; what the segments mean is not known
here. From ASC X12.5 and X12.6, control segments of 004010 and 005010.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from oneshelf.domain.identity import printable
from oneshelf.errors import MalformedError

BYTES_MAX = 8 * 1024 * 1024
ISA_LENGTH = 106
# Where the elements of an ISA end, as all of them have a fixed length.
_ISA_SEPARATORS = (3, 6, 17, 20, 31, 34, 50, 53, 69, 76, 81, 83, 89, 99, 101, 103)
_ISA_VERSION = slice(84, 89)
VERSIONS = ("00401", "00501")
_SHOWN = 40


class X12Error(MalformedError):
    """What is wrong with an interchange, and where. `number`: of the segment, from 1."""

    def __init__(self, number: int, tag: str, words: str) -> None:
        super().__init__(f"segment {number} ({printable(tag, length_max=3) or 'none'}): {words}; nothing was read")
        self.number = number


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: `elements` are those behind its tag, the first has number 1."""

    number: int
    tag: str
    elements: tuple[str, ...]

    def get(self, at: int) -> str:
        """The element of this number; empty where there is none."""
        return self.elements[at - 1].strip() if at <= len(self.elements) else ""

    def need(self, at: int) -> str:
        """The element of this number. Raises X12Error where it is empty."""
        value = self.get(at)
        if not value:
            raise self.error(f"{self.tag}{at:02} is empty, and has to be there")
        return value

    def whole(self, at: int) -> int:
        """The number in an element. Raises X12Error."""
        value = self.need(at)
        if not value.isascii() or not value.isdecimal() or len(value) > 9:
            raise self.error(f"{self.tag}{at:02} is {shown(value)}, and has to be a whole number")
        return int(value)

    def error(self, words: str) -> X12Error:
        """What is wrong with this segment."""
        return X12Error(self.number, self.tag, words)


@dataclass(slots=True)
class TransactionSet:
    """A document, from ST to SE; `segments` are those between. `group`: the control number of its group."""

    code: str
    control: str
    group: str
    head: Segment
    segments: list[Segment] = field(default_factory=list)


@dataclass(slots=True)
class Interchange:
    """From ISA to IEA. `sender` and `receiver` as QUALIFIER:ID. `groups`: functional code and control of each."""

    sender: str
    receiver: str
    control: str
    version: str
    is_test: bool
    head: Segment
    groups: list[tuple[str, str]] = field(default_factory=list)
    sets: list[TransactionSet] = field(default_factory=list)


def shown(value: str) -> str:
    """What stands there, fit to be shown."""
    return repr(printable(value, length_max=_SHOWN))


def is_name(text: str) -> bool:
    """Whether this is what a party goes by, as QUALIFIER:ID, and an interchange can hold it."""
    qualifier, _, name_id = text.partition(":")
    is_text = name_id.isascii() and name_id.isprintable() and name_id == name_id.strip() and 1 <= len(name_id) <= 15
    is_qualifier = len(qualifier) == 2 and qualifier.isascii() and qualifier.isalnum()
    return is_text and is_qualifier and not any(sign in name_id for sign in "*>~^:")


def read(content: bytes) -> Interchange:
    """The interchange in a file. Raises X12Error, and MalformedError for what is no X12 at all."""
    if len(content) > BYTES_MAX:
        raise MalformedError(f"the file has {len(content)} bytes; an interchange of at most {BYTES_MAX} is read")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        raise MalformedError(f"byte {failure.start + 1} is no UTF-8; ask for the file in ASCII or UTF-8") from None
    segments = _segments(text)
    first = next(segments, None)
    if first is None:
        raise MalformedError("the file is empty; an interchange begins with ISA")
    found = _interchange(first, segments)
    if another := next(segments, None):
        raise another.error("stands behind the end of the interchange; each is a file of its own")
    return found


def _segments(text: str) -> Iterator[Segment]:
    """All segments, of whichever interchange, with the separators that each ISA says."""
    at, number = len(text) - len(text.lstrip()), 0
    element = terminator = ""
    while at < len(text):
        number += 1
        if not terminator:
            element, terminator = _separators(text[at : at + ISA_LENGTH], number)
        end = text.find(terminator, at)
        if end < 0:
            rest = text[at:].split(element)[0]
            raise X12Error(number, rest, f"ends without {shown(terminator)}: the file was cut off")
        words = text[at:end].strip("\r\n")
        tag, *elements = words.split(element)
        if not 2 <= len(tag) <= 3 or not tag.isascii() or not tag.isalnum() or not tag.isupper():
            raise X12Error(number, tag, f"{shown(tag)} is no name of a segment: a separator is wrong or missing")
        if "\0" in words:
            raise X12Error(number, tag, "holds a NUL character: the file is damaged")
        yield Segment(number, tag, tuple(elements))
        at = end + len(terminator)
        while at < len(text) and text[at] in "\r\n":
            at += 1
        if tag == "IEA":
            terminator = ""
            at += len(text[at:]) - len(text[at:].lstrip())


def _separators(isa: str, number: int) -> tuple[str, str]:
    """What separates elements, and what ends segments."""
    if isa[:3] != "ISA":
        raise X12Error(number, isa[:3], f"an interchange begins with ISA, not with {shown(isa[:10])}")
    if len(isa) < ISA_LENGTH:
        raise X12Error(number, "ISA", f"has {len(isa)} characters of {ISA_LENGTH}: the file was cut off")
    element, component, terminator = isa[3], isa[104], isa[105]
    for at in _ISA_SEPARATORS:
        if isa[at] != element:
            words = f"at character {at + 1} stands {shown(isa[at])} and not {shown(element)}, which separates elements"
            raise X12Error(number, "ISA", f"{words}; all elements of an ISA have a fixed length")
    marks = (element, component, terminator)
    if len(set(marks)) < len(marks) or any(mark.isalnum() or mark == " " for mark in marks):
        raise X12Error(number, "ISA", f"separators have to be three different signs, and are {shown(''.join(marks))}")
    if isa[_ISA_VERSION] not in VERSIONS:
        words = f"version {shown(isa[_ISA_VERSION])} is not read; there are {' and '.join(VERSIONS)}"
        raise X12Error(number, "ISA", words)
    return element, terminator


def _interchange(head: Segment, segments: Iterator[Segment]) -> Interchange:
    if head.tag != "ISA":
        raise head.error("stands outside of an interchange, which begins with ISA")
    found = Interchange(
        sender=f"{head.get(5)}:{head.need(6)}",
        receiver=f"{head.get(7)}:{head.need(8)}",
        control=head.need(13),
        version=head.get(12),
        is_test=head.get(15) == "T",
        head=head,
    )
    seen: set[str] = set()
    for segment in segments:
        if segment.tag == "GS":
            _group(found, segment, segments, seen)
        elif segment.tag == "IEA":
            _same(segment, 2, found.control, "ISA13")
            _count(segment, len(found.groups), "functional groups")
            return found
        else:
            raise segment.error("stands outside of a functional group (GS to GE)")
    raise head.error("has no IEA: the file was cut off")


def _group(interchange: Interchange, head: Segment, segments: Iterator[Segment], seen: set[str]) -> None:
    """`seen`: the control numbers of groups, and here of sets, that stand before it."""
    control = head.need(6)
    if control in seen:
        raise head.error(f"GS06 {shown(control)} stands in this interchange before; each group has its own")
    seen.add(control)
    of_sets: set[str] = set()
    interchange.groups.append((head.need(1), control))
    before = len(interchange.sets)
    for segment in segments:
        if segment.tag == "ST":
            _set(interchange, control, segment, segments, of_sets)
        elif segment.tag == "GE":
            _same(segment, 2, control, "GS06")
            _count(segment, len(interchange.sets) - before, "transaction sets")
            return
        else:
            raise segment.error("stands outside of a transaction set (ST to SE)")
    raise head.error("has no GE: the file was cut off")


def _set(interchange: Interchange, group: str, head: Segment, segments: Iterator[Segment], seen: set[str]) -> None:
    found = TransactionSet(head.need(1), head.need(2), group, head)
    if found.control in seen:
        raise head.error(f"ST02 {shown(found.control)} stands in this group before; each set has its own")
    seen.add(found.control)
    for segment in segments:
        if segment.tag == "SE":
            _same(segment, 2, found.control, "ST02")
            _count(segment, len(found.segments) + 2, "segments from ST to SE")
            interchange.sets.append(found)
            return
        if segment.tag in {"ISA", "GS", "ST", "GE", "IEA"}:
            raise segment.error(f"begins or ends an envelope before set {shown(found.control)} ended: SE is missing")
        found.segments.append(segment)
    raise head.error("has no SE: the file was cut off")


def _same(segment: Segment, at: int, control: str, name: str) -> None:
    if segment.need(at) != control:
        words = f"{segment.tag}{at:02} is {shown(segment.get(at))}, and {name} was {shown(control)}"
        raise segment.error(words)


def _count(segment: Segment, count: int, what: str) -> None:
    if segment.whole(1) != count:
        raise segment.error(f"{segment.tag}01 says {segment.whole(1)} {what}, and there are {count}")


# Writing --------------------------------------------------------------------------------------------------------------

_ELEMENT, _COMPONENT, _TERMINATOR = "*", ">", "~"
# Of each document: the functional code of its group.
_GROUP_OF = {"850": "PO", "855": "PR", "846": "IB", "997": "FA"}

Elements = Sequence[str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Who writes to whom, as QUALIFIER:ID, in which version (004010 or 005010)."""

    sender: str
    receiver: str
    version: str


def written(address: Address, control: int, at: datetime, documents: Sequence[tuple[str, Sequence[Elements]]]) -> str:
    """An interchange of documents: (code, segments between ST and SE). One line for each segment."""
    control_text = f"{control:09}"
    said: list[Elements] = [_isa(address, control_text, at)]
    for group, (code, segments) in enumerate(documents, 1):
        ids = (address.sender.partition(":")[2], address.receiver.partition(":")[2])
        said.append(("GS", _GROUP_OF[code], *ids, f"{at:%Y%m%d}", f"{at:%H%M}", group, "X", address.version))
        said += [("ST", code, "0001"), *segments, ("SE", len(segments) + 2, "0001"), ("GE", 1, group)]
    said.append(("IEA", len(documents), control_text))
    return "".join(f"{_ELEMENT.join(map(_clean, elements)).rstrip(_ELEMENT)}{_TERMINATOR}\n" for elements in said)


def _isa(address: Address, control: str, at: datetime) -> Elements:
    (our, us), (their, them) = (one.partition(":")[::2] for one in (address.sender, address.receiver))
    repeat = "U" if address.version == "004010" else "^"
    blank = " " * 10
    return (
        *("ISA", "00", blank, "00", blank, our, f"{us:15}", their, f"{them:15}"),
        *(f"{at:%y%m%d}", f"{at:%H%M}", repeat, f"{address.version[:5]}", control, "0", "P", _COMPONENT),
    )


def _clean(value: str | int) -> str:
    """Text without what would end its element or its segment."""
    text = str(value)
    if text == _COMPONENT:
        return text
    return "".join(" " if sign in "*>~^\r\n" and text != "^" else sign for sign in text)
