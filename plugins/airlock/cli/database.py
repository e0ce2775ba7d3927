"""Looking after the registry's database, on the machine where it can be reached."""

from __future__ import annotations

from typing import Annotated

import typer

from airlock.cli.output import say

app = typer.Typer(no_args_is_help=True, help="Look after the registry's database.")


@app.command()
def migrate(
    database_url: Annotated[
        str,
        typer.Argument(
            envvar=["AIRFLOW__AIRLOCK__DATABASE_URL"],
            help="The registry, as [airlock] database_url names it.",
        ),
    ],
) -> None:
    """Bring the registry's tables to what this version needs. Airflow's API server does so when it starts."""
    from airlock.registry import Registry

    registry = Registry(database_url)
    registry.migrate()
    registry.close()
    say("The registry's tables are up to date.")
