"""Approving, rejecting, and seeing what waits for a word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from airlock.cli.output import AsJson, WrongUse, print_json, say, table

if TYPE_CHECKING:
    from airlock.cli.client import Api

What = Annotated[str, typer.Argument(help="A passage's id, or a snapshot that waits at a gate: model@3.")]
Stage = Annotated[
    str | None, typer.Option("--stage", help="The stage to be entered; may be left out where only one asks.")
]
Service = Annotated[
    str | None, typer.Option("--service", "-s", help="For a snapshot that waits in several services.")
]
Comment = Annotated[str, typer.Option("--comment", "-c", help="Why; it stands in the ledger for ever.")]


def gates(
    every: Annotated[bool, typer.Option("--all", help="Also those where your word would not count.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show gates that wait for you."""
    from airlock.cli.client import connect

    with connect() as api:
        found = api.get("gates", mine=not every)
    if as_json:
        print_json(found)
        return
    if not found:
        say("Nothing waits." if every else "Nothing waits for you.")
        return
    table(
        ["PASSAGE", "SNAPSHOT", "SERVICE", "INTO", "REQUESTED BY", "MISSING", "UNTIL", "YOU"],
        [
            [
                each["passage_id"],
                each["snapshot_name"],
                each["service"],
                each["stage"],
                each["requested_by"],
                _missing(each),
                (each["expires_at"] or "")[:16].replace("T", " "),
                each["why_not_you"] or "may approve",
            ]
            for each in found
        ],
    )


def approve(
    what: What, stage: Stage = None, service: Service = None, comment: Comment = "", as_json: AsJson = False
) -> None:
    """Approve a snapshot's entry into a stage."""
    _decide("approve", what, stage, service, comment, as_json)


def reject(
    what: What, stage: Stage = None, service: Service = None, comment: Comment = "", as_json: AsJson = False
) -> None:
    """Reject a snapshot's entry into a stage; this ends its passage."""
    _decide("reject", what, stage, service, comment, as_json)


def _decide(
    verdict: Literal["approve", "reject"],
    what: str,
    stage: str | None,
    service: str | None,
    comment: str,
    as_json: bool,
) -> None:
    from airlock.cli.client import connect, segment

    with connect() as api:
        passage, into = _find(api, what, stage, service)
        found = api.post(
            f"passages/{segment(passage)}/decisions", {"stage": into, "verdict": verdict, "comment": comment}
        )
    if as_json:
        print_json(found)
        return
    done = "Approved" if verdict == "approve" else "Rejected"
    still = f" Still missing: {_missing(found)}." if verdict == "approve" and found["missing"] else ""
    say(f"{done}: {what} into {into}, by {found['decision']['user']}.{still}")


def _find(api: Api, what: str, stage: str | None, service: str | None) -> tuple[str, str]:
    """The passage and the stage that are meant.

    A passage with its stage is taken as it is, so that a decision can be given before its gate asks.
    """
    waiting = [
        each
        for each in api.get("gates")
        if what in (each["passage_id"], each["snapshot_name"])
        and stage in (None, each["stage"])
        and service in (None, each["service"])
    ]
    if len(waiting) == 1:
        return waiting[0]["passage_id"], waiting[0]["stage"]
    if len(waiting) > 1:
        places = ", ".join(f"{each['service']} into {each['stage']}" for each in waiting)
        raise WrongUse(
            f"{what} waits at several gates: {places}.", mend="Name one with --service and --stage."
        )
    if stage is not None and "@" not in what:
        return what, stage
    into = f" into {stage}" if stage else ""
    raise WrongUse(f"No gate asks about {what}{into}.", mend="`airlock gates --all` shows what waits.")


def _missing(view: dict[str, Any]) -> str:
    return "; ".join(
        f"{each['role']} ({', '.join(each['candidates']) or 'nobody'})" for each in view["missing"]
    )
