"""Runtimes: what there is, how it is, taking it out of use, and removing what nothing needs from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from airlock.cli.output import AsJson, ask, err, print_json, say, table

app = typer.Typer(no_args_is_help=True, help="See where models run, take runtimes out of use, clean them.")

Name = Annotated[str, typer.Argument(help="The runtime's name.")]


@app.command("list")
def list_runtimes(as_json: AsJson = False) -> None:
    """List runtimes with what they are for and how full they are."""
    from airlock.cli.client import connect

    with connect() as api:
        found = api.get("runtimes")
    if as_json:
        print_json(found)
        return
    table(
        ["RUNTIME", "KIND", "STAGES", "SERVICES", "MODES", "IN USE", "STATE"],
        [
            [
                each["name"],
                each["kind"],
                ", ".join(each["stages"]),
                ", ".join(each["services"]),
                ", ".join(each["modes"]),
                f"{each['in_use']} of {each['capacity']}",
                _state(each),
            ]
            for each in found
        ],
    )


@app.command()
def check(name: Name, as_json: AsJson = False) -> None:
    """Ask a runtime whether it can take work now, and hold what is on it against the registry."""
    found = _post(name, "check")
    _show(found, as_json)
    if not as_json:
        _show_contents(found)
    if not found["healthy"]:
        raise typer.Exit(1)


@app.command()
def route(name: Name, as_json: AsJson = False) -> None:
    """Let a runtime's own gateway divide requests as the registry says, for all services in use there."""
    found = _post(name, "route")
    if as_json:
        print_json(found)
    elif not found:
        say(f"No service has traffic on {name}.")
    for each in found if not as_json else ():
        say(f"{each['service']} in {each['stage']}: {each['url']}")
        if each["problem"]:
            err().print(each["problem"], style="red", markup=False)
    if any(each["problem"] for each in found):
        raise typer.Exit(1)


@app.command()
def clean(
    name: Name,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove from a runtime what no live deployment needs; shows it first."""
    found = _post(name, "check")
    if found["unseen"]:
        err().print(f"{name} cannot be asked what is on it: {found['unseen']}", style="red", markup=False)
        raise typer.Exit(1)
    orphans = found["orphans"]
    if not as_json:
        _show_orphans(orphans)
    cleaned: dict[str, Any] = {"removed": [], "failed": []}
    if orphans and not dry_run:
        if not yes:
            ask("Remove this?", as_json=as_json, otherwise="Add --yes to remove, or --dry-run to look.")
        named = [{"kind": each["kind"], "name": each["name"]} for each in orphans]
        cleaned = _post(name, "clean", remove=named)
    if as_json:
        print_json({"orphans": orphans, **cleaned})
    elif not orphans:
        say(f"{name} is clean: nothing is on it that nothing needs.")
    elif dry_run:
        say("Nothing was done.")
    else:
        say(f"Removed: {len(cleaned['removed'])} of {len(orphans)}.")
    for each in cleaned["failed"]:
        err().print(f"{each['name']}: {each['problem']}", style="red", markup=False)
    if cleaned["failed"]:
        raise typer.Exit(1)


@app.command()
def cordon(
    name: Name,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; others see it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Let a runtime take no new work; what runs there goes on."""
    _show(_post(name, "cordon", reason=reason), as_json)


@app.command()
def uncordon(name: Name, as_json: AsJson = False) -> None:
    """Let a runtime take new work again."""
    _show(_post(name, "uncordon"), as_json)


def _post(name: str, act: str, **body: Any) -> Any:
    from airlock.cli.client import connect, segment

    with connect() as api:
        return api.post(f"runtimes/{segment(name)}/{act}", body)


def _show(runtime: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(runtime)
    else:
        say(f"{runtime['name']}: {_state(runtime)}")


def _show_contents(runtime: dict[str, Any]) -> None:
    """What is on a runtime and should not be, and what should be and is not."""
    if runtime["unseen"]:
        err().print(f"Nobody knows what is on it: {runtime['unseen']}", style="yellow", markup=False)
    if runtime["orphans"]:
        say(f"\nNothing needs these any more; `airlock runtime clean {runtime['name']}` removes them:")
        _show_orphans(runtime["orphans"])
    if runtime["drift"]:
        say("\nThese are ready in the registry, but not on the runtime; promote their snapshots again:")
        table(
            ["DEPLOYMENT", "SERVICE", "STAGE", "SNAPSHOT", "STATE", "WHY"],
            [
                [
                    *(each[column] for column in ("deployment", "service", "stage", "snapshot", "state")),
                    _first_line(each["message"]),
                ]
                for each in runtime["drift"]
            ],
        )


def _show_orphans(orphans: Sequence[dict[str, Any]]) -> None:
    if orphans:
        table(
            ["KIND", "NAME", "SINCE", "WHY"],
            [
                [
                    each["kind"],
                    each["name"],
                    (each["since"] or "")[:16].replace("T", " "),
                    _first_line(each["reason"]),
                ]
                for each in orphans
            ],
        )


def _first_line(text: str) -> str:
    return text.partition("\n")[0]


def _state(runtime: dict[str, Any]) -> str:
    if runtime["cordoned"]:
        return f"cordoned by {runtime['cordoned_by']}: {runtime['cordon_reason']}".rstrip(": ")
    return "healthy" if runtime["healthy"] else f"not healthy: {runtime['health_message']}"
