"""Runs the commands of the documentation, so that they stay true.

A ``console`` block holds commands behind the prompt of a person, ``rita$ airlock gates``; other lines are
what they print. A ``yaml``, ``python`` or ``text`` block whose first line is a comment with a path is a file
that its commands need.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "docs/snapshot-a-model.md",
    "docs/write-a-life-cycle.md",
    "docs/approve.md",
    "docs/add-a-runtime.md",
    "docs/serve-online.md",
    "docs/schedule-batch-scoring.md",
    "docs/roll-back.md",
)
"""In the order in which a newcomer reads them."""

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMPT = re.compile(r"^(?P<person>[a-z]+)\$ (?P<command>.+)$", re.MULTILINE)
_FILE_NAME = re.compile(r"^# (?P<path>[\w./-]+/[\w.-]+\.(yaml|py|txt))\n")


class CommandFailed(Exception):
    """A command of the documentation does not do what the page says."""


@dataclass(frozen=True)
class Block:
    """A fenced block.

    :param line: of its first fence, counted from 1.
    """

    page: str
    line: int
    language: str
    body: str


@dataclass(frozen=True)
class Command:
    """One command and whose it is."""

    place: str
    person: str
    line: str


def blocks(page: str) -> Iterator[Block]:
    """The fenced blocks of a page, from top to bottom."""
    text = (PROJECT / page).read_text(encoding="utf-8")
    for fence in _FENCE.finditer(text):
        line = text.count("\n", 0, fence.start()) + 1
        yield Block(page, line, fence["language"], fence["body"])


def commands(page: str) -> list[Command]:
    """The commands of a page's ``console`` blocks."""
    return [
        Command(f"{page}:{block.line}", prompt["person"], prompt["command"])
        for block in blocks(page)
        if block.language == "console"
        for prompt in _PROMPT.finditer(block.body)
    ]


def files(page: str) -> dict[str, str]:
    """The files that a page shows, by their path in the project."""
    return {name["path"]: block.body for block in blocks(page) if (name := _FILE_NAME.match(block.body))}


def run_pages(
    url: str,
    passwords: Mapping[str, str],
    environment: Mapping[str, str],
    scratch: Path,
    *,
    pages: Sequence[str] = PAGES,
    patience: float = 180,
) -> None:
    """Run every command of the documentation against a running Airflow, in order.

    A command that fails is tried again: what it needs may still be under way, as a reader would find too.

    :param passwords: by person.
    :param environment: of the commands; ``PATH`` must lead to ``airlock`` and ``airflow``.
    :param scratch: a folder in which logins are stored.
    :param patience: seconds until a failing command counts as wrong.
    :raises CommandFailed: with the page, the command and what it printed.
    """
    with ExitStack() as written:
        for page in pages:
            written.enter_context(_written(files(page)))
            for command in commands(page):
                login = {
                    "AIRLOCK_URL": url,
                    "AIRLOCK_USERNAME": command.person,
                    "AIRLOCK_PASSWORD": passwords[command.person],
                    "XDG_CONFIG_HOME": str(scratch / command.person),
                }
                run_command(command, {**environment, **login}, patience)


@contextmanager
def _written(contents: Mapping[str, str]) -> Iterator[None]:
    """Write files into the project, and remove them afterwards with the folders that they needed."""
    for name in contents:
        if (PROJECT / name).exists():
            raise CommandFailed(f"{name} exists already, and the documentation would write over it.")
    needed = {folder for name in contents for folder in (PROJECT / name).parents if not folder.exists()}
    try:
        for name, body in contents.items():
            (PROJECT / name).parent.mkdir(parents=True, exist_ok=True)
            (PROJECT / name).write_text(body, encoding="utf-8")
        yield
    finally:
        for name in contents:
            (PROJECT / name).unlink(missing_ok=True)
        for folder in sorted(needed, reverse=True):
            for left_behind in folder.glob("*.lock"):
                left_behind.unlink()
            folder.rmdir()


def run_command(command: Command, environment: Mapping[str, str], patience: float) -> None:
    """Run one command until it succeeds.

    :raises CommandFailed: it has not within ``patience`` seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        done = subprocess.run(
            command.line,
            shell=True,
            cwd=PROJECT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return
        if time.monotonic() > deadline:
            raise CommandFailed(
                f"{command.place}: {command.person}$ {command.line}\n{done.stdout}\n{done.stderr}"
            )
        time.sleep(1)
