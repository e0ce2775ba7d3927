"""What tests do to a running Airflow, in the words of the people who do it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from demo.stack import AirflowStack

ENDED = ("success", "failed")


class Airflow:
    """A running Airflow with Airlock, seen by its users."""

    def __init__(self, stack: AirflowStack) -> None:
        self.stack = stack
        self._clients: dict[str, httpx.Client] = {}

    def as_user(self, user: str) -> httpx.Client:
        """A logged-in HTTP client."""
        if user not in self._clients:
            self._clients[user] = self.stack.client(user)
        return self._clients[user]

    def airlock(self, user: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command line tool as a user."""
        environment = {
            **self.stack.environment,
            "AIRLOCK_URL": self.stack.url,
            "AIRLOCK_USERNAME": user,
            "AIRLOCK_PASSWORD": self.stack.passwords[user],
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }
        done = subprocess.run(
            [str(Path(sys.executable).with_name("airlock")), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            cwd=os.fspath(self.stack.include.parent),
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"airlock {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def snapshot(self, folder: Path, service: str, user: str = "dana") -> None:
        """Make a snapshot of a model folder."""
        self.airlock(user, "snapshot", "create", str(folder), "--service", service)

    def promote(self, snapshot: str, service: str, user: str = "dana") -> str:
        """Start a passage over Airlock's API; returns the run's id."""
        answer = self.as_user(user).post(
            f"/airlock/api/v1/services/{service}/promotions", json={"snapshot": snapshot}
        )
        assert answer.status_code in (200, 201), answer.text
        return str(answer.json()["run_id"])

    def trigger(self, service: str, user: str = "dana", **conf: Any) -> str:
        """Trigger the service's DAG as the form of Airflow's UI does; returns the run's id."""
        answer = self.as_user(user).post(
            f"/api/v2/dags/{service}/dagRuns", json={"logical_date": None, "conf": conf}
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["dag_run_id"])

    def passage(self, service: str, run_id: str) -> dict[str, Any] | None:
        """The passage that a run carries, ``None`` until its first task has registered it."""
        answer = self.as_user("ada").get(f"/airlock/api/v1/services/{service}/passages")
        assert answer.status_code == 200, answer.text
        found = [passage for passage in answer.json() if passage["run_id"] == run_id]
        return found[0] if found else None

    def outcome(self, service: str, run_id: str, *, seconds: float = 300) -> dict[str, Any]:
        """Wait for the passage's end."""

        def ended() -> dict[str, Any] | None:
            passage = self.passage(service, run_id)
            return passage if passage and passage["state"] == "finished" else None

        return self.wait(ended, f"{service} {run_id} did not end", service, run_id, seconds=seconds)

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Airflow's state of a run."""
        answer = self.as_user("ada").get(f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["state"])

    def run_end(self, dag_id: str, run_id: str, *, seconds: float = 300) -> str:
        """Wait until Airflow has ended a run; returns its state."""

        def ended() -> str | None:
            state = self.run_state(dag_id, run_id)
            return state if state in ENDED else None

        return self.wait(ended, f"{dag_id} {run_id} did not end", dag_id, run_id, seconds=seconds)

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """State of each task of a run (of the worst map index)."""
        answer = self.as_user("ada").get(
            f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances", params={"limit": 200}
        )
        return {task["task_id"]: task["state"] for task in answer.json()["task_instances"]}

    def task_state(self, dag_id: str, run_id: str, task_id: str, *states: str, seconds: float = 300) -> str:
        """Wait until a task, which is not mapped, is in one of these states."""
        # A list of all tasks costs the API server five times as much, and this asks again and again.
        one = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}"

        def reached() -> str | None:
            answer = self.as_user("ada").get(one)
            assert answer.status_code in (200, 404), answer.text
            state = answer.json().get("state")  # none before the run has its tasks
            if state in states:
                return str(state)
            assert self.run_state(dag_id, run_id) != "failed", f"the run failed while {task_id} was {state}"
            return None

        return self.wait(
            reached, f"{task_id} of {run_id} did not become {states}", dag_id, run_id, seconds=seconds
        )

    def wait(
        self, met: Callable[[], Any], otherwise: str, dag_id: str, run_id: str, *, seconds: float
    ) -> Any:
        """Wait for something about a run; a time-out tells the states of its tasks."""
        try:
            return self.stack.wait_until(met, otherwise, seconds=seconds)
        except Exception as error:
            raise AssertionError(f"{error}\n{self.tasks(dag_id, run_id)}") from error

    def answer_request(
        self, user: str, dag_id: str, run_id: str, task_id: str, option: str, comment: str = ""
    ) -> httpx.Response:
        """Answer on Airflow's own Required Actions page (this is the request that its button sends)."""
        return self.as_user(user).patch(
            f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}/-1/hitlDetails",
            json={"chosen_options": [option], "params_input": {"comment": comment}},
        )

    def decide(
        self, user: str, passage_id: str, stage: str, verdict: str, comment: str = ""
    ) -> httpx.Response:
        """Approve or reject over Airlock's endpoint."""
        return self.as_user(user).post(
            f"/airlock/api/v1/passages/{passage_id}/decisions",
            json={"stage": stage, "verdict": verdict, "comment": comment},
        )

    def clear(self, dag_id: str, run_id: str, *task_ids: str, downstream: bool = False) -> None:
        """Clear tasks of a run, as the UI's button does."""
        answer = self.as_user("ada").post(
            f"/api/v2/dags/{dag_id}/clearTaskInstances",
            json={
                "dag_run_id": run_id,
                "task_ids": list(task_ids),
                "dry_run": False,
                "only_failed": False,
                "include_downstream": downstream,
                "reset_dag_runs": True,
            },
        )
        assert answer.status_code == 200, answer.text

    def mark_success(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Mark a task success by hand."""
        answer = self.as_user("ada").patch(
            f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}",
            json={"new_state": "success"},
        )
        assert answer.status_code == 200, answer.text

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> str:
        """A task's log, as text."""
        answer = self.as_user("ada").get(
            f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}/logs/{attempt}",
            headers={"Accept": "application/json"},
        )
        return answer.text

    def where(self, service: str) -> list[dict[str, Any]]:
        """What runs where."""
        answer = self.as_user("dana").get(f"/airlock/api/v1/services/{service}/where")
        assert answer.status_code == 200, answer.text
        return list(answer.json())
