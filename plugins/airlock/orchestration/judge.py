"""Where Airlock's rules meet a running passage: who may decide, and what may enter a stage now.

The gate, the deploy task, the web API and the middleware on Airflow's own page all ask here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airlock.exceptions import EntryRefused
from airlock.gates import (
    EntryFacts,
    Unmet,
    gather,
    gather_question,
    judge_vote,
    may_enter,
    stage_in_question,
)

if TYPE_CHECKING:
    from airlock.registry import Registry
    from airlock.registry.records import DecisionRecord, PassageRecord, Verdict
    from airlock.snapshots.store import ArtifactStore

# The options of a gate on Airflow's Required Actions page.
APPROVE, REJECT = "Approve", "Reject"
# The options of a rollout there.
GO_ON, ROLL_BACK = "Go on", "Roll back"

VERDICTS: dict[str, Verdict] = {
    APPROVE: "approve",
    REJECT: "reject",
    GO_ON: "approve",
    ROLL_BACK: "reject",
}

# Conditions that an answer of people can change.
HELPED_BY_PEOPLE = frozenset({"approval_missing", "check_inconclusive"})


@dataclass(frozen=True)
class Standing:
    """How a passage stands before a stage.

    :param unmet: every condition that is not met; empty where it may enter.
    """

    facts: EntryFacts
    unmet: tuple[Unmet, ...]

    @property
    def may_enter(self) -> bool:
        """Whether nothing stands in the way."""
        return not self.unmet

    @property
    def rejected(self) -> str | None:
        """Who rejected it and why, in a sentence."""
        return next((str(condition) for condition in self.unmet if condition.code == "rejected"), None)

    @property
    def people_can_help(self) -> bool:
        """Whether answers of people could meet all that is unmet."""
        return {condition.code for condition in self.unmet} <= HELPED_BY_PEOPLE

    @property
    def approved_by(self) -> list[str]:
        """Who fills the places of the policy."""
        return sorted(self.facts.assignment.filled.values())

    def __str__(self) -> str:
        name, stage = self.facts.snapshot.name, self.facts.stage
        if self.may_enter:
            by = f", approved by {', '.join(self.approved_by)}" if self.approved_by else ""
            return f"{name} may enter {stage}{by}."
        return "\n".join([f"{name} may not enter {stage}:", *(f"- {condition}" for condition in self.unmet)])


def standing(registry: Registry, passage: PassageRecord, stage: str) -> Standing:
    """How a passage stands before a stage, without a look at the snapshot's stored files."""
    facts = gather(registry, passage, stage, snapshot_problems=None)
    return Standing(facts, tuple(may_enter(facts)))


def refuse_entry(registry: Registry, store: ArtifactStore, passage: PassageRecord, stage: str) -> None:
    """The lock that counts, asked before a runtime is touched; the snapshot's stored bytes are verified too.

    :raises EntryRefused: naming each unmet condition and who can meet it.
    """
    from airlock.snapshots.manifest import Manifest

    snapshot = registry.snapshots.get(passage.snapshot_digest)
    problems = [str(problem) for problem in store.verify(Manifest.model_validate(snapshot.manifest))]
    facts = gather(registry, passage, stage, snapshot_problems=problems)
    found = Standing(facts, tuple(may_enter(facts)))
    if not found.may_enter:
        raise EntryRefused(str(found))


def give_decision(
    registry: Registry,
    *,
    passage_id: str,
    stage: str,
    user: str,
    verdict: Verdict,
    comment: str,
    channel: str,
) -> DecisionRecord:
    """Write down one person's approve or reject: accepted, or refused with the reason.

    It is bound to the snapshot, to the evidence that the gate showed and to the policy it asked under; an
    answer that comes twice (Airflow's page, then the task that resumes) finds the row that is there.

    :param stage: the stage to be entered, or the name of a question about a stage's rollout.
    :raises NotFound: no such passage, or its life cycle has no such stage.
    """
    passage = registry.passages.get(passage_id)
    asked = next(
        (gate for gate in registry.gates_open.open_for(passage_id=passage_id) if gate.stage == stage), None
    )
    if (of_rollout := stage_in_question(stage)) is not None:
        question = gather_question(registry, passage, of_rollout)
        evidence = asked.evidence_digest if asked else str(question.evidence_digest)
        policy = asked.policy_digest if asked else question.policy_digest
        reason = question.refusal(user=user, verdict=verdict, evidence_digest=evidence, policy_digest=policy)
    else:
        facts = gather(registry, passage, stage, snapshot_problems=None)
        evidence = asked.evidence_digest if asked else facts.evidence_digest
        policy = asked.policy_digest if asked else facts.policy_digest
        reason = judge_vote(facts, user=user, verdict=verdict, evidence_digest=evidence, policy_digest=policy)
    return registry.decisions.record(
        passage_id=passage_id,
        stage=stage,
        evidence_digest=evidence,
        policy_digest=policy,
        user=user,
        verdict=verdict,
        comment=comment,
        channel=channel,
        accepted=reason is None,
        reason=reason,
    )
