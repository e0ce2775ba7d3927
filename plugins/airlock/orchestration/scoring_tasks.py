"""The tasks of scheduled batch scoring: one run scores one data interval with the active version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airlock.exceptions import AdapterError, CheckError, NotFound, SpecError
from airlock.orchestration import files
from airlock.orchestration.configuration import Settings, load_settings, open_registry
from airlock.orchestration.deployments import ready_deployment
from airlock.orchestration.failures import claim_or_wait, failing_in_words, wait_for
from airlock.orchestration.placement import Placement
from airlock.orchestration.watching import Begun
from airlock.spec import Service

if TYPE_CHECKING:
    from airflow.sdk import Context
    from jinja2 import Environment

    from airlock.registry import Registry
    from airlock.registry.records import ScoringRecord

REJECTS = ".rejects.jsonl"


class ScoringFailed(CheckError):
    """A partition could not be scored; trying again may help."""


@dataclass(frozen=True)
class ScoringTask:
    """A running task's view of its scoring run.

    :param begun: what this try of the task has begun on runtimes.
    """

    context: Context
    settings: Settings
    registry: Registry
    record: ScoringRecord
    placement: Placement
    begun: Begun


class ScoringOperator(BaseOperator):
    """Base of the tasks of ``<service>.score``. ``run`` must be safe to repeat at any line."""

    template_fields: Sequence[str] = ("input_pattern", "output_folder")

    def __init__(self, *, service: Service, stage: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.stage = stage
        self.input_pattern = service.input or ""
        self.output_folder = service.output or ""

    def render_template_fields(self, context: Context, jinja_env: Environment | None = None) -> None:
        """Fill in the interval; a run that has none is left as it is, and the first task says so in words."""
        if context.get("data_interval_start") is not None:
            super().render_template_fields(context, jinja_env)

    def execute(self, context: Context) -> Any:
        return self.resume(context)

    def resume(
        self, context: Context, event: Any = None, begun: dict[str, dict[str, Any]] | None = None
    ) -> Any:
        """After a wait: look again at everything, as a first try would, but begin nothing twice."""
        with failing_in_words(context, scoring_failed):
            return self.run(self.find(context, Begun(begun)))

    def run(self, task: ScoringTask) -> Any:
        """The task's work."""
        raise TypeError(f"{type(self).__name__} does not implement run()")

    def find(self, context: Context, begun: Begun) -> ScoringTask:
        """The run's record: it pins the version that was active when the run began."""
        settings, registry = load_settings(), open_registry()
        run_id = context["dag_run"].run_id
        record = self.record(registry, context)
        placement = Placement(
            settings=settings,
            registry=registry,
            snapshot=registry.snapshots.get(record.snapshot_digest),
            service=self.service.service,
            stage=self.stage,
            mode="batch",
            key=f"{self.service.service}/{run_id}/{record.attempt}",
            purpose="scoring",
            resources=self.service.resources,
        )
        return ScoringTask(context, settings, registry, record, placement, begun)

    def record(self, registry: Registry, context: Context) -> ScoringRecord:
        """What the first task wrote down about this run."""
        run_id = context["dag_run"].run_id
        record = registry.scoring.find(self.service.service, run_id)
        if record is None:
            raise NotFound(f"Run {run_id} has not begun.", mend="Clear its first task, pick_runtime.")
        return record


class PickScoringRuntime(ScoringOperator):
    """Begins the run: which version, which interval; then takes a slot on a runtime of the last stage."""

    def record(self, registry: Registry, context: Context) -> ScoringRecord:
        """The record of this run, begun now; or begun anew where it had ended and was cleared."""
        start, end = context.get("data_interval_start"), context.get("data_interval_end")
        if start is None or end is None:
            raise SpecError(
                "Batch scoring needs a data interval, and this run has none.",
                mend="Trigger it with a logical date, or use a backfill.",
            )
        run_id = context["dag_run"].run_id
        record = registry.scoring.find(self.service.service, run_id)
        if record is not None and record.state == "running":
            return record
        active = registry.history.current(self.service.service, self.stage, "batch")
        if active is None:
            raise NotFound(
                f"{self.service.service} has no active version in {self.stage}.",
                mend=f"Promote one: airlock promote MODEL@VERSION --service {self.service.service}",
            )
        return registry.scoring.begin(
            service=self.service.service,
            interval_start=start,
            interval_end=end,
            input=self.input_pattern,
            output=self.output_folder,
            snapshot_digest=active.snapshot_digest,
            run_id=run_id,
        )

    def run(self, task: ScoringTask) -> str:
        return claim_or_wait(self, task.placement).runtime


class DeployForScoring(ScoringOperator):
    """Pushes the active version to the runtime."""

    def run(self, task: ScoringTask) -> str:
        deployment = task.placement.bring_up(task.placement.current(), task.begun)
        if deployment.state == "deploying":
            wait_for(
                self,
                "deployment settled",
                task.begun,
                runtime=deployment.runtime,
                handle=deployment.handle,
            )
        self.log.info("%s is ready on %s.", task.record.snapshot_name, deployment.runtime)
        return deployment.id


