"""Who is told that a rollout went back, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseNotifier
from airflow.sdk.exceptions import AirflowException

from airlock.orchestration.dag_files import lifecycle_dags
from airlock.orchestration.notifying import Rollback
from airlock.spec import Canary, ErrorRateGuard
from tests.orchestration.rollout_scene import Scene, scene

CANARY = Canary([5, 100], guard=[ErrorRateGuard()])


class Desk(BaseNotifier):
    """One of Airflow's notifiers, as a provider brings it: it takes templates.

    :ivar told: what it was told.
    """

    template_fields = ("text",)

    def __init__(self) -> None:
        super().__init__()
        self.text = "{{ rollback.snapshot }} is out of {{ rollback.stage }}"
        self.told: list[str] = []
        self.is_away = False

    def notify(self, context: Any) -> None:
        if self.is_away:
            raise ConnectionError("the mail server does not answer")
        self.told.append(self.text)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, desk: Desk) -> Iterator[Scene]:
    with scene(CANARY, tmp_path, monkeypatch, on_rollback=desk) as found:
        found.try_task()
        yield found


def fail_guards(canary: Scene) -> None:
    canary.bake(requests=50, errors=50, seconds=4)


def test_the_desk_is_told_once_when_guards_fail(canary: Scene, desk: Desk) -> None:
    fail_guards(canary)

    assert canary.try_task() == "skipped"
    assert canary.try_task() == "skipped"
    assert desk.told == [f"{canary.passage.snapshot_name} is out of PROD"]


def test_what_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Rollback] = []
    by_function = [lambda context: told.append(context["rollback"])]
    with scene(CANARY, tmp_path, monkeypatch, on_rollback=by_function) as canary:
        canary.try_task()
        fail_guards(canary)
        canary.try_task()

        [rollback] = told
        passage = canary.registry.passages.get(canary.passage.id)
        assert passage.reason == f"PROD: {rollback.reason}"
        assert rollback.failed_guards == (
            "error_rate: 50 of 50 requests failed, and 0 of 250 of the current version: "
            "more than 0.01 above it.",
        )
        assert (rollback.service, rollback.owner, rollback.stage) == ("cc-fraud", "payments", "PROD")
        assert (rollback.snapshot, rollback.digest) == (passage.snapshot_name, passage.snapshot_digest)
        assert rollback.current == canary.current_deployment.snapshot_name
        assert rollback.report.endswith(f"/airlock/api/v1/reports/{passage.id}/PROD/rollout")


def test_nobody_is_told_of_a_version_that_takes_over(canary: Scene, desk: Desk) -> None:
    canary.bake()

    assert canary.try_task() == {"outcome": "completed", "compared": True}
    assert desk.told == []


def test_nobody_is_told_of_a_passage_that_ended_otherwise(canary: Scene, desk: Desk) -> None:
    canary.registry.passages.finish(canary.passage.id, "superseded", "a newer one came")

    assert canary.try_task() == "skipped"
    assert canary.shares == {"current": 100}
    assert desk.told == []


class Killed(BaseException):
    """The worker was killed at this line."""


def killed(*_: object, **__: object) -> Any:
    raise Killed


@pytest.mark.parametrize(("line", "times"), [("tell_of_rollback", 1), ("end_passage", 2)])
def test_killed_at_any_line_it_tells_at_most_once_more(
    canary: Scene, desk: Desk, monkeypatch: pytest.MonkeyPatch, line: str, times: int
) -> None:
    fail_guards(canary)
    with monkeypatch.context() as patched, suppress(Killed):
        patched.setattr(f"airlock.orchestration.rollout.{line}", killed)
        canary.try_task()

    for _ in range(2):
        assert canary.try_task() == "skipped"
    assert len(desk.told) == times


def test_a_desk_that_is_away_is_told_by_the_next_try(canary: Scene, desk: Desk) -> None:
    fail_guards(canary)
    desk.is_away, canary.tries_left = True, 1
    with pytest.raises(AirflowException, match="could not be told: the mail server does not answer"):
        canary.try_task()
    assert canary.shares == {"current": 100}, "traffic does not wait for it"

    desk.is_away = False
    assert canary.try_task() == "skipped"
    assert len(desk.told) == 1


def test_a_desk_that_stays_away_does_not_hold_the_passage(canary: Scene, desk: Desk) -> None:
    fail_guards(canary)
    desk.is_away = True

    assert canary.try_task() == "skipped"
    assert canary.registry.passages.get(canary.passage.id).outcome == "rolled_back"


def test_services_in_yaml_have_the_notifiers_of_their_dag_file(tmp_path: Path, desk: Desk) -> None:
    for folder in ("lifecycles", "services"):
        (tmp_path / folder).mkdir()
    (tmp_path / "lifecycles" / "careful.yaml").write_text(
        "{lifecycle: careful, stages: [{name: UAT, rollout: canary}, {name: PROD, rollout: shadow}]}"
    )
    for name in ("cc-fraud", "loans"):
        service = f"{{service: {name}, lifecycle: careful, owner: payments}}"
        (tmp_path / "services" / f"{name}.yaml").write_text(service)

    dags = lifecycle_dags(tmp_path, on_rollback=desk)
    rollouts: list[Any] = [
        dag.get_task(f"{stage}.rollout") for dag in dags.values() for stage in ("UAT", "PROD")
    ]
    assert len(rollouts) == 4
    assert all(task.on_rollback is desk for task in rollouts)
