"""XML from outside: parsing without a document type, and finding elements regardless of namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from justzoomin.errors import LayoutError
from justzoomin.untrusted import printable, read_limited


def parse(content: Path | bytes, where: str, max_bytes: int, remedy: str) -> ElementTree.Element:
    """Parse a document and refuse document types: their entities can make small XML large, and read other files.

    Raises:
        LayoutError: If it cannot be read, is larger than allowed, has a document type, or is not XML.
    """
    from xml.parsers import expat

    def refuse(*_: object) -> None:
        raise LayoutError(where, "it has a document type", "Give the file as the server sends it.")

    try:
        data = read_limited(content, max_bytes) if isinstance(content, Path) else content
    except OSError as error:
        raise LayoutError(where, f"it cannot be read ({error.strerror})", remedy) from error
    if len(data) > max_bytes:
        raise LayoutError(where, f"it has more than {max_bytes} bytes", remedy)
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
        return ElementTree.fromstring(data)
    except (expat.ExpatError, ElementTree.ParseError, LookupError, ValueError) as error:
        raise LayoutError(where, f"it is not XML ({printable(error)})", remedy) from error


def tag(element: ElementTree.Element) -> str:
    """Return an element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def children(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    """Return an element's direct children with a name."""
    return [child for child in element if tag(child) == name]


def one(element: ElementTree.Element, name: str) -> ElementTree.Element | None:
    """Return an element's first child with a name; None if it has none."""
    return next(iter(children(element, name)), None)


def everywhere(element: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    """Return all elements with a name in a tree."""
    return (child for child in element.iter() if tag(child) == name)


def text(element: ElementTree.Element, name: str) -> str:
    """Return the text of an element's first child with a name; empty if it has none."""
    child = one(element, name)
    return (child.text or "").strip() if child is not None else ""
