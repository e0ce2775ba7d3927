"""Whether a snapshot may enter a stage, and if not, everything that stands in the way.

The gate asks this before it asks people, and ``deploy`` asks it again before it touches a runtime: what
Airflow thinks of the gate's task does not matter here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from airlock.gates.quorum import Assignment, Vote, match
from airlock.registry.evidence import evidence_digest
from airlock.registry.records import CheckRow, DecisionRecord, PassageRecord, SnapshotRecord, Verdict
from airlock.spec import Check, Lifecycle, Policy, Roles, Stage

Code = Literal[
    "passage_over",
    "passage_queued",
    "snapshot_changed",
    "check_missing",
    "check_failed",
    "check_error",
    "check_skipped",
    "check_inconclusive",
    "evidence_missing",
    "approval_missing",
    "approval_impossible",
    "rejected",
]

PASSED = ("pass", "warn")
"""What counts as passed. ``error`` and ``skipped`` never do, whatever ``on_fail`` says."""


@dataclass(frozen=True)
class Unmet:
    """One condition of entry that is not met.

    :param message: what is not as it must be, in a sentence.
    :param who: who can meet it: user names where the policy names people, otherwise in words.
    """

    code: Code
    message: str
    who: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.message} ({', '.join(self.who)})" if self.who else self.message


@dataclass(frozen=True)
class EntryFacts:
    """Everything that decides about one entry; nothing else does.

    :param lifecycle: the one the passage began with.
    :param stage: the stage to be entered; must be one of the life cycle's.
    :param results: current check results of the stages before it, by stage.
    :param decisions: all decisions on this entry, in the order they were given.
    :param snapshot_problems: what was found amiss with the snapshot's stored files, one message each;
        ``None`` says that nobody has looked. ``deploy`` must look.
    """

    passage: PassageRecord
    snapshot: SnapshotRecord
    lifecycle: Lifecycle
    stage: str
    policy: Policy
    roles: Roles
    results: Mapping[str, Sequence[CheckRow]]
    decisions: Sequence[DecisionRecord]
    snapshot_problems: Sequence[str] | None

    @cached_property
    def previous(self) -> Stage | None:
        """The stage whose evidence counts; ``None`` where ``stage`` is the first."""
        before = self.lifecycle.before(self.stage)
        return before[-1] if before else None

    @cached_property
    def evidence_digest(self) -> str:
        """What the current results of the previous stage say: decisions are bound to it."""
        return evidence_digest(self.results.get(self.previous.name, ()) if self.previous else ())

    @cached_property
    def policy_digest(self) -> str:
        """The policy as it is now: decisions are bound to it."""
        return self.policy.digest

    @cached_property
    def excluded(self) -> frozenset[str]:
        """Who may not approve, by separation of duties."""
        if not self.policy.separation_of_duties:
            return frozenset()
        return frozenset({self.passage.requested_by, self.snapshot.created_by})

    @cached_property
    def standing(self) -> list[DecisionRecord]:
        """Decisions that count: accepted, and bound to what is so now."""
        binding = (self.stage, self.snapshot.digest, self.evidence_digest, self.policy_digest)
        return [
            decision
            for decision in self.decisions
            if decision.accepted
            and (decision.stage, decision.snapshot_digest, decision.evidence_digest, decision.policy_digest)
            == binding
        ]

    @cached_property
    def rejections(self) -> list[DecisionRecord]:
        """Rejections that count."""
        return [decision for decision in self.standing if decision.verdict == "reject"]

    @cached_property
    def assignment(self) -> Assignment:
        """Which of the policy's places are filled, and by whom."""
        rejecting = {decision.user for decision in self.rejections}
        votes = [Vote(decision.user) for decision in self.standing if decision.verdict == "approve"]
        return match(self.policy.approvals, votes, self.roles, excluded=rejecting | self.excluded)


def may_enter(facts: EntryFacts) -> list[Unmet]:
    """Every unmet condition of entering a stage; an empty list says that the snapshot may enter.

    Entering the first stage needs no evidence, since there is no stage before it.
    """
    return [
        *_passage(facts),
        *_snapshot(facts),
        *_checks(facts),
        *_required_kinds(facts),
        *_rejections(facts),
        *_approvals(facts),
    ]


