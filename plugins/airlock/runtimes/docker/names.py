"""Names of containers: they follow from what they are for, so that everyone finds the same one."""

from __future__ import annotations

import hashlib
import re

_LONGEST = 63  # a label of a DNS name
_DIGITS = 10


def container_name(project: str, runtime: str, deployment: str | None, job: str | None = None) -> str:
    """The name of the container of a deployment, or of a job in it or in the checks environment.

    It can be read, is a valid host name, and is never that of anything else: what cannot be told apart in its
    readable part differs in the digits at its end.
    """
    parts = (project, runtime, deployment or "", job or "")
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_DIGITS]
    readable = re.sub(r"[^a-z0-9]+", "-", "-".join((project, runtime, job or deployment or "")).lower())
    return f"{readable.strip('-')[: _LONGEST - _DIGITS - 1].rstrip('-')}-{key}"
