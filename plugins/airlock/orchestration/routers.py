"""Routers that runtimes have of their own: told where requests go, and waited for.

Where a runtime has none, Airlock's gateway divides requests: it asks the registry by itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from airlock.exceptions import AdapterError, AirlockError, Conflict
from airlock.orchestration.configuration import load_settings
from airlock.orchestration.streams import is_worker

if TYPE_CHECKING:
    from airlock.registry import Registry
    from airlock.registry.records import Mirror, Traffic
    from airlock.runtimes.base import Adapter, Routed, Split

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=60)
"""How long a router may take to follow."""

_INTERVAL_SECONDS = 0.5

_SHORT_PATIENCE = timedelta(seconds=10)

Routers = Mapping[str, "Adapter"]
"""The runtimes with a router that a change of traffic concerns."""


@dataclass(frozen=True)
class Renewed:
    """A service at a stage that a router was told of again.

    :param url: where applications ask.
    :param problem: why that leads not where it should; empty if it does.
    """

    service: str
    stage: str
    url: str
    problem: str


def find_routers(
    registry: Registry, service: str, stage: str, shares: Mapping[str, int], mirror: Mirror | None
) -> Routers:
    """Runtimes with a router of their own that requests shall go to, or may have gone to.

    Records of a topic come to workers without any router.

    :raises Conflict: they would be divided between runtimes, and a router reaches only its own.
    """
    named = [registry.deployments.get(name) for name in _named(shares, mirror)]
    asked = {deployment.runtime for deployment in named if not is_worker(deployment)}
    live = registry.deployments.live(service, stage, "online")
    others = {deployment.runtime for deployment in live if not is_worker(deployment)} - asked
    found: dict[str, Adapter] = {}
    for runtime in sorted(asked):
        found |= router_of(registry, runtime, service, stage)
    if found and len(asked) > 1:
        raise Conflict(
            f"The requests for {service} in {stage} would be divided between {' and '.join(sorted(asked))}, "
            f"but the gateway of {' and '.join(found)} reaches only what runs there.",
            mend="Let one runtime take both versions, or take 'gateway' out of its options and run "
            "'airlock gateway', which reaches all of them.",
        )
    for runtime in sorted(others):
        try:
            found |= router_of(registry, runtime, service, stage)
        except AirlockError as error:
            log.warning("%s is not told where requests for %s go: %s", runtime, service, error)
    return found


def router_of(registry: Registry, runtime: str, service: str, stage: str) -> Routers:
    """The router of one runtime; empty where it has none."""
    adapter = _adapter(registry, runtime)
    return {} if adapter.address(service, stage) is None else {runtime: adapter}


def follow(
    registry: Registry, service: str, stage: str, routers: Routers, *, patience: timedelta = PATIENCE
) -> None:
    """Let routers do what the registry says; returns once they do.

    It is read anew each time: what others have changed since counts.

    :raises AdapterError: one that requests go to cannot, or does not in time. It goes on by itself once it
        can, and asked again this waits for it again.
    """
    deadline = time.monotonic() + patience.total_seconds()
    while routers:
        traffic = registry.traffic.current(service, stage)
        assert traffic is not None
        answers = [_tell(registry, traffic, runtime, router) for runtime, router in routers.items()]
        waits = [answer.message for answer in answers if not answer.done]
        if not waits:
            return
        if time.monotonic() > deadline:
            raise AdapterError(
                f"The requests for {service} in {stage} do not go yet where they should. {' '.join(waits)}",
                mend="See to the gateway, and clear this task or ask again.",
            )
        time.sleep(_INTERVAL_SECONDS)


def renew(registry: Registry, runtime: str) -> list[Renewed]:
    """Let a runtime's router do what the registry says of all services that are in use there.

    It may have got its router since, or people may have changed what it does.

    :raises Conflict: it has none.
    """
    adapter = _adapter(registry, runtime)
    found = []
    for route in registry.traffic.routes().routes:
        service, stage = route.service, route.stage
        traffic = registry.traffic.current(service, stage)
        url = adapter.address(service, stage)
        if url is None:
            raise Conflict(
                f"{runtime} has no router of its own: Airlock's gateway divides its requests.",
                mend="Name a gateway in its options, and apply that (airlock apply).",
            )
        if traffic is None or not _split(registry, traffic, runtime).shares:
            continue
        problem = ""
        try:
            routers = find_routers(registry, service, stage, traffic.shares, traffic.mirror)
            follow(registry, service, stage, routers, patience=_SHORT_PATIENCE)
        except AirlockError as error:
            problem = str(error)
        found.append(Renewed(service, stage, url, problem))
    return found


def _tell(registry: Registry, traffic: Traffic, runtime: str, router: Adapter) -> Routed:
    from airlock.runtimes.base import Routed

    split = _split(registry, traffic, runtime)
    try:
        return router.route(split)
    except AdapterError as error:
        if split.shares:
            raise
        # Where no requests shall go any more, nobody waits for a cluster that may be down.
        log.warning("%s may still send requests for %s on: %s", runtime, traffic.service, error)
        return Routed(True)


def _split(registry: Registry, traffic: Traffic, runtime: str) -> Split:
    from airlock.runtimes.base import Split

    mirror = traffic.mirror
    here = {
        name for name in _named(traffic.shares, mirror) if registry.deployments.get(name).runtime == runtime
    }
    return Split(
        service=traffic.service,
        stage=traffic.stage,
        number=traffic.id,
        shares={name: percent for name, percent in traffic.shares.items() if name in here},
        mirror=(mirror.deployment_id, mirror.percent) if mirror and mirror.deployment_id in here else None,
        sticky=traffic.sticky,
    )


def _named(shares: Mapping[str, int], mirror: Mirror | None) -> set[str]:
    return {*shares, *([mirror.deployment_id] if mirror is not None else [])}


def _adapter(registry: Registry, runtime: str) -> Adapter:
    return load_settings().adapter(registry.catalog.runtime(runtime).spec)
