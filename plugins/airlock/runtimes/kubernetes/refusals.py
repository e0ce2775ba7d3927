"""What a cluster answers when it refuses, in words: what is missing, where, and how to mend it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from airlock.exceptions import AdapterError

_FORBIDDEN = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)"'
    r' in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?(?P<everywhere> at the cluster scope)?'
)
_QUOTA = re.compile(
    r"exceeded quota: (?P<quota>[^,]+), requested: (?P<asked>.+?), used: (?P<used>.+?), limited: (?P<most>.+)"
)
_POD_SECURITY = re.compile(r'violates PodSecurity "(?P<level>[^"]*)": (?P<why>.*)', re.DOTALL)


class Refused(AdapterError):
    """The cluster refused a request.

    :param status: the HTTP status.
    :param reason: the cluster's word for it, such as ``AlreadyExists``.
    """

    def __init__(self, status: int, message: str, *, mend: str | None = None, reason: str = "") -> None:
        super().__init__(message, mend=mend)
        self.status = status
        self.reason = reason


def refused(status: int, body: str | bytes | None, *, place: str) -> Refused:
    """Read a refusal.

    :param body: the API's ``Status`` object as JSON, or whatever answered instead.
    :param place: where the address and the credentials come from.
    """
    answer = _status_object(body)
    said = str(answer.get("message") or answer.get("reason") or "").strip() or f"status {status}"
    reason = str(answer.get("reason") or "")
    if status == 401:
        return Refused(
            status, "The cluster does not accept the credentials.", mend=f"Correct {place}.", reason=reason
        )
    message, mend = explained(said)
    if status == 403 and mend is None:
        mend = "Ask who looks after the cluster."
    return Refused(status, message, mend=mend, reason=reason)


def explained(said: str) -> tuple[str, str | None]:
    """A message of the cluster in plain words, and how to mend what it says; other messages as they are.

    It knows a missing permission, an exceeded quota and a broken Pod Security Standard, whether an answer, an
    event or a condition speaks of them.
    """
    if found := _FORBIDDEN.search(said):
        return _forbidden(found)
    if found := _QUOTA.search(said):
        return (
            f"The quota {found['quota']} of the namespace is exceeded: asked for {found['asked']}, "
            f"in use {found['used']}, at most {found['most'].rstrip('.')}.",
            "Raise the quota, take something away, or ask for less cpu and memory.",
        )
    if found := _POD_SECURITY.search(said):
        return (
            f"The namespace's Pod Security Standard {found['level']} forbids the pod: {_line(found['why'])}.",
            "Take what it names out of the runtime's pod_template, or relax the namespace's label.",
        )
    return _sentence(said), None


def _forbidden(found: re.Match[str]) -> tuple[str, str]:
    resource = f"{found['resource']}.{found['group']}" if found["group"] else found["resource"]
    place = f"in the namespace {found['namespace']}" if found["namespace"] else "in the whole cluster"
    return (
        f"{found['user']} may not {found['verb']} {resource} {place}.",
        f"Give it a role with {found['verb']} on {resource}: docs/run-on-kubernetes.md has the whole role.",
    )


def _status_object(body: str | bytes | None) -> Mapping[str, Any]:
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body or ""
    try:
        answer = json.loads(text)
    except ValueError:
        return {"message": _line(text)[:500]}
    return answer if isinstance(answer, dict) else {"message": _line(text)[:500]}


def _line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


def _sentence(text: str) -> str:
    line = _line(text)
    return f"{line}." if line else ""
