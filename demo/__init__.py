"""The demo: real Airflow, real models, from nothing to PROD."""
