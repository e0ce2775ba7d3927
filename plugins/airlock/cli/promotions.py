"""Sending a snapshot on its way, watching it, and seeing where a service runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airlock.cli.output import AsJson, err, out, print_json, say, table
from airlock.exceptions import AirlockError

if TYPE_CHECKING:
    from rich.table import Table

    from airlock.cli.client import Api

SECONDS_BETWEEN_LOOKS = 1.0

SECONDS_FOR_THE_OUTCOME = 30.0
"""How long the registry may take to learn of a run that Airflow has ended by itself."""

_SIGNS = {
    "ahead": ("·", "dim"),
    "under way": ("▸", "cyan"),
    "asking": ("?", "yellow"),
    "passed": ("✓", "green"),
    "stopped": ("✗", "red"),
}
_CHECK_STYLES = {"pass": "green", "warn": "yellow", "inconclusive": "yellow"}

Service = Annotated[str, typer.Option("--service", "-s", help="The service that it is to serve.")]


class PassageEnded(AirlockError):
    """A passage that was waited for did not come through."""


def promote(
    snapshot: Annotated[str, typer.Argument(help="model@3, model (its newest) or sha256:…")],
    service: Service,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Watch it until it ends.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start a snapshot's passage through the stages of a service, as a DAG run."""
    from airlock.cli.client import connect, segment

    with connect() as api:
        status, run = api.post_for_status(f"services/{segment(service)}/promotions", {"snapshot": snapshot})
        if not as_json:
            say(run["url"])
            _remark(run, started=status == 201)
        view = _watch(api, run, as_json) if wait else None
    if as_json:
        print_json({**run, "created": status == 201} if view is None else view)
    if view is not None and view["passage"]["outcome"] != "completed":
        passage = view["passage"]
        raise PassageEnded(
            f"{passage['snapshot_name']} goes no further, {passage['outcome']}: {passage['reason']}"
        )


def where(
    service: Annotated[str, typer.Argument(help="The service.")],
    at: Annotated[
        str | None, typer.Option("--at", help="A moment in the past, such as 2026-03-31T12:00Z.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show where a service runs, or ran: stage, mode, runtime, version, and who approved."""
    from airlock.cli.client import connect, segment

    with connect() as api:
        rows = api.get(f"services/{segment(service)}/where", at=at)
    if as_json:
        print_json(rows)
        return
    if not rows:
        say(f"{service} runs nowhere." if at is None else f"{service} ran nowhere at {at}.")
        return
    table(
        ["STAGE", "MODE", "RUNTIME", "VERSION", "STATE", "SINCE", "APPROVED BY", "ENDPOINT"],
        [
            [
                row["stage"],
                row["mode"],
                row["runtime"] or "",
                row["snapshot_name"],
                row["state"] + ("" if row["current"] else " (not current)"),
                row["since"][:16].replace("T", " "),
                ", ".join(row["approved_by"]),
                row["url"]
                or " ".join(
                    endpoint.get("url", "") for endpoint in row["endpoints"] if endpoint["kind"] != "metrics"
                ),
            ]
            for row in rows
        ],
    )


def _remark(run: dict[str, Any], *, started: bool) -> None:
    if not started:
        say(f"{run['snapshot_name']} is under way already: run {run['run_id']}.")
    if run["paused"]:
        err().print(
            f"The DAG {run['service']} is paused: unpause it in Airflow, or nothing begins.", style="yellow"
        )


def _watch(api: Api, run: dict[str, Any], quiet: bool) -> dict[str, Any]:
    """Follow a run until its passage has an outcome; returns the passage."""
    from rich.live import Live

    if quiet or not sys.stderr.isatty():
        return _follow(api, run, (lambda view: None) if quiet else _Lines())
    with Live(console=err(), refresh_per_second=4, transient=True) as live:
        view = _follow(api, run, lambda view: live.update(_drawn(view)))
    out().print(_drawn(view))
    return view


def _follow(api: Api, run: dict[str, Any], show: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    from airlock.cli.client import segment

    ended_at: float | None = None
    while True:
        run = api.get(f"services/{segment(run['service'])}/runs/{segment(run['run_id'])}")
        if run["passage_id"]:
            view: dict[str, Any] = api.get(f"passages/{segment(run['passage_id'])}")
            show(view)
            if view["passage"]["state"] == "finished":
                return view
        if run["state"] in ("success", "failed", None):
            ended_at = ended_at or time.monotonic()
            if time.monotonic() - ended_at > SECONDS_FOR_THE_OUTCOME:
                raise PassageEnded(
                    f"Airflow ended run {run['run_id']} ({run['state'] or 'deleted'}) without an outcome.",
                    mend=f"Its logs say why: {run['url']}",
                )
        time.sleep(SECONDS_BETWEEN_LOOKS)


class _Lines:
    """Progress where no terminal is: a line whenever a stage changes."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def __call__(self, view: dict[str, Any]) -> None:
        for stage in view["stages"]:
            text = _stage_in_words(stage)
            if stage["state"] != "ahead" and self._seen.get(stage["name"]) != text:
                self._seen[stage["name"]] = text
                err().print(text, markup=False)


def _stage_in_words(stage: dict[str, Any]) -> str:
    checks = ", ".join(f"{check['name']} {check['status']}" for check in stage["checks"])
    return f"{stage['name']}: {stage['state']}" + (f" ({checks})" if checks else "")


def _drawn(view: dict[str, Any]) -> Table:
    from rich.table import Table
    from rich.text import Text

    passage = view["passage"]
    drawn = Table(
        box=None,
        pad_edge=False,
        title=f"{passage['snapshot_name']} for {passage['service']}",
        title_justify="left",
    )
    for column in ("", "STAGE", "", "CHECKS", "RUNTIME", "ENTRY DECIDED BY"):
        drawn.add_column(column)
    for stage in view["stages"]:
        sign, style = _SIGNS[stage["state"]]
        checks = Text(" ").join(
            Text(check["name"], style=_CHECK_STYLES.get(check["status"], "red")) for check in stage["checks"]
        )
        runtimes = ", ".join(dict.fromkeys(each["runtime"] for each in stage["deployments"]))
        people = ", ".join(
            f"{each['user']} ({each['verdict']})"
            for each in stage["decisions"]
            if each["state"] == "accepted"
        )
        words = "asks people" if stage["state"] == "asking" else stage["state"]
        drawn.add_row(
            Text(sign, style=style),
            Text(stage["name"], style=style),
            Text(words, style=style),
            checks,
            runtimes,
            people,
        )
    return drawn
