"""The end of a stage: what the checks found, what the next stage's policy asks, and who has answered.

Airflow's approval is the face; the registry is the judge. The task parks in ``awaiting_input``, and
each time it wakes (an answer, the periodic look, a retry after Airflow lost an answer) it reads the
registry afresh, so that nobody is asked twice and no decision is lost.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import TaskAwaitingInput
from airflow.sdk.execution_time.hitl import upsert_hitl_detail

from airlock.orchestration.deployments import StageOperator
from airlock.orchestration.judge import APPROVE, REJECT, VERDICTS, Standing, give_decision, standing
from airlock.orchestration.outcomes import (
    become_current,
    end_passage,
    reject_if_checks_failed,
    retire_promoted,
)
from airlock.orchestration.passage_task import PassageTask, Pathway
from airlock.orchestration.run_check import report_url
from airlock.spec import Policy, Stage

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airlock.registry.records import Verdict

COMMENT = Param("", type=["null", "string"], title="Comment", description="Why.")


class ApprovalSensor(StageOperator, HITLOperator):
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
            # Airflow may fail a try whose answer comes while it books the parking (docs/decisions);
            # each such try is repeated, and finds the decision in the registry.
            **{"retries": 10, "retry_delay": timedelta(seconds=1), **kwargs},
        )
        self.following = following

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
        upsert_hitl_detail(
            ti_id=instance.id,
            options=self.options,
            subject=self.subject,
            body=request_text(task, self.stage, facts.policy),
            multiple=False,
            params=self.serialized_params,
        )
        if len(task.registry.decisions.list(task.passage.id, self.following.name)) != len(facts.decisions):
            return self.run(task)
        raise TaskAwaitingInput(method_name="execute_complete", timeout=task.settings.gate_interval)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """An answer, or the periodic look: record what was answered, and look at everything again."""
        chosen, user = event.get("chosen_options"), event.get("responded_by_user")
        if chosen and user:
            self._record(
                context, VERDICTS[chosen[0]], user["name"] or user["id"], event.get("params_input") or {}
            )
        return self.execute(context)

    def _record(self, context: Context, verdict: Verdict, user: str, answers: dict[str, Any]) -> None:
        """Usually this finds the decision that the API server wrote as it accepted the answer."""
        from airlock.orchestration.configuration import open_registry

        registry = open_registry()
        passage = registry.passages.by_run(self.dag_id, context["dag_run"].run_id)
        if passage is None or passage.state == "finished":
            return
        decision = give_decision(
            registry,
            passage_id=passage.id,
            stage=self.following.name,
            user=user,
            verdict=verdict,
            comment=str(answers.get("comment") or ""),
            channel="airflow",
        )
        if decision.state != "accepted":
            self.log.warning("The answer of %s does not count: %s", user, decision.reason)


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
