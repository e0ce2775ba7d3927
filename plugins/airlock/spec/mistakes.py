"""What pydantic found, in words for the person who wrote it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import pydantic
from pydantic_core import ErrorDetails

if TYPE_CHECKING:
    from airlock.spec.base import Spec

Place = tuple[str | int, ...]
"""Where in the data: keys and positions, from the outside in."""


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong.

    :param place: where it was written; may name steps (the kind of a union) that are not in the data.
    :param about_key: the mistake is the last key of the place, not its value.
    """

    place: Place
    message: str
    mend: str | None = None
    about_key: bool = False

    def __str__(self) -> str:
        where = ".".join(str(step) for step in self.place)
        text = f"{where}: {self.message}." if where else f"{self.message}."
        return text if self.mend is None else f"{text} {self.mend}"


def mistakes(error: pydantic.ValidationError, model: type[Spec]) -> list[Mistake]:
    """Say each thing that pydantic found in the data of a model."""
    return [
        _explain(found, model)
        for found in error.errors(include_url=False)
        # A default that follows from something which is wrong itself.
        if found["type"] != "default_factory_not_called"
    ]


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, if one is near enough."""
    words = sorted(known)
    by_lower_case = {candidate.lower(): candidate for candidate in words}
    found = difflib.get_close_matches(word.lower(), by_lower_case, n=1, cutoff=0.6)
    return by_lower_case[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """How to mend an unknown word: the nearest known one, or all of them."""
    words = sorted(known)
    if (near := nearest(word, words)) is not None:
        return f"Did you mean {near!r}?"
    if not words:
        return "There is none yet."
    return f"Known: {', '.join(words)}."


def shown(value: Any) -> str:
    """A value as people would recognise it in their file, never too long."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _explain(found: ErrorDetails, model: type[Spec]) -> Mistake:
    kind, place, context = found["type"], found["loc"], found.get("ctx", {})
    if kind == "extra_forbidden":
        key = str(place[-1])
        return Mistake(
            place, f"unknown key {shown(key)}", did_you_mean(key, _known_keys(model, place[:-1])), True
        )
    if kind == "missing":
        return Mistake(place, f"the key {str(place[-1])!r} is missing", f"Add a line '{place[-1]}: …'.")
    if kind == "union_tag_invalid":
        tags = [tag.strip("'") for tag in context["expected_tags"].split(", ")]
        return Mistake(place, f"unknown kind {shown(context['tag'])}", did_you_mean(context["tag"], tags))
    if kind == "union_tag_not_found":
        return Mistake(place, *_FORMS[_key(place)])
    if kind == "literal_error":
        choices = context["expected"]
        mend = f"Write {choices}."
        if isinstance(found["input"], str):
            near = nearest(found["input"], choices.replace(" or ", ", ").split(", "))
            mend = mend if near is None else f"Did you mean {near}? Known: {choices}."
        return Mistake(place, f"{shown(found['input'])} is not one of the choices", mend)
    if kind == "too_short":
        return Mistake(place, "the list is empty", "Write at least one item.")
    if kind == "too_long":
        return Mistake(place, f"more than {context['max_length']} items", "Leave some out.")
    if kind in _WRONG_TYPES:
        return Mistake(
            place, f"{shown(found['input'])} is not {_WRONG_TYPES[kind][0]}", _WRONG_TYPES[kind][1]
        )
    message = found["msg"]
    for prefix in ("Value error, ", "Input should be ", "Input should "):
        if message.startswith(prefix):
            rest = message.removeprefix(prefix)
            message = rest if prefix.startswith("Value") else f"{shown(found['input'])} should be {rest}"
    return Mistake(place, message, context.get("mend"))


def _key(place: Place) -> str:
    """The innermost key of a place."""
    return next((step for step in reversed(place) if isinstance(step, str)), "")


_FORMS = {
    "checks": (
        "a check is its kind, or one kind with its options",
        "Write 'smoke' or 'latency: {p99_ms: 200}', the options indented below the kind.",
    ),
    "guard": (
        "a guard is its kind, or one kind with its options",
        "Write 'error_rate' or 'latency: {p95_ratio: 1.5}', the options indented below the kind.",
    ),
    "rollout": (
        "a rollout is a strategy, or a mapping with its 'strategy'",
        "Write 'canary' or '{strategy: canary, bake: 30m}'.",
    ),
}
"""What is written as one of several kinds, by the key that it stands under."""

_WRONG_TYPES = {
    "string_type": (
        "text",
        "Write text; put quotes around what could be read as a number or as true or false.",
    ),
    "int_type": ("a whole number", "Write a whole number, without quotes."),
    "float_type": ("a number", "Write a number, without quotes."),
    "finite_number": ("a number that can be used here", "Write a finite number."),
    "bool_type": ("true or false", "Write true or false, without quotes."),
    "list_type": ("a list", "Write a list: items that begin with '- ', or [one, two]."),
    "dict_type": ("a mapping", "Write 'key: value' lines."),
    "model_type": ("a mapping", "Write 'key: value' lines."),
    "model_attributes_type": ("a mapping", "Write 'key: value' lines."),
}


def _known_keys(model: type[Spec], place: Sequence[str | int]) -> set[str]:
    """The keys that may stand at a place: walk from the model through the fields that the place names."""
    models = [model]
    for step in place:
        kinds = [candidate for candidate in models if getattr(candidate, "kind", None) == step]
        fields = [candidate.model_fields[step] for candidate in models if step in candidate.model_fields]
        if fields:
            models = [inner for field in fields for inner in _specs_in(field.annotation)]
        elif kinds:
            models = kinds
    return {key for candidate in models for key in candidate.known_keys()}


def _specs_in(annotation: Any) -> list[type[Spec]]:
    """Every model that an annotation mentions, however deep: ``Stage`` in ``dict[str, list[Stage]]``."""
    from airlock.spec.base import Spec

    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _specs_in(argument)]
