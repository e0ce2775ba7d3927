"""Whether a rollout goes on, where its guards cannot tell: who may say so, and what was said.

One person's word decides. Going on is an approval, so requester and author may not where the policy separates
duties; rolling back is open to everybody with one of the stage's roles.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from airlock.registry import Registry
from airlock.registry.records import DecisionRecord, PassageRecord, SnapshotRecord, Verdict
from airlock.spec import Policy, Roles

_SUFFIX = ".rollout"


def question_about(stage: str) -> str:
    """Under which name decisions on a stage's rollout are kept, beside those on the entry into the stage."""
    return f"{stage}{_SUFFIX}"


def stage_in_question(question: str) -> str | None:
    """The stage whose rollout a question is about; ``None`` where it is about an entry."""
    return question.removesuffix(_SUFFIX) if question.endswith(_SUFFIX) else None


@dataclass(frozen=True)
class RolloutQuestion:
    """Everything that decides about an answer.

    :param stage: where the rollout is.
    :param policy: of this stage: its roles are asked.
    :param evidence_digest: of what people are asked about; ``None`` where nobody is asked.
    :param decisions: all that were given about this stage's rollouts, in their order.
    """

    passage: PassageRecord
    snapshot: SnapshotRecord
    stage: str
    policy: Policy
    roles: Roles
    evidence_digest: str | None
    decisions: tuple[DecisionRecord, ...]

    @property
    def policy_digest(self) -> str:
        """The policy as it is now: decisions are bound to it."""
        return self.policy.digest

    @cached_property
    def answer(self) -> Verdict | None:
        """What was said; of several answers, a rejection takes precedence."""
        said = {
            decision.verdict
            for decision in self.decisions
            if decision.accepted
            and (decision.snapshot_digest, decision.evidence_digest, decision.policy_digest)
            == (self.snapshot.digest, self.evidence_digest, self.policy_digest)
        }
        return "reject" if "reject" in said else "approve" if said else None

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """Who may say that it goes on."""
        people = {user for approval in self.policy.approvals for user in self.roles.people(approval.role)}
        return tuple(sorted(people - self._excluded))

    @property
    def _excluded(self) -> frozenset[str]:
        if not self.policy.separation_of_duties:
            return frozenset()
        return frozenset({self.passage.requested_by, self.snapshot.created_by})

    def refusal(self, *, user: str, verdict: Verdict, evidence_digest: str, policy_digest: str) -> str | None:
        """Why a person's word does not count, or ``None`` if it does."""
        name = self.snapshot.name
        if self.passage.state == "finished":
            return f"The passage of {name} is over: {self.passage.outcome}."
        if self.evidence_digest is None:
            return f"Nobody is asked about the rollout of {name} in {self.stage}."
        if (evidence_digest, policy_digest) != (self.evidence_digest, self.policy_digest):
            return "What was asked has changed since. Look again, then decide."
        asked = [approval.role for approval in self.policy.approvals]
        if not set(asked) & set(self.roles.of(user)):
            return f"{user} has none of the roles that decide about {self.stage}: {', '.join(asked)}."
        if verdict == "approve" and user in self._excluded:
            which = "requested this passage" if user == self.passage.requested_by else f"made {name}"
            return (
                f"{user} {which}, and the policy of {self.stage} separates duties: somebody else must decide."
            )
        return None


def gather_question(registry: Registry, passage: PassageRecord, stage: str) -> RolloutQuestion:
    """Read the facts about a stage's rollout, as they are now."""
    rollouts = registry.rollouts.list(passage.id, stage)
    under_way = [rollout for rollout in rollouts if rollout.outcome is None]
    return RolloutQuestion(
        passage=registry.passages.get(passage.id),
        snapshot=registry.snapshots.get(passage.snapshot_digest),
        stage=stage,
        policy=registry.catalog.policy(stage),
        roles=registry.catalog.roles(),
        evidence_digest=under_way[-1].asked if under_way else None,
        decisions=tuple(registry.decisions.list(passage.id, question_about(stage))),
    )
