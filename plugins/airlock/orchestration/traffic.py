"""Sends requests and records to deployments, and waits until gateways and workers do so."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airlock.exceptions import DeploymentFailed
from airlock.orchestration import stream_traffic
from airlock.orchestration.routers import find_routers, follow, router_of
from airlock.orchestration.streams import is_worker

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from airlock.registry import Registry
    from airlock.registry.records import DeploymentRecord, Mirror, RolloutRecord, Traffic

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=15)
"""How long a gateway that runs may take to follow."""

_INTERVAL_SECONDS = 0.1


def direct(
    registry: Registry,
    service: str,
    stage: str,
    shares: Mapping[str, int],
    *,
    mirror: Mirror | None = None,
    sticky: str | None = None,
    reason: str,
    ending: Collection[str] = (),
) -> None:
    """Divide a service's requests or records at a stage; returns once gateways and workers do so.

    Repeated, it changes nothing.

    :param shares: percents by deployment, 100 in all; empty where nobody answers.
    :param ending: ids of deployments that are taken away next.
    :raises Conflict: one of the deployments is not ready any more, or no router reaches all of them.
    :raises AdapterError: a runtime's own router cannot do it, or does not in time.
    :raises DeploymentFailed: a worker of a stream does not follow.
    """
    routers = find_routers(registry, service, stage, shares, mirror)
    traffic = registry.traffic.direct(
        service, stage, shares, mirror=mirror, sticky=sticky, actor="airlock", reason=reason
    )
    follow(registry, service, stage, routers)
    _wait_for_gateways(registry, traffic)
    stream_traffic.follow(registry, service, stage, ending=ending)


def direct_all(
    registry: Registry, deployment: DeploymentRecord, reason: str, *, ending: Collection[str] = ()
) -> None:
    """Send all requests for a service at a stage to one deployment."""
    service, stage = deployment.service, deployment.stage
    direct(registry, service, stage, {deployment.id: 100}, reason=reason, ending=ending)


def return_traffic(registry: Registry, rollout: RolloutRecord, reason: str) -> None:
    """Send all requests back to the version in use, which a rollout was to replace.

    Where they do not go to the new version any more, somebody has directed them since, and that stays.

    :raises Conflict: the version in use is not ready any more.
    :raises DeploymentFailed: a worker of a stream does not follow.
    """
    service, stage, ending = rollout.service, rollout.stage, {rollout.deployment_id}
    traffic = registry.traffic.current(service, stage)
    if traffic is None or rollout.current_deployment_id is None:
        return
    mirrored = traffic.mirror is not None and traffic.mirror.deployment_id == rollout.deployment_id
    if rollout.deployment_id in traffic.shares or mirrored:
        in_use = registry.history.current(service, stage, "online")
        back = {(in_use and in_use.deployment_id) or rollout.current_deployment_id: 100}
        direct(registry, service, stage, back, reason=reason, ending=ending)
    else:
        # Whoever directed them may have been killed before everybody followed.
        _tell_again(registry, registry.deployments.get(rollout.deployment_id))
        stream_traffic.follow(registry, service, stage, ending=ending)


def withdraw(registry: Registry, deployment: DeploymentRecord, reason: str) -> None:
    """Send no more requests to a deployment that is to end; the others share what it had.

    It ends even if others do not follow: it has stopped before them.
    """
    try:
        _withdraw(registry, deployment, reason)
    except DeploymentFailed as error:
        log.error("Nobody takes the place of %s: %s", deployment.id, error)


def _withdraw(registry: Registry, deployment: DeploymentRecord, reason: str) -> None:
    ending = {deployment.id}
    traffic = registry.traffic.current(deployment.service, deployment.stage)
    if traffic is None:
        return
    mirror = traffic.mirror
    if mirror is not None and mirror.deployment_id == deployment.id:
        mirror = None
    if deployment.id not in traffic.shares and mirror == traffic.mirror:
        _tell_again(registry, deployment)
        stream_traffic.follow(registry, deployment.service, deployment.stage, ending=ending)
        return
    rest = {name: percent for name, percent in traffic.shares.items() if name != deployment.id}
    direct(
        registry,
        deployment.service,
        deployment.stage,
        hundred_percent(rest),
        mirror=mirror,
        sticky=traffic.sticky,
        reason=reason,
        ending=ending,
    )


def _tell_again(registry: Registry, deployment: DeploymentRecord) -> None:
    """Let the router of a deployment's runtime follow: a killed try may have told the registry alone."""
    service, stage = deployment.service, deployment.stage
    if deployment.mode == "online" and not is_worker(deployment):
        follow(registry, service, stage, router_of(registry, deployment.runtime, service, stage))


def _wait_for_gateways(registry: Registry, traffic: Traffic) -> None:
    """Return once every gateway that runs follows this traffic, so that nobody asks what it leaves out."""
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while behind := registry.traffic.behind(traffic, datetime.now(UTC)):
        if time.monotonic() > deadline:
            log.warning("These gateways do not follow: %s. Look at their logs.", ", ".join(behind))
            return
        time.sleep(_INTERVAL_SECONDS)


def hundred_percent(shares: Mapping[str, int]) -> dict[str, int]:
    """The same proportions with 100 in all; what rounding leaves goes to the greatest."""
    total = sum(shares.values())
    if not total:
        return {}
    scaled = {name: percent * 100 // total for name, percent in shares.items()}
    greatest = max(scaled, key=scaled.__getitem__)
    scaled[greatest] += 100 - sum(scaled.values())
    return scaled
