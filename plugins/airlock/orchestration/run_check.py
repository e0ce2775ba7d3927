"""One check of one deployed snapshot: run its steps in the runtime, judge outside, record the result."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

from airlock.exceptions import CheckError, DeploymentFailed
from airlock.orchestration.deployments import StageOperator, ready_deployment
from airlock.orchestration.failures import wait_for
from airlock.orchestration.passage_task import PassageTask
from airlock.orchestration.placement import Placement, champion_name, settle
from airlock.spec import Check, Dataset

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

    from airlock.checks import CheckContext, Step
    from airlock.checks.steps import Measurement
    from airlock.registry.records import DeploymentRecord, SnapshotRecord
    from airlock.runtimes.base import Adapter, Handle


class ReportLink(BaseOperatorLink):
    """The stage's report, on the page of each check."""

    name = "Report"
    xcom_key = "report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        from airflow.sdk.execution_time.xcom import XCom

        return str(XCom.get_value(ti_key=ti_key, key=self.xcom_key) or "")


class RunCheck(StageOperator):
    """Measures, judges and records one check.

    A result of any verdict is a success of the task: the gate reads the verdicts. Only a check that
    could not run fails, after its retries.
    """

    operator_extra_links = (ReportLink(),)

    def __init__(self, *, check: Check, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check = check

    def run(self, task: PassageTask) -> dict[str, Any]:
        from airlock.checks import judge, next_step, plan
        from airlock.checks.markdown_section import markdown

        began = time.monotonic()
        placement = self.placement(task)
        deployment = ready_deployment(placement)
        champion = self._champion(task)
        context = self._check_context(task, deployment, champion)
        steps = plan(self.check, context)
        measurements: dict[str, Measurement] = {}
        while (step := next_step(steps, measurements)) is not None:
            measurements[step.name] = self._measure(task, placement, deployment, champion, step, measurements)
        result = judge(self.check, measurements, context, seconds=time.monotonic() - began)
        task.registry.evidence.record(
            task.passage.id, deployment.id, self.stage.name, self.check.name, result.model_dump(mode="json")
        )
        for line in markdown(result).splitlines():
            self.log.info("%s", line)
        if result.status == "error":
            raise CheckError(f"{self.check.name} could not run: {result.summary}")
        if any(step.where == "champion" for step in steps):
            champion_handle = {"name": champion_name(deployment.id, self.check.name)}
            placement.adapter(deployment.runtime).undeploy(champion_handle)
        task.context["ti"].xcom_push(key=ReportLink.xcom_key, value=report_url(task, self.stage.name))
        return {"status": result.status, "summary": result.summary}

    def _check_context(
        self, task: PassageTask, deployment: DeploymentRecord, champion: SnapshotRecord | None
    ) -> CheckContext:
        from airlock.checks import Champion, CheckContext, read_golden

        manifest = task.snapshot.manifest
        endpoint = next((found["url"] for found in deployment.endpoints if found["kind"] == "rest"), None)
        return CheckContext(
            snapshot=task.snapshot.name,
            digest=task.snapshot.digest,
            manifest=manifest,
            mode=deployment.mode,
            scratch=task.settings.workspace / "checks" / self._job_name(task, deployment),
            endpoint=endpoint,
            champion=Champion(champion.name, champion.digest, champion.manifest) if champion else None,
            datasets=self._datasets(task),
            golden=read_golden(self._golden_file(task, manifest).decode()),
        )

    def _datasets(self, task: PassageTask) -> Mapping[str, Dataset]:
        """The service's data sets; paths in its file are relative to the project folder."""
        project = task.settings.include_folder.parent
        return {
            name: dataset.model_copy(update={"path": str(project / dataset.path)})
            for name, dataset in self.pathway.service.datasets.items()
        }

    def _golden_file(self, task: PassageTask, manifest: Mapping[str, Any]) -> bytes:
        path = manifest.get("golden")
        if path is None:
            return b""
        entry = next(entry for entry in manifest["files"] if entry["path"] == path)
        with task.settings.runtime_settings().store.open(entry["sha256"]) as stream:
            return stream.read()

    def _champion(self, task: PassageTask) -> SnapshotRecord | None:
        """The service's active version, unless it is this very snapshot."""
        last = self.pathway.lifecycle.stages[-1]
        current = task.registry.history.current(task.passage.service, last.name)
        if current is None or current.snapshot_digest == task.snapshot.digest:
            return None
        return task.registry.snapshots.get(current.snapshot_digest)

    def _job_name(self, task: PassageTask, deployment: DeploymentRecord) -> str:
        """The same for each try until a result is recorded, so that a job of a killed try is found again."""
        recorded = task.registry.evidence.count(task.passage.id, self.stage.name, self.check.name)
        return f"{deployment.id}-{self.check.name}-{recorded + 1}"

    def _measure(
        self,
        task: PassageTask,
        placement: Placement,
        deployment: DeploymentRecord,
        champion: SnapshotRecord | None,
        step: Step,
        measurements: Mapping[str, Measurement],
    ) -> Measurement:
        from airlock.checks import failed
        from airlock.runtimes.base import Job

        adapter = placement.adapter(deployment.runtime)
        handles: dict[str, Handle | None] = {"checks": None, "candidate": deployment.handle}
        if step.where == "champion" and champion is not None:
            handles["champion"] = self._champion_handle(task, placement, deployment, champion, adapter)
        job = Job(
            name=f"{self._job_name(task, deployment)}-{step.name}",
            command=step.command,
            arguments=step.job(measurements),
            deployment=handles[step.where],
            resources=self.pathway.service.resources,
        )
        handle = adapter.submit(job)
        status = settle(
            lambda: adapter.job_status(handle), "running", task.settings.inline_wait.total_seconds()
        )
        if status.state == "running":
            self.log.info("%s is still running.", job.name)
            wait_for(self, "job settled", runtime=deployment.runtime, handle=handle)
        if status.state == "succeeded" and status.result is not None:
            return status.result
        return failed(status.message or f"The job is {status.state}.", exit_code=status.exit_code)

    def _champion_handle(
        self,
        task: PassageTask,
        placement: Placement,
        deployment: DeploymentRecord,
        champion: SnapshotRecord,
        adapter: Adapter,
    ) -> Handle:
        """The champion scores the same data in its own environment, beside the candidate."""
        name = champion_name(deployment.id, self.check.name)
        plan = placement.plan(deployment, snapshot=champion, name=name, mode="batch")
        handle = adapter.deploy(plan)
        status = settle(lambda: adapter.status(handle), "starting", task.settings.inline_wait.total_seconds())
        if status.state == "starting":
            wait_for(self, "deployment settled", runtime=deployment.runtime, handle=handle)
        if status.state != "ready":
            raise DeploymentFailed(f"The champion {champion.name} could not be brought up: {status.message}")
        return handle


def report_url(task: PassageTask, stage: str) -> str:
    """Where people read the evidence of a stage."""
    return f"{task.settings.base_url}/airlock/api/v1/reports/{task.passage.id}/{stage}"
