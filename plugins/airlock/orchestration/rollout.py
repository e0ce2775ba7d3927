"""Traffic moves to the new version step by step while its guards pass; otherwise all of it goes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airlock.exceptions import CheckError, Conflict
from airlock.gates import gather_question, question_about
from airlock.orchestration.asking import PATIENT, AskingOperator
from airlock.orchestration.configuration import load_settings
from airlock.orchestration.deployments import ready_deployment
from airlock.orchestration.failures import wait_for
from airlock.orchestration.judge import GO_ON, ROLL_BACK
from airlock.orchestration.links import REPORT
from airlock.orchestration.notifying import tell_of_rollback
from airlock.orchestration.outcomes import end_if_left, end_passage, reject_if_checks_failed, stop_rollout
from airlock.orchestration.passage_task import PassageTask, Pathway
from airlock.orchestration.rollout_look import (
    View,
    ask_runtime,
    first_readings,
    look,
    out_of_reach,
    strategy_of,
)
from airlock.orchestration.run_check import report_url
from airlock.orchestration.stream_answers import comparison, guard_of_records, is_due, kept
from airlock.orchestration.traffic import direct
from airlock.registry.records import Mirror
from airlock.rollouts import Step, steps, sticky_header
from airlock.spec import Stage

if TYPE_CHECKING:
    from airlock.orchestration.notifying import Notifiers
    from airlock.registry import Registry
    from airlock.registry.records import DeploymentRecord, PassageRecord, RolloutRecord

LOOK_WHILE_ASKING = timedelta(seconds=30)
"""How often guards are looked at while people are asked: a parked task is woken by the scheduler only."""


class MoveTraffic(AskingOperator):
    """Rolls the new version out, as its stage's ``rollout`` says.

    Each time it wakes it reads the registry, lets traffic be what the step says, measures, and does the one
    next thing. A move is written down before traffic follows it: killed in between, the next try sends what
    the record says, which is never more than the step.

    It begins only where there is a current version to go back to. Where it is completed, the new version is
    the one in use: a rollback made by people after that is not rolled back.
    """

    operator_extra_links = (REPORT,)

    def __init__(self, *, pathway: Pathway, stage: Stage, on_rollback: Notifiers = (), **kwargs: Any) -> None:
        super().__init__(
            pathway=pathway,
            stage=stage,
            subject=f"Shall {{{{ ti.xcom_pull(task_ids='begin_passage')['snapshot'] }}}} of "
            f"{pathway.service.service} get more of {stage.name}'s traffic?",
            body="",
            options=[GO_ON, ROLL_BACK],
            **{**PATIENT, **kwargs},
        )
        self.on_rollback = on_rollback

    @property
    def question(self) -> str:
        return question_about(self.stage.name)

    def open(self, registry: Registry, passage: PassageRecord) -> PassageRecord:
        """A passage that ended while traffic moved (superseded, say) keeps none of it."""
        if passage.state == "finished" and passage.outcome not in ("failed", "completed"):
            for rollout in registry.rollouts.list(passage.id, self.stage.name):
                if rollout.outcome != "completed":
                    stop_rollout(load_settings(), registry, rollout, f"the passage ended: {passage.outcome}")
        return super().open(registry, passage)

    def run(self, task: PassageTask) -> dict[str, Any]:
        reject_if_checks_failed(task, self.stage)
        end_if_left(task, self.placement(task))
        rollout = self._rollout(task)
        if rollout is None:
            self.log.info(
                "No version is in use in %s: nothing to compare with, so all at once.", self.stage.name
            )
            return {"outcome": "completed", "compared": False}
        REPORT.set(task.context, f"{report_url(task, self.stage.name)}/rollout")
        while rollout.outcome is None:
            rollout = self._next(task, rollout)
        return self._ended(task, rollout)

    def _rollout(self, task: PassageTask) -> RolloutRecord | None:
        """The rollout of this passage's deployment, begun now where it is new."""
        placement = self.placement(task)
        newest = placement.current()
        for known in task.registry.rollouts.list(task.passage.id, self.stage.name):
            if known.deployment_id == newest.id:  # which may be gone already, where it was rolled back
                return known
        new = ready_deployment(placement)
        current = _current(task.registry, new)
        if current is None:
            return None
        self.log.info("%s takes over from %s by steps.", new.snapshot_name, current.snapshot_name)
        return task.registry.rollouts.begin(
            passage_id=task.passage.id,
            service=task.passage.service,
            stage=self.stage.name,
            strategy=self.stage.moves_traffic_by.model_dump(mode="json"),
            deployment_id=new.id,
            current_deployment_id=current.id,
        )

    def _next(self, task: PassageTask, rollout: RolloutRecord) -> RolloutRecord:
        """Let traffic be as the step says, look, and make one move."""
        rollouts, step = task.registry.rollouts, steps(strategy_of(rollout))[rollout.step]
        try:
            _send(task.registry, rollout, step)
        except Conflict:
            if (rollout := rollouts.get(rollout.id)).outcome is None:
                raise
            return rollout  # people have ended it since it was read
        if step.bake is not None and rollout.since is None:
            rollout = self._measure(task, rollout)
        rollout = self._compare_records(task, rollout)
        view = look(task.registry, rollout, ask_runtime(task.settings, task.registry))
        for result in view.results:
            self.log.info("%s: %s: %s. %s", step, result.guard, result.status, result.summary)
        match view.move.kind:
            case "wait":
                wait_for(self, "rollout moves", task.begun, rollout=rollout.id)
            case "ask":
                return self._ask(task, rollouts.ask(rollout, view.evidence))
            case "extend":
                rollout = rollouts.extend(rollout, view.evidence)
            case "advance":
                rollout = rollouts.advance(rollout, view.evidence)
            case "complete":
                rollout = rollouts.end(rollout.id, "completed", view.move.reason, view.evidence)
            case "roll_back":
                rollout = rollouts.end(rollout.id, "rolled_back", view.reason, view.evidence)
        self.log.info("%s: %s, as %s", step, view.move.kind.replace("_", " "), view.reason)
        self._close_question(task, view)
        return rollout

    def _measure(self, task: PassageTask, rollout: RolloutRecord) -> RolloutRecord:
        """Let the step begin, now that both versions have said what they had counted before it.

        :raises CheckError: one of them does not, and the new one is not gone: later it may.
        """
        try:
            readings = first_readings(task.registry, rollout)
        except CheckError as error:
            gone = out_of_reach(task.registry, rollout, ask_runtime(task.settings, task.registry), error)
            if gone.status != "fail":
                raise
            return task.registry.rollouts.end(rollout.id, "rolled_back", gone.summary)
        return task.registry.rollouts.measure_from(rollout.id, rollout.step, readings)

    def _compare_records(self, task: PassageTask, rollout: RolloutRecord) -> RolloutRecord:
        """Have the answers of a shadow's worker compared where it is due; otherwise nothing happens."""
        strategy = strategy_of(rollout)
        guard = guard_of_records(strategy, task.registry.deployments.get(rollout.deployment_id))
        if guard is None or rollout.outcome or not is_due(strategy, rollout, datetime.now(UTC)):
            return rollout
        current = task.registry.deployments.get(str(rollout.current_deployment_id))
        watch = self.placement(task).watch(current.runtime, task.begun)
        job = watch.submit(comparison(task.settings, task.registry, rollout, strategy, guard))
        status = watch.job(job, "comparison")
        if status.state == "running":
            self.log.info("The answers are being compared. %s", status.message)
            wait_for(self, "job settled", task.begun, runtime=current.runtime, handle=job)
        rollout = task.registry.rollouts.keep_answers(rollout, kept(rollout, status))
        watch.adapter.remove_job(job)
        return rollout

    def _ask(self, task: PassageTask, rollout: RolloutRecord) -> RolloutRecord:
        """Park, and leave. What was decided between the last look and the asking is seen by a second look."""
        registry, instance = task.registry, task.context["ti"]
        question = gather_question(registry, task.passage, self.stage.name)
        registry.gates_open.open(
            passage_id=task.passage.id,
            stage=self.question,
            dag_id=instance.dag_id,
            run_id=instance.run_id,
            task_id=instance.task_id,
            evidence_digest=str(rollout.asked),
            policy_digest=question.policy_digest,
            expires_at=datetime.now(UTC) + question.policy.expires,
        )
        self.show_request(task.context, self._request_text(task, rollout))
        if len(registry.decisions.list(task.passage.id, self.question)) != len(question.decisions):
            return rollout
        self.park(min(LOOK_WHILE_ASKING, task.settings.gate_interval))

    def _request_text(self, task: PassageTask, rollout: RolloutRecord) -> str:
        """What stands above the buttons. Airflow keeps the first text for ever: numbers are in the report."""
        stage, passage = self.stage.name, task.passage
        candidates = gather_question(task.registry, passage, stage).candidates
        return (
            f"**{passage.snapshot_name}** is being rolled out in {stage}, and its guards leave it to a "
            "person whether it goes on.\n\n"
            f"**[Read what they found]({report_url(task, stage)}/rollout)**\n\n"
            f"These people may let it go on: {', '.join(candidates)}. Everybody with a role of {stage} may "
            "roll it back. Without an answer it is rolled back.\n\n"
            f"Rollout `{rollout.id}`, snapshot digest `{passage.snapshot_digest}`.\n"
        )

    def _close_question(self, task: PassageTask, view: View) -> None:
        if view.rollout.asked is not None:
            task.registry.gates_open.close(task.passage.id, self.question, view.move.kind)

    def _ended(self, task: PassageTask, rollout: RolloutRecord) -> dict[str, Any]:
        """All traffic is where the outcome wants it; after a failure the passage ends."""
        if rollout.outcome == "completed":
            return {"outcome": rollout.outcome, "compared": True}
        self._go_back(task, rollout)

    def _go_back(self, task: PassageTask, rollout: RolloutRecord) -> NoReturn:
        """Traffic first, then the new deployment, then the passage: each is found done by the next try."""
        reason = f"{self.stage.name}: {rollout.reason}"
        stop_rollout(task.settings, task.registry, rollout, reason)
        tell_of_rollback(self.on_rollback, task, rollout, owner=self.pathway.service.owner)
        end_passage(task, "rolled_back", reason)


def _send(registry: Registry, rollout: RolloutRecord, step: Step) -> None:
    """Let traffic be as a step says; where it is, nothing changes."""
    assert rollout.current_deployment_id is not None
    shares: dict[str, int] = {}
    if step.percent:
        shares[rollout.deployment_id] = step.percent
    if step.percent < 100:
        shares[rollout.current_deployment_id] = 100 - step.percent
    direct(
        registry,
        rollout.service,
        rollout.stage,
        shares,
        mirror=Mirror(rollout.deployment_id, step.mirrored) if step.mirrored else None,
        sticky=sticky_header(strategy_of(rollout)) if step.percent < 100 else None,
        reason=f"{strategy_of(rollout).kind}: {step}",
    )


def _current(registry: Registry, new: DeploymentRecord) -> DeploymentRecord | None:
    """The live deployment of the stage's version, if it is another one."""
    version = registry.history.current(new.service, new.stage, "online")
    if version is None or version.deployment_id in (None, new.id):
        return None
    current = registry.deployments.find(str(version.deployment_id))
    return current if current is not None and current.state == "ready" else None
