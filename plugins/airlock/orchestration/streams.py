"""Streams as tasks see them: how the brokers are reached, and what a deployment is told to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airlock.exceptions import AdapterError
from airlock.orchestration.files import locate
from airlock.spec import Kafka

if TYPE_CHECKING:
    from airlock.orchestration.configuration import Settings
    from airlock.registry.records import DeploymentRecord
    from airlock.runtimes.streams import StreamRole

_BROKERS = "bootstrap.servers"

# What such a connection may hold for Airflow's own clients: their group, and names of Python functions.
_AIRFLOWS_OWN = {"group.id", "error_cb", "throttle_cb", "stats_cb", "log_cb", "on_commit"}


def is_worker(deployment: DeploymentRecord) -> bool:
    """Whether a deployment reads a topic instead of listening for requests."""
    return any(endpoint["kind"] == "kafka" for endpoint in deployment.endpoints)


def stream_content(
    settings: Settings, kafka: Kafka, *, service: str, stage: str, deployment: str, role: StreamRole
) -> dict[str, Any]:
    """The stream file of one deployment, with the credentials of its connection.

    :raises AdapterError: Airflow does not know the connection, or the Avro schema cannot be read.
    """
    from airlock.runtimes.streams import stream_file

    return stream_file(
        kafka,
        client_properties(kafka.connection),
        service=service,
        stage=stage,
        deployment=deployment,
        role=role,
        avro_schema=None if kafka.avro is None else _avro_schema(settings, kafka.avro.schema_file),
    )


def client_properties(connection_id: str) -> dict[str, Any]:
    """The properties of librdkafka in an Airflow connection of type Kafka: its extra.

    What is for Airflow's own clients alone is left out.

    :raises AdapterError: there is no such connection, it does not say where the brokers are, or it needs
        Python code to log in.
    """
    from airflow.sdk import BaseHook

    try:
        extra = BaseHook.get_connection(connection_id).extra_dejson
    except Exception as error:  # each secrets backend raises its own
        raise AdapterError(
            f"Airflow has no connection {connection_id!r}: {error}",
            mend="Add it in Airflow under Admin > Connections, or name another in the service's file.",
        ) from error
    if not extra.get(_BROKERS):
        raise AdapterError(
            f"The connection {connection_id!r} does not say where the brokers are.",
            mend=f'Write its extra like {{"{_BROKERS}": "kafka.example:9092"}}.',
        )
    if "oauth_cb" in extra:
        raise AdapterError(
            f"The connection {connection_id!r} logs in by the Python function {extra['oauth_cb']!r}, "
            "which is not where models run.",
            mend="Let librdkafka log in by itself, with sasl.oauthbearer.method and the properties it needs.",
        )
    return {name: value for name, value in extra.items() if name not in _AIRFLOWS_OWN}


def _avro_schema(settings: Settings, file: str) -> Any:
    path = Path(locate(settings.include_folder.parent, file))
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AdapterError(f"The Avro schema {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise AdapterError(f"The Avro schema {path} is not JSON: {error}.") from error
