"""No Airflow DAG: shows mistakes in include/ among Airflow's import errors, and takes no good DAG away."""

from pathlib import Path

from airlock.orchestration.dag_files import raise_mistakes

raise_mistakes(Path(__file__).parents[1] / "include")
