"""The packages of a stream: a snapshot's locked environment, and what the mode ``stream`` needs beside it.

They are put where a snapshot is deployed as a stream and nowhere else, pinned and with hashes as all others.
"""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from airlock.exceptions import AdapterError
from airlock.snapshots.requirements import read_requirements

REQUIREMENTS = "kafka.in"
LOCK = "kafka.lock"

_PINNED = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;\\]+)")


def with_stream_packages(lock: str, host_source: Path) -> str:
    """A snapshot's lock with the packages of a stream.

    Those that the snapshot has itself stay what they are: what was tested is what runs.

    :param lock: the text of the snapshot's lock.
    :param host_source: the folder of the ``airlock-host`` project.
    :raises AdapterError: the snapshot has one of them in a version that the host cannot use, or the host's
        own lock is missing.
    """
    try:
        entries = _entries((host_source / LOCK).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise AdapterError(f"The lock of the mode stream is missing: {host_source / LOCK}.") from error
    own = dict(_versions(lock))
    for line in read_requirements(host_source, REQUIREMENTS):
        wanted = Requirement(line)
        version = own.get(canonicalize_name(wanted.name))
        if version is not None and not wanted.specifier.contains(version, prereleases=True):
            raise AdapterError(
                f"The snapshot's environment has {wanted.name} {version}, and a stream needs {wanted}.",
                mend="Change the model's requirements to fit, and make a new snapshot.",
            )
    added = [entry for name, entry in entries if name not in own]
    return "\n".join([lock.rstrip("\n"), *added, ""])


def _entries(lock: str) -> list[tuple[str, str]]:
    """Each package of a lock by its name, with its hashes."""
    joined = re.sub(r"\\\n\s*", " ", lock)
    found = ((_PINNED.match(line), line) for line in joined.splitlines())
    return [(canonicalize_name(match["name"]), line) for match, line in found if match is not None]


def _versions(lock: str) -> list[tuple[str, Version]]:
    matches = (_PINNED.match(line) for line in lock.splitlines())
    return [(canonicalize_name(found["name"]), Version(found["version"])) for found in matches if found]