def judge_vote(
    facts: EntryFacts, *, user: str, verdict: Verdict, evidence_digest: str, policy_digest: str
) -> str | None:
    """Why a person's approve or reject does not count, or ``None`` if it does.

    Approving twice, or after having rejected, is refused. Rejecting after having approved is not, and it
    takes precedence: who learns something new must be able to stop what they let through. Requester and
    author may reject what they asked for, if they have one of the roles.

    :param evidence_digest: the evidence that the person saw.
    :param policy_digest: the policy that the person was asked under.
    """
    name, stage = facts.snapshot.name, facts.stage
    if facts.passage.state == "finished":
        return f"The passage of {name} is over: {facts.passage.outcome}."
    if evidence_digest != facts.evidence_digest:
        return f"The evidence for {name} has changed since it was shown. Look at it again, then decide."
    if policy_digest != facts.policy_digest:
        return f"The policy of {stage} has changed since the question was asked. Look again, then decide."
    asked = [approval.role for approval in facts.policy.approvals]
    if not asked:
        return f"The policy of {stage} asks nobody."
    if not set(asked) & set(facts.roles.of(user)):
        return f"{user} has none of the roles that decide about {stage}: {', '.join(asked)}."
    if verdict == "approve" and user in facts.excluded:
        which = "requested this passage" if user == facts.passage.requested_by else f"made {name}"
        return f"{user} {which}, and the policy of {stage} separates duties: somebody else must approve."
    earlier = {decision.verdict for decision in facts.standing if decision.user == user}
    if "reject" in earlier or verdict in earlier:
        return f"{user} has {'rejected' if 'reject' in earlier else 'approved'} this already."
    return None


def _passage(facts: EntryFacts) -> Iterator[Unmet]:
    passage = facts.passage
    if passage.state == "finished":
        message = f"The passage of {passage.snapshot_name} is over: {passage.outcome}."
        reason = f" {passage.reason}" if passage.reason else ""
        yield Unmet("passage_over", message + reason, ("whoever promotes it again",))
    elif passage.state == "queued":
        message = f"The passage of {passage.snapshot_name} waits in line behind another of {passage.service}."
        yield Unmet("passage_queued", message)


def _snapshot(facts: EntryFacts) -> Iterator[Unmet]:
    for problem in facts.snapshot_problems or ():
        message = f"The stored files of {facts.snapshot.name} are not those that were checked: {problem}"
        yield Unmet("snapshot_changed", message, ("whoever restores the artifact store",))


def _checks(facts: EntryFacts) -> Iterator[Unmet]:
    if facts.previous is None:
        return
    results = {row.check_name: row for row in facts.results.get(facts.previous.name, ()) if not row.replaced}
    for check in facts.previous.checks:
        unmet = _check(facts, facts.previous.name, check, results.get(check.name))
        if unmet is not None:
            yield unmet


def _check(facts: EntryFacts, stage: str, check: Check, row: CheckRow | None) -> Unmet | None:
    what = f"Check {check.name} at {stage}"
    again = ("whoever may clear its task in Airflow",)
    if row is None:
        return Unmet("check_missing", f"{what} has no result.", again)
    told = f" {row.result.get('summary') or ''}".rstrip()
    if row.status in PASSED or (row.status == "fail" and check.on_fail == "warn"):
        return None
    if row.status == "fail":
        author = f"{facts.snapshot.created_by}, by a new snapshot"
        return Unmet("check_failed", f"{what} failed.{told}", (author,))
    if row.status == "inconclusive":
        return _inconclusive(facts, f"{what} could not tell: it is inconclusive.{told}")
    if row.status == "skipped":
        return Unmet("check_skipped", f"{what} was skipped, which is no pass.{told}", again)
    return Unmet("check_error", f"{what} could not run.{told}", again)


def _inconclusive(facts: EntryFacts, message: str) -> Unmet | None:
    """People who approve over this evidence accept it as it is; without people it stops here."""
    if not facts.policy.approvals:
        message += f" The policy of {facts.stage} asks nobody, so nobody can accept that."
        return Unmet("check_inconclusive", message, (f"{facts.snapshot.created_by}, with more data",))
    if facts.assignment.filled:
        return None
    message += " An approval of this evidence accepts it."
    return Unmet("check_inconclusive", message, _candidates(facts))


def _required_kinds(facts: EntryFacts) -> Iterator[Unmet]:
    passed = {
        row.kind
        for stage in facts.lifecycle.before(facts.stage)
        for row in facts.results.get(stage.name, ())
        if not row.replaced and row.status in PASSED
    }
    for kind in facts.policy.evidence:
        if kind not in passed:
            message = f"The policy of {facts.stage} wants a passed check of kind {kind} at an earlier stage."
            yield Unmet("evidence_missing", message, ("whoever writes the life cycle",))


def _rejections(facts: EntryFacts) -> Iterator[Unmet]:
    for decision in facts.rejections:
        comment = f": {decision.comment}" if decision.comment else "."
        yield Unmet("rejected", f"{decision.user} rejected {facts.snapshot.name} for {facts.stage}{comment}")


def _approvals(facts: EntryFacts) -> Iterator[Unmet]:
    for slot in facts.assignment.missing:
        people = facts.assignment.candidates[slot]
        if people:
            yield Unmet("approval_missing", f"An approval as {slot} is missing.", tuple(people))
        else:
            excluded = sorted(facts.excluded & set(facts.roles.people(slot.role)))
            why = f" ({', '.join(excluded)} may not: separation of duties)" if excluded else ""
            message = f"An approval as {slot} is missing, and nobody is left who could give it{why}."
            yield Unmet("approval_impossible", message, ("whoever edits policies/roles.yaml",))


def _candidates(facts: EntryFacts) -> tuple[str, ...]:
    return tuple(sorted({user for people in facts.assignment.candidates.values() for user in people}))
