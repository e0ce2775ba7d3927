"""The command ``airlock``: a client of Airlock's REST API. It never imports Airflow.

Commands import what they need when they run, so that ``airlock --help`` answers at once.
"""

from __future__ import annotations


def main() -> None:
    """The entry point of the console script."""
    from airlock.cli.app import app

    app(prog_name="airlock")
