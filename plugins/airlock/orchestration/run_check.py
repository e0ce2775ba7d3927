"""One check of one deployed snapshot: run its steps in the runtime, judge outside, record the result."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airlock.exceptions import AirlockError, CheckError, DeploymentFailed
from airlock.orchestration import files
from airlock.orchestration.deployments import StageOperator, ready_deployment
from airlock.orchestration.failures import wait_for
from airlock.orchestration.links import REPORT
from airlock.orchestration.passage_task import PassageTask
from airlock.orchestration.placement import Placement, champion_name
from airlock.orchestration.streams import is_worker
from airlock.orchestration.watching import Watch
from airlock.spec import Check, Dataset

if TYPE_CHECKING:
    from airlock.checks import CheckContext, Step
    from airlock.checks.steps import Measurement
    from airlock.registry.records import DeploymentRecord, SnapshotRecord
    from airlock.runtimes.base import Handle, Job, JobHandle


class RunCheck(StageOperator):
    """Measures, judges and records one check.

    A result of any verdict is a success of the task: the gate reads the verdicts. Only a check that
    could not run fails, after its retries.
    """

    operator_extra_links = (REPORT,)

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
        files.make_folder(str(context.scratch), open_to_all=placement.has_other_user(deployment.runtime))
        watch = placement.watch(deployment.runtime, task.begun)
        measurements: dict[str, Measurement] = {}
        jobs: list[JobHandle] = []
        while (step := next_step(steps, measurements)) is not None:
            runs_in = self._runs_in(task, placement, deployment, champion, step, watch)
            job = watch.submit(self._job(task, deployment, step, measurements, runs_in))
            jobs.append(job)
            measurements[step.name] = self._measure(task, deployment, job, step, watch)
        result = judge(self.check, measurements, context, seconds=time.monotonic() - began)
        task.registry.evidence.record(
            task.passage.id, deployment.id, self.stage.name, self.check.name, result.model_dump(mode="json")
        )
        for line in markdown(result).splitlines():
            self.log.info("%s", line)
        self._tidy_up(watch, jobs, str(context.scratch))
        if result.status == "error":
            raise CheckError(f"{self.check.name} could not run: {result.summary}")
        if any(step.where == "champion" for step in steps):
            watch.adapter.undeploy({"name": champion_name(deployment.id, self.check.name)})
        REPORT.set(task.context, report_url(task, self.stage.name))
        return {"status": result.status, "summary": result.summary}

    def _check_context(
        self, task: PassageTask, deployment: DeploymentRecord, champion: SnapshotRecord | None
    ) -> CheckContext:
        from airlock.checks import Champion, CheckContext, read_golden

        manifest = task.snapshot.manifest
        project = task.settings.include_folder.parent
        scratch = files.join(task.settings.scratch, self._job_name(task, deployment))
        endpoint = next((each for each in deployment.endpoints if each["kind"] == "rest"), None)
        return CheckContext(
            snapshot=task.snapshot.name,
            digest=task.snapshot.digest,
            manifest=manifest,
            # A worker of a stream takes no requests: it is asked as a batch is, in its own environment.
            mode="batch" if is_worker(deployment) else deployment.mode,
            scratch=files.locate(project, scratch),
            endpoint=(endpoint.get("inside") or endpoint["url"]) if endpoint else None,
            champion=Champion(champion.name, champion.digest, champion.manifest) if champion else None,
            datasets=self._datasets(task),
            golden=read_golden(self._golden_file(task, manifest).decode()),
        )

    def _datasets(self, task: PassageTask) -> Mapping[str, Dataset]:
        """The service's data sets, with absolute paths or URLs."""
        project = task.settings.include_folder.parent
        return {
            name: dataset.model_copy(update={"path": files.locate(project, dataset.path)})
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

    def _job(
        self,
        task: PassageTask,
        deployment: DeploymentRecord,
        step: Step,
        measurements: Mapping[str, Measurement],
        runs_in: Handle | None,
    ) -> Job:
        from airlock.runtimes.base import Job

        return Job(
            name=f"{self._job_name(task, deployment)}-{step.name}",
            command=step.command,
            arguments=step.job(measurements),
            deployment=runs_in,
            resources=self.pathway.service.resources,
        )

    def _measure(
        self, task: PassageTask, deployment: DeploymentRecord, job: JobHandle, step: Step, watch: Watch
    ) -> Measurement:
        from airlock.checks import failed

        status = watch.job(job, step.name)
        if status.state == "running":
            self.log.info("%s is still running. %s", job["name"], status.message)
            wait_for(self, "job settled", task.begun, runtime=deployment.runtime, handle=job)
        if status.state == "succeeded" and status.result is not None:
            return status.result
        return failed(status.message or f"The job is {status.state}.", exit_code=status.exit_code)

    def _runs_in(
        self,
        task: PassageTask,
        placement: Placement,
        deployment: DeploymentRecord,
        champion: SnapshotRecord | None,
        step: Step,
        watch: Watch,
    ) -> Handle | None:
        """The deployment whose environment runs a step; ``None`` for the checks environment."""
        if step.where == "checks":
            return None
        if step.where == "candidate" or champion is None:
            return deployment.handle
        return self._champion_handle(task, placement, deployment, champion, watch)

    def _champion_handle(
        self,
        task: PassageTask,
        placement: Placement,
        deployment: DeploymentRecord,
        champion: SnapshotRecord,
        watch: Watch,
    ) -> Handle:
        """The champion scores the same data in its own environment, beside the candidate."""
        name = champion_name(deployment.id, self.check.name)
        handle = watch.deploy(placement.plan(deployment, snapshot=champion, name=name, mode="batch"))
        status = watch.deployment(handle, "champion")
        if status.state == "starting":
            wait_for(self, "deployment settled", task.begun, runtime=deployment.runtime, handle=handle)
        if status.state != "ready":
            raise DeploymentFailed(f"The champion {champion.name} could not be brought up: {status.message}")
        return handle

    def _tidy_up(self, watch: Watch, jobs: Sequence[JobHandle], scratch: str) -> None:
        """Take away what nobody needs once the result is recorded.

        What cannot be taken away is no reason to measure again: jobs go with their deployment, too.
        """
        try:
            for job in jobs:
                watch.adapter.remove_job(job)
            files.remove_folder(scratch)
        except AirlockError as error:
            self.log.warning("What the check left could not be removed: %s", error)


def report_url(task: PassageTask, stage: str) -> str:
    """Where people read the evidence of a stage."""
    return f"{task.settings.base_url}/airlock/api/v1/reports/{task.passage.id}/{stage}"
