"""What a worker is told of its brokers: an Airflow connection, and a file with a schema."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airlock.exceptions import AdapterError
from airlock.orchestration.configuration import Settings, load_settings
from airlock.orchestration.streams import client_properties, stream_content
from airlock.runtimes.streams import IDLE, StreamRole, stream_file
from airlock.spec import Avro, Kafka

SECURE = {
    "bootstrap.servers": "kafka.example:9093",
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "cc-fraud",
    "sasl.password": "secret",
    "ssl.ca.location": "/etc/ssl/kafka.pem",
}


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes the connection ``events``."""

    def write(**extra: Any) -> None:
        connection = {"conn_type": "kafka", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_EVENTS", json.dumps(connection))

    return write


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(load_settings(), include_folder=tmp_path / "include")


def test_a_connections_extra_is_what_librdkafka_is_told(connect: Any) -> None:
    connect(**SECURE)

    assert client_properties("events") == SECURE


def test_what_is_for_airflows_own_consumers_is_left_out(connect: Any) -> None:
    connect(**SECURE, **{"group.id": "airflow", "error_cb": "ours.on_error"})

    assert client_properties("events") == SECURE


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"sasl.username": "me"}, "does not say where the brokers are"),
        ({**SECURE, "oauth_cb": "ours.token"}, "logs in by the Python function 'ours.token'"),
    ],
)
def test_a_connection_that_a_worker_cannot_use(connect: Any, extra: dict[str, str], said: str) -> None:
    connect(**extra)

    with pytest.raises(AdapterError, match=said):
        client_properties("events")


def test_a_connection_that_is_not_there() -> None:
    with pytest.raises(AdapterError, match="Airflow has no connection 'elsewhere'"):
        client_properties("elsewhere")


def test_the_schema_of_avro_comes_from_its_file(connect: Any, settings: Settings, tmp_path: Path) -> None:
    connect(**SECURE)
    (tmp_path / "include").mkdir()
    file = tmp_path / "include" / "transaction.avsc"
    file.write_text('{"type": "record", "name": "Transaction", "fields": []}')
    kafka = Kafka("events", "transactions", "scores", format="avro", avro=Avro("include/transaction.avsc", 7))

    def content() -> dict[str, Any]:
        return stream_content(settings, kafka, service="s", stage="DEV", deployment="dep-1", role=IDLE)

    assert content()["avro"] == {
        "schema": {"type": "record", "name": "Transaction", "fields": []},
        "confluent_id": 7,
    }
    file.write_text("{")
    with pytest.raises(AdapterError, match=r"transaction\.avsc is not JSON"):
        content()
    file.unlink()
    with pytest.raises(AdapterError, match=r"transaction\.avsc cannot be read: No such file"):
        content()


@pytest.mark.parametrize(
    ("role", "said"),
    [
        (IDLE, {"reads": "nothing"}),
        (StreamRole("input"), {"reads": "input"}),
        (
            StreamRole("input", share_percent=5),
            {"reads": "input", "share": {"topic": "transactions.share", "percent": 5}},
        ),
        (StreamRole("share"), {"reads": "share", "share": {"topic": "transactions.share", "percent": 0}}),
        (
            StreamRole("shadow", shadow_percent=20),
            {
                "reads": "shadow",
                "shadow": {"output": "scores.shadow", "dead_letter": "scores.shadow.dead", "percent": 20},
            },
        ),
    ],
)
def test_the_file_says_what_a_role_means(role: StreamRole, said: dict[str, Any]) -> None:
    kafka = Kafka("events", "transactions", "scores")

    content = stream_file(kafka, SECURE, service="cc-fraud", stage="PROD", deployment="dep-1", role=role)

    assert {key: content[key] for key in ("reads", "share", "shadow") if key in content} == said
    assert (content["group"], content["instance"]) == ("cc-fraud.PROD", "dep-1")
    assert (content["input"], content["output"], content["dead_letter"]) == (
        "transactions",
        "scores",
        "scores.dead",
    )
