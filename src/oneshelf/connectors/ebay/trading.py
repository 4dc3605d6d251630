"""The Trading API's XML: requests, and what its answers say. Pure.

Schema eBLBaseComponents; https://developer.ebay.com/devzone/xml/docs/reference/ebay/index.html (checked 2026-11-26).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

# What comes from outside is read by defusedxml alone.
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from oneshelf.domain.identity import UNITS_MAX
from oneshelf.errors import MalformedError

NAMESPACE = "urn:ebay:apis:eBLBaseComponents"
VERSION = "1379"
WORDS_LENGTH_MAX = 300
NODES_MAX = 4  # "You can pass up to 4 InventoryStatus nodes in a single request."
PAGE = 200

# Numbers of errors: https://developer.ebay.com/devzone/xml/docs/reference/ebay/errors/errormessages.htm (2026-11-26).
_TOKEN_REFUSED = frozenset({"931", "932", "16110", "16112", "21916013", "21916984", "21917053", "841"})
_QUOTA_SPENT = frozenset({"518"})
# "You have exceeded your maximum call limit of 6000 for 15 seconds."
_TOO_FAST = frozenset({"21919144"})
TOO_FAST_S = 15.0
_ZERO_REFUSED = frozenset({"515", "942"})
# "Inventory-based listing management is not currently supported by this tool."
OTHER_WORLD = frozenset({"21919474"})
GONE = frozenset({"17", "291", "21916333", "21916750"})
ENDED_ALREADY = frozenset({"1047"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One error of an answer. `about`: the values that eBay says it is about, such as an item id."""

    code: str
    words: str
    about: frozenset[str]
    is_systems: bool


@dataclass(frozen=True, slots=True)
class Offered:
    """A listing, or one variation of it, as the Trading API shows it. `units`: available now; None: not told."""

    item_id: str
    sku: str
    title: str
    units: int | None
    is_variation: bool = False
    is_fixed_price: bool = True
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Ended:
    """A listing that is not on sale any more. `relisted_as`: the item id under which it came back, or empty.
    `ended_at`: an instant as eBay writes it, such as `2026-11-26T08:00:00.000Z`.

    `is_by_somebody`: the seller, or eBay's staff, ended it early. What is sold out ends by itself, without a reason:
    https://developer.ebay.com/devzone/xml/docs/Reference/eBay/extra/gtitm.rspns.itm.lstngdtls.endngrsn.html
    (checked 2026-11-26).
    """

    item_id: str
    skus: tuple[str, ...]
    is_variations: bool
    relisted_as: str
    is_by_somebody: bool
    ended_at: str


# Requests -----------------------------------------------------------------------------------------------------


def request(name: str) -> Element:
    """The root of a request, to be filled."""
    return Element(f"{name}Request", {"xmlns": NAMESPACE})


def text(parent: Element, name: str, value: str) -> Element:
    """Add a child with this text."""
    child = SubElement(parent, name)
    child.text = value
    return child


def encoded(root: Element) -> bytes:
    """The bytes to send."""
    encoded_root: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return encoded_root


def active_list(page: int) -> bytes:
    """GetMyeBaySelling: a page of what is on sale, from 1 on."""
    root = request("GetMyeBaySelling")
    text(root, "DetailLevel", "ReturnAll")
    chosen = SubElement(root, "ActiveList")
    text(chosen, "Include", "true")
    pagination = SubElement(chosen, "Pagination")
    text(pagination, "EntriesPerPage", str(PAGE))
    text(pagination, "PageNumber", str(page))
    return encoded(root)


def ended_list(since: datetime, until: datetime, page: int) -> bytes:
    """GetSellerList: a page of what ended between these, and of what is going to be renewed then."""
    root = request("GetSellerList")
    text(root, "DetailLevel", "ReturnAll")
    text(root, "EndTimeFrom", _instant(since))
    text(root, "EndTimeTo", _instant(until))
    pagination = SubElement(root, "Pagination")
    text(pagination, "EntriesPerPage", str(PAGE))
    text(pagination, "PageNumber", str(page))
    text(root, "IncludeVariations", "true")
    return encoded(root)


def seller_events(since: datetime) -> bytes:
    """GetSellerEvents: what changed since then, with its variations."""
    root = request("GetSellerEvents")
    text(root, "DetailLevel", "ReturnAll")
    text(root, "ModTimeFrom", _instant(since))
    text(root, "HideVariations", "false")
    return encoded(root)


def get_item(item_id: str) -> bytes:
    """GetItem."""
    root = request("GetItem")
    text(root, "DetailLevel", "ReturnAll")
    text(root, "ItemID", item_id)
    return encoded(root)


