"""Logging in to Airflow, and where the token is kept."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from airlock.cli.output import AsJson, WrongUse, print_json, say
from airlock.exceptions import AirlockError

DEFAULT_URL = "http://localhost:8080"


@dataclass(frozen=True)
class Login:
    """Where Airflow is, and the token that says who we are there."""

    url: str
    username: str
    token: str


def login(
    url: Annotated[
        str, typer.Argument(envvar="AIRLOCK_URL", help="Address of Airflow's web UI.")
    ] = DEFAULT_URL,
    username: Annotated[
        str, typer.Option("--username", "-u", envvar="AIRLOCK_USERNAME", prompt=True, help="Login name.")
    ] = "",
    password: Annotated[
        str,
        typer.Option(
            envvar="AIRLOCK_PASSWORD", prompt=True, hide_input=True, help="Better asked for than given."
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Log in to Airflow; the token is kept for the next commands."""
    from airlock.cli.client import Api, request_token

    url = url.rstrip("/")
    found = Login(url, username, request_token(url, username, password))
    with Api(found) as api:
        me = api.get("me")
    path = remember(found)
    if as_json:
        print_json({"url": url, "stored": str(path), **me})
    else:
        say(f"Logged in to {url} as {me['name']}; roles: {', '.join(me['roles']) or 'none'}.")


def current_login() -> Login:
    """The login to use: the environment first, then what ``airlock login`` stored.

    :raises AirlockError: nobody is logged in at that address.
    """
    stored = recall()
    url = os.environ.get("AIRLOCK_URL", stored.url if stored else DEFAULT_URL).rstrip("/")
    if token := os.environ.get("AIRLOCK_TOKEN"):
        return Login(url, "", token)
    username, password = os.environ.get("AIRLOCK_USERNAME"), os.environ.get("AIRLOCK_PASSWORD")
    if username and password:
        from airlock.cli.client import request_token

        return Login(url, username, request_token(url, username, password))
    if stored is None or stored.url != url:
        raise AirlockError(f"Nobody is logged in at {url}.", mend=f"Run: airlock login {url}")
    return stored


def remember(login: Login) -> Path:
    """Store a login where only this user of the machine can read it."""
    path = _file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes the file readable for its owner only, from the first byte on.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".login-")
    with os.fdopen(handle, "w") as stream:
        json.dump(asdict(login), stream)
    os.replace(temporary, path)
    return path


def recall() -> Login | None:
    """The stored login, if there is one."""
    path = _file()
    try:
        return Login(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise WrongUse(f"{path} is not a login of airlock.", mend="Run: airlock login") from None


def _file() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "airlock" / "login.json"
