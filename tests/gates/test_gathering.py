"""The facts are those that the registry holds now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airlock.exceptions import NotFound
from airlock.gates import gather, judge_vote, may_enter
from airlock.registry import Registry
from airlock.spec import Approval, Lifecycle, Policy, Roles, Smoke, Stage
from tests.registry.building import add_snapshot, begin, include, record

LIFECYCLE = Lifecycle("checked", stages=[Stage("DEV", checks=[Smoke()]), Stage("PROD")])


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    opened = Registry(f"sqlite:///{tmp_path}/registry.db")
    opened.migrate()
    yield opened
    opened.close()


def test_from_the_first_check_to_the_last_approval(registry: Registry) -> None:
    policy = Policy("PROD", approvals=[Approval("model-risk")])
    registry.catalog.apply(include(LIFECYCLE, policy, Roles({"model-risk": ["mia"]})), by="ops")
    passage = begin(registry, add_snapshot(registry, by="ann"), "run-1", lifecycle=LIFECYCLE, by="rob")

    def unmet() -> list[str]:
        return [each.code for each in may_enter(gather(registry, passage, "PROD", snapshot_problems=[]))]

    assert may_enter(gather(registry, passage, "DEV", snapshot_problems=[])) == []
    assert unmet() == ["check_missing", "approval_missing"]
    record(registry, passage, "smoke")
    assert unmet() == ["approval_missing"]

    facts = gather(registry, passage, "PROD", snapshot_problems=None)
    assert facts.evidence_digest == registry.evidence.digest(passage.id, "DEV")
    for user in ("rob", "mia"):
        reason = judge_vote(
            facts,
            user=user,
            verdict="approve",
            evidence_digest=facts.evidence_digest,
            policy_digest=facts.policy_digest,
        )
        registry.decisions.record(
            passage_id=passage.id,
            stage="PROD",
            evidence_digest=facts.evidence_digest,
            policy_digest=facts.policy_digest,
            user=user,
            verdict="approve",
            comment="",
            channel="airlock",
            accepted=reason is None,
            reason=reason,
        )
    assert unmet() == []
    assert [each.state for each in registry.decisions.list(passage.id)] == ["refused", "accepted"]

    record(registry, passage, "smoke", status="warn")
    assert unmet() == ["approval_missing"], "the evidence has changed"


def test_a_stage_that_is_not_on_the_way_is_not_found(registry: Registry) -> None:
    passage = begin(registry, add_snapshot(registry), "run-1", lifecycle=LIFECYCLE)
    with pytest.raises(NotFound, match=r"Life cycle checked has no stage 'UAT'. It has DEV, PROD"):
        gather(registry, passage, "UAT", snapshot_problems=None)


def test_the_facts_are_read_afresh(registry: Registry) -> None:
    passage = begin(registry, add_snapshot(registry), "run-1", lifecycle=LIFECYCLE)
    registry.passages.finish(passage.id, "expired", "nobody answered")
    assert gather(registry, passage, "PROD", snapshot_problems=None).passage.outcome == "expired"
