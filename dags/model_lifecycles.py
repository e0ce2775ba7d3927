"""Airflow DAGs of the model life cycles, from include/services."""

from pathlib import Path

from airlock.orchestration.dag_files import lifecycle_dags

globals().update(lifecycle_dags(Path(__file__).parents[1] / "include"))
