"""Where a service ran at any moment, and who approved that."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airlock.registry import Registry
from airlock.registry.records import DeploymentRecord, PassageRecord, SnapshotRecord
from airlock.spec import Mode
from tests.registry.building import acquire, add_snapshot, approve, begin, deploy, include, runtime

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def pass_minute(self) -> None:
        self.now += MINUTE


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(url: str, clock: Clock) -> Iterator[Registry]:
    """A registry with one runtime, whose clock the test moves."""
    opened = Registry(url, clock=clock)
    opened.catalog.apply(include(runtime("r", capacity=100_000)), by="ops")
    yield opened
    opened.close()


def make_current(
    registry: Registry, passage: PassageRecord, deployment: DeploymentRecord | None, stage: str = "DEV"
) -> str | None:
    return registry.history.make_current(
        passage_id=passage.id,
        deployment_id=deployment.id if deployment else None,
        service=passage.service,
        stage=stage,
        mode=deployment.mode if deployment else "online",
        snapshot_digest=passage.snapshot_digest,
    )


def test_a_trial_becomes_the_version_and_replaces_the_one_before(registry: Registry, clock: Clock) -> None:
    one = begin(registry, add_snapshot(registry, content=1), "run-1")
    first = deploy(registry, one)
    assert make_current(registry, one, first) is None
    registry.passages.finish(one.id, "completed", "done")
    clock.pass_minute()
    two = begin(registry, add_snapshot(registry, content=2), "run-2")
    second = deploy(registry, two)
    clock.pass_minute()

    on_trial = registry.history.where("cc-fraud")
    assert [(row.snapshot_name, row.current, row.since) for row in on_trial] == [
        ("fraud@1", True, NOON),
        ("fraud@2", False, NOON + MINUTE),
    ]
    assert make_current(registry, two, second) == one.snapshot_digest
    registry.deployments.set_state(first.id, "retiring")
    clock.pass_minute()
    registry.deployments.set_state(first.id, "retired")

    (now,) = registry.history.where("cc-fraud")
    assert (now.stage, now.mode, now.runtime, now.state, now.current) == ("DEV", "online", "r", "ready", True)
    assert (now.deployment_id, now.digest, now.passage_id) == (second.id, two.snapshot_digest, two.id)
    assert now.endpoints == second.endpoints
    assert registry.history.where("cc-fraud", at=NOON + MINUTE) == on_trial
    draining = registry.history.where("cc-fraud", at=NOON + 2 * MINUTE)
    assert [(row.snapshot_name, row.state, row.current) for row in draining] == [
        ("fraud@2", "ready", True),
        ("fraud@1", "retiring", False),
    ]
    assert registry.history.where("cc-fraud", at=NOON - MINUTE) == []
    assert registry.history.where("other") == []


def test_making_it_current_again_changes_nothing(registry: Registry) -> None:
    one = begin(registry, add_snapshot(registry, content=1), "run-1")
    make_current(registry, one, None)
    two = begin(registry, add_snapshot(registry, content=2), "run-2")
    rows = [make_current(registry, two, None) for _ in range(2)]
    assert rows == [one.snapshot_digest, one.snapshot_digest]
    assert len(registry.history.versions("cc-fraud", "DEV")) == 2
    deployment = deploy(registry, two)
    assert make_current(registry, two, deployment) == one.snapshot_digest, "the same version, deployed anew"


def test_the_current_version_of_a_stage(registry: Registry, clock: Clock) -> None:
    passage = begin(registry, add_snapshot(registry), "run-1")
    online = deploy(registry, passage)
    make_current(registry, passage, online)
    clock.pass_minute()
    batch = deploy(registry, passage, mode="batch")
    make_current(registry, passage, batch)
    current = registry.history.current("cc-fraud", "DEV", "online")
    assert current is not None
    assert (current.snapshot_name, current.deployment_id, current.from_time) == ("fraud@1", online.id, NOON)
    last = registry.history.current("cc-fraud", "DEV")
    assert last is not None
    assert last.mode == "batch"
    assert registry.history.current("cc-fraud", "PROD") is None


def test_batch_answers_with_the_version_and_the_runtime_that_ran_it_last(
    registry: Registry, clock: Clock
) -> None:
    passage = begin(registry, add_snapshot(registry), "run-1")
    make_current(registry, passage, None, "PROD")
    in_passage = deploy(registry, passage, "PROD", "batch")
    make_current(registry, passage, in_passage, "PROD")
    registry.deployments.set_state(in_passage.id, "retired")
    clock.pass_minute()
    registry.catalog.apply(include(runtime("r"), runtime("nightly", services=["cc-fraud"])), by="ops")
    scoring_id = registry.deployments.identify(key="cc-fraud/2026-03-31", stage="PROD", mode="batch")
    acquire(registry, scoring_id, stage="PROD", mode="batch")
    registry.deployments.declare(
        passage_id=None,
        service="cc-fraud",
        snapshot_digest=passage.snapshot_digest,
        stage="PROD",
        mode="batch",
        runtime="nightly",
        purpose="scoring",
        key="cc-fraud/2026-03-31",
    )
    registry.deployments.set_state(scoring_id, "ready")
    registry.deployments.set_state(scoring_id, "retired")

    def batch(at: datetime | None = None) -> tuple[str | None, str | None, str]:
        (row,) = [row for row in registry.history.where("cc-fraud", at) if row.mode == "batch"]
        assert row.current
        assert row.since == NOON
        return row.runtime, row.deployment_id, row.state

    assert batch() == ("nightly", scoring_id, "installed")
    assert batch(NOON) == ("r", in_passage.id, "installed")


def test_a_batch_version_that_never_ran_has_no_runtime_yet(registry: Registry) -> None:
    snapshot = add_snapshot(registry)
    registry.history.make_current(
        passage_id=None,
        deployment_id=None,
        service="cc-fraud",
        stage="PROD",
        mode="batch",
        snapshot_digest=snapshot.digest,
    )
    (row,) = registry.history.where("cc-fraud")
    assert (row.runtime, row.deployment_id, row.approved_by) == (None, None, [])


def test_those_who_approved_the_entry_are_named(registry: Registry, clock: Clock) -> None:
    passage = begin(registry, add_snapshot(registry), "run-1")
    approve(registry, passage, "zoe", evidence="sha256:before-the-rerun")
    approve(registry, passage, "mia")
    make_current(registry, passage, deploy(registry, passage, "PROD"), "PROD")
    clock.pass_minute()
    approve(registry, passage, "ivo")
    (row,) = registry.history.where("cc-fraud")
    assert row.approved_by == ["mia", "ivo"], "zoe approved other evidence"
    (before,) = registry.history.where("cc-fraud", at=NOON)
    assert before.approved_by == ["mia"]


def test_rows_come_in_the_order_of_the_life_cycle(registry: Registry) -> None:
    passage = begin(registry, add_snapshot(registry), "run-1")
    for stage in ("PROD", "DEV"):
        for mode in ("online", "batch"):
            make_current(registry, passage, deploy(registry, passage, stage, mode), stage)
    rows = [(row.stage, row.mode) for row in registry.history.where("cc-fraud")]
    assert rows == [("DEV", "batch"), ("DEV", "online"), ("PROD", "batch"), ("PROD", "online")]


# Any history at all: ``where`` must answer what somebody would who goes through the events one by one.


@dataclass(frozen=True)
class Live:
    """A deployment as the naive replay knows it."""

    stage: str
    mode: Mode
    snapshot: str
    state: str
    since: datetime


Answer = set[tuple[str, Mode, str, str, bool, datetime, str | None]]


class Replay:
    """The state of a service, brought forward one event at a time."""

    def __init__(self) -> None:
        self.live: dict[str, Live] = {}
        self.versions: dict[tuple[str, Mode], tuple[str, str | None, datetime]] = {}
        self.used: dict[tuple[str, str], str] = {}

    def where(self) -> Answer:
        answer: Answer = set()
        for deployment_id, live in self.live.items():
            if live.mode == "online" and live.state in ("ready", "retiring"):
                version = self.versions.get((live.stage, "online"))
                current = version is not None and version[1] == deployment_id
                answer.add(
                    (live.stage, "online", live.snapshot, live.state, current, live.since, deployment_id)
                )
        for (stage, mode), (snapshot, _, since) in self.versions.items():
            if mode == "batch":
                used = self.used.get((stage, snapshot))
                answer.add((stage, "batch", snapshot, "installed", True, since, used))
        return answer


events = st.lists(
    st.tuples(
        st.sampled_from(["deploy", "deploy", "retiring", "retired", "failed", "current", "current"]),
        st.integers(0, 2),
        st.sampled_from(["DEV", "PROD"]),
        st.sampled_from(["online", "batch"]),
        st.integers(0, 100),
    ),
    max_size=14,
)

_services = itertools.count(1)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    # To shrink a failing history would write it a thousand times.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(history=events)
def test_where_answers_what_a_replay_of_the_events_would(
    registry: Registry, clock: Clock, history: list[tuple[str, int, str, Mode, int]]
) -> None:
    service = f"service-{next(_services)}"
    snapshots = [add_snapshot(registry, content=number, services=[service]) for number in range(3)]
    replay = Replay()
    clock.pass_minute()
    expected = {clock.now - MINUTE / 2: replay.where()}
    for act, version, stage, mode, pick in history:
        _happen(registry, replay, clock, service, act, snapshots[version], stage, mode, pick)
        expected[clock.now] = expected[clock.now + MINUTE / 2] = replay.where()
        clock.pass_minute()
    for moment, answer in expected.items():
        assert _answer(registry, service, moment) == answer
    assert _answer(registry, service, None) == replay.where()


def _answer(registry: Registry, service: str, at: datetime | None) -> Answer:
    rows = registry.history.where(service, at)
    return {
        (row.stage, row.mode, row.snapshot_name, row.state, row.current, row.since, row.deployment_id)
        for row in rows
    }


def _happen(
    registry: Registry,
    replay: Replay,
    clock: Clock,
    service: str,
    act: str,
    snapshot: SnapshotRecord,
    stage: str,
    mode: Mode,
    pick: int,
) -> None:
    """Let an event happen in the registry and in the replay; where it makes no sense, nothing happens."""
    if act == "deploy":
        key = f"{service}-{len(replay.live)}"
        deployment_id = registry.deployments.identify(key=key, stage=stage, mode=mode)
        acquire(registry, deployment_id, service=service, stage=stage, mode=mode)
        registry.deployments.declare(
            passage_id=None,
            service=service,
            snapshot_digest=snapshot.digest,
            stage=stage,
            mode=mode,
            runtime="r",
            purpose="passage",
            key=key,
        )
        registry.deployments.set_state(deployment_id, "ready")
        replay.live[deployment_id] = Live(stage, mode, snapshot.name, "ready", clock.now)
        if mode == "batch":
            replay.used[stage, snapshot.name] = deployment_id
        return
    candidates = [each for each, live in replay.live.items() if live.state in ("ready", "retiring")]
    if not candidates:
        return
    chosen = candidates[pick % len(candidates)]
    live = replay.live[chosen]
    if act == "current":
        digest = registry.deployments.get(chosen).snapshot_digest
        registry.history.make_current(
            passage_id=None,
            deployment_id=chosen,
            service=service,
            stage=live.stage,
            mode=live.mode,
            snapshot_digest=digest,
        )
        before = replay.versions.get((live.stage, live.mode))
        if before is None or before[:2] != (live.snapshot, chosen):
            replay.versions[live.stage, live.mode] = (live.snapshot, chosen, clock.now)
    elif not (act == "retiring" and live.state == "retiring"):
        registry.deployments.set_state(chosen, act)  # type: ignore[arg-type]
        replay.live[chosen] = replace(live, state=act)
