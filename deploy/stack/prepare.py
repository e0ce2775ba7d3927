"""Makes the stack ready, before Airflow starts: databases, first users, the artifact store's bucket.

Everything is safe to repeat: what is there stays as it is, so a password that a person changed stays changed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

ROLES = ("Admin", "Op", "User", "Viewer")
SECONDS_FOR_THE_STORE = 120.0


class CannotPrepare(Exception):
    """What is wrong, for whoever reads the log."""


@dataclass(frozen=True)
class FirstUser:
    """Somebody who can log in from the start.

    :param role: ``Admin``, ``Op``, ``User`` or ``Viewer``.
    """

    name: str
    role: str
    password: str


def first_users(text: str) -> Iterator[FirstUser]:
    """Read ``ada:Admin:password rita:User:password``.

    :raises CannotPrepare: it is not written so.
    """
    for number, entry in enumerate(text.split(), start=1):
        name, _, rest = entry.partition(":")
        role, _, password = rest.partition(":")
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name) or role not in ROLES or not password:
            raise CannotPrepare(
                f"User {number} in FIRST_USERS is not written NAME:ROLE:PASSWORD, with one of the roles "
                f"{', '.join(ROLES)}."
            )
        yield FirstUser(name, role, password)


def add_users(users: Iterator[FirstUser]) -> None:
    """Add those users to Airflow that it does not have."""
    from airflow.providers.fab.auth_manager.cli_commands import utils  # type: ignore[import-not-found,import-untyped,unused-ignore]

    with utils.get_application_builder() as builder:
        people = builder.sm
        for user in users:
            if people.find_user(user.name):
                say(f"User {user.name}: there.")
                continue
            role = people.find_role(user.role)
            added = people.add_user(
                user.name, user.name.capitalize(), "", f"{user.name}@localhost", role, user.password
            )
            if not added:
                raise CannotPrepare(f"Airflow did not take the user {user.name}; its lines above say why.")
            say(f"User {user.name}: added, {user.role}.")


def artifact_store() -> str:
    """Where Airlock keeps the files of snapshots, as its configuration says."""
    from airlock.orchestration.configuration import load_settings

    return load_settings().artifact_store


def make_bucket(url: str) -> None:
    """Make the bucket of an ``s3://bucket/folder``, once the store answers; other stores need none.

    :raises CannotPrepare: it does not answer in time, or refuses.
    """
    scheme, _, rest = url.partition("://")
    if scheme != "s3":
        return
    from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped,unused-ignore]
    from s3fs import S3FileSystem  # type: ignore[import-untyped,unused-ignore]

    bucket = rest.partition("/")[0]
    deadline = time.monotonic() + SECONDS_FOR_THE_STORE
    while True:
        # It is asked again below: this is quicker, and says what is wrong in time.
        patience = {"connect_timeout": 5, "retries": {"max_attempts": 1}}
        store = S3FileSystem(skip_instance_cache=True, config_kwargs=patience)
        store.retries = 1
        try:
            if store.exists(bucket):
                say(f"Bucket {bucket}: there.")
                return
            store.mkdir(bucket)
            say(f"Bucket {bucket}: made.")
            return
        except PermissionError as error:
            raise CannotPrepare(f"The object store refuses {bucket}: {error}") from error
        except (OSError, BotoCoreError) as error:
            if time.monotonic() >= deadline:
                raise CannotPrepare(f"The object store does not answer: {error}") from error
            time.sleep(1)


def run(*command: str) -> None:
    """Run a program to its end.

    :raises CannotPrepare: it failed.
    """
    say(" ".join(command))
    if subprocess.run(command, check=False).returncode != 0:
        raise CannotPrepare(f"{' '.join(command)} failed; its lines above say why.")


def say(line: str) -> None:
    """A line of the log."""
    print(line, flush=True)


def main() -> int:
    """Prepare everything; returns the exit code."""
    try:
        users = list(first_users(os.environ["FIRST_USERS"]))
        run("airflow", "db", "migrate")
        run("airlock", "db", "migrate")
        add_users(iter(users))
        make_bucket(artifact_store())
    except CannotPrepare as error:
        print(f"Not ready: {error}", file=sys.stderr, flush=True)
        return 1
    say("Ready.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
