"""Answers of an API server that are no objects: ``Status`` with its code, reason and words."""

from __future__ import annotations

from typing import Any

from .resources import Resource


class Refusal(Exception):
    """The API server says no."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "details": details or {},
            "code": code,
        }


def _details(resource: Resource, name: str) -> dict[str, Any]:
    details = {"name": name, "kind": resource.plural}
    return details | ({"group": resource.group} if resource.group else {})


def not_found(resource: Resource, name: str) -> Refusal:
    return Refusal(404, "NotFound", f'{resource.qualified} "{name}" not found', _details(resource, name))


def already_exists(resource: Resource, name: str) -> Refusal:
    message = f'{resource.qualified} "{name}" already exists'
    return Refusal(409, "AlreadyExists", message, _details(resource, name))


def conflict(resource: Resource, name: str, why: str) -> Refusal:
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return Refusal(409, "Conflict", message, _details(resource, name))


def forbidden(resource: Resource, name: str, why: str) -> Refusal:
    """By an admission rule."""
    message = f'{resource.qualified} "{name}" is forbidden: {why}'
    return Refusal(403, "Forbidden", message, _details(resource, name))


def invalid(resource: Resource, name: str, causes: list[tuple[str, str]]) -> Refusal:
    """:param causes: paths and what is wrong there."""
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    told = [f"{path}: {why}" for path, why in causes]
    message = f'{kind} "{name}" is invalid: {told[0] if len(told) == 1 else "[" + ", ".join(told) + "]"}'
    details = _details(resource, name) | {
        "kind": resource.kind,
        "causes": [{"reason": "FieldValueInvalid", "message": why, "field": path} for path, why in causes],
    }
    return Refusal(422, "Invalid", message, details)


def bad_request(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)