def revise(rows: Sequence[tuple[str, str, int]]) -> bytes:
    """ReviseInventoryStatus: (item id, SKU of a variation or "", units available from now on)."""
    root = request("ReviseInventoryStatus")
    for item_id, sku, units in rows:
        node = SubElement(root, "InventoryStatus")
        if sku:
            text(node, "SKU", sku)
        text(node, "ItemID", item_id)
        text(node, "Quantity", str(units))
    return encoded(root)


def end_item(item_id: str) -> bytes:
    """EndFixedPriceItem."""
    root = request("EndFixedPriceItem")
    text(root, "ItemID", item_id)
    text(root, "EndingReason", "NotAvailable")
    return encoded(root)


def relist_item(item_id: str, units: int) -> bytes:
    """RelistFixedPriceItem: the ended listing anew, with this quantity."""
    root = request("RelistFixedPriceItem")
    item = SubElement(root, "Item")
    text(item, "ItemID", item_id)
    text(item, "Quantity", str(units))
    return encoded(root)


def preferences() -> bytes:
    """GetUserPreferences: whether a listing may stay with nothing left."""
    root = request("GetUserPreferences")
    text(root, "ShowBidderNoticePreferences", "false")
    text(root, "ShowCombinedPaymentPreferences", "false")
    text(root, "ShowSellerPaymentPreferences", "false")
    text(root, "ShowSellerProfilePreferences", "false")
    text(root, "ShowOutOfStockControlPreference", "true")
    return encoded(root)


# Answers ------------------------------------------------------------------------------------------------------


def answer_from(body: bytes, name: str) -> Element:
    """The root of the answer to `name`. Raises MalformedError."""
    try:
        root: Element = fromstring(body)
    except (ParseError, DefusedXmlException, ValueError, LookupError, RecursionError) as problem:
        raise MalformedError(f"the answer to {name} is not XML ({type(problem).__name__})") from None
    if root.tag != _tag(f"{name}Response") or _ack(root) not in {"Success", "Warning", "Failure", "PartialFailure"}:
        raise MalformedError(f"the answer to {name} is something else")
    return root


def is_failure(answer: Element) -> bool:
    """Whether nothing was done."""
    return _ack(answer) == "Failure"


def errors_in(answer: Element) -> list[Problem]:
    """What went wrong; warnings are left out."""
    problems = []
    for node in answer.findall(_tag("Errors")):
        if child_text(node, "SeverityCode") == "Warning":
            continue
        values = {child_text(parameter, "Value") for parameter in node.findall(_tag("ErrorParameters"))}
        words = child_text(node, "LongMessage") or child_text(node, "ShortMessage")
        is_systems = child_text(node, "ErrorClassification") == "SystemError"
        problems.append(Problem(child_text(node, "ErrorCode"), words, frozenset(values - {""}), is_systems))
    return problems


def words_of(problems: Sequence[Problem]) -> str:
    """eBay's own words."""
    words = "; ".join(f"{problem.code}: {problem.words}" for problem in problems) or "eBay does not say why"
    return words[:WORDS_LENGTH_MAX]


def is_token_refused(answer: Element) -> bool:
    """Whether the access token is to blame."""
    return is_failure(answer) and any(problem.code in _TOKEN_REFUSED for problem in errors_in(answer))


def is_quota_spent(answer: Element) -> bool:
    """Whether the calls of the day are used up."""
    return is_failure(answer) and any(problem.code in _QUOTA_SPENT for problem in errors_in(answer))


def is_too_fast(answer: Element) -> bool:
    """Whether there were too many calls within some seconds."""
    return is_failure(answer) and any(problem.code in _TOO_FAST for problem in errors_in(answer))


def is_systems_fault(answer: Element) -> bool:
    """Whether eBay itself failed, so that nobody knows what was done."""
    problems = errors_in(answer)
    return any(problem.is_systems for problem in problems)


def is_about_zero(problem: Problem) -> bool:
    """Whether a quantity of zero was refused, since out-of-stock control is off."""
    return problem.code in _ZERO_REFUSED or "greater than 0" in problem.words


def revised(answer: Element) -> frozenset[tuple[str, str]]:
    """The (item id, SKU or "") that an answer to ReviseInventoryStatus names as done."""
    return frozenset(
        (child_text(node, "ItemID"), child_text(node, "SKU")) for node in answer.findall(_tag("InventoryStatus"))
    )


