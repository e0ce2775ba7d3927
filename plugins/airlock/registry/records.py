"""What the registry hands out: plain, frozen records. All times are timezone-aware UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from airlock.spec import Mode, RuntimeSpec

PassageState = Literal["queued", "active", "finished"]
Outcome = Literal[
    "completed",
    "rejected_by_checks",
    "rejected",
    "expired",
    "superseded",
    "failed",
    "duplicate",
    "rolled_back",
]
Purpose = Literal["passage", "scoring"]
DeploymentState = Literal["planned", "deploying", "ready", "retiring", "retired", "failed"]
Verdict = Literal["approve", "reject"]
RolloutOutcome = Literal["completed", "rolled_back", "stopped"]
RollbackOutcome = Literal["done", "replaced", "overtaken"]
RolloutMove = Literal["advance", "extend", "ask", "complete", "roll_back", "stop"]
ScoringState = Literal["running", "completed", "failed"]
JsonObject = dict[str, Any]


@dataclass(frozen=True)
class SnapshotRecord:
    """One immutable version of a model.

    :param services: the model services it may serve, in alphabetical order; tags may be added later.
    """

    digest: str
    model: str
    version: int
    services: tuple[str, ...]
    modes: tuple[Mode, ...]
    manifest: JsonObject
    created_by: str
    created_at: datetime

    @property
    def name(self) -> str:
        """How people call it: ``model@3``."""
        return f"{self.model}@{self.version}"


@dataclass(frozen=True)
class Change:
    """What applying ``include/`` does to one of its entries.

    :param before: the entry as the registry knows it, ``None`` where it is new.
    :param after: the entry as the files say it, ``None`` where they no longer have it.
    :param note: what a person should know, as "in use: cordoned, not removed".
    """

    kind: Literal["lifecycle", "service", "runtime", "policy", "roles"]
    name: str
    action: Literal["add", "change", "remove", "same"]
    before: JsonObject | None
    after: JsonObject | None
    note: str = ""


@dataclass(frozen=True)
class RuntimeHealth:
    """What the last look at a runtime found; ``checked_at`` is ``None`` where nobody has looked yet."""

    ok: bool
    message: str = ""
    checked_at: datetime | None = None


@dataclass(frozen=True)
class RuntimeRecord:
    """A place where models run, and how much of it is taken.

    :param cordoned: takes no new work; ``cordon_reason`` and ``cordoned_by`` say why and who.
    :param in_use: slots that are leased now, of ``spec.capacity``.
    """

    name: str
    kind: str
    spec: RuntimeSpec
    health: RuntimeHealth
    cordoned: bool
    in_use: int
    cordon_reason: str = ""
    cordoned_by: str = ""


@dataclass(frozen=True)
class Lease:
    """One slot of a runtime, held for one deployment."""

    deployment_id: str
    runtime: str
    service: str
    stage: str
    mode: Mode
    acquired_at: datetime


@dataclass(frozen=True)
class PassageRecord:
    """One snapshot on its way through the stages of one service.

    :param run_id: the Airflow DAG run that carries it.
    :param lifecycle: the life cycle as it was when the passage began; its digest is ``lifecycle_digest``.
    :param outcome: how it ended, ``None`` until it is ``finished``; ``reason`` says why in words.
    :param superseded_by: id of the passage that took its place.
    """

    id: str
    service: str
    snapshot_digest: str
    snapshot_name: str
    run_id: str
    lifecycle_digest: str
    lifecycle: JsonObject
    requested_by: str
    state: PassageState
    outcome: Outcome | None
    reason: str | None
    superseded_by: str | None
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class DeploymentRecord:
    """One snapshot on one runtime for one service at one stage.

    :param key: what it belongs to: the passage's id, or a scoring run's; the id is derived from it.
    :param attempt: 1, and one more for each deployment of the same key, stage and mode that has ended.
    :param handle: what the runtime's adapter needs to find it again, ``None`` until it was deployed.
    :param endpoints: where it listens, as plain JSON (``{"kind": "rest", "url": ...}``).
    """

    id: str
    key: str
    attempt: int
    passage_id: str | None
    service: str
    snapshot_digest: str
    snapshot_name: str
    stage: str
    mode: Mode
    runtime: str
    purpose: Purpose
    state: DeploymentState
    handle: JsonObject | None
    endpoints: tuple[JsonObject, ...]
    reason: str | None
    created_at: datetime
    changed_at: datetime

    @property
    def serving(self) -> bool:
        """Whether it answers now (a retiring one still drains)."""
        return self.state in ("ready", "retiring")


@dataclass(frozen=True)
class CheckRow:
    """One result of one check; ``replaced`` ones were followed by a later run of the same check."""

    id: int
    passage_id: str
    deployment_id: str
    stage: str
    check_name: str
    kind: str
    status: str
    result: JsonObject
    recorded_at: datetime
    replaced: bool = False


@dataclass(frozen=True)
class DecisionRecord:
    """One person's approve or reject of a snapshot's entry into ``stage``.

    It counts only where ``state`` is ``accepted`` and its three digests are still those of the
    passage's snapshot, of its evidence and of the stage's policy; ``reason`` says why a refused one
    was refused.
    """

    id: int
    passage_id: str
    stage: str
    snapshot_digest: str
    evidence_digest: str
    policy_digest: str
    user: str
    verdict: Verdict
    comment: str
    channel: str
    state: Literal["accepted", "refused"]
    reason: str | None
    given_at: datetime

    @property
    def accepted(self) -> bool:
        """Whether it counts, as long as what it was bound to does not change."""
        return self.state == "accepted"


@dataclass(frozen=True)
class GateRecord:
    """A gate that asks people, or has asked: entry into ``stage``.

    :param outcome: how it was answered, ``None`` while it is open.
    """

    id: int
    passage_id: str
    service: str
    snapshot_name: str
    stage: str
    dag_id: str
    run_id: str
    task_id: str
    evidence_digest: str
    policy_digest: str
    opened_at: datetime
    expires_at: datetime | None
    closed_at: datetime | None
    outcome: str | None


@dataclass(frozen=True)
class StageVersion:
    """Which snapshot is a service's version at a stage, from when to when (``None``: still)."""

    service: str
    stage: str
    mode: Mode
    snapshot_digest: str
    snapshot_name: str
    passage_id: str | None
    deployment_id: str | None
    from_time: datetime
    to_time: datetime | None
    previous_digest: str | None


