"""Reading XML files of annotation tools."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from lazycfg.utils import printable

from ..coco_validation import AnnotationError

_DOCTYPE = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


def read_xml(path: Path) -> ElementTree.Element:
    """Return the root element of a file.

    Raises:
        AnnotationError: it is not XML, or has definitions of its own, which no annotation needs and which
            could make a small file very large.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    plain = (
        content.decode("utf-16", "replace").encode() if content[:2] in (b"\xff\xfe", b"\xfe\xff") else content
    )
    if _DOCTYPE.search(plain):
        raise AnnotationError(f"{path} has a DOCTYPE or entities of its own, which are not read")
    try:
        return ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise AnnotationError(f"{path} is not XML: {printable(error)}") from None


def number_in(element: ElementTree.Element | None, key: str) -> float | None:
    """Return the number that a child of an element holds as text; None if there is no such number."""
    text = None if element is None else element.findtext(key)
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
