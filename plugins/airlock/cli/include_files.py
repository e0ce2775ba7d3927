"""Applying ``include/``: the difference is shown before anything is done."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from airlock.cli.output import AsJson, ask, err, out, print_json, say

_FOLDERS = ("lifecycles", "services", "runtimes", "policies")
_SIGNS = {"add": ("+", "green"), "change": ("~", "yellow"), "remove": ("-", "red")}


def apply(
    folder: Annotated[
        Path, typer.Argument(help="The folder with lifecycles/, services/, …", exists=True, file_okay=False)
    ] = Path("include"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Register life cycles, services, runtimes and policies; shows the difference first."""
    from airlock.cli.client import connect
    from airlock.spec import load_include

    load_include(folder)  # finds every mistake here, with paths as they are on this machine
    files = {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in _yaml(folder)}
    with connect() as api:
        planned = api.post("apply", {"files": files, "dry_run": True})
        changes = [change for change in planned["changes"] if change["action"] != "same"]
        if not as_json:
            _show(changes, planned["warnings"])
        if changes and not dry_run:
            if not yes:
                ask("Apply this?", as_json=as_json, otherwise="Add --yes to apply, or --dry-run to look.")
            planned = api.post("apply", {"files": files, "dry_run": False})
    if as_json:
        print_json(planned)
    elif changes:
        say("Nothing was done." if dry_run else _count(changes))


def _yaml(folder: Path) -> Iterator[Path]:
    for inner in _FOLDERS:
        yield from sorted((folder / inner).glob("*.yaml"))


def _show(changes: list[dict[str, Any]], warnings: list[str]) -> None:
    for warning in warnings:
        err().print(f"warning: {warning}", style="yellow", markup=False)
    if not changes:
        say("Nothing changes: the registry says what the files say.")
    for change in changes:
        sign, style = _SIGNS[change["action"]]
        note = f"  ({change['note']})" if change["note"] else ""
        say(f"{sign} {change['kind']} {change['name']}{note}", style=style)
        if change["action"] == "change":
            for line in _difference(change["before"], change["after"]):
                out().print(f"    {line}", style=_line_style(line), markup=False)


def _difference(before: Any, after: Any) -> list[str]:
    import yaml

    old, new = (yaml.safe_dump(each, sort_keys=False, allow_unicode=True) for each in (before, after))
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1)
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def _line_style(line: str) -> str:
    return {"+": "green", "-": "red"}.get(line[:1], "dim")


def _count(changes: list[dict[str, Any]]) -> str:
    counts = [
        (word, sum(change["action"] == action for change in changes)) for action, word in _WORDS.items()
    ]
    return f"Applied: {', '.join(f'{count} {word}' for word, count in counts if count)}."


_WORDS = {"add": "added", "change": "changed", "remove": "removed"}
