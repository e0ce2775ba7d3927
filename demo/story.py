"""What the demo shows: three versions of three models promoted, scored, and the bad ones stopped."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from demo.stack import PROJECT, StackError

REQUESTER, ADMINISTRATOR = "dana", "ada"
APPROVERS = ("rita", "omar")
DATA = PROJECT / "data"
MODELS = DATA / "models"

# The service is scored each night at two; the last interval that is complete began a day before that.
TWO_O_CLOCK = datetime.now(UTC).replace(hour=2, minute=0, second=0, microsecond=0)
LAST_NIGHT = TWO_O_CLOCK - timedelta(days=1 if datetime.now(UTC) >= TWO_O_CLOCK else 2)

SYMBOLS = {
    "success": "[green]✓[/]",
    "running": "[cyan]●[/]",
    "queued": "[cyan]○[/]",
    "scheduled": "[cyan]○[/]",
    "deferred": "[magenta]◌[/]",
    "awaiting_input": "[yellow]?[/]",
    "up_for_retry": "[yellow]↻[/]",
    "failed": "[red]✗[/]",
    "upstream_failed": "[red]✗[/]",
    "skipped": "[dim]-[/]",
}


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


class Stack(Protocol):
    """The Airflow that the story is told on, with Airlock installed. All methods may raise ``StackError``."""

    @property
    def url(self) -> str:
        """Address of the web interface."""

    @property
    def gateway(self) -> str:
        """Address of the gateway: what is online is at ``<gateway>/<service>/<STAGE>``."""

    @property
    def passwords(self) -> Mapping[str, str]:
        """By login name."""

    def migrate(self) -> None:
        """Create the databases."""

    def start(self) -> None:
        """Start everything and wait until it is healthy; it sees the project's data then."""

    def client(self, user: str) -> httpx.Client:
        """An HTTP client that is logged in."""

    def airlock(self, user: str, *arguments: str, **environment: str) -> str:
        """Run the command line tool as a user, in the project's folder; what it printed."""

    def wait_until(self, met: Callable[[], Any], otherwise: str, *, seconds: float = 300) -> Any:
        """Wait for a condition; what it returned is returned."""

    def files(self, folder: str) -> Mapping[str, int]:
        """The Parquet files in a folder of the project: names and sizes in bytes."""


