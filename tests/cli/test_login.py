"""Logging in, and which login a command uses."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tests.cli.conftest import Airlock, Server
from tests.web.application import PASSWORDS


def test_a_login_is_kept_for_the_next_commands_where_only_this_user_reads_it(
    server: Server, run: Airlock, tmp_path: Path
) -> None:
    done = run("login", server.url, "--username", "dana", "--password", PASSWORDS["dana"])

    assert done.exit_code == 0, done.output
    assert "as dana" in done.stdout
    stored = tmp_path / "config" / "airlock" / "login.json"
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert stat.S_IMODE(stored.parent.stat().st_mode) == 0o700
    assert PASSWORDS["dana"] not in stored.read_text()
    assert run("snapshot", "list", "--json").stdout.strip() == "[]"


def test_name_and_password_are_asked_for(server: Server, run: Airlock) -> None:
    done = run("login", server.url, input=f"dana\n{PASSWORDS['dana']}\n")

    assert done.exit_code == 0
    assert PASSWORDS["dana"] not in done.output


def test_a_wrong_password_is_one_line(server: Server, run: Airlock) -> None:
    done = run("login", server.url, "-u", "dana", "--password", "wrong")

    assert done.exit_code == 1
    assert done.stderr.strip() == f"Airflow at {server.url} does not know this name and password."


def test_without_a_login_the_command_says_how_to_log_in(server: Server, run: Airlock) -> None:
    done = run("snapshot", "list", AIRLOCK_URL=server.url)

    assert done.exit_code == 1
    assert f"airlock login {server.url}" in done.stderr


def test_the_environment_comes_before_what_was_stored(server: Server, run: Airlock, tmp_path: Path) -> None:
    run("login", server.url, "-u", "dana", "--password", PASSWORDS["dana"])
    token = json.loads((tmp_path / "config" / "airlock" / "login.json").read_text())["token"]

    as_rita = run("gates", "--json", AIRLOCK_USERNAME="rita", AIRLOCK_PASSWORD=PASSWORDS["rita"])
    with_token = run("gates", "--json", AIRLOCK_URL=server.url, AIRLOCK_TOKEN=token)
    elsewhere = run("gates", AIRLOCK_URL="http://127.0.0.1:9")

    assert (as_rita.exit_code, with_token.exit_code) == (0, 0)
    assert elsewhere.exit_code == 1
    assert "Nobody is logged in at http://127.0.0.1:9" in elsewhere.stderr


def test_a_token_that_is_not_valid_asks_for_a_new_login(server: Server, run: Airlock) -> None:
    done = run("gates", AIRLOCK_URL=server.url, AIRLOCK_TOKEN="e30.e30.e30")

    assert done.exit_code == 1
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    "command",
    [
        ["login", "http://127.0.0.1:9", "-u", "a", "--password", "b"],
        ["gates"],
        ["where", "cc-fraud"],
        ["audit", "verify"],
    ],
    ids=lambda command: command[0],
)
def test_a_server_that_is_down_is_exit_code_3(command: list[str], run: Airlock) -> None:
    done = run(*command, AIRLOCK_URL="http://127.0.0.1:9", AIRLOCK_TOKEN="some-token")

    assert done.exit_code == 3
    assert "does not answer" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_server_that_is_not_airflow_is_exit_code_3(run: Airlock, tmp_path: Path) -> None:
    import http.server
    import threading

    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{web.server_address[1]}"
        done = run("gates", AIRLOCK_URL=url, AIRLOCK_TOKEN="some-token")
    finally:
        web.shutdown()
        web.server_close()

    assert done.exit_code == 3
    assert "has no Airlock" in done.stderr


def test_a_damaged_login_file_is_told(run: Airlock, tmp_path: Path) -> None:
    path = tmp_path / "config" / "airlock" / "login.json"
    path.parent.mkdir(parents=True)
    path.write_text("not json")

    done = run("gates")

    assert done.exit_code == 1
    assert str(path) in done.stderr
