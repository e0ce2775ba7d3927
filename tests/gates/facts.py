"""Facts about a made-up entry: fraud@3 asks to enter PROD after UAT, and everything is as it must be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from airlock.gates import EntryFacts
from airlock.registry.records import CheckRow, DecisionRecord, PassageRecord, SnapshotRecord, Verdict
from airlock.spec import Approval, Contract, Latency, Lifecycle, Policy, Roles, Smoke, Stage

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
LIFECYCLE = Lifecycle(
    "standard",
    stages=[
        Stage("DEV", checks=[Contract()]),
        Stage("UAT", checks=[Smoke(), Latency(p99_ms=200.0, on_fail="warn")]),
        Stage("PROD"),
    ],
)
POLICY = Policy("PROD", approvals=[Approval("model-risk"), Approval("it-operations")])
ROLES = Roles({"model-risk": ["mia", "ann", "rob"], "it-operations": ["ivo", "mia"]})

SNAPSHOT = SnapshotRecord(
    digest="sha256:snapshot",
    model="fraud",
    version=3,
    services=("cc-fraud",),
    modes=("online",),
    manifest={},
    created_by="ann",
    created_at=NOW,
)
PASSAGE = PassageRecord(
    id="pas-1",
    service="cc-fraud",
    snapshot_digest=SNAPSHOT.digest,
    snapshot_name=SNAPSHOT.name,
    run_id="fraud@3",
    lifecycle_digest=LIFECYCLE.digest,
    lifecycle=LIFECYCLE.model_dump(mode="json"),
    requested_by="rob",
    state="active",
    outcome=None,
    reason=None,
    superseded_by=None,
    started_at=NOW,
    ended_at=None,
)


def check_row(stage: str, check: str, status: str = "pass", **fields: Any) -> CheckRow:
    """A check's result."""
    found = {"kind": check, "status": status, "summary": f"{check} is {status}.", "metrics": [], **fields}
    return CheckRow(
        id=1,
        passage_id=PASSAGE.id,
        deployment_id="dep-1",
        stage=stage,
        check_name=check,
        kind=check,
        status=status,
        result=found,
        recorded_at=NOW,
    )


RESULTS = {
    "DEV": (check_row("DEV", "contract"),),
    "UAT": (check_row("UAT", "smoke"), check_row("UAT", "latency")),
}

FACTS = EntryFacts(
    passage=PASSAGE,
    snapshot=SNAPSHOT,
    lifecycle=LIFECYCLE,
    stage="PROD",
    policy=POLICY,
    roles=ROLES,
    results=RESULTS,
    decisions=(),
    snapshot_problems=(),
)
"""Only the approvals are missing."""


def with_status(check: str, status: str, facts: EntryFacts = FACTS) -> EntryFacts:
    """The same, but a check of UAT has another status."""
    rows = tuple(
        check_row("UAT", row.check_name, status) if row.check_name == check else row
        for row in facts.results["UAT"]
    )
    return replace(facts, results={**facts.results, "UAT": rows})


def decision(
    user: str, verdict: Verdict = "approve", facts: EntryFacts = FACTS, **fields: Any
) -> DecisionRecord:
    """An accepted decision on what the facts say."""
    values: dict[str, Any] = {
        "id": 1,
        "passage_id": facts.passage.id,
        "stage": facts.stage,
        "snapshot_digest": facts.snapshot.digest,
        "evidence_digest": facts.evidence_digest,
        "policy_digest": facts.policy_digest,
        "user": user,
        "verdict": verdict,
        "comment": "",
        "channel": "airlock",
        "state": "accepted",
        "reason": None,
        "given_at": NOW,
        **fields,
    }
    return DecisionRecord(**values)


def decided(facts: EntryFacts, *decisions: DecisionRecord | str) -> EntryFacts:
    """The same with decisions; a name alone is that person's approval."""
    found: Sequence[DecisionRecord] = [
        decision(each, facts=facts) if isinstance(each, str) else each for each in decisions
    ]
    return replace(facts, decisions=found)