class Story:
    """Tells the story on a console, through the same doors that people use.

    :param models_python: a Python that has what the example models are trained with.
    :param patience: seconds that a passage may take.
    """

    def __init__(self, stack: Stack, console: Console, models_python: Path, *, patience: float = 600) -> None:
        self.stack = stack
        self.console = console
        self.models_python = models_python
        self.patience = patience
        self.began = time.monotonic()

    def tell(self) -> None:
        """The whole story.

        :raises StackError: something is not as it should be.
        """
        self.prepare_models()
        self.start_airflow()
        self.apply_include()
        with self.approving():
            self.promote(version=1, expected="completed")
            self.promote(version=2, expected="completed")
            self.promote(version=3, expected="rejected_by_checks")
        self.score_a_request()
        self.score_a_day()
        self.show_where()
        self.chapter("The ledger of all this, verified")
        self.airlock(ADMINISTRATOR, "audit", "verify")
        self.console.print(f"\n[bold green]That was all of it, in {time.monotonic() - self.began:.0f} s.[/]")

    def say_where_to_look(self) -> None:
        """Addresses and logins."""
        self.chapter("Look around")
        self.console.print(f"Airflow with Airlock: [bold]{self.stack.url}[/]")
        self.console.print(f"Gateway:              {self.stack.gateway}/<service>/<STAGE>/…")
        for user, does in (
            ("ada", "administrator"),
            ("dana", "data scientist, who requested"),
            ("rita", "approver of role model-risk"),
            ("omar", "approver of role it-operations"),
        ):
            self.console.print(f"  {user:5} {self.stack.passwords[user]}   [dim]{does}[/]")

    def prepare_models(self) -> None:
        """Build three versions of each example model, and the data that they are measured on."""
        self.chapter("Build the example models and their data")
        with self.console.status("Training…"):
            scripts, python = PROJECT / "include" / "models", str(self.models_python)
            self._run([python, str(scripts / "build.py"), "--out", str(MODELS)])
            make_data = [python, str(scripts / "make_data.py"), "--out", str(DATA)]
            self._run(make_data)
            self._run([*make_data, "--from", f"{LAST_NIGHT:%Y-%m-%d}", "--days", "1"])
        self.console.print("Three versions of three models in data/models, their data in data/.")

    def start_airflow(self) -> None:
        """Start Airflow and wait until it knows the services."""
        self.chapter("Start Airflow: API server, scheduler, DAG processor, triggerer")
        with self.console.status("Creating Airflow's database…"):
            self.stack.migrate()
        with self.console.status("Starting…"):
            self.stack.start()
            client = self.stack.client(ADMINISTRATOR)
            wanted = {example.service for example in EXAMPLES}
            self.stack.wait_until(
                lambda: wanted <= {dag["dag_id"] for dag in client.get("/api/v2/dags").json()["dags"]},
                "Airflow did not find the services",
            )
        self.console.print(f"{self.stack.url}: {', '.join(sorted(wanted))}")

    def apply_include(self) -> None:
        """Register runtimes, services, policies and roles."""
        self.chapter("Register runtimes, services, policies and roles")
        self.airlock(ADMINISTRATOR, "apply", "include", "--yes")

    def promote(self, *, version: int, expected: str) -> None:
        """Snapshot one version of each model and promote it, all three at the same time."""
        self.chapter(f"Version {version} of each model: snapshot, promote")
        runs: dict[str, str] = {}
        for example in EXAMPLES:
            folder = MODELS.relative_to(PROJECT) / example.model / str(version)
            self.airlock(REQUESTER, "snapshot", "create", str(folder), "--service", example.service)
            name = f"{example.model}@{version}"
            self.airlock(REQUESTER, "promote", name, "--service", example.service)
            runs[example.service] = f"{example.model}:{version}"
        self.watch(runs)
        for service, name in runs.items():
            passage = self.passage(service, name)
            if passage is None or passage["outcome"] != expected:
                raise StackError(f"{name} should end as {expected}, but: {passage}")
            colour = "green" if expected == "completed" else "yellow"
            self.console.print(
                f"[bold]{name}[/] [{colour}]{expected.replace('_', ' ')}[/]: {passage['reason']}"
            )

    def watch(self, runs: Mapping[str, str]) -> None:
        """Show the stages of the runs as they pass, until all have ended."""
        client = self.stack.client(REQUESTER)
        deadline = time.monotonic() + self.patience
        with Live(console=self.console, refresh_per_second=4, transient=True) as live:
            while True:
                states = {service: _run_state(client, service, run) for service, run in runs.items()}
                live.update(_progress(client, runs))
                if all(state in ("success", "failed") for state in states.values()):
                    break
                if time.monotonic() > deadline:
                    raise StackError(f"The passages did not end in time: {states}")
                time.sleep(0.5)
        self.console.print(_progress(client, runs))
        if "failed" in states.values():
            raise StackError(f"A run failed: {states}")

    @contextmanager
    def approving(self) -> Iterator[None]:
        """Two people who look at Airflow's Required Actions, and approve what waits for their role."""
        stop = threading.Event()
        people = [
            threading.Thread(target=self._approve, args=(user, stop), daemon=True) for user in APPROVERS
        ]
        for person in people:
            person.start()
        try:
            yield
        finally:
            stop.set()
            for person in people:
                person.join(30)

    def _approve(self, user: str, stop: threading.Event) -> None:
        answered: set[str] = set()
        client: httpx.Client | None = None
        while not stop.wait(0.5):
            try:
                client = client or self.stack.client(user)
                mine = client.get("/airlock/api/v1/gates", params={"mine": True}).json()
                for gate in mine:
                    key = f"{gate['run_id']}/{gate['task_id']}/{gate['evidence_digest']}"
                    if key in answered:
                        continue
                    path = f"/api/v2/dags/{gate['dag_id']}/dagRuns/{quote(gate['run_id'], safe='')}"
                    answer = client.patch(
                        f"{path}/taskInstances/{gate['task_id']}/-1/hitlDetails",
                        json={
                            "chosen_options": ["Approve"],
                            "params_input": {"comment": f"{user} has read it."},
                        },
                    )
                    if answer.status_code in (200, 409):
                        answered.add(key)
            except httpx.TransportError:
                continue

    def score_a_request(self) -> None:
        """One payment is scored in PROD, at the address that stays whatever version is behind it."""
        self.chapter("Score one payment with what runs in PROD")
        url = f"{self.stack.gateway}/cc-fraud/PROD"
        golden = (MODELS / "credit-card-fraud" / "2" / "golden.jsonl").read_text().splitlines()[0]
        answer = httpx.post(f"{url}/score", json=json.loads(golden)["input"], timeout=30)
        answer.raise_for_status()
        self.console.print(f"POST {url}/score")
        self.console.print(f"{answer.text}   [dim]by {answer.headers['X-Airlock-Snapshot']}[/]")

    def score_a_day(self) -> None:
        """The schedule is switched on, and Airflow scores the last complete day by itself."""
        self.chapter(f"Switch on the nightly scoring: the applications of {LAST_NIGHT:%Y-%m-%d}")
        dag_id = "heloc-credit-line.score"
        client = self.stack.client(REQUESTER)
        client.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": False}).raise_for_status()
        runs = f"/api/v2/dags/{dag_id}/dagRuns"
        [run] = self.stack.wait_until(
            lambda: client.get(runs).json()["dag_runs"], "Airflow did not schedule the last night"
        )
        self.watch({dag_id: run["dag_run_id"]})
        folder = f"data/heloc-credit-line/scored/{LAST_NIGHT:%Y-%m-%d}"
        files = self.stack.files(folder)
        if not files:
            raise StackError(f"The run ended well, but {folder} is empty.")
        for name, size in sorted(files.items()):
            self.console.print(f"{folder}/{name}  {size:,} bytes")

    def show_where(self) -> None:
        """Which version runs where, approved by whom."""
        self.chapter("What runs where, approved by whom")
        for example in EXAMPLES:
            self.airlock(REQUESTER, "where", example.service)

    def where(self, service: str) -> list[dict[str, Any]]:
        """The same, as data."""
        answer = self.stack.client(REQUESTER).get(f"/airlock/api/v1/services/{service}/where")
        answer.raise_for_status()
        return list(answer.json())

    def passage(self, service: str, run_id: str) -> dict[str, Any] | None:
        """The passage that a run carried."""
        answer = self.stack.client(REQUESTER).get(f"/airlock/api/v1/services/{service}/passages")
        answer.raise_for_status()
        return next((passage for passage in answer.json() if passage["run_id"] == run_id), None)

    def chapter(self, title: str) -> None:
        """Begin a new part of the story."""
        self.console.print()
        self.console.rule(f"[bold]{title}[/]", align="left")

    def airlock(self, user: str, *arguments: str) -> None:
        """Run the command line tool as a user, and show the command and what it prints."""
        self.console.print(Text(f"{user}$ airlock {' '.join(arguments)}", style="bold cyan"))
        colour = {"FORCE_COLOR": "1"} if self.console.is_terminal else {}
        output = self.stack.airlock(user, *arguments, COLUMNS=str(self.console.width), **colour)
        self.console.print(Text.from_ansi(output.rstrip()))

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StackError(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")


def _run_state(client: httpx.Client, dag_id: str, run_id: str) -> str:
    answer = client.get(f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}")
    return str(answer.json()["state"]) if answer.status_code == 200 else "queued"


def _progress(client: httpx.Client, runs: Mapping[str, str]) -> Table:
    """One line for each run: its stages, each with the states of its tasks."""
    table = Table.grid(padding=(0, 2))
    for dag_id, run_id in runs.items():
        answer = client.get(
            f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances", params={"limit": 200}
        )
        tasks = answer.json()["task_instances"] if answer.status_code == 200 else []
        stages: dict[str, str] = {}
        for task in tasks:
            stage = task["task_id"].partition(".")[0] if "." in task["task_id"] else ""
            stages[stage] = stages.get(stage, "") + SYMBOLS.get(task["state"], "[dim]·[/]")
        cells = [f"{stage} {states}".strip() for stage, states in stages.items()]
        table.add_row(f"[bold]{run_id}[/]", *cells)
    return table
