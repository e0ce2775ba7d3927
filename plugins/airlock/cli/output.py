"""What commands print: results on stdout, everything else on stderr, and JSON where a script asks for it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airlock.exceptions import AirlockError, Problem, SpecError

if TYPE_CHECKING:
    from rich.console import Console

USER_ERROR, NOT_REACHABLE = 1, 3
"""Exit codes; 2 is a wrong use of the command line, which typer finds."""


class Unreachable(AirlockError):
    """The server does not answer."""


class ServerRefused(AirlockError):
    """The server answered with an error.

    :param kind: what kind of error, such as ``not_found``.
    :param details: the whole answer.
    """

    def __init__(
        self, message: str, *, mend: str | None, status_code: int, kind: str, details: Mapping[str, Any]
    ) -> None:
        super().__init__(message, mend=mend)
        self.status_code = status_code
        self.kind = kind
        self.details = details


class WrongUse(AirlockError):
    """The command line does not say enough; nothing was done."""


def _remember_json(context: typer.Context, value: bool) -> bool:
    context.find_root().meta["json"] = value
    return value


AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON, for scripts.", callback=_remember_json, is_eager=True)
]


def out() -> Console:
    """For results. Colour only on a terminal, and never with ``NO_COLOR``."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def err() -> Console:
    """For errors, progress and questions."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def ask(question: str, *, as_json: bool, otherwise: str) -> None:
    """Go on only if a person says yes.

    :param otherwise: what to add to the command where nobody is there to ask.
    :raises WrongUse: nobody is there.
    """
    if as_json or not sys.stdin.isatty():
        raise WrongUse("Nobody is there to ask.", mend=otherwise)
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)


def print_json(value: Any) -> None:
    """A result as JSON, indented, one document."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def say(message: str, style: str = "") -> None:
    """One line for a person, on stdout; brackets in it are no markup."""
    out().print(message, style=style, markup=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows for a person: columns wide enough, no lines drawn."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    out().print(drawn)


def show_error(error: AirlockError, *, as_json: bool) -> int:
    """Say what is wrong and how to mend it; returns the exit code."""
    if as_json:
        kind = error.kind if isinstance(error, ServerRefused) else type(error).__name__
        typer.echo(json.dumps({"error": kind, "message": error.message, "mend": error.mend}), err=True)
    else:
        for line in _lines(error):
            err().print(line, style="red", markup=False)
    return NOT_REACHABLE if isinstance(error, Unreachable) else USER_ERROR


def _lines(error: AirlockError) -> Iterable[str]:
    """One line; for files with several mistakes, one for each with its place."""
    if isinstance(error, SpecError) and error.problems:
        return [str(mistake) for mistake in error.problems]
    if isinstance(error, ServerRefused) and error.details.get("problems"):
        return [str(Problem(**{**each, "file": Path(each["file"])})) for each in error.details["problems"]]
    return [str(error)]
