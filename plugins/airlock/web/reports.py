"""The page that an approver reads before answering: the evidence of one stage, as it is now."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from airlock.checks import CheckResult, Link, RoleSlot, StageReport, changes, html
from airlock.exceptions import NotFound
from airlock.gates import EntryFacts, gather, question_about
from airlock.orchestration.rollout_answers import compared_so_far
from airlock.orchestration.rollout_look import strategy_of
from airlock.registry import Registry
from airlock.registry.records import DecisionRecord, DeploymentRecord, PassageRecord, SnapshotRecord
from airlock.rollouts import steps
from airlock.rollouts.report import ReportedMove, RolloutReport
from airlock.rollouts.report import html as rollout_html
from airlock.spec import Lifecycle
from airlock.spec.outline import rollout_words
from airlock.web.guards import PassageToRead, RegistryDep
from airlock.web.passages import report_path
from airlock.web.promotions import run_url

router = APIRouter(tags=["reports"])

# The page shows what a model's checks produced: whatever that holds, nothing in it runs or loads anything.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@router.get("/reports/{passage_id}/{stage}", response_class=HTMLResponse)
def report(passage: PassageToRead, stage: str, registry: RegistryDep) -> HTMLResponse:
    """One stage of a passage: what was checked and found, and what its policy asks of people."""
    return HTMLResponse(html(stage_report(registry, passage, stage)), headers=_HEADERS)


@router.get("/reports/{passage_id}/{stage}/rollout", response_class=HTMLResponse)
def rollout_page(passage: PassageToRead, stage: str, registry: RegistryDep) -> HTMLResponse:
    """How traffic moved, or moves, to the passage's snapshot at a stage, and what the guards found."""
    return HTMLResponse(rollout_html(rollout_report(registry, passage, stage)), headers=_HEADERS)


def rollout_report(registry: Registry, passage: PassageRecord, stage: str) -> RolloutReport:
    """Everything that the page of a rollout shows; of several, the last.

    :raises NotFound: the passage has no rollout at this stage.
    """
    rollouts = registry.rollouts.list(passage.id, stage)
    if not rollouts:
        raise NotFound(f"The passage of {passage.snapshot_name} has no rollout in {stage}.")
    rollout = rollouts[-1]
    strategy = strategy_of(rollout)
    current = registry.deployments.get(str(rollout.current_deployment_id))
    return RolloutReport(
        service=passage.service,
        stage=stage,
        snapshot=passage.snapshot_name,
        current=current.snapshot_name,
        strategy=", ".join(rollout_words(strategy)),
        moves=[
            ReportedMove(step.move, step.recorded_at, step.evidence)
            for step in registry.rollouts.steps(rollout.id)
        ],
        began=rollout.began_at,
        under_way=None if rollout.outcome else str(steps(strategy)[rollout.step]),
        outcome=rollout.outcome,
        reason=rollout.reason,
        rollout_id=rollout.id,
        decisions=[
            _said(decision) for decision in registry.decisions.list(passage.id, question_about(stage))
        ],
        so_far=None if rollout.outcome else compared_so_far(rollout),
    )


def _said(decision: DecisionRecord) -> str:
    word = "let it go on" if decision.verdict == "approve" else "rolled it back"
    if not decision.accepted:
        word = f"may not have {word}: {decision.reason}"
    comment = f": {decision.comment}" if decision.comment else ""
    return f"{decision.user} {word}{comment} ({decision.given_at:%Y-%m-%d %H:%M} UTC)"


def stage_report(registry: Registry, passage: PassageRecord, stage: str) -> StageReport:
    """Everything that the page shows.

    :raises NotFound: the passage's life cycle has no such stage.
    """
    lifecycle = Lifecycle.model_validate(passage.lifecycle)
    names = [each.name for each in lifecycle.stages]
    if stage not in names:
        raise NotFound(
            f"Life cycle {lifecycle.lifecycle} has no stage {stage!r}.", mend=f"It has {', '.join(names)}."
        )
    following = lifecycle.after(stage)
    facts = gather(registry, passage, following.name, snapshot_problems=None) if following else None
    snapshot = registry.snapshots.get(passage.snapshot_digest)
    champion = _champion(registry, passage, last_stage=names[-1])
    deployment = _deployment(registry, passage, stage)
    results = registry.evidence.results(passage.id, stage)
    return StageReport(
        service=passage.service,
        snapshot=snapshot.name,
        digest=snapshot.digest,
        stage=stage,
        next_stage=following.name if following else None,
        requester=passage.requested_by,
        results=[CheckResult.model_validate(row.result) for row in results],
        evidence_digest=registry.evidence.digest(passage.id, stage),
        mode=deployment.mode if deployment else "",
        runtime=deployment.runtime if deployment else "",
        risk=_risk(registry, passage.service),
        approvals=_approvals(facts) if facts else (),
        separation_of_duties=facts.policy.separation_of_duties if facts else True,
        expires=_expires(registry, passage, following.name) if following else "",
        policy_digest=facts.policy_digest if facts else "",
        champion=champion.name if champion else None,
        champion_digest=champion.digest if champion else "",
        changes=changes(snapshot.manifest, champion.manifest if champion else None),
        links=_links(registry, passage, stage),
        facts={
            "Passage": passage.id,
            "Snapshot made by": f"{snapshot.created_by}, {snapshot.created_at:%Y-%m-%d %H:%M} UTC",
        },
    )


def _links(registry: Registry, passage: PassageRecord, stage: str) -> list[Link]:
    links = [Link("This passage in Airflow", run_url(passage.service, passage.run_id))]
    if registry.rollouts.list(passage.id, stage):
        links.append(Link("How traffic moved", f"{report_path(passage.id, stage)}/rollout"))
    return links


def _champion(registry: Registry, passage: PassageRecord, *, last_stage: str) -> SnapshotRecord | None:
    """What served at the last stage when the passage began, unless it was this very snapshot."""
    for version in registry.history.versions(passage.service, last_stage):
        ended = version.to_time is not None and version.to_time <= passage.started_at
        if version.from_time <= passage.started_at and not ended:
            if version.snapshot_digest == passage.snapshot_digest:
                return None
            return registry.snapshots.get(version.snapshot_digest)
    return None


def _deployment(registry: Registry, passage: PassageRecord, stage: str) -> DeploymentRecord | None:
    of_passage = registry.deployments.list(service=passage.service, passage_id=passage.id)
    at_stage = [each for each in of_passage if each.stage == stage]
    return at_stage[-1] if at_stage else None


def _risk(registry: Registry, service: str) -> str:
    try:
        return registry.catalog.service(service).risk
    except NotFound:
        return ""


def _approvals(facts: EntryFacts) -> list[RoleSlot]:
    filled = facts.assignment.filled
    return [
        RoleSlot(
            role=approval.role,
            count=approval.count,
            people=[user for user in facts.roles.people(approval.role) if user not in facts.excluded],
            given_by=[user for slot, user in filled.items() if slot.role == approval.role],
        )
        for approval in facts.policy.approvals
    ]


def _expires(registry: Registry, passage: PassageRecord, stage: str) -> str:
    for gate in registry.gates_open.open_for(passage_id=passage.id):
        if gate.stage == stage and gate.expires_at is not None:
            return f"{gate.expires_at:%Y-%m-%d %H:%M} UTC"
    return ""
