"""Snapshots: registered from a manifest whose files are in the store already."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from io import BytesIO
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from airlock.orchestration.configuration import load_settings
from airlock.registry.records import SnapshotRecord
from airlock.snapshots.manifest import Manifest
from airlock.snapshots.requirements import read_requirements
from airlock.snapshots.store import ArtifactStore
from airlock.web.airflow_private import (
    DagAccessEntity,
    GetUserDep,
    action_logging,
    may,
    requires_access_dag,
)
from airlock.web.guards import (
    RegistryDep,
    SnapshotToRead,
    StoreDep,
    UserName,
    may_see_snapshot,
    snapshot_to_read,
)
from airlock.web.problems import problem

router = APIRouter(tags=["snapshots"])

_LOOK_UPS = 8
"""Blobs looked for at once: with an object store each look is a round trip."""


class NewSnapshot(BaseModel):
    """What ``airlock snapshot create`` sends after it has uploaded the files."""

    manifest: dict[str, Any] = Field(description="The manifest, as packing wrote it.")
    services: list[str] = Field([], description="Services it may serve, beside those of its manifest.")


@dataclass(frozen=True)
class SnapshotView:
    """A snapshot as the API shows it; ``manifest`` is left out of lists."""

    name: str
    digest: str
    model: str
    version: int
    services: tuple[str, ...]
    modes: tuple[str, ...]
    created_by: str
    created_at: datetime
    manifest: Mapping[str, Any] | None = None


@router.post(
    "/snapshots",
    status_code=201,
    response_model=SnapshotView,
    responses={200: {"description": "It was known already."}},
    dependencies=[
        Depends(requires_access_dag("POST", DagAccessEntity.RUN)),
        Depends(action_logging("airlock_create_snapshot")),
    ],
)
def create_snapshot(
    new: NewSnapshot,
    user: GetUserDep,
    by: UserName,
    registry: RegistryDep,
    store: StoreDep,
    response: Response,
) -> SnapshotView | JSONResponse:
    """Register a snapshot. The digest is computed here; files that the store lacks are named with 409.

    With ``?dag_id=SERVICE``, the right to start runs of that service is enough; the right is asked for each
    service that the snapshot is tagged with.
    """
    manifest = Manifest.read(new.manifest)
    for service in {*manifest.services, *new.services}:
        if not may(user, "POST", service, DagAccessEntity.RUN):
            raise HTTPException(403, f"You may not make snapshots for {service}.")
    if missing := _missing(manifest, store):
        return problem(
            409,
            "missing_files",
            f"The store lacks {len(missing)} of the snapshot's {len(manifest.files)} files.",
            mend="Upload them with PUT /airlock/api/v1/blobs/{sha256} and send the manifest again.",
            missing=missing,
        )
    known = {each.digest for each in registry.snapshots.list(model=manifest.model)}
    store.put(BytesIO(manifest.canonical_json()), manifest.digest.removeprefix("sha256:"))
    snapshot = registry.snapshots.add(manifest.document(), manifest.digest, by=by, services=new.services)
    response.status_code = 200 if snapshot.digest in known else 201
    return _view(snapshot)


@router.get("/host-requirements", dependencies=[Depends(requires_access_dag("GET"))])
def host_requirements() -> list[str]:
    """What the host needs in a model's environment; packing locks it together with the model's own."""
    return list(read_requirements(load_settings().host_source, "requirements.txt"))


@router.get("/snapshots", dependencies=[Depends(requires_access_dag("GET"))])
def list_snapshots(
    user: GetUserDep,
    registry: RegistryDep,
    service: Annotated[str | None, Query(description="Only those that serve this service.")] = None,
    model: Annotated[str | None, Query(description="Only versions of this model.")] = None,
) -> list[SnapshotView]:
    """Snapshots that the user may see, without their manifests."""
    return [
        _view(snapshot)
        for snapshot in registry.snapshots.list(service=service, model=model)
        if may_see_snapshot(user, snapshot)
    ]


@router.get("/snapshots/{reference}")
def show_snapshot(snapshot: SnapshotToRead) -> SnapshotView:
    """One snapshot with its manifest: by ``model@3``, by ``model`` (the newest) or by digest."""
    return _view(snapshot, manifest=snapshot.manifest)


@router.post(
    "/snapshots/{reference}/verify",
    dependencies=[Depends(snapshot_to_read), Depends(action_logging("airlock_verify_snapshot"))],
)
def verify_snapshot(snapshot: SnapshotToRead, store: StoreDep) -> dict[str, Any]:
    """Compare every stored byte with the manifest, and the manifest with the recorded digest."""
    manifest = Manifest.read(snapshot.manifest, digest=snapshot.digest)
    problems = [asdict(each) for each in store.verify(manifest)]
    return {"name": snapshot.name, "digest": snapshot.digest, "ok": not problems, "problems": problems}


def _missing(manifest: Manifest, store: ArtifactStore) -> list[str]:
    wanted = sorted({entry.sha256 for entry in manifest.files})
    with ThreadPoolExecutor(_LOOK_UPS) as pool:
        there = pool.map(store.has, wanted)
        return [sha256 for sha256, has in zip(wanted, there, strict=True) if not has]


def _view(snapshot: SnapshotRecord, manifest: Mapping[str, Any] | None = None) -> SnapshotView:
    return SnapshotView(
        name=snapshot.name,
        digest=snapshot.digest,
        model=snapshot.model,
        version=snapshot.version,
        services=snapshot.services,
        modes=snapshot.modes,
        created_by=snapshot.created_by,
        created_at=snapshot.created_at,
        manifest=manifest,
    )
