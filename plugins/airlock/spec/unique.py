"""Lists whose items must differ in something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pydantic
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError, PydanticKnownError


def unique_by(name_of: Callable[[Any], Any], what: str, mend: str) -> pydantic.WrapValidator:
    """Refuse two items of a list that have the same name.

    Looks at the data as it was written, so that duplicates are reported beside other mistakes in the items.

    :param name_of: the name of an item as written (a mapping, text, …) or as built; ``None`` if it has none.
    :param what: what the name is, for the message: "stage".
    """

    def check(value: Any, validate: pydantic.ValidatorFunctionWrapHandler) -> Any:
        duplicates: list[InitErrorDetails] = []
        if isinstance(value, list):
            seen: set[str] = set()
            for index, item in enumerate(value):
                name = name_of(item)
                if isinstance(name, str) and name in seen:
                    error = PydanticCustomError(
                        "duplicate",
                        "the {what} {name} is here twice",
                        {"what": what, "name": repr(name), "mend": mend},
                    )
                    duplicates.append(InitErrorDetails(type=error, loc=(index,), input=item))
                elif isinstance(name, str):
                    seen.add(name)
        try:
            valid = validate(value)
        except pydantic.ValidationError as error:
            if not duplicates:
                raise
            raise pydantic.ValidationError.from_exception_data(
                error.title, error_details(error) + duplicates
            ) from None
        if duplicates:
            raise pydantic.ValidationError.from_exception_data(what, duplicates)
        return valid

    return pydantic.WrapValidator(check)


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