class ListPartitions(ScoringOperator):
    """Finds the interval's input files; each becomes a mapped task."""

    def run(self, task: ScoringTask) -> list[dict[str, Any]]:
        found = files.find(files.locate(task.settings.include_folder.parent, task.record.input))
        if not found:
            raise ScoringFailed(
                f"No file matches {task.record.input}.",
                mend="The run tries again; clear it once the data is there.",
            )
        runtime = task.placement.current().runtime
        files.make_folder(output_folder(task), open_to_all=task.placement.has_other_user(runtime))
        count = min(self.service.partitions, len(found))
        self.log.info("%d files of %s in %d partitions", len(found), task.record.input, count)
        bounds = [number * len(found) // count for number in range(count + 1)]
        return [
            {"partition": f"part-{number + 1:04}", "files": found[start:end]}
            for number, (start, end) in enumerate(pairwise(bounds))
        ]


class ScorePartition(ScoringOperator):
    """Scores one input file into one output file, under a name that a repeated task writes again."""

    def __init__(self, *, part: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.part = part

    template_fields: Sequence[str] = ("input_pattern", "output_folder", "part")

    def run(self, task: ScoringTask) -> dict[str, Any]:
        from airlock.runtimes.base import Job

        deployment = ready_deployment(task.placement)
        partition = self.part["partition"]
        watch = task.placement.watch(deployment.runtime, task.begun)
        job = watch.submit(
            Job(
                name=f"{deployment.id}-{partition}",
                command="batch",
                arguments={
                    "kind": "score",
                    "input": self.part["files"],
                    "output": files.join(output_folder(task), f"{partition}.parquet"),
                    "processes": max(1, int(self.service.resources.cpu)),
                    "provenance": provenance(task, deployment.id),
                },
                deployment=deployment.handle,
                resources=self.service.resources,
            )
        )
        status = watch.job(job, partition)
        if status.state == "running":
            wait_for(self, "job settled", task.begun, runtime=deployment.runtime, handle=job)
        if status.state != "succeeded" or status.result is None:
            raise ScoringFailed(f"{partition}: {status.message or f'The job is {status.state}.'}")
        result = status.result
        task.registry.scoring.partition_done(
            task.record.id,
            partition,
            rows_in=result["rows_in"],
            rows_out=result["rows_out"],
            rows_rejected=result["rows_rejected"],
            files=result["files"],
        )
        self.log.info(
            "%s: %s rows in, %s scored, %s rejected, %s rows/s",
            partition,
            result["rows_in"],
            result["rows_out"],
            result["rows_rejected"],
            f"{result['rows_per_second']:,.0f}",
        )
        try:
            watch.adapter.remove_job(job)
        except AdapterError as error:  # it goes with its deployment, too
            self.log.warning("The job of %s could not be removed: %s", partition, error)
        return {name: result[name] for name in ("rows_in", "rows_out", "rows_rejected")}


class CommitScoring(ScoringOperator):
    """Closes the books: nothing of an earlier run of the interval is left beside the partitions."""

    def run(self, task: ScoringTask) -> dict[str, int]:
        folder = output_folder(task)
        partitions = [part.partition for part in task.record.partitions]
        written = {files.name_of(file["path"]) for part in task.record.partitions for file in part.files}
        kept = written | {f"_{partition}{REJECTS}" for partition in partitions}
        found = files.find(files.join(folder, "part-*.parquet"))
        found += files.find(files.join(folder, f"_part-*{REJECTS}"))
        for path in found:
            if files.name_of(path) not in kept:
                self.log.info("%s is of an earlier run of this interval: removed.", files.name_of(path))
                files.remove_file(path)
        totals = {
            name: sum(getattr(part, name) for part in task.record.partitions)
            for name in ("rows_in", "rows_out", "rows_rejected")
        }
        task.registry.scoring.complete(task.record.id)
        self.log.info("%s scored by %s: %s", task.record.output, task.record.snapshot_name, totals)
        return totals


class ClearScoring(ScoringOperator):
    """Gives the runtime back, whatever happened before: a teardown."""

    def run(self, task: ScoringTask) -> None:
        task.placement.clear("the interval is scored")


def scoring_failed(context: Context, reason: str) -> None:
    """Put the reason of a final failure on the run's record."""
    registry = open_registry()
    run = context["dag_run"]
    record = registry.scoring.find(run.dag_id.removesuffix(".score"), run.run_id)
    if record is not None and record.state == "running":
        registry.scoring.fail(record.id, reason)


def output_folder(task: ScoringTask) -> str:
    """Where the interval's scores go; the same interval always goes to the same place."""
    return files.locate(task.settings.include_folder.parent, task.record.output)


def provenance(task: ScoringTask, deployment_id: str) -> dict[str, str]:
    """Stamped into every output file, so that a score can be traced to the version that gave it."""
    return {
        "snapshot": task.record.snapshot_name,
        "digest": task.record.snapshot_digest,
        "service": task.record.service,
        "stage": task.placement.stage,
        "deployment": deployment_id,
        "run": task.record.run_id,
        "interval_start": task.record.interval_start.isoformat(),
        "interval_end": task.record.interval_end.isoformat(),
    }