@dataclass(frozen=True)
class RollbackRecord:
    """A way back to an earlier version of a service at a stage; it is under way until ``ended_at``.

    :param from_digest: the version that is left; it is marked bad from ``began_at`` on.
    :param to_passage_id: the passage in which the earlier version was approved.
    :param outcome: ``replaced`` by a way back to another version, or ``overtaken`` by a version that came
        into use otherwise; ``None`` while it is under way.
    """

    id: str
    service: str
    stage: str
    mode: Mode
    from_digest: str
    from_name: str
    from_deployment_id: str | None
    to_digest: str
    to_name: str
    to_passage_id: str | None
    requested_by: str
    reason: str
    began_at: datetime
    ended_at: datetime | None
    outcome: RollbackOutcome | None


@dataclass(frozen=True)
class Mirror:
    """A deployment that gets copies of requests, whose answers nobody gets.

    :param percent: of the requests are copied.
    """

    deployment_id: str
    percent: int


@dataclass(frozen=True)
class Traffic:
    """Where the requests for a service at a stage go, from when to when (``None``: still).

    :param shares: percent of the requests by deployment, the newest deployment first; 100 in all.
    :param sticky: the request header whose value decides which deployment answers; ``None``: chance does.
    """

    id: int
    service: str
    stage: str
    shares: Mapping[str, int]
    mirror: Mirror | None
    sticky: str | None
    actor: str
    reason: str
    from_time: datetime
    to_time: datetime | None


