"""What the demo shows: nine snapshots of three models, promoted, scored, and the bad ones stopped."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

from demo.stack import PROJECT, AirflowStack, StackError

STAGES = ("DEV", "SIT", "UAT", "PROD")

REQUESTER, ADMINISTRATOR = "dana", "ada"
APPROVERS = ("rita", "omar")


@dataclass(frozen=True)
class Example:
    """One example model and the service that its snapshots serve."""

    model: str
    service: str


EXAMPLES = (
    Example("breast-cancer", "tumour-triage"),
    Example("credit-card-fraud", "cc-fraud"),
    Example("heloc-credit-risk", "heloc-credit-line"),
)


class Story:
    """Tells the story on a console, step by step, through the same doors that people use."""

    def __init__(self, stack: AirflowStack, console: Console) -> None:
        self.stack = stack
        self.console = console
        self.began = time.monotonic()

    def tell(self) -> None:
        """The whole story; raises where anything is not as it should be."""
        self.prepare_models()
        self.start_airflow()
        self.apply_include()
        with self.approving():
            for version in (1, 2):
                self.promote_all(version, expected="completed")
            self.promote_all(3, expected="rejected_by_checks")
        self.score_a_request()
        self.score_a_day()
        self.show_where()
        self.verify_the_ledger()
        self.say(f"Done in {time.monotonic() - self.began:.0f} s.")

    # --- the steps ---------------------------------------------------------------------------------

    def prepare_models(self) -> None:
        """Build three versions of each example model, and the data that they are measured on."""
        self.chapter("Build the example models and their data")
        self.python("include/models/build.py", "--out", str(self.models))
        self.python("include/models/make_data.py", "--out", str(PROJECT / "data"))
        self.say(f"Models in {_shown(self.models)}, data in data/.")

    def start_airflow(self) -> None:
        """Start Airflow and wait until it knows the services."""
        self.chapter("Start Airflow: API server, scheduler, DAG processor, triggerer")
        self.stack.migrate()
        self.stack.start()
        client = self.stack.client(ADMINISTRATOR)
        wanted = {example.service for example in EXAMPLES}
        self.stack.wait_until(
            lambda: wanted <= {dag["dag_id"] for dag in client.get("/api/v2/dags").json()["dags"]},
            "Airflow did not find the services",
        )
        self.say(f"Airflow runs at {self.stack.url}; its services: {', '.join(sorted(wanted))}.")

    def apply_include(self) -> None:
        """Register runtimes, services, policies and roles."""
        self.chapter("Register runtimes, services, policies and roles")
        self.airlock(ADMINISTRATOR, "apply", str(self.stack.include), "--yes")

    def promote_all(self, version: int, *, expected: str) -> None:
        """Snapshot one version of each model and promote it; all three go at the same time."""
        self.chapter(f"Version {version} of each model: snapshot and promote")
        runs = {}
        for example in EXAMPLES:
            folder = self.models / example.model / str(version)
            self.airlock(REQUESTER, "snapshot", "create", str(folder), "--service", example.service)
            name = f"{example.model}@{version}"
            self.airlock(REQUESTER, "promote", name, "--service", example.service)
            runs[example.service] = name
        self.watch(runs)
        for service, name in runs.items():
            passage = self.passage(service, name)
            if passage["outcome"] != expected:
                raise StackError(
                    f"{name} should end as {expected} and is {passage['outcome']}: {passage['reason']}"
                )
            self.say(f"[bold]{name}[/]: {passage['outcome'].replace('_', ' ')}. {passage['reason']}")

    def score_a_request(self) -> None:
        """One payment is scored by the REST endpoint in PROD."""
        self.chapter("Score one request with what runs in PROD")
        [row] = [row for row in self.where("cc-fraud") if row["stage"] == "PROD" and row["endpoints"]]
        url = row["endpoints"][0]["url"]
        record = self.golden_record("credit-card-fraud")
        answer = httpx.post(f"{url}/score", json=record, timeout=30)
        answer.raise_for_status()
        self.say(f"POST {url}/score")
        self.say(f"{answer.json()}   [dim](by {answer.headers['X-Airlock-Snapshot']})[/]")

    def score_a_day(self) -> None:
        """The scheduled batch scoring of one day, by its DAG."""
        self.chapter("Score a day's batch with what is active in PROD")
        raise NotImplementedError

    def show_where(self) -> None:
        """Which version runs where, approved by whom."""
        self.chapter("What runs where, approved by whom")
        for example in EXAMPLES:
            self.airlock(REQUESTER, "where", example.service)

    def verify_the_ledger(self) -> None:
        """The record of all this is complete and unchanged."""
        self.chapter("Verify the ledger")
        self.airlock(ADMINISTRATOR, "audit", "verify")
