"""The ledger: what was done, and the proof that nobody changed it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from airlock.cli.output import AsJson, WrongUse, print_json, say, table

app = typer.Typer(no_args_is_help=True, help="Read the ledger, and prove that nobody changed it.")


@app.command()
def verify(
    head: Annotated[
        str | None,
        typer.Option(help="COUNT:HASH as an earlier run printed it: the ledger must still contain it."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at every row of the ledger; names those that were changed, removed or inserted."""
    from airlock.cli.client import connect

    count, expected_hash = _parse(head)
    with connect() as api:
        found = api.get("audit/verify", expected_count=count, expected_hash=expected_hash)
    if as_json:
        print_json(found)
    elif found["ok"]:
        say(f"The ledger is whole: {found['head']['count']} rows.")
        say(f"Keep this elsewhere: --head {found['head']['count']}:{found['head']['hash']}")
    else:
        for problem in found["problems"]:
            say(f"row {problem['number']} {problem['kind']}: {problem['message']}", style="red")
    if not found["ok"]:
        raise typer.Exit(1)


@app.command()
def log(
    subject: Annotated[str | None, typer.Option(help="Only about this: a passage's id, a name.")] = None,
    event: Annotated[str | None, typer.Option(help="Only this event, or those that begin so.")] = None,
    after: Annotated[int, typer.Option(help="Only rows numbered above this.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    as_json: AsJson = False,
) -> None:
    """Print rows of the ledger."""
    from airlock.cli.client import connect

    with connect() as api:
        found = api.get("audit/entries", subject=subject, event=event, after=after, limit=limit)
    if as_json:
        print_json(found)
        return
    table(
        ["ROW", "AT", "WHO", "EVENT", "ABOUT", "DETAILS"],
        [
            [
                str(each["number"]),
                each["at"][:19].replace("T", " "),
                each["actor"],
                each["event"],
                each["subject"],
                json.dumps(each["details"], ensure_ascii=False)[:120],
            ]
            for each in found
        ],
    )


def _parse(head: str | None) -> tuple[int | None, str | None]:
    if head is None:
        return None, None
    count, colon, expected_hash = head.partition(":")
    if not colon or not count.isdecimal():
        raise WrongUse(f"{head!r} is not COUNT:HASH.", mend="Give what `airlock audit verify` printed.")
    return int(count), expected_hash
