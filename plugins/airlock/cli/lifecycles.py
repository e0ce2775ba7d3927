"""Checking and drawing life cycles; everything here works without a server."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from airlock.cli.output import AsJson, err, print_json, say

app = typer.Typer(no_args_is_help=True, help="Check and draw life cycles, without a server.")

Include = Annotated[
    Path, typer.Argument(help="The folder with lifecycles/, services/, …", exists=True, file_okay=False)
]


class Format(StrEnum):
    """How a life cycle is drawn."""

    SVG = "svg"
    MERMAID = "mermaid"


@app.command()
def validate(folder: Include = Path("include"), as_json: AsJson = False) -> None:
    """Check every file under include/; names each mistake with file, line and how to mend it."""
    from airlock.spec import load_include

    include = load_include(folder)
    warnings = [str(warning) for warning in include.warnings]
    counts = {
        "lifecycles": len(include.lifecycles),
        "services": len(include.services),
        "runtimes": len(include.runtimes),
        "policies": len(include.policies),
    }
    if as_json:
        print_json({**counts, "warnings": warnings})
        return
    for warning in warnings:
        err().print(f"warning: {warning}", style="yellow", markup=False)
    say(f"Everything is as it must be: {', '.join(f'{count} {kind}' for kind, count in counts.items())}.")


@app.command()
def render(
    name: Annotated[str, typer.Argument(help="The life cycle, or the service that follows one.")],
    format: Annotated[
        Format, typer.Option("--format", "-f", help="A picture, or Mermaid text.")
    ] = Format.SVG,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; otherwise stdout.")] = None,
    include: Annotated[
        Path, typer.Option(help="The folder with lifecycles/, services/, …", exists=True, file_okay=False)
    ] = Path("include"),
) -> None:
    """Draw the DAG that a life cycle becomes."""
    from airlock.spec import load_lifecycle, load_service, service_index
    from airlock.spec.render import mermaid, svg

    path = service_index(include).get(name)
    service = load_service(path) if path else None
    lifecycle = load_lifecycle(include, service.lifecycle if service else name)
    drawn = svg(lifecycle, service) if format is Format.SVG else mermaid(lifecycle, service)
    if output is None:
        typer.echo(drawn)
        return
    output.write_text(drawn, encoding="utf-8")
    say(str(output))


@app.command()
def shard(
    dags: Annotated[Path, typer.Argument(help="The DAG folder.", exists=True, file_okay=False)] = Path(
        "dags"
    ),
    include: Annotated[
        Path, typer.Option(help="The folder with lifecycles/, services/, …", exists=True, file_okay=False)
    ] = Path("include"),
    count: Annotated[
        int | None, typer.Option(min=1, max=1000, help="How many; by default one for each 100 services.")
    ] = None,
) -> None:
    """Spread the services over several DAG files, which Airflow reads in parallel."""
    from airlock.orchestration.shards import shard_count, write_shards
    from airlock.spec import service_index

    services = len(service_index(include))
    written = write_shards(dags, count or shard_count(services))
    say("\n".join([f"{services} services in these files:", *(str(path) for path in written)]))