@dataclass(frozen=True)
class RolloutRecord:
    """How traffic moves, or moved, to a new deployment at a stage.

    :param strategy: the rollout as the life cycle has it, in plain JSON.
    :param current_deployment_id: what the new one is compared with, and what requests go back to.
    :param step: the step under way, counted from 0; ``extended`` says how often it was prolonged.
    :param since: since when the step is measured, from ``readings`` on; ``None`` until it is. Under
        ``answers`` they hold how far the answers of both versions have been compared, too.
    :param asked: digest of the evidence that people are asked about, ``None`` where nobody is.
    :param outcome: how it ended, ``None`` while it is under way.
    """

    id: str
    passage_id: str
    service: str
    stage: str
    strategy: JsonObject
    deployment_id: str
    current_deployment_id: str | None
    step: int
    extended: int
    since: datetime | None
    readings: JsonObject | None
    asked: str | None
    outcome: RolloutOutcome | None
    reason: str | None
    began_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class RolloutStep:
    """One move of a rollout, with what the guards had found until then.

    :param evidence: plain JSON: the interval, what both versions did in it, and each guard's numbers.
    """

    rollout_id: str
    step: int
    extended: int
    move: RolloutMove
    evidence: JsonObject
    recorded_at: datetime


@dataclass(frozen=True)
class Backend:
    """A deployment that takes requests.

    :param url: where it answers REST.
    :param inside: where it answers those who are in its runtime's network; otherwise the same.
    """

    deployment_id: str
    snapshot_name: str
    url: str
    inside: str
    percent: int


@dataclass(frozen=True)
class Route:
    """What a gateway needs of one service at one stage.

    :param backends: those that are ready; none where nothing is online.
    """

    service: str
    stage: str
    backends: tuple[Backend, ...]
    mirror: Backend | None
    sticky: str | None


@dataclass(frozen=True)
class Routes:
    """All routes at one moment.

    :param traffic_id: the newest row of traffic that they follow; 0 where there is none.
    """

    traffic_id: int
    routes: tuple[Route, ...]


@dataclass(frozen=True)
class WhereRow:
    """Where a service ran at one moment.

    :param current: it is (was) the stage's version; otherwise it is on trial there, or being retired.
    :param since: when it began to serve; for ``batch``, when it became the stage's version.
    :param approved_by: who approved its entry into this stage, as far as they had by that moment.
    :param runtime: for ``batch``, the runtime that ran it last, ``None`` where none did yet.
    """

    stage: str
    mode: Mode
    runtime: str | None
    snapshot_name: str
    digest: str
    deployment_id: str | None
    state: str
    current: bool
    since: datetime
    approved_by: list[str]
    endpoints: tuple[JsonObject, ...]
    passage_id: str | None


@dataclass(frozen=True)
class ScoringPartition:
    """One part of a scoring run's output that is complete; ``files`` has path, rows and SHA-256 of each."""

    partition: str
    rows_in: int
    rows_out: int
    rows_rejected: int
    files: tuple[JsonObject, ...]
    done_at: datetime


@dataclass(frozen=True)
class ScoringRecord:
    """One run of a service's scheduled scoring over one data interval.

    :param snapshot_digest: the version it began with, and keeps to its end.
    :param attempt: 1, and one more each time a run that had ended is begun again.
    """

    id: int
    service: str
    run_id: str
    attempt: int
    interval_start: datetime
    interval_end: datetime
    input: str
    output: str
    snapshot_digest: str
    snapshot_name: str
    state: ScoringState
    reason: str | None
    begun_at: datetime
    ended_at: datetime | None
    partitions: tuple[ScoringPartition, ...] = ()


@dataclass(frozen=True)
class LedgerEntry:
    """One row of the ledger: who did what, to what, when."""

    number: int
    at: datetime
    event: str
    subject: str
    actor: str
    details: Mapping[str, Any] = field(default_factory=dict)
    previous_hash: str = ""
    hash: str = ""


@dataclass(frozen=True)
class LedgerHead:
    """How many rows the ledger has and the hash of the last: export it, and keep it elsewhere."""

    count: int
    hash: str


@dataclass(frozen=True)
class LedgerProblem:
    """A row of the ledger that is not as it was written."""

    number: int
    kind: Literal["changed", "removed", "inserted"]
    message: str
