"""Airlock: model life cycles as Airflow DAGs."""
