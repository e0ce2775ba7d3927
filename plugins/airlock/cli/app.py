"""All commands, and how each of them ends when something is wrong."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from airlock.cli import (
    audit,
    database,
    decisions,
    gateway,
    include_files,
    lifecycles,
    login,
    promotions,
    rollbacks,
    runtimes,
    schemas,
    snapshots,
)
from airlock.cli.output import show_error
from airlock.exceptions import AirlockError


class Commands(TyperGroup):
    """Turns Airlock's errors into a line and an exit code: a person's mistake is never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except AirlockError as error:
            raise typer.Exit(show_error(error, as_json=bool(ctx.find_root().meta.get("json")))) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Take models from DEV to PROD: snapshots, checks, approvals, and a record of who decided what.",
    epilog="AIRLOCK_URL, AIRLOCK_TOKEN, AIRLOCK_USERNAME and AIRLOCK_PASSWORD come before a stored login.",
)

app.command()(login.login)
app.add_typer(snapshots.app, name="snapshot")
app.command()(promotions.promote)
app.command()(promotions.where)
app.command()(rollbacks.rollback)
app.command()(decisions.gates)
app.command()(decisions.approve)
app.command()(decisions.reject)
app.command()(include_files.apply)
app.command()(gateway.gateway)
app.add_typer(lifecycles.app, name="lifecycle")
app.add_typer(runtimes.app, name="runtime")
app.add_typer(audit.app, name="audit")
app.add_typer(schemas.app, name="schema")
app.add_typer(database.app, name="db")
