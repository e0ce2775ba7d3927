"""The .env that people begin with."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from pathlib import Path

from deploy.write_env import filled_in

PROJECT = Path(__file__).parents[2]
EXAMPLE = (PROJECT / ".env.example").read_text()


def settings(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if re.match(r"[A-Z]", line))


def test_nothing_secret_stays_empty_and_no_two_are_the_same() -> None:
    first, second = (settings(filled_in(EXAMPLE, {"DOCKER_GROUP_ID": "999"})) for _ in range(2))
    assert all(first.values())
    secrets = {name for name in first if first[name] != second[name]}
    assert len({first[name] for name in secrets}) == len(secrets)
    assert {"POSTGRES_PASSWORD", "FERNET_KEY", "JWT_SECRET", "FIRST_USERS"} <= secrets


def test_passwords_fit_into_urls() -> None:
    found = settings(filled_in(EXAMPLE, {}))
    for name in ("AIRFLOW_DATABASE_PASSWORD", "AIRLOCK_DATABASE_PASSWORD", "REDIS_PASSWORD"):
        assert re.fullmatch(r"[0-9a-f]{40}", found[name])


def test_the_fernet_key_is_one() -> None:
    assert len(base64.urlsafe_b64decode(settings(filled_in(EXAMPLE, {}))["FERNET_KEY"])) == 32


def test_first_users_get_passwords_where_they_have_none() -> None:
    given = {"FIRST_USERS": '"eve:Op:known"'}
    assert settings(filled_in(EXAMPLE, given))["FIRST_USERS"] == '"eve:Op:known"'
    users = settings(filled_in(EXAMPLE, {}))["FIRST_USERS"].strip('"').split()
    assert [user.rpartition(":")[0] for user in users] == ["ada:Admin", "dana:User", "rita:User", "omar:User"]
    assert len({user.rpartition(":")[2] for user in users}) == 4


def test_values_that_are_given_come_first_and_unknown_ones_are_added() -> None:
    text = filled_in(EXAMPLE, {"AIRFLOW_PORT": "9080", "UV_OFFLINE": "1", "S3_REGION": "eu-west-1"})
    found = settings(text)
    assert (found["AIRFLOW_PORT"], found["UV_OFFLINE"], found["S3_REGION"]) == ("9080", "1", "eu-west-1")
    assert text.count("AIRFLOW_PORT=") == 1


def test_it_is_written_for_its_owner_only_and_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "write_env.py").write_text((PROJECT / "deploy" / "write_env.py").read_text())
    (tmp_path / ".env.example").write_text(EXAMPLE)
    command = [sys.executable, "-I", str(tmp_path / "deploy" / "write_env.py"), "DOCKER_GROUP_ID=7"]
    subprocess.run(command, check=True, capture_output=True)
    path = tmp_path / ".env"
    written = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert settings(written)["DOCKER_GROUP_ID"] == "7"
    again = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "exists" in again.stdout
    assert path.read_text() == written
