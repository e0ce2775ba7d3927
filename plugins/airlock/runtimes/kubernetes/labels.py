"""Names, labels and annotations of objects: by them everything is found again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from airlock.exceptions import AdapterError

MANAGED_BY = "app.kubernetes.io/managed-by"
AIRLOCK = "airlock"
RUNTIME = "airlock/runtime"
ROLE = "airlock/role"
DEPLOYMENT = "airlock/deployment"
JOB = "airlock/job"
DIGEST = "airlock/digest"
MODE = "airlock/mode"
IMAGE = "airlock/image"
ATTEMPT = "airlock/attempt"
STREAM = "airlock/stream"
"""Which version of its Secret a pod was woken for."""
CANCELLED = "airlock/cancelled"

ROLE_RECORD = "deployment"
"""The record of a deployment, which owns everything that belongs to it."""
ROLE_SERVER = "server"
ROLE_JOB = "job"
ROLE_ROUTE = "route"

LONGEST_NAME = 45
"""Pods are called like what makes them, with up to 18 characters more; a label holds 63."""

_LONGEST_LABEL = 63
_HASH = 10
_GIVEN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+=~-]{0,149}")
_OBJECT_NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")


def object_name(name: str, *, longest: int = LONGEST_NAME) -> str:
    """What the objects of a deployment or job are called: its own name where Kubernetes takes it.

    :raises AdapterError: nothing can be called so.
    """
    if not _GIVEN_NAME.fullmatch(name):
        raise AdapterError(
            f"{name!r} cannot be the name of a deployment or job.",
            mend="Use at most 150 letters, digits and . _ - + = @ ~, beginning with a letter or digit.",
        )
    if len(name) <= longest and _OBJECT_NAME.fullmatch(name):
        return name
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not plain[:1].isalpha():
        plain = f"a-{plain}"
    return f"{plain[: longest - _HASH - 1].rstrip('-')}-{_hash(name)}"


def label(value: str) -> str:
    """A value as a label can hold it; the whole value is kept as an annotation of the same name."""
    if _LABEL.fullmatch(value):
        return value
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", value).strip("-_.")
    return f"{plain[: _LONGEST_LABEL - _HASH - 1].rstrip('-_.')}-{_hash(value)}".lstrip("-")


def labels_of(values: Mapping[str, str], *, runtime: str, role: str) -> dict[str, str]:
    """The labels of an object.

    :param values: full names of labels and what they say.
    """
    said = {key: label(value) for key, value in values.items()}
    return {**said, MANAGED_BY: AIRLOCK, RUNTIME: label(runtime), ROLE: role}


def selector(runtime: str, role: str) -> str:
    """Finds all objects of a runtime that play a role."""
    return f"{MANAGED_BY}={AIRLOCK},{RUNTIME}={label(runtime)},{ROLE}={role}"


def is_ours(item: Mapping[str, Any]) -> bool:
    """Whether Airlock made an object."""
    return bool(item["metadata"].get("labels", {}).get(MANAGED_BY) == AIRLOCK)


def annotation(item: Mapping[str, Any], key: str) -> str:
    """What an annotation of an object says; empty if it has none of that name."""
    return str(item["metadata"].get("annotations", {}).get(key, ""))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH]
