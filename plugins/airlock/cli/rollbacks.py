"""Going back to an earlier version."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from airlock.cli.output import AsJson, print_json, say
from airlock.exceptions import Conflict

SECONDS_TO_GO_BACK = 600.0
"""The server gives a version five minutes to get ready, and each worker of a stream three to follow."""


def rollback(
    service: Annotated[str, typer.Argument(help="The service.")],
    stage: Annotated[str, typer.Option("--stage", help="Where: PROD, say.")],
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why. It goes on the record.")],
    to: Annotated[
        str | None, typer.Option("--to", help="model@3; without it, the last version that is not marked bad.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put an earlier approved version of a service into use again, in seconds, without asking gates.

    Where a new version is being rolled out, that is ended, and the version in use stays. Given again with the
    same reason, it is the same rollback.
    """
    from airlock.cli.client import connect, segment

    path = f"services/{segment(service)}"
    with connect() as api:
        known = [each for each in api.get(f"{path}/rollbacks") if each["stage"] == stage]
        ways = [_as_before(way, known, reason) for way in api.get(f"{path}/ways-back", stage=stage)]
        if to is None:  # ending a rollout is all that is done then
            ways = [way for way in ways if way["rollout_of"] is not None] or ways
        plan = [_step(way, to) for way in _to_leave(ways, to)]
        if not yes:
            for way, target in plan:
                typer.echo(_in_words(way, target), err=True)
            typer.confirm("Do this?", abort=True, err=True)
        done: list[dict[str, Any]] = []
        for way, target in plan:
            if target is None:
                address, wanted = f"{path}/rollout-ends", {"stage": stage, "reason": reason}
            else:
                address, wanted = f"{path}/rollbacks", {"stage": stage, "reason": reason}
                wanted |= {"mode": way["mode"], "from": way["in_use"], "to": target}
            done.append(api.post_and_wait(address, wanted, seconds=SECONDS_TO_GO_BACK))
    if as_json:
        print_json(done)
        return
    for way, target in plan:
        say(f"{target or way['in_use']} is in use in {stage} ({way['mode']}).")


def _as_before(way: dict[str, Any], known: list[dict[str, Any]], reason: str) -> dict[str, Any]:
    """The same way once more where this command has been given before, and was done meanwhile.

    Whoever got no answer repeats it, and does not want to leave the version that it kept or went back to.
    """
    if way["rollout_of"] is not None:
        return way
    ended = way["ended_rollout"]
    if ended is not None and ended["reason"].endswith(f": {reason}"):
        return {**way, "rollout_of": ended["of"]}
    last = next((each for each in known if each["mode"] == way["mode"]), None)
    if last is None:
        return way
    if (last["outcome"], last["reason"], last["to"]) != ("done", reason, way["in_use"]):
        return way
    return {**way, "in_use": last["left"], "targets": [last["to"], *way["targets"]]}


def _to_leave(ways: list[dict[str, Any]], to: str | None) -> list[dict[str, Any]]:
    """Those ways whose version is to be left.

    What one mode goes back to is not left in the other: the bad version has not come into use there yet, or
    a command that was interrupted has been there.
    """
    goals = {to or next(iter(way["targets"]), None) for way in ways}
    return [way for way in ways if way["in_use"] not in goals] or ways


def _step(way: dict[str, Any], to: str | None) -> tuple[dict[str, Any], str | None]:
    """A way back and the version to go to; ``None`` where a rollout is ended and nothing else."""
    if way["rollout_of"] is not None and to is None:
        return way, None
    if to is None and not way["targets"]:
        raise Conflict(
            f"There is no earlier version of {way['service']} in {way['stage']} ({way['mode']}) "
            "that is not marked bad."
        )
    return way, to or way["targets"][0]


def _in_words(way: dict[str, Any], target: str | None) -> str:
    where = f"{way['service']} in {way['stage']} ({way['mode']})"
    if target is None:
        return f"{where}: the rollout of {way['rollout_of']} ends, {way['in_use']} stays."
    return f"{where}: from {way['in_use']} back to {target}."
