"""Requests and answers as plain bytes, so that every protocol is a function that needs no server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from airlock_host.columns import Columns
from airlock_host.exceptions import BadRecords, HostError, ModelFailed, Problem

JSON = "application/json"

# The number of problems an answer lists; its message says how many there are.
MOST_PROBLEMS = 100

# A message repeats what came, which may be of any length.
_MOST_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent.

    :param headers: by name in lower case.
    :param path: the parameters in the path.
    """

    body: bytes
    headers: Mapping[str, str]
    path: Mapping[str, str] = field(default_factory=dict)

    @property
    def media_type(self) -> str:
        """The content type without its parameters; JSON where the client named none."""
        return self.headers.get("content-type", JSON).split(";")[0].strip().lower()

    def json(self) -> Any:
        """The body as JSON.

        :raises Refused: 415 for another content type, 400 for broken JSON.
        """
        if self.media_type != JSON:
            raise Refused.content_type(self.media_type, [JSON])
        return read_json(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the host sends.

    :param scored: the model's answer that it carries, for the measurements.
    :param refusal: why the request was refused, one word for the measurements.
    """

    body: bytes
    media_type: str = JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    scored: Columns | None = None
    refusal: str | None = None


Score = Callable[[Columns], Columns]
Protocol = Callable[[Request, Score], Answer]


class Refused(HostError):
    """A request that cannot be answered.

    :param status: the HTTP status.
    :param reason: one word for the measurements.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason

    @classmethod
    def content_type(cls, given: str, accepted: Sequence[str]) -> Refused:
        """415: the body's content type is not one of those accepted here."""
        return cls(
            415, "content_type", f"content type {given!r} is not read here; send {' or '.join(accepted)}"
        )


def read_json(body: bytes) -> Any:
    """Bytes as JSON.

    :raises Refused: 400, with the line and column.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(
            400, "bad_json", f"the body is not JSON (which knows no NaN and no Infinity): {error}"
        ) from None


def refuse(error: HostError) -> Answer:
    """The answer to a request that raised ``error``."""
    match error:
        case Refused():
            return error_answer(error.status, error.reason, str(error))
        case BadRecords():
            return error_answer(422, "bad_record", str(error), error.problems)
        case ModelFailed():
            return error_answer(500, "model_failed", str(error))
        case _:
            return error_answer(400, "bad_request", str(error))


def error_answer(status: int, reason: str, message: str, problems: Sequence[Problem] = ()) -> Answer:
    """An error as all protocols answer it: ``{"error": ..., "reason": ..., "problems": [...]}``."""
    if len(message) > _MOST_CHARACTERS:
        message = message[:_MOST_CHARACTERS] + "..."
    content: dict[str, Any] = {"error": message, "reason": reason}
    if problems:
        content["problems"] = [problem.as_json() for problem in problems[:MOST_PROBLEMS]]
    return Answer(orjson.dumps(content), status=status, refusal=reason)