def listings_in(answer: Element) -> tuple[list[Offered], int]:
    """What a page of GetMyeBaySelling shows, and how many pages there are. Raises MalformedError."""
    chosen = answer.find(_tag("ActiveList"))
    if chosen is None:
        # So it is where nothing is on sale.
        return [], 0
    result = chosen.find(_tag("PaginationResult"))
    pages = whole(child_text(result, "TotalNumberOfPages"), "TotalNumberOfPages") if result is not None else 1
    found: list[Offered] = []
    for item in chosen.iterfind(f"{_tag('ItemArray')}/{_tag('Item')}"):
        found.extend(offered_in(item))
    return found, pages


def events_in(answer: Element) -> list[Offered]:
    """The listings in an answer to GetSellerEvents, on sale or not. Raises MalformedError."""
    items = answer.iterfind(f"{_tag('ItemArray')}/{_tag('Item')}")
    return [offered for item in items for offered in offered_in(item)]


def ended_on(answer: Element) -> tuple[list[Ended], bool]:
    """What has ended, of a page of GetSellerList, and whether there are more pages. Raises MalformedError."""
    items = answer.iterfind(f"{_tag('ItemArray')}/{_tag('Item')}")
    found = [ended for item in items if (ended := ended_in(item)) is not None]
    return found, child_text(answer, "HasMoreItems") == "true"


def offered_in(item: Element) -> Iterator[Offered]:
    """The listing, or its variations. What cannot be read has no units. Raises MalformedError without an item id."""
    item_id = child_text(item, "ItemID")
    if not item_id:
        raise MalformedError("a listing without an item id")
    title = child_text(item, "Title")
    status = item.find(_tag("SellingStatus"))
    state = child_text(status, "ListingStatus") if status is not None else ""
    kind = child_text(item, "ListingType")
    is_fixed_price = kind in {"", "FixedPriceItem", "StoresFixedPrice"}
    is_active = state in {"", "Active"}
    variations = item.findall(f"{_tag('Variations')}/{_tag('Variation')}")
    for variation in variations:
        name = child_text(variation, "VariationTitle") or title
        units, sku = _available(variation), child_text(variation, "SKU")
        yield Offered(item_id, sku, name, units, True, is_fixed_price, is_active)
    if not variations:
        told = child_text(item, "QuantityAvailable")
        units = whole(told, "QuantityAvailable") if told else _available(item)
        yield Offered(item_id, child_text(item, "SKU"), title, units, False, is_fixed_price, is_active)


def ended_in(item: Element) -> Ended | None:
    """How the listing ended; None: it is on sale. Raises MalformedError without an item id."""
    offered = list(offered_in(item))
    if not offered or offered[0].is_active:
        return None
    details = item.find(_tag("ListingDetails"))
    relisted_as, reason, ended_at = (
        child_text(details, name) if details is not None else ""
        for name in ("RelistedItemID", "EndingReason", "EndTime")
    )
    skus = tuple(one.sku for one in offered)
    return Ended(offered[0].item_id, skus, offered[0].is_variation, relisted_as, bool(reason), ended_at)


def _available(node: Element) -> int | None:
    """`Quantity` counts what was sold too: available is the rest. https://developer.ebay.com/devzone/xml/docs/Reference/
    eBay/types/InventoryStatusType.html (checked 2026-11-26)."""
    told = child_text(node, "Quantity")
    if not told:
        return None
    status = node.find(_tag("SellingStatus"))
    sold = child_text(status, "QuantitySold") if status is not None else ""
    return max(0, whole(told, "Quantity") - (whole(sold, "QuantitySold") if sold else 0))


def has_out_of_stock_control(answer: Element) -> bool:
    """Whether a listing may stay with nothing left."""
    return child_text(answer, "OutOfStockControlPreference") == "true"


def new_item_id(answer: Element) -> str:
    """The item id of what was listed anew. Raises MalformedError."""
    item_id = child_text(answer, "ItemID")
    if not item_id:
        raise MalformedError("eBay does not say under which item id it listed anew")
    return item_id


def child_text(parent: Element, name: str) -> str:
    """The text of a child; empty where there is none."""
    child = parent.find(_tag(name))
    return (child.text or "").strip() if child is not None else ""


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _ack(answer: Element) -> str:
    return child_text(answer, "Ack")


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def whole(told: str, what: str) -> int:
    """A number of units. Raises MalformedError."""
    if not (told.isascii() and told.isdigit() and len(told) <= 10 and int(told) <= UNITS_MAX):
        raise MalformedError(f"{what} is {told[:20]!r}, not a number of units")
    return int(told)
