"""What Airflow is told about this package: its name, and its part of the configuration.

This module imports nothing, because every Airflow process reads it when it starts.
"""

from __future__ import annotations

from typing import Any

VERSION_ADDED = "0.1.0"


def get_provider_info() -> dict[str, Any]:
    """The entry point ``apache_airflow_provider``."""
    return {
        "package-name": "airflow-airlock",
        "name": "Airlock",
        "description": "Model life cycles: snapshots of models go from DEV to PROD with checks and gates.",
        "versions": [VERSION_ADDED],
        "config": {
            "airlock": {
                "description": "Airlock: model life cycles on Airflow.",
                "options": {
                    "database_url": _option(
                        "The registry: snapshots, deployments, evidence, decisions and the ledger. "
                        "A SQLAlchemy URL of PostgreSQL or SQLite. Empty: a SQLite file under AIRFLOW_HOME.",
                        example="postgresql+psycopg://airlock@database.example.org/airlock",
                    ),
                    "artifact_store": _option(
                        "Where the files of snapshots are kept: an fsspec URL. "
                        "Empty: a folder under AIRFLOW_HOME.",
                        example="s3://models/airlock",
                    ),
                    "include_folder": _option(
                        "The folder of life cycles, services, runtimes and policies. "
                        "Empty: `include` beside the DAGs folder.",
                        example="/opt/airflow/include",
                    ),
                    "workspace": _option(
                        "A folder of this machine where runtimes of kind `local` keep snapshots, "
                        "environments and logs. Empty: a folder under AIRFLOW_HOME.",
                        example="/var/lib/airlock",
                    ),
                    "scratch": _option(
                        "Where the jobs of checks keep their files until the result is recorded: a folder "
                        "at the same path for Airflow and for the runtimes, or an fsspec URL that both "
                        "reach. Empty: `checks` in the workspace.",
                        example="s3://models/scratch",
                    ),
                    "host_source": _option(
                        "The folder of the airlock-host project, which runs models inside a runtime. "
                        "Empty: the one that came with Airlock.",
                        example="/opt/airlock/host",
                    ),
                    "inline_wait_seconds": _option(
                        "How long a task waits for a runtime in its worker slot before it leaves the slot "
                        "and waits in the triggerer. Leaving and coming back takes about two seconds.",
                        kind="float",
                        default="20",
                    ),
                    "gate_interval_seconds": _option(
                        "How often a gate that waits for people looks at the registry by itself.",
                        kind="float",
                        default="300",
                    ),
                    "largest_blob_mib": _option(
                        "The largest file of a snapshot that the API takes, in MiB.",
                        kind="integer",
                        default="10240",
                    ),
                },
            }
        },
    }


def _option(
    description: str, *, kind: str = "string", default: str = "", example: str | None = None
) -> dict[str, Any]:
    return {
        "description": description,
        "version_added": VERSION_ADDED,
        "type": kind,
        "example": example,
        "default": default,
    }
