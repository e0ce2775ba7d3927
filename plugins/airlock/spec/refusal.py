"""Our own errors in pydantic's hands: raised by validators, gathered with the rest, told by ``mistakes``."""

from __future__ import annotations

import pydantic
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError, PydanticKnownError


def refusal(message: str, mend: str) -> PydanticCustomError:
    """What a validator raises: what is wrong, and how to mend it."""
    return PydanticCustomError("refused", "{message}", {"message": message, "mend": mend})


def refusal_at(place: str | int, error: PydanticCustomError) -> InitErrorDetails:
    """A refusal of one item of what is validated, to be raised together with others."""
    return InitErrorDetails(type=error, loc=(place,), input=None)


def together(details: list[InitErrorDetails]) -> pydantic.ValidationError:
    """What a validator raises for several things at once."""
    return pydantic.ValidationError.from_exception_data("several", details)


def details_of(error: pydantic.ValidationError, within: tuple[str | int, ...] = ()) -> list[InitErrorDetails]:
    """Take apart what pydantic found, to add more to it or to report it from ``within`` something larger."""
    return [_detail(found, (*within, *found["loc"])) for found in error.errors(include_url=False)]


def _detail(found: ErrorDetails, place: tuple[str | int, ...]) -> InitErrorDetails:
    context = found.get("ctx", {})
    try:
        PydanticKnownError(found["type"], context)  # type: ignore[arg-type]
    except KeyError:
        ours = refusal(context["message"], context["mend"])
        return InitErrorDetails(type=ours, loc=place, input=found["input"])
    return InitErrorDetails(type=found["type"], loc=place, input=found["input"], ctx=context)
