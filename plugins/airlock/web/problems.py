"""How errors leave the API: as JSON that says what is wrong and how to mend it."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException as StarletteHTTPException

from airlock.exceptions import (
    AdapterError,
    AirlockError,
    Conflict,
    DecisionRefused,
    EntryRefused,
    IntegrityError,
    NoSuitableRuntime,
    NotFound,
    Problem,
    RegistryError,
    RuntimeBusy,
    SnapshotError,
    SpecError,
)

# The first class that fits decides, so subclasses stand before their bases.
STATUS_CODES: dict[type[AirlockError], int] = {
    NotFound: 404,
    Conflict: 409,
    DecisionRefused: 409,
    EntryRefused: 409,
    NoSuitableRuntime: 409,
    RuntimeBusy: 409,
    RegistryError: 503,
    SpecError: 422,
    SnapshotError: 422,
    IntegrityError: 422,
    AdapterError: 502,
}

_KINDS = {401: "not_logged_in", 403: "forbidden", 404: "not_found", 405: "method_not_allowed"}


def problem(
    status_code: int, kind: str, message: str, *, mend: str | None = None, **extra: Any
) -> JSONResponse:
    """The one shape of all errors: what kind, what is wrong, how to mend it, and what belongs to the kind."""
    return JSONResponse({"error": kind, "message": message, "mend": mend, **extra}, status_code=status_code)


def show_errors_as_problems(app: FastAPI) -> None:
    """Register the handlers below."""
    app.add_exception_handler(AirlockError, _airlock_error)
    app.add_exception_handler(StarletteHTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(OperationalError, _database_error)


def kind_of(error: AirlockError) -> str:
    """``DecisionRefused`` -> ``decision_refused``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()


def _airlock_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AirlockError)
    status_code = next((code for kind, code in STATUS_CODES.items() if isinstance(error, kind)), 400)
    extra = {"problems": [_place(each) for each in error.problems]} if isinstance(error, SpecError) else {}
    return problem(status_code, kind_of(error), error.message, mend=error.mend, **extra)


def _place(mistake: Problem) -> dict[str, Any]:
    return {**asdict(mistake), "file": str(mistake.file)}


def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException | StarletteHTTPException)
    mend = "Log in: airlock login URL" if error.status_code == 401 else None
    response = problem(
        error.status_code, _KINDS.get(error.status_code, "http_error"), str(error.detail), mend=mend
    )
    response.headers.update(error.headers or {})
    return response


def _invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    lines = [f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()]
    return problem(422, "invalid_request", "; ".join(lines))


def _database_error(request: Request, error: Exception) -> JSONResponse:
    return problem(
        503,
        "database_unreachable",
        "A database that this request needs did not answer.",
        mend="Try again: every request is safe to repeat. The API server's log has the details.",
    )
