"""How things may be called, and what plain text may hold."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import pydantic
from pydantic_core import PydanticCustomError

from airlock.spec.mistakes import shown
from airlock.spec.refusal import refusal

Mode = Literal["batch", "online"]
"""How a snapshot runs: ``batch`` jobs on an ephemeral deployment, or ``online`` behind an endpoint."""

NAME_PATTERN = r"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$"
LONGEST_LINE = 1000
STAGE_PATTERN = r"^[A-Z][A-Z0-9_]{0,31}$"

_NAME_RULE = "up to 63 lower-case letters, digits, '-' and '_', with a letter or digit at both ends"
_STAGE_RULE = "up to 32 capital letters, digits and '_', beginning with a letter"


def _suggest_name(value: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "-", value.lower()).strip("-_")[:63].rstrip("-_")


def _suggest_stage(value: str) -> str:
    return re.sub(r"[^A-Z0-9_]+", "_", value.upper()).strip("_")[:32]


def _check_name(value: str) -> str:
    if re.fullmatch(NAME_PATTERN, value):
        return value
    raise _bad_name(value, _NAME_RULE, _suggest_name(value) or "my-name")


def _check_stage(value: str) -> str:
    if re.fullmatch(STAGE_PATTERN, value):
        return value
    suggestion = _suggest_stage(value)
    raise _bad_name(value, _STAGE_RULE, suggestion if re.fullmatch(STAGE_PATTERN, suggestion) else "DEV")


def _check_check_name(value: str) -> str:
    if re.fullmatch(r"[a-z0-9_]{1,50}", value):
        return value
    suggestion = _suggest_name(value).replace("-", "_")[:50] or "my_check"
    raise _bad_name(value, "up to 50 lower-case letters, digits and '_'", suggestion)


def _bad_name(value: str, rule: str, suggestion: str) -> PydanticCustomError:
    return refusal(f"{shown(value)} cannot be a name here", f"Write {rule}, for example {suggestion!r}.")


def _check_text(value: str) -> str:
    if found := re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", value):
        raise refusal(f"the text holds the control character {found.group()!r}", "Remove it.")
    return value


def _check_line(value: str) -> str:
    if len(value) > LONGEST_LINE:
        raise refusal(f"the text is longer than {LONGEST_LINE} characters", "Shorten it.")
    if not value.strip():
        raise refusal("the text is empty", "Write something, or leave the key out.")
    if found := re.search(r"[\x00-\x1f\x7f]", value):
        raise refusal(f"the text holds the control character {found.group()!r}", "Write it on one line.")
    return value


def _string(pattern: str, **more: int) -> Any:
    return pydantic.WithJsonSchema({"type": "string", "pattern": pattern, **more})


Name = Annotated[str, pydantic.AfterValidator(_check_name), _string(NAME_PATTERN)]
"""The name of a service, life cycle, runtime, role, dataset or model. It fits into URLs, file names and, for
services, into Airflow's ``dag_id`` (no dot: ``<service>.score`` is the DAG of scheduled scoring)."""

StageName = Annotated[str, pydantic.AfterValidator(_check_stage), _string(STAGE_PATTERN)]
"""The name of a stage, like ``DEV``."""

CheckName = Annotated[str, pydantic.AfterValidator(_check_check_name), _string(r"^[a-z0-9_]{1,50}$")]
"""The name of a check within its stage: it becomes the end of a task's id, ``DEV.check.smoke``."""

Text = Annotated[
    str, pydantic.AfterValidator(_check_text), _string(r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$")
]
"""Text for people, of any length, without control characters."""

Line = Annotated[
    str,
    pydantic.AfterValidator(_check_line),
    _string(
        r"^[^\u0000-\u001f\u007f]*[^\s\u0000-\u001f\u007f][^\u0000-\u001f\u007f]*$", maxLength=LONGEST_LINE
    ),
]
"""One line of text that is not empty, up to 1000 characters."""
