"""Back to the last version that was approved at a stage: without gates, with a reason, in seconds.

It needs the registry and the runtimes, and neither Airflow's scheduler nor a worker.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airlock.exceptions import AdapterError, AirlockError, Conflict, DeploymentFailed, NotFound
from airlock.orchestration.configuration import Settings
from airlock.orchestration.placement import Placement, end_failed, undeploy
from airlock.orchestration.rollout_answers import answers_to_record
from airlock.orchestration.rollout_look import ask_runtime
from airlock.orchestration.traffic import direct_all, return_traffic
from airlock.orchestration.watching import Begun
from airlock.spec import Lifecycle, Mode, Stage

if TYPE_CHECKING:
    from airlock.registry import Registry
    from airlock.registry.records import DeploymentRecord, RollbackRecord, RolloutRecord, StageVersion

log = logging.getLogger(__name__)

SECONDS_TO_GET_READY = 300.0


@dataclass(frozen=True)
class WayBack:
    """What a rollback would do now.

    :param in_use: the version that would be left.
    :param rollout: on its way to replace ``in_use``: it would be ended, and ``in_use`` stay.
    :param ended: the rollout that was to replace ``in_use`` and was rolled back, if it is the last one.
    :param targets: versions to go back to, the last one first; none is marked bad.
    :param under_way: was begun and has not ended: ``in_use`` is what it leaves, or what it goes back to.
    """

    in_use: StageVersion
    rollout: RolloutRecord | None
    ended: RolloutRecord | None
    targets: Sequence[StageVersion]
    under_way: RollbackRecord | None


def find_way_back(registry: Registry, service: str, stage: str, mode: Mode) -> WayBack:
    """What a service can go back to at a stage.

    A version can be gone back to if it was in use at the stage, which it was approved for, and has not been
    left by a rollback since.

    :raises NotFound: no version is in use there.
    """
    versions = registry.history.versions(service, stage, mode)
    if not versions or versions[0].to_time is not None:
        raise NotFound(
            f"No version of {service} is in use in {stage} ({mode}).", mend=f"Look: airlock where {service}"
        )
    in_use = versions[0]
    targets: dict[str, StageVersion] = {}
    for version in versions[1:]:
        left = registry.rollbacks.left_since(service, stage, mode, version.snapshot_digest, version.from_time)
        if left is None and version.snapshot_digest != in_use.snapshot_digest:
            targets.setdefault(version.snapshot_digest, version)
    last = registry.rollouts.last(service, stage) if mode == "online" else None
    under_way = registry.rollbacks.under_way(service, stage, mode)
    return WayBack(
        in_use,
        rollout=last if last and _has_something_to_end(registry, last) else None,
        ended=last if last and last.outcome == "rolled_back" and _is_since(last, in_use) else None,
        targets=list(targets.values()),
        under_way=under_way,
    )


def _has_something_to_end(registry: Registry, rollout: RolloutRecord) -> bool:
    """Whether a rollout goes on, or its version has requests that nobody returns.

    One whose passage failed has given its requests back, and waits to be cleared: people who go back do not
    mean that one. One that somebody has ended may have been killed before it returned them.
    """
    if rollout.outcome == "completed":
        return False
    if rollout.outcome is None and registry.passages.get(rollout.passage_id).state != "finished":
        return True
    traffic = registry.traffic.current(rollout.service, rollout.stage)
    if traffic is None:
        return False
    mirrored = traffic.mirror is not None and traffic.mirror.deployment_id == rollout.deployment_id
    return mirrored or rollout.deployment_id in traffic.shares


def _is_since(rollout: RolloutRecord, in_use: StageVersion) -> bool:
    return rollout.ended_at is not None and rollout.ended_at >= in_use.from_time


def end_rollout(registry: Registry, rollout: RolloutRecord, *, by: str, reason: str) -> RolloutRecord:
    """Send all requests back to the version in use. The rollout's own task takes the new one away.

    Asked again, it lets gateways and workers follow that have not yet.

    :raises Conflict: it was completed meanwhile, and its version is the one in use.
    """
    ended = registry.rollouts.end(rollout.id, "rolled_back", f"{by}: {reason}", by=by)
    if ended.outcome == "completed":
        name = registry.deployments.get(ended.deployment_id).snapshot_name
        raise Conflict(
            f"{name} has come into use in {ended.stage} meanwhile.",
            mend="Look at what is to be left now: give the command again.",
        )
    return_traffic(registry, ended, reason)
    return ended


def roll_back(
    settings: Settings, registry: Registry, way: WayBack, target: StageVersion, *, by: str, reason: str
) -> RollbackRecord:
    """Put an earlier version into use again. Asked again after it was killed, it goes on where it was.

    :raises Conflict: another version is in use by now, or somebody has asked for another one meanwhile.
    :raises RuntimeBusy: the earlier version has to be deployed anew, and every runtime for it is full.
    :raises DeploymentFailed: it does not get ready; requests still go where they went.
    """
    if way.rollout is not None:
        end_rollout(registry, way.rollout, by=by, reason=reason)
    rollback = registry.rollbacks.begin(way.in_use, target, requested_by=by, reason=reason)
    return finish(settings, registry, rollback)


def finish(settings: Settings, registry: Registry, rollback: RollbackRecord) -> RollbackRecord:
    """Do what a rollback still lacks; one that was done does if the earlier version has broken down.

    :raises Conflict: it is not to be carried out any more: another one has replaced or overtaken it.
    """
    rollback = registry.rollbacks.confirm(rollback.id)
    deployment = None
    if rollback.mode == "online":
        _make_room(settings, registry, rollback)
        deployment = _standing(settings, registry, rollback)
    if rollback.ended_at is not None and _answers(registry, rollback, deployment):
        return rollback
    if rollback.mode == "online":
        deployment = deployment or _bring_up(settings, registry, rollback)
    registry.rollbacks.make_current(rollback.id, deployment.id if deployment else None)
    if deployment is not None:
        left = _left(registry, rollback, deployment)
        reason = f"rolled back by {rollback.requested_by}: {rollback.reason}"
        direct_all(registry, deployment, reason, ending={other.id for other in left})
        for other in left:
            undeploy(settings, registry, other, f"rolled back: {rollback.reason}")
    return registry.rollbacks.end(rollback.id)


def _left(
    registry: Registry, rollback: RollbackRecord, deployment: DeploymentRecord
) -> list[DeploymentRecord]:
    """What goes once a deployment of the earlier version has all requests: the bad version, as it stood when
    people left it, and what ways back before this one have not brought to an end."""
    given_up = _given_up(registry, rollback)
    keys = {other.id for other in given_up}
    bad = {other.from_deployment_id for other in given_up}
    return [
        other
        for other in registry.deployments.live(rollback.service, rollback.stage, rollback.mode)
        if other.purpose == "passage"
        and other.id != deployment.id
        and other.created_at <= rollback.began_at
        and (other.snapshot_digest == rollback.from_digest or other.id in bad or other.key in keys)
    ]


def _make_room(settings: Settings, registry: Registry, rollback: RollbackRecord) -> None:
    """Give back what ways back before this one were bringing up: it may need the slot."""
    keys = {other.id for other in _given_up(registry, rollback)}
    in_use = registry.history.current(rollback.service, rollback.stage, rollback.mode)
    keep = in_use.deployment_id if in_use else None
    for deployment in registry.deployments.live(rollback.service, rollback.stage, rollback.mode):
        is_target = deployment.snapshot_digest == rollback.to_digest
        if deployment.key in keys and deployment.id != keep and not is_target:
            try:
                undeploy(settings, registry, deployment, "another version is gone back to")
            except AirlockError as error:  # which must not keep this one from going on
                log.warning("%s stays: %s", deployment.id, error)


def _given_up(registry: Registry, rollback: RollbackRecord) -> list[RollbackRecord]:
    known = registry.rollbacks.list(rollback.service, rollback.stage, rollback.mode)
    return [other for other in known if other.outcome in ("replaced", "overtaken")]


def _standing(settings: Settings, registry: Registry, rollback: RollbackRecord) -> DeploymentRecord | None:
    """A deployment of the earlier version that still answers, as it does during its drain.

    Its runtime is asked: one that has broken down since nobody sent it requests is ended, and another one
    brought up.
    """
    live = registry.deployments.live(rollback.service, rollback.stage, rollback.mode)
    for deployment in reversed(live):
        if deployment.state != "ready" or deployment.snapshot_digest != rollback.to_digest:
            continue
        try:
            status = ask_runtime(settings, registry)(deployment)
            if status.state == "ready":
                return deployment
            log.warning("%s is %s. %s", deployment.id, status.state, status.message)
            adapter = settings.adapter(registry.catalog.runtime(deployment.runtime).spec)
            end_failed(adapter, registry, deployment, status.message or f"It is {status.state}.")
        except AdapterError as error:  # it may answer yet, but nobody can tell
            log.warning("%s is not gone back to: %s", deployment.id, error)
    return None


def _answers(registry: Registry, rollback: RollbackRecord, deployment: DeploymentRecord | None) -> bool:
    """Whether the earlier version is in use with a deployment that stands."""
    in_use = registry.history.current(rollback.service, rollback.stage, rollback.mode)
    return in_use is not None and in_use.deployment_id == (deployment.id if deployment else None)


def _bring_up(settings: Settings, registry: Registry, rollback: RollbackRecord) -> DeploymentRecord:
    service = registry.catalog.service(rollback.service)
    placement = Placement(
        settings=settings,
        registry=registry,
        snapshot=registry.snapshots.get(rollback.to_digest),
        service=rollback.service,
        stage=rollback.stage,
        mode=rollback.mode,
        key=rollback.id,
        purpose="passage",
        passage_id=rollback.to_passage_id,
        resources=service.resources,
        kafka=service.stage_kafka(Stage(rollback.stage, mode=rollback.mode)),
        record_answers=_answers_to_record(registry, rollback),
    )
    begun, deadline = Begun(), time.monotonic() + SECONDS_TO_GET_READY
    while True:
        registry.rollbacks.confirm(rollback.id)
        deployment = placement.bring_up(placement.claim(), begun)
        if deployment.state == "ready":
            return deployment
        if time.monotonic() > deadline:
            raise DeploymentFailed(
                f"{deployment.snapshot_name} is not ready on {deployment.runtime} yet.",
                mend="Ask for the rollback again: it goes on where it is.",
            )


def _answers_to_record(registry: Registry, rollback: RollbackRecord) -> int:
    """As many as the version that it takes the place of: the next one is compared with it."""
    left = rollback.from_deployment_id and registry.deployments.get(rollback.from_deployment_id).passage_id
    passage_id = left or rollback.to_passage_id
    if not passage_id:
        return 0
    lifecycle = Lifecycle.model_validate(registry.passages.get(passage_id).lifecycle)
    stages = [stage for stage in lifecycle.stages if stage.name == rollback.stage]
    return max((answers_to_record(stage.moves_traffic_by) for stage in stages), default=0)


def choose(way: WayBack, name: str | None) -> StageVersion:
    """The version to go back to: the last one, or the one that is named.

    :raises Conflict: there is none, or it is none of those that can be gone back to.
    """
    known = ", ".join(version.snapshot_name for version in way.targets) or "none"
    for version in way.targets:
        if name in (None, version.snapshot_name, version.snapshot_digest):
            return version
    where = f"{way.in_use.service} in {way.in_use.stage}"
    if name is None:
        raise Conflict(f"There is no earlier version of {where} that is not marked bad.")
    raise Conflict(f"{name} is no version that {where} can go back to. Known: {known}.")
