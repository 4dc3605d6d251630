"""The listings in eBay's active inventory report: one XML document, in a zip, read element by element.

https://developer.ebay.com/devzone/merchant-data/CallRef/ActiveInventoryReport.html (schema 1355) and .../types/
SKUDetailsType.html (checked 2026-11-26): `Quantity` is what is available for sale, without what was sold. There is
neither a title nor the API that made the listing. Where eBay could not write all of it the report itself says so, with
an Ack of Failure beside listings (https://github.com/davidtsadler/ebay-sdk-php/issues/37).
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, cast
from xml.etree.ElementTree import Element, ParseError  # types
from zipfile import BadZipFile, ZipFile

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from oneshelf.connectors.ebay import trading
from oneshelf.connectors.ebay.trading import NAMESPACE, Offered, child_text
from oneshelf.errors import MalformedError
from oneshelf.sdk.fault import RetryLaterError

REPORT = f"{{{NAMESPACE}}}ActiveInventoryReport"
_ROOTS = frozenset({REPORT, f"{{{NAMESPACE}}}BulkDataExchangeResponses"})
_DETAILS, _VARIATION = f"{{{NAMESPACE}}}SKUDetails", f"{{{NAMESPACE}}}Variations/{{{NAMESPACE}}}Variation"
_GOOD = frozenset({"Success", "Warning"})


def listings_in(file: IO[bytes]) -> Iterator[Sequence[Offered]]:
    """The listings of a report, each with its variations, as far as they can be read.

    Raises RetryLaterError where it breaks off, or eBay says that it is not whole, after all that it tells; and
    MalformedError for what is no report.
    """
    try:
        with _unpacked(file) as document:
            yield from _listings(document)
    except DefusedXmlException as problem:
        raise MalformedError(f"the report is no document of eBay's ({type(problem).__name__})") from None
    except (BadZipFile, EOFError, zlib.error, gzip.BadGzipFile, ParseError) as problem:
        raise RetryLaterError(f"the report breaks off ({type(problem).__name__})") from None
    except (NotImplementedError, RuntimeError, LookupError, ValueError) as problem:
        raise MalformedError(f"the report cannot be unpacked: {problem}") from None


@contextmanager
def _unpacked(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """The document: out of a zip, out of a gzip, or as it is. eBay promises none of these."""
    start = file.read(2)
    file.seek(0)
    if start == b"PK":
        with ZipFile(file) as archive:
            names = archive.namelist()
            if len(names) != 1:
                raise MalformedError(f"the report holds {len(names)} files, and should hold one")
            with archive.open(names[0]) as document:
                yield document
    elif start == b"\x1f\x8b":
        with gzip.open(file) as unzipped:
            yield cast(IO[bytes], unzipped)
    else:
        yield file


def _listings(document: IO[bytes]) -> Iterator[Sequence[Offered]]:
    report: Element | None = None
    row_count = read_count = 0
    is_first = True
    for event, node in iterparse(document, events=("start", "end")):
        if event == "start":
            if is_first and node.tag not in _ROOTS:
                raise MalformedError("the document is no active inventory report")
            is_first = False
            report = node if node.tag == REPORT else report
        elif node.tag == _DETAILS and report is not None:
            rows = list(_offered(node))
            row_count, read_count = row_count + 1, read_count + bool(rows)
            report.remove(node)  # Never all of it in memory.
            if rows:
                yield rows
    if report is None:
        raise MalformedError("the document holds no active inventory report")
    if row_count and not read_count:
        raise MalformedError(f"none of the {row_count} listings of the report has an item id")
    acks = [(one.text or "").strip() for one in report.findall(f"{{{NAMESPACE}}}Ack")]
    if not _GOOD.issuperset(acks):
        raise RetryLaterError(f"the report is not whole: {trading.words_of(trading.errors_in(report))}")


def _offered(details: Element) -> Iterator[Offered]:
    """A listing or its variations; nothing without an item id. A quantity that cannot be read is none."""
    item_id = child_text(details, "ItemID")
    if not item_id:
        return
    variations = details.findall(_VARIATION)
    for one in variations or [details]:
        yield Offered(item_id, child_text(one, "SKU"), "", _quantity(one), is_variation=bool(variations))


def _quantity(node: Element) -> int | None:
    told = child_text(node, "Quantity")
    try:
        return trading.whole(told, "Quantity") if told else None
    except MalformedError:
        return None
