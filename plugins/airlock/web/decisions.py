"""People's approvals and rejections, and the gates that wait for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, BackgroundTasks, Depends, Query
from pydantic import BaseModel, Field

from airlock.exceptions import DecisionRefused
from airlock.gates import EntryFacts, gather, gather_question, judge_vote, stage_in_question
from airlock.orchestration.judge import give_decision
from airlock.registry import Registry
from airlock.registry.records import DecisionRecord, GateRecord, PassageRecord
from airlock.web.airflow_private import (
    DagAccessEntity,
    GetUserDep,
    action_logging,
    may,
    requires_access_dag,
)
from airlock.web.gate_answers import wake
from airlock.web.guards import PassageToDecide, RegistryDep, UserName, passage_to_decide
from airlock.web.passages import report_path
from airlock.web.promotions import run_url

router = APIRouter(tags=["decisions"])


class NewDecision(BaseModel):
    """One person's word on a snapshot's entry into a stage; the person is who is logged in."""

    stage: str = Field(
        description="The stage that the snapshot asks to enter; `PROD.rollout` answers for PROD's rollout.",
        min_length=1,
    )
    verdict: Literal["approve", "reject"]
    comment: str = Field("", max_length=4000)


@dataclass(frozen=True)
class MissingApproval:
    """A place that the policy wants filled, and who could."""

    role: str
    candidates: list[str]


@dataclass(frozen=True)
class Decided:
    """A decision that counts, and what is still missing after it."""

    decision: DecisionRecord
    missing: list[MissingApproval]


@dataclass(frozen=True)
class GateView:
    """A gate that asks people whether a snapshot may enter ``stage``, or whether its rollout goes on.

    :param why_not_you: why an approval of who asks would not count, ``None`` if it would.
    :param may_reject: whether a rejection of who asks would count.
    :param report: the evidence, for reading in a browser.
    """

    passage_id: str
    service: str
    snapshot_name: str
    stage: str
    dag_id: str
    run_id: str
    task_id: str
    evidence_digest: str
    policy_digest: str
    requested_by: str
    opened_at: datetime
    expires_at: datetime | None
    missing: list[MissingApproval]
    decisions: list[DecisionRecord]
    why_not_you: str | None
    may_reject: bool
    report: str | None
    url: str


@router.post(
    "/passages/{passage_id}/decisions",
    status_code=201,
    responses={409: {"description": "The decision does not count; it is recorded with the reason."}},
    dependencies=[Depends(passage_to_decide), Depends(action_logging("airlock_decide"))],
)
def decide(
    passage: PassageToDecide,
    new: NewDecision,
    user: GetUserDep,
    by: UserName,
    registry: RegistryDep,
    after_response: BackgroundTasks,
) -> Decided:
    """Approve or reject. The ledger has it when this answers; the gate's task is woken right after."""
    decision = give_decision(
        registry,
        passage_id=passage.id,
        stage=new.stage,
        user=by,
        verdict=new.verdict,
        comment=new.comment,
        channel="api",
    )
    if not decision.accepted:
        raise DecisionRefused(f"This does not count: {decision.reason}")
    for gate in registry.gates_open.open_for(passage_id=passage.id):
        if gate.stage == new.stage:
            after_response.add_task(wake, gate, user, decision.verdict)
    if stage_in_question(new.stage) is not None:  # one person's word decides
        return Decided(decision, [])
    return Decided(decision, _missing(_facts(registry, passage, new.stage)))


@router.get("/gates", dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN))])
def list_gates(
    user: GetUserDep,
    by: UserName,
    registry: RegistryDep,
    mine: Annotated[bool, Query(description="Only those where a word of who asks would count.")] = False,
    dag_id: Annotated[str | None, Query(description="Only those of this service.")] = None,
) -> list[GateView]:
    """Gates that wait for people, the one that asked first at the front."""
    views = [
        _view(registry, gate, by)
        for gate in registry.gates_open.open_for(dag_id)
        if may(user, "GET", gate.service, DagAccessEntity.RUN)
    ]
    return [view for view in views if not mine or view.why_not_you is None or view.may_reject]


def _view(registry: Registry, gate: GateRecord, user: str) -> GateView:
    passage = registry.passages.get(gate.passage_id)
    asks = _asks_of_rollout if stage_in_question(gate.stage) is not None else _asks_to_enter
    return GateView(
        passage_id=passage.id,
        service=passage.service,
        snapshot_name=passage.snapshot_name,
        stage=gate.stage,
        dag_id=gate.dag_id,
        run_id=gate.run_id,
        task_id=gate.task_id,
        requested_by=passage.requested_by,
        opened_at=gate.opened_at,
        expires_at=gate.expires_at,
        url=run_url(gate.dag_id, gate.run_id),
        **_asked(gate),
        **asks(registry, passage, gate, user),
    )


def _asked(gate: GateRecord) -> dict[str, Any]:
    """What an answer is bound to: what the gate showed, whatever has come since."""
    return {"evidence_digest": gate.evidence_digest, "policy_digest": gate.policy_digest}


def _asks_to_enter(registry: Registry, passage: PassageRecord, gate: GateRecord, user: str) -> dict[str, Any]:
    facts = _facts(registry, passage, gate.stage)
    asked = _asked(gate)
    return {
        "missing": _missing(facts),
        "decisions": list(facts.decisions),
        "why_not_you": judge_vote(facts, user=user, verdict="approve", **asked),
        "may_reject": judge_vote(facts, user=user, verdict="reject", **asked) is None,
        "report": report_path(passage.id, facts.previous.name) if facts.previous else None,
    }


def _asks_of_rollout(
    registry: Registry, passage: PassageRecord, gate: GateRecord, user: str
) -> dict[str, Any]:
    stage = str(stage_in_question(gate.stage))
    question = gather_question(registry, passage, stage)
    asked = _asked(gate)
    return {
        "missing": [MissingApproval(f"one person with a role of {stage}", list(question.candidates))],
        "decisions": list(question.decisions),
        "why_not_you": question.refusal(user=user, verdict="approve", **asked),
        "may_reject": question.refusal(user=user, verdict="reject", **asked) is None,
        "report": f"{report_path(passage.id, stage)}/rollout",
    }


def _facts(registry: Registry, passage: PassageRecord, stage: str) -> EntryFacts:
    return gather(registry, passage, stage, snapshot_problems=None)


def _missing(facts: EntryFacts) -> list[MissingApproval]:
    assignment = facts.assignment
    return [MissingApproval(str(slot), assignment.candidates[slot]) for slot in assignment.missing]
