"""Lists whose items must differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pydantic
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError, PydanticKnownError


def unique(
    what: str, *, by: str | Callable[[Any], Any] | None = None, mend: str = "Remove one of them."
) -> pydantic.WrapValidator:
    """Refuse two items of a list that have the same name.

    Looks at the data as it was written, so that duplicates are reported beside other mistakes in the items.

    :param what: what the name is, for the message: ``stage``.
    :param by: the key that holds an item's name, or a function that finds it; the item itself if absent.
    """

    def name_of(item: Any) -> Any:
        if by is None:
            return item
        if callable(by):
            return by(item)
        return item.get(by) if isinstance(item, Mapping) else getattr(item, by, None)

    def check(value: Any, validate: pydantic.ValidatorFunctionWrapHandler) -> Any:
        duplicates = _duplicates(value, name_of, what, mend) if isinstance(value, list) else []
        try:
            valid = validate(value)
        except pydantic.ValidationError as error:
            if not duplicates:
                raise
            both = error_details(error) + duplicates
            raise pydantic.ValidationError.from_exception_data(error.title, both) from None
        if duplicates:
            raise pydantic.ValidationError.from_exception_data(what, duplicates)
        return valid

    return pydantic.WrapValidator(check)


def _duplicates(
    items: list[Any], name_of: Callable[[Any], Any], what: str, mend: str
) -> list[InitErrorDetails]:
    found = []
    seen = set()
    for index, item in enumerate(items):
        name = name_of(item)
        if not isinstance(name, str | int | float):
            continue
        identity = (isinstance(name, bool), name)  # true is not 1 in YAML and JSON
        if identity in seen:
            context = {"what": what, "name": repr(name), "mend": mend}
            error = PydanticCustomError("duplicate", "the {what} {name} is here twice", context)
            found.append(InitErrorDetails(type=error, loc=(index,), input=item))
        seen.add(identity)
    return found


def error_details(
    error: pydantic.ValidationError, within: tuple[str | int, ...] = ()
) -> list[InitErrorDetails]:
    """Take apart what pydantic found, to add more to it or to report it from ``within`` something larger."""
    return [_error_detail(found, (*within, *found["loc"])) for found in error.errors(include_url=False)]


def _error_detail(found: ErrorDetails, place: tuple[str | int, ...]) -> InitErrorDetails:
    context = found.get("ctx", {})
    try:
        PydanticKnownError(found["type"], context)  # type: ignore[arg-type]
    except KeyError:
        ours = PydanticCustomError(found["type"], found["msg"], context)
        return InitErrorDetails(type=ours, loc=place, input=found["input"])
    return InitErrorDetails(type=found["type"], loc=place, input=found["input"], ctx=context)
