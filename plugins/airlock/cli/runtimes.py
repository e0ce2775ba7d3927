"""Runtimes: what there is, how it is, and taking it out of use."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from airlock.cli.output import AsJson, print_json, say, table

app = typer.Typer(no_args_is_help=True, help="See where models run, and take runtimes out of use.")

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
    """Ask a runtime whether it can take work now."""
    found = _post(name, "check")
    _show(found, as_json)
    if not found["healthy"]:
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


def _post(name: str, act: str, **body: Any) -> dict[str, Any]:
    from airlock.cli.client import connect, segment

    with connect() as api:
        found: dict[str, Any] = api.post(f"runtimes/{segment(name)}/{act}", body)
    return found


def _show(runtime: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(runtime)
    else:
        say(f"{runtime['name']}: {_state(runtime)}")


def _state(runtime: dict[str, Any]) -> str:
    if runtime["cordoned"]:
        return f"cordoned by {runtime['cordoned_by']}: {runtime['cordon_reason']}".rstrip(": ")
    return "healthy" if runtime["healthy"] else f"not healthy: {runtime['health_message']}"
