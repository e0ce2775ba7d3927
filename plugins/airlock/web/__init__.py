"""Airlock's REST API, mounted in Airflow's API server under ``/airlock``."""
