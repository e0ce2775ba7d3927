"""Short ways to fill a registry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from airlock.registry import Registry
from airlock.registry.records import CheckRow, DeploymentRecord, PassageRecord, RuntimeRecord, SnapshotRecord
from airlock.spec import Lifecycle, Mode, Policy, Roles, RuntimeSpec, Service, Spec, Stage, digest
from airlock.spec.load import Include

LIFECYCLE = Lifecycle("two-stages", stages=[Stage("DEV"), Stage("PROD")])


def include(*specs: Spec) -> Include:
    """What reading a folder with these things gives."""
    roles = [spec for spec in specs if isinstance(spec, Roles)]
    return Include(
        lifecycles={spec.lifecycle: spec for spec in specs if isinstance(spec, Lifecycle)},
        services={spec.service: spec for spec in specs if isinstance(spec, Service)},
        runtimes={spec.runtime: spec for spec in specs if isinstance(spec, RuntimeSpec)},
        policies={spec.stage: spec for spec in specs if isinstance(spec, Policy)},
        roles=roles[0] if roles else Roles(),
        sources={},
        warnings=[],
    )


def runtime(name: str, *, stages: Sequence[str] = ("DEV", "PROD"), **fields: Any) -> RuntimeSpec:
    """A local runtime."""
    return RuntimeSpec(runtime=name, kind="local", stages=list(stages), **fields)


def add_snapshot(
    registry: Registry,
    model: str = "fraud",
    *,
    content: object = 1,
    services: Iterable[str] = ("cc-fraud",),
    by: str = "ann",
) -> SnapshotRecord:
    """A snapshot of a manifest that differs from others in ``content``."""
    manifest = {
        "model": model,
        "services": sorted(services),
        "modes": ["batch", "online"],
        "content": content,
        "output_schema": [{"name": "score", "type": "number"}],
    }
    return registry.snapshots.add(manifest, digest(manifest), by=by)


def begin(
    registry: Registry,
    snapshot: SnapshotRecord,
    run_id: str,
    *,
    service: str = "cc-fraud",
    on_newer: Literal["supersede", "queue"] = "supersede",
    lifecycle: Lifecycle = LIFECYCLE,
    by: str = "rob",
) -> PassageRecord:
    """A passage of a snapshot through two stages without checks."""
    return registry.passages.begin(
        service=service,
        snapshot_digest=snapshot.digest,
        lifecycle_digest=lifecycle.digest,
        lifecycle=lifecycle.model_dump(mode="json"),
        run_id=run_id,
        by=by,
        on_newer=on_newer,
    )


def acquire(registry: Registry, deployment_id: str, **wanted: Any) -> RuntimeRecord:
    """A slot for cc-fraud, online at DEV, unless something else is wanted."""
    question: dict[str, Any] = {"service": "cc-fraud", "stage": "DEV", "mode": "online", **wanted}
    return registry.leases.acquire(deployment_id=deployment_id, **question)


def deploy(
    registry: Registry,
    passage: PassageRecord,
    stage: str = "DEV",
    mode: Mode = "online",
    *,
    attempt: int = 1,
    ready: bool = True,
) -> DeploymentRecord:
    """A deployment of a passage's snapshot on whatever runtime there is, brought up."""
    deployment_id = registry.deployments.identify(key=passage.id, stage=stage, mode=mode, attempt=attempt)
    chosen = acquire(registry, deployment_id, service=passage.service, stage=stage, mode=mode)
    deployment = registry.deployments.declare(
        passage_id=passage.id,
        service=passage.service,
        snapshot_digest=passage.snapshot_digest,
        stage=stage,
        mode=mode,
        runtime=chosen.name,
        purpose="passage",
        key=passage.id,
        attempt=attempt,
    )
    if ready:
        registry.deployments.set_state(deployment.id, "deploying", handle={"name": deployment.id})
        endpoints = [{"kind": "rest", "url": f"http://{deployment.id}"}] if mode == "online" else []
        deployment = registry.deployments.set_state(deployment.id, "ready", endpoints=endpoints)
    return deployment


def result(
    status: str = "pass", *, kind: str = "smoke", auc: float = 0.9, seconds: float = 1.0
) -> dict[str, Any]:
    """A check's result as plain JSON."""
    return {
        "check": kind,
        "kind": kind,
        "status": status,
        "summary": f"It is a {status}.",
        "metrics": [{"name": "roc_auc", "value": auc}, {"name": "accuracy", "value": 0.8}],
        "seconds": seconds,
        "figures": [{"title": "made at", "svg": f"<svg>{seconds}</svg>"}],
    }


def record(
    registry: Registry, passage: PassageRecord, check: str = "smoke", stage: str = "DEV", **fields: Any
) -> CheckRow:
    """A result of a check of a passage."""
    return registry.evidence.record(passage.id, f"dep-{stage}", stage, check, result(**fields))


def approve(
    registry: Registry, passage: PassageRecord, user: str, stage: str = "PROD", *, evidence: str = "sha256:e"
) -> None:
    """An accepted approval."""
    registry.decisions.record(
        passage_id=passage.id,
        stage=stage,
        evidence_digest=evidence,
        policy_digest="sha256:p",
        user=user,
        verdict="approve",
        comment="",
        channel="airlock",
        accepted=True,
    )
