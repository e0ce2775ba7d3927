"""Runs one model of an Airlock snapshot: serves it over REST, scores files with it, measures it.

Imports neither Airflow nor Airlock, and loads what a sub-command does not need only when it does.
"""

__version__ = "0.1.0"
