"""Waiting for what was deleted to be gone: a while, not for ever."""

from __future__ import annotations

import time

from airlock.exceptions import AdapterError
from airlock.runtimes.kubernetes.cluster import Cluster, Kind

SECONDS_TO_GO = 90.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


def wait_until_gone(cluster: Cluster, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
    """Return once an object, with all that it owns, is no longer there, or is another one of its name.

    :raises AdapterError: it does not go.
    """
    end, pause = time.monotonic() + SECONDS_TO_GO, _FIRST_PAUSE
    while (found := cluster.get(kind, namespace, name)) is not None and found["metadata"]["uid"] == uid:
        if time.monotonic() > end:
            raise AdapterError(
                f"The {kind.name} {namespace}/{name} was deleted, but it is still there after "
                f"{SECONDS_TO_GO:.0f} s.",
                mend="Try again; if it stays, look at its finalizers and at the pods that it owns.",
            )
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
