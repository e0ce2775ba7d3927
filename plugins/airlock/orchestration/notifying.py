"""Telling people that a rollout went back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk.exceptions import AirflowException

from airlock.orchestration.run_check import report_url
from airlock.rollouts import Finding, GuardResult

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airlock.orchestration.passage_task import PassageTask
    from airlock.registry import Registry
    from airlock.registry.records import RolloutRecord

log = logging.getLogger(__name__)

Notifier = Callable[["Context"], None]
"""One of Airflow's notifiers, or any function of a task's context."""

Notifiers = Notifier | Sequence[Notifier]


@dataclass(frozen=True)
class Rollback:
    """What notifiers find in their context under the name ``rollback``.

    :param owner: of the service.
    :param snapshot: the version that goes no further; ``digest`` is its digest.
    :param current: the version that has all traffic again.
    :param reason: what the guards said, or who went back and why.
    :param failed_guards: what each guard that failed has found; none where people went back.
    :param report: address of the page with all numbers.
    """

    service: str
    owner: str
    stage: str
    snapshot: str
    digest: str
    current: str
    reason: str
    failed_guards: tuple[str, ...]
    report: str


def tell_of_rollback(notifiers: Notifiers, task: PassageTask, rollout: RolloutRecord, *, owner: str) -> None:
    """Call the notifiers, when all traffic is back and before the passage is over.

    So none is left out: a try that is killed in between is repeated, and calls them once more.

    :raises AirflowException: one of them failed, and the task has tries left. After the last one the passage
        ends without it.
    """
    if not isinstance(notifiers, Sequence):
        notifiers = (notifiers,)
    if not notifiers:
        return
    context = cast("Context", {**task.context, "rollback": _rollback(task, rollout, owner)})
    for notifier in notifiers:
        try:
            copy(notifier)(context)  # a copy, as a notifier writes over its templates
        except Exception as error:
            instance = task.context["ti"]
            if instance.try_number <= instance.max_tries:
                raise AirflowException(f"The rollback could not be told: {error}") from error
            log.exception("The rollback is told to nobody by %s.", notifier)


def _rollback(task: PassageTask, rollout: RolloutRecord, owner: str) -> Rollback:
    passage, current = task.passage, rollout.current_deployment_id
    return Rollback(
        service=passage.service,
        owner=owner,
        stage=rollout.stage,
        snapshot=passage.snapshot_name,
        digest=passage.snapshot_digest,
        current=task.registry.deployments.get(current).snapshot_name if current else "",
        reason=rollout.reason or "",
        failed_guards=_failed_guards(task.registry, rollout),
        report=f"{report_url(task, rollout.stage)}/rollout",
    )


def _failed_guards(registry: Registry, rollout: RolloutRecord) -> tuple[str, ...]:
    evidence = registry.rollouts.steps(rollout.id)[-1].evidence
    results = [_read(written) for written in evidence.get("guards", ())]
    return tuple(f"{result.guard}: {result.summary}" for result in results if result.status == "fail")


def _read(written: dict[str, Any]) -> GuardResult:
    findings = tuple(Finding(**finding) for finding in written["findings"])
    return GuardResult(**{**written, "findings": findings})
