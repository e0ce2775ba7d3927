"""Drawings come from a runtime and are shown to approvers: only harmless SVG is let through."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree  # what could declare an entity is refused before it is parsed

LARGEST = 40_000
"""Characters of one figure: a page of ten figures stays small enough for a mail."""

_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}"
_ELEMENTS = re.compile("svg|g|defs|path|rect|circle|line|polyline|polygon|text|tspan|use|clipPath|title|desc")
_PRESENTATION = (
    "fill|stroke|opacity|(fill|stroke)-opacity|(fill|clip)-rule|clip-path|"
    "stroke-(width|dasharray|dashoffset|linecap|linejoin|miterlimit)|"
    "font|font-(family|size|weight|style|variant|stretch)|text-anchor|dominant-baseline"
)
_ATTRIBUTES = re.compile(
    f"{_PRESENTATION}|id|d|x|y|x1|y1|x2|y2|cx|cy|r|rx|ry|dx|dy|width|height|points|transform|style|href|"
    "viewBox|version|preserveAspectRatio|role|aria-label"
)
_STYLE_PROPERTIES = re.compile(f"{_PRESENTATION}|white-space")
_FOREIGN = re.compile(r"url\((?!#[\w-]+\))|\\|//|image-set|@", re.IGNORECASE)


def checked_svg(svg: str) -> str:
    """Give the drawing back, if it can do no harm inside a page.

    :raises ValueError: it is no SVG, is too large, or holds anything but plain shapes and text:
        a script, an event handler, a style sheet, a link, a picture, a document type.
    """
    if len(svg) > LARGEST:
        raise ValueError(f"a figure of {len(svg):,} characters is larger than {LARGEST:,}")
    if "<!" in svg or "<?" in svg:
        raise ValueError("a figure holds a declaration, a comment or an instruction")
    try:
        root = ElementTree.fromstring(svg)  # noqa: S314
    except ElementTree.ParseError as error:
        raise ValueError(f"a figure is not well-formed SVG: {error}") from None
    if root.tag != f"{_SVG}svg":
        raise ValueError("a figure is not an <svg> element")
    for element in root.iter():
        _check(element)
    return svg


def _check(element: ElementTree.Element) -> None:
    name = element.tag.removeprefix(_SVG)
    if not _ELEMENTS.fullmatch(name):
        raise ValueError(f"a figure holds the element <{name}>")
    for qualified, value in element.attrib.items():
        attribute = qualified.removeprefix(_XLINK)
        if not _ATTRIBUTES.fullmatch(attribute):
            raise ValueError(f"a figure holds the attribute {attribute!r}")
        if attribute == "href" and not value.startswith("#"):
            raise ValueError("a figure links to something outside itself")
        if _FOREIGN.search(value):
            raise ValueError("a figure refers to something outside itself")
        if attribute == "style":
            _check_style(value)


def _check_style(style: str) -> None:
    for declaration in filter(str.strip, style.split(";")):
        name = declaration.partition(":")[0].strip()
        if not _STYLE_PROPERTIES.fullmatch(name):
            raise ValueError(f"a figure is styled with {name!r}")
