"""What stands before every route: who asks, from where, and whether they may.

Identity is always Airflow's login. No route takes a person's name as a parameter.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Request

from airlock.exceptions import NotFound
from airlock.orchestration.configuration import load_settings, open_registry
from airlock.registry import Registry
from airlock.registry.records import PassageRecord, SnapshotRecord
from airlock.snapshots.store import ArtifactStore
from airlock.web.airflow_private import DagAccessEntity, GetUserDep, may, may_configure, name_of

_READS = ("GET", "HEAD", "OPTIONS")
_BODIES = ("application/json", "application/octet-stream")


def same_origin(request: Request) -> None:
    """Refuse writes that a foreign web page could make a logged-in browser send.

    Airflow keeps its login in a cookie and has no CSRF tokens. Browsers say where a request comes from,
    and send bodies of these two types across origins only after a preflight, which nobody here answers.
    This holds for requests with a bearer token too: where everybody is an administrator, Airflow itself
    adds that token to whatever comes.
    """
    if request.method in _READS:
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        foreign = site not in ("same-origin", "none")
    else:
        foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if foreign:
        raise HTTPException(403, "This request comes from another site.")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in _BODIES:
        raise HTTPException(415, f"Send the body as {' or '.join(_BODIES)}.")


def requires_configuration(user: GetUserDep) -> None:
    """The right to say where models run and who approves them."""
    if not may_configure(user):
        raise HTTPException(
            403, "This changes where models run or who approves them: operators and administrators may."
        )


def user_name(user: GetUserDep) -> str:
    """The login name of who asks."""
    return name_of(user)


def passage_to_read(passage_id: str, user: GetUserDep, registry: RegistryDep) -> PassageRecord:
    """The passage in the path, for a user who may see the runs of its service."""
    passage = registry.passages.get(passage_id)
    if not may(user, "GET", passage.service, DagAccessEntity.RUN):
        raise HTTPException(403, f"You may not see {passage.service}.")
    return passage


def passage_to_decide(passage_id: str, user: GetUserDep, registry: RegistryDep) -> PassageRecord:
    """The passage in the path, for a user who may answer requests of its service in Airflow at all.

    Whether this person's answer counts is for the policy to say, not for Airflow's rights.
    """
    passage = registry.passages.get(passage_id)
    if not may(user, "PUT", passage.service, DagAccessEntity.HITL_DETAIL):
        raise HTTPException(403, f"You may not answer requests of {passage.service}.")
    return passage


def snapshot_to_read(reference: str, user: GetUserDep, registry: RegistryDep) -> SnapshotRecord:
    """The snapshot in the path, for a user who may see one of the services it is for."""
    snapshot = registry.snapshots.get(reference)
    if not may_see_snapshot(user, snapshot):
        raise NotFound(f"There is no snapshot {reference} that you may see.")
    return snapshot


def may_see_snapshot(user: GetUserDep, snapshot: SnapshotRecord) -> bool:
    """Whether the user may see one of the services that a snapshot is for, or all DAGs."""
    return may(user, "GET", None) or any(may(user, "GET", service) for service in snapshot.services)


def artifact_store() -> ArtifactStore:
    """Where the files of snapshots are."""
    return ArtifactStore(load_settings().artifact_store)


RegistryDep = Annotated[Registry, Depends(open_registry)]
StoreDep = Annotated[ArtifactStore, Depends(artifact_store)]
UserName = Annotated[str, Depends(user_name)]
PassageToRead = Annotated[PassageRecord, Depends(passage_to_read)]
PassageToDecide = Annotated[PassageRecord, Depends(passage_to_decide)]
SnapshotToRead = Annotated[SnapshotRecord, Depends(snapshot_to_read)]
