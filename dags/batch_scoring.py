"""Airflow DAGs of scheduled batch scoring, from include/services."""

from pathlib import Path

from airlock.orchestration.dag_files import scoring_dags

globals().update(scoring_dags(Path(__file__).parents[1] / "include"))
