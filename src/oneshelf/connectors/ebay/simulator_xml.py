"""XML of the simulated eBay's Trading API: written in the order of its schema, read without regard to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

# Whoever can send a document here runs the simulator; and a document type, which entities need, is refused below.
from xml.etree import ElementTree as Xml

from oneshelf.connectors.ebay.simulator_order_documents import instant

NAMESPACE = "urn:ebay:apis:eBLBaseComponents"
VERSION = "1379"


class Node:
    """One element and all in it. Texts are looked up by a path of names without their namespace."""

    def __init__(self, element: Xml.Element) -> None:
        self._element = element

    @property
    def name(self) -> str:
        return self._element.tag.rpartition("}")[2]

    def text(self, path: str) -> str:
        """The text there, stripped; empty where there is none."""
        found = self._element.find(_path(path))
        return (found.text or "").strip() if found is not None else ""

    def all(self, path: str) -> list[Node]:
        return [Node(one) for one in self._element.findall(_path(path))]

    def has(self, path: str) -> bool:
        return self._element.find(_path(path)) is not None


def read(content: bytes) -> Node | None:
    """The document; None where it is none that eBay reads."""
    if b"<!DOCTYPE" in content:
        return None
    try:
        return Node(Xml.fromstring(content))  # noqa: S314  # see above
    except Xml.ParseError:
        return None


def element(name: str, *children: Xml.Element | None, text: object = None, **attributes: str) -> Xml.Element:
    """An element of eBay's. Children that are None are left out."""
    made = Xml.Element(f"{{{NAMESPACE}}}{name}", attributes)
    made.extend(one for one in children if one is not None)
    if text is not None:
        made.text = _text(text)
    return made


def texts(values: Mapping[str, object]) -> list[Xml.Element]:
    """One element for each value that is not None."""
    return [element(name, text=value) for name, value in values.items() if value is not None]


def price(name: str, value: str) -> Xml.Element:
    return element(name, text=value, currencyID="USD")


def document(root: str, children: Iterable[Xml.Element | None]) -> bytes:
    Xml.register_namespace("", NAMESPACE)
    body: bytes = Xml.tostring(element(root, *children), encoding="utf-8", xml_declaration=True)
    return body


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return instant(value) if isinstance(value, datetime) else str(value)


def _path(path: str) -> str:
    return "/".join(f"{{{NAMESPACE}}}{name}" for name in path.split("/"))
