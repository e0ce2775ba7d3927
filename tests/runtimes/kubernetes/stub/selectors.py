"""Label and field selectors."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .answers import bad_request
from .resources import Object

_REQUIREMENT = re.compile(
    r"\s*(!?)\s*([^\s!=,()]+)\s*(?:(==|=|!=)\s*([^\s,]*)|(in|notin)\s*\(([^)]*)\))?\s*(?:,|$)"
)


def matches(selector: str | None, labels: Mapping[str, str]) -> bool:
    """Whether labels fit a selector as it stands in a query.

    :raises Refusal: it cannot be read.
    """
    position, text = 0, selector or ""
    while position < len(text):
        found = _REQUIREMENT.match(text, position)
        if found is None:
            raise bad_request(f"unable to parse requirement: {text[position:]!r}")
        position = found.end()
        if not _fits(labels, *found.groups()):
            return False
    return True


def _fits(
    labels: Mapping[str, str],
    absent: str,
    key: str,
    equal: str | None,
    value: str | None,
    among: str | None,
    values: str | None,
) -> bool:
    if equal:
        return (labels.get(key) == value) == (equal != "!=")
    if among:
        chosen = {one.strip() for one in (values or "").split(",")}
        return (labels.get(key) in chosen) == (among == "in")
    return (key in labels) != bool(absent)


def fits_object(selector: Object | None, labels: Mapping[str, str]) -> bool:
    """Whether labels fit a selector as it stands in an object (``matchLabels``, ``matchExpressions``)."""
    if selector is None:
        return False
    expressions = {
        "In": lambda key, values: labels.get(key) in values,
        "NotIn": lambda key, values: labels.get(key) not in values,
        "Exists": lambda key, values: key in labels,
        "DoesNotExist": lambda key, values: key not in labels,
    }
    return all(
        labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items()
    ) and all(
        expressions[one["operator"]](one["key"], one.get("values") or ())
        for one in selector.get("matchExpressions") or ()
    )


def fits_fields(selector: str | None, document: Object) -> bool:
    """Whether an object fits a field selector."""
    for requirement in filter(None, (selector or "").split(",")):
        path, operator, value = re.split(r"(!=|==|=)", requirement, maxsplit=1)
        here: object = document
        for step in path.strip().split("."):
            here = here.get(step) if isinstance(here, dict) else None
        if ((here or "") == value) != (operator != "!="):
            return False
    return True
