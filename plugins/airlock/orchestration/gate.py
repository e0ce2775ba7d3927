"""The end of a stage: what the checks found, what the next stage's policy asks, and who has answered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airlock.orchestration.asking import PATIENT, AskingOperator
from airlock.orchestration.judge import APPROVE, REJECT, Standing, standing
from airlock.orchestration.outcomes import (
    become_current,
    end_passage,
    reject_if_checks_failed,
    retire_promoted,
)
from airlock.orchestration.passage_task import PassageTask, Pathway
from airlock.orchestration.run_check import report_url
from airlock.spec import Policy, Stage


class ApprovalSensor(AskingOperator):
    """Waits until the snapshot may enter the following stage, or must not.

    One task collects all approvals that the policy of the following stage asks. Rejected and expired are
    outcomes: the task is skipped, and with it what follows.
    """

    def __init__(self, *, pathway: Pathway, stage: Stage, following: Stage, **kwargs: Any) -> None:
        service = pathway.service.service
        super().__init__(
            pathway=pathway,
            stage=stage,
            subject=f"May {{{{ ti.xcom_pull(task_ids='begin_passage')['snapshot'] }}}} of {service} "
            f"go from {stage.name} to {following.name}?",
            body="",
            options=[APPROVE, REJECT],
            **{**PATIENT, **kwargs},
        )
        self.following = following

    @property
    def question(self) -> str:
        return self.following.name

    def run(self, task: PassageTask) -> dict[str, Any]:
        reject_if_checks_failed(task, self.stage)
        become_current(task, self.placement(task))
        retire_promoted(task, self.pathway.lifecycle.before(self.stage.name))
        found = standing(task.registry, task.passage, self.following.name)
        for line in str(found).splitlines():
            self.log.info("%s", line)
        if found.rejected:
            end_passage(task, "rejected", found.rejected)
        if found.may_enter:
            task.registry.gates_open.close(task.passage.id, self.following.name)
            return {"approved_by": found.approved_by}
        if not found.people_can_help:
            end_passage(task, "rejected_by_checks", str(found))
        return self._ask(task, found)

    def _ask(self, task: PassageTask, found: Standing) -> dict[str, Any]:
        """Park, and leave. What was decided between the last look and the asking is seen by a second look."""
        instance, facts = task.context["ti"], found.facts
        gate = task.registry.gates_open.open(
            passage_id=task.passage.id,
            stage=self.following.name,
            dag_id=instance.dag_id,
            run_id=instance.run_id,
            task_id=instance.task_id,
            evidence_digest=facts.evidence_digest,
            policy_digest=facts.policy_digest,
            expires_at=datetime.now(UTC) + facts.policy.expires,
        )
        if gate.expires_at is not None and datetime.now(UTC) >= gate.expires_at:
            end_passage(
                task, "expired", f"The approvals were not complete by {gate.expires_at:%Y-%m-%d %H:%M} UTC."
            )
        self.show_request(task.context, request_text(task, self.stage, facts.policy))
        if len(task.registry.decisions.list(task.passage.id, self.following.name)) != len(facts.decisions):
            return self.run(task)
        self.park(task.settings.gate_interval)


def request_text(task: PassageTask, stage: Stage, policy: Policy) -> str:
    """What stands above the buttons, in Markdown.

    Airflow keeps the first text of a request for ever, so no result stands here: it links to the page
    that shows the evidence as it is now.
    """
    passage = task.passage
    places = "\n".join(f"- {approval.count} of **{approval.role}**" for approval in policy.approvals)
    separation = (
        f"\nNot from {' or '.join(sorted({passage.requested_by, task.snapshot.created_by}))}: requesting or "
        "making a snapshot and approving it are separate duties.\n"
        if policy.separation_of_duties
        else ""
    )
    return (
        f"**{passage.snapshot_name}** has been through {stage.name} and asks to enter **{policy.stage}**. "
        f"Requested by {passage.requested_by}.\n\n"
        f"**[Read the report of its checks]({report_url(task, stage.name)})**\n\n"
        f"{policy.stage} asks for approvals:\n\n{places}\n{separation}\n"
        f"Snapshot digest `{passage.snapshot_digest}`.\n"
    )
