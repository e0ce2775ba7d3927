"""What processes on this machine get as their environment."""

from __future__ import annotations

import json

import pytest

from airlock.exceptions import AdapterError
from airlock.runtimes.local.variables import variables_of
from airlock.spec import RuntimeSpec


def spec(connection: str | None = None, **environment: str) -> RuntimeSpec:
    return RuntimeSpec(
        runtime="here",
        kind="local",
        stages=["DEV"],
        connection=connection,
        options={"environment": environment},
    )


def test_nothing_of_airflows_own_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://airflow:secret@db/airflow")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")

    found = variables_of(spec())

    assert found["LC_ALL"] == "C.UTF-8"
    assert "secret" not in str(found)


def test_the_runtime_says_what_else_they_get_and_its_connection_what_is_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = {"AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-west-1"}
    connection = {"conn_type": "generic", "extra": json.dumps({"environment": secret})}
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection))

    found = variables_of(spec("store", AWS_REGION="us-east-1", AWS_ENDPOINT_URL="http://store:9000"))

    assert found["AWS_ENDPOINT_URL"] == "http://store:9000"
    assert {name: found[name] for name in secret} == secret


def test_a_connection_that_airflow_does_not_know_is_told_in_words() -> None:
    with pytest.raises(AdapterError, match="Airflow has no connection 'nowhere'"):
        variables_of(spec("nowhere"))


def test_an_environment_that_is_none_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "generic", "extra": json.dumps({"environment": "AWS_REGION=x"})}
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection))

    with pytest.raises(AdapterError, match="'environment' is no object"):
        variables_of(spec("store"))
