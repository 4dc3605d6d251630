"""The rows of an Amazon listings report, piece by piece: tab-delimited text, packed or not, in some charset. Pure.

What is known of GET_MERCHANT_LISTINGS_ALL_DATA (checked 2026-11-26):

- Its columns: https://developer-docs.amazon.com/sp-api/docs/report-type-values-inventory. No page says whether units of
  orders that are pending are in `quantity`, or what `pending-quantity` counts. Seller Central takes the units of a
  pending order from the quantity of the listing at once (help 200200040), and `quantity` is told as that figure.
  Nothing is added or subtracted, and where it differs from what we believe the listing itself is read, which decides.
- `quantity` of what Amazon fulfils is empty (https://github.com/amzn/selling-partner-api-models/issues/1670). Empty is
  never zero here.
- The charset is in the header of the document, such as `text/plain; charset=Cp1252`
  (https://github.com/amzn/selling-partner-api-models/issues/2748); Japan has Shift_JIS (issues/2293). What says none is
  UTF-8 where that can be, and Cp1252 where not. What the charset lacks comes as a question mark (issues/4888).
- The names of the columns are in a language that may be asked for, and is not always given (issues/5303).
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from oneshelf.connectors.amazon import parse
from oneshelf.domain.identity import ChannelSku, units_from
from oneshelf.errors import MalformedError
from oneshelf.sdk.fault import RetryLaterError
from oneshelf.sdk.lines import Lines
from oneshelf.sdk.message import StockReading

NEEDED = ("seller-sku", "quantity", "item-name", "fulfillment-channel")
# So much comes out of a packed piece at once, however much is in it.
UNPACKED_BYTES = 1_000_000

_CHARSET = re.compile(r"charset=\"?([\w.:-]+)", re.IGNORECASE | re.ASCII)
_SNIFFED = "cp1252"
_WHOLE = re.compile(r"[0-9]{1,18}", re.ASCII)


class Unpacked:
    """The bytes of a document from its pieces, as they are or out of a gzip."""

    def __init__(self, *, is_packed: bool) -> None:
        self._packer = zlib.decompressobj(wbits=31) if is_packed else None

    def take(self, piece: bytes) -> Iterator[bytes]:
        """Some of the bytes at a time. Raises MalformedError for what is no gzip."""
        if self._packer is None:
            yield piece
            return
        try:
            while piece:
                yield self._packer.decompress(piece, UNPACKED_BYTES)
                piece = self._packer.unconsumed_tail
        except zlib.error as problem:
            raise MalformedError(f"the document is not the gzip that it is said to be: {problem}") from None

    @property
    def is_whole(self) -> bool:
        """Whether the end was reached. What is not packed has no end of its own."""
        return self._packer is None or self._packer.eof


class Rows:
    """Readings from the lines of a report. `units_of`: as in `parse.units_shown`."""

    def __init__(self, content_type: str = "") -> None:
        self._charset = charset_from(content_type)
        self._lines = Lines()
        self._columns: Mapping[str, int] | None = None
        self._width = 0
        self._row_count = self._reading_count = 0

    def take(self, piece: bytes) -> list[StockReading]:
        """The readings whose lines end in this piece. Raises MalformedError where these are no rows of listings."""
        return self._readings(self._lines.take(piece))

    def end(self) -> list[StockReading]:
        """The reading of a last line without an end. Raises RetryLaterError where that is half a line.

        Raises MalformedError where no line could be read.
        """
        rest = self._lines.rest
        if rest.strip() and rest.count(b"\t") + 1 < self._width:
            raise RetryLaterError(f"the report ends within line {self._row_count + 2}")
        last = self._readings([rest]) if rest.strip() else []
        if self._columns is None:
            raise MalformedError("the report is empty, without the names of its columns")
        if self._row_count and not self._reading_count:
            raise MalformedError(f"none of the {self._row_count} rows of the report can be read")
        return last

    def _readings(self, lines: Sequence[bytes]) -> list[StockReading]:
        found: list[StockReading] = []
        for line in lines:
            cells = self._text(line).rstrip("\r").split("\t")
            if self._columns is None:
                self._name(cells)
                continue
            self._row_count += 1
            # A description with a line break in it makes two lines of one row. Neither can be trusted; the listing is
            # missing then, and what a file lacks is read by itself.
            if len(cells) == self._width and cells[self._columns["seller-sku"]]:
                found.append(self._reading(cells, self._columns))
        self._reading_count += len(found)
        return found

    def _name(self, cells: Sequence[str]) -> None:
        names = [cell.strip().lower() for cell in cells]
        if names:
            names[0] = names[0].removeprefix("\ufeff")
        missing = [name for name in NEEDED if name not in names]
        if missing:
            raise MalformedError(f"the report has no column {', '.join(missing)}; its names may be in another language")
        self._columns, self._width = {name: names.index(name) for name in names}, len(names)

    def _text(self, line: bytes) -> str:
        if self._charset:
            return line.decode(self._charset, "replace")
        try:
            return line.decode()
        except UnicodeDecodeError:
            return line.decode(_SNIFFED, "replace")

    def _reading(self, cells: Sequence[str], columns: Mapping[str, int]) -> StockReading:
        channel_sku = ChannelSku(cells[columns["seller-sku"]])
        code, told = cells[columns["fulfillment-channel"]].strip(), cells[columns["quantity"]].strip()
        try:
            units, note = _units(channel_sku, code, told)
        except MalformedError as problem:
            units, note = None, f"cannot be read: {problem}"
        return StockReading(
            channel_sku=channel_sku,
            units=units,
            merchant_sku=parse.merchant_sku_of(channel_sku),
            title=cells[columns["item-name"]],
            note=note,
        )


def _units(channel_sku: ChannelSku, code: str, told: str) -> tuple[int | None, str]:
    if code == parse.MERCHANT_CHANNEL and not told:
        return None, "the report tells no quantity"
    quantity: Any = int(told) if _WHOLE.fullmatch(told) else told
    if code == parse.MERCHANT_CHANNEL:
        return units_from(quantity, what=f"{channel_sku}: quantity"), ""
    return parse.units_shown({code: quantity} if code else {}, channel_sku)


def charset_from(content_type: str) -> str:
    """The charset that a header declares, in Python's name for it; empty where it says none that we know.

    Raises MalformedError for one in which a tab or the end of a line may be a part of a letter.
    """
    told = _CHARSET.search(content_type)
    try:
        name = codecs.lookup(told[1]).name if told else ""
    except LookupError:
        return ""
    if name.startswith(("utf-16", "utf-32", "utf-7")):
        raise MalformedError(f"the report is written in {name}, which this connector does not read")
    # Windows' own version has all letters of the standard and those that are really used.
    return "cp932" if name == "shift_jis" else name
