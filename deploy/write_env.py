"""Writes .env from .env.example, with a random secret wherever one is missing. An .env that exists is kept.

    python3 deploy/write_env.py [NAME=VALUE …]

Needs nothing but Python. Values on the command line come before those of the example.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


def _password() -> str:
    return secrets.token_hex(20)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _cluster_id() -> str:
    # Kafka's tools take a name that begins with "-" for an option.
    return "k" + base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")[1:]


def _docker_group() -> str:
    try:
        return str(os.stat("/var/run/docker.sock").st_gid)
    except FileNotFoundError:
        return ""


MISSING: dict[str, Callable[[], str]] = {
    "DOCKER_GROUP_ID": _docker_group,
    "FERNET_KEY": _fernet_key,
    "KAFKA_CLUSTER_ID": _cluster_id,
}


def filled_in(example: str, given: Mapping[str, str]) -> str:
    """The text of an .env: the example with secrets where they are empty, and with other values if given."""
    rest = dict(given)
    lines = []
    for line in example.splitlines():
        setting = re.fullmatch(r"(#?)([A-Z0-9_]+)=(.*)", line)
        if setting is None:
            lines.append(line)
        elif (name := setting[2]) in rest:
            lines.append(f"{name}={rest.pop(name)}")
        elif setting[1]:
            lines.append(line)
        elif name == "FIRST_USERS":
            lines.append(f"{name}={_with_passwords(setting[3])}")
        else:
            lines.append(f"{name}={setting[3] or MISSING.get(name, _password)()}")
    return "\n".join([*lines, *(f"{name}={value}" for name, value in rest.items())]) + "\n"


def _with_passwords(users: str) -> str:
    entries = users.strip('"').split()
    complete = [entry if entry.count(":") > 1 else f"{entry}:{_password()}" for entry in entries]
    return f'"{" ".join(complete)}"'


def main() -> int:
    """Write the file; returns the exit code."""
    path = PROJECT / ".env"
    given = dict(argument.split("=", 1) for argument in sys.argv[1:])
    try:
        # Readable for its owner only, from the first byte on.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        print(f"{path} exists: nothing is changed. Compare it with .env.example after an upgrade.")
        return 0
    with os.fdopen(handle, "w") as file:
        file.write(filled_in((PROJECT / ".env.example").read_text(), given))
    print(f"{path} is written. FIRST_USERS holds the first logins; look through the rest of it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
