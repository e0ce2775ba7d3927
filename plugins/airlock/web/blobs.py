"""Files of snapshots: streamed in and out, never held in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import IO, Annotated, cast

import anyio.from_thread
import anyio.to_thread
from airflow.configuration import conf
from fastapi import APIRouter, Depends, HTTPException, Path, Request, Response
from fastapi.responses import StreamingResponse

from airlock.exceptions import NotFound
from airlock.orchestration.configuration import SECTION
from airlock.snapshots.store import ArtifactStore
from airlock.web.airflow_private import DagAccessEntity, action_logging, requires_access_dag
from airlock.web.guards import StoreDep

router = APIRouter(tags=["snapshots"])

DEFAULT_LARGEST_BLOB_MIB = 10 * 1024
_PIECE = 1024 * 1024

Sha256 = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]


@router.head("/blobs/{sha256}", dependencies=[Depends(requires_access_dag("GET"))], response_class=Response)
def blob_exists(sha256: Sha256, store: StoreDep) -> Response:
    """200 if the store has these bytes, 404 if not."""
    return Response(status_code=200 if store.has(sha256) else 404)


@router.get(
    "/blobs/{sha256}", dependencies=[Depends(requires_access_dag("GET"))], response_class=StreamingResponse
)
def download_blob(sha256: Sha256, store: StoreDep) -> StreamingResponse:
    """The bytes, as they are stored: compare them with the SHA-256 that you asked for."""
    if not store.has(sha256):
        raise NotFound(f"The artifact store has no blob {sha256}.")
    return StreamingResponse(_pieces(store, sha256), media_type="application/octet-stream")


@router.put(
    "/blobs/{sha256}",
    status_code=204,
    dependencies=[
        Depends(requires_access_dag("POST", DagAccessEntity.RUN)),
        Depends(action_logging("airlock_upload_blob")),
    ],
)
async def upload_blob(sha256: Sha256, request: Request, store: StoreDep) -> Response:
    """Keep the bytes of the body if they have this SHA-256; sending the same again is well.

    With ``?dag_id=SERVICE``, the right to start runs of that service is enough.
    """
    body = _Body(request.stream(), limit=_largest_blob())
    await anyio.to_thread.run_sync(_keep, store, body, sha256)
    return Response(status_code=204)


def _keep(store: ArtifactStore, body: _Body, sha256: str) -> None:
    store.put(cast("IO[bytes]", body), sha256)
    # A blob that was there already is not read; leaving its bytes on the wire would break the connection.
    while body.read(_PIECE):
        continue


def _pieces(store: ArtifactStore, sha256: str) -> Iterator[bytes]:
    with store.open(sha256) as stream:
        while piece := stream.read(_PIECE):
            yield piece


def _largest_blob() -> int:
    return conf.getint(SECTION, "largest_blob_mib", fallback=DEFAULT_LARGEST_BLOB_MIB) * 1024 * 1024


class _Body:
    """A request's body as a file for a worker thread, which waits while the event loop receives."""

    def __init__(self, pieces: AsyncIterator[bytes], *, limit: int) -> None:
        self._pieces = pieces
        self._left = limit
        self._ended = False

    def read(self, size: int = -1) -> bytes:
        """The next piece as it came in (``size`` is not kept to); empty at the end.

        :raises HTTPException: more bytes came than the limit allows.
        """
        while not self._ended:
            piece = anyio.from_thread.run(self._next)
            self._left -= len(piece)
            if self._left < 0:
                raise HTTPException(413, "The file is larger than [airlock] largest_blob_mib allows.")
            if piece:
                return piece
        return b""

    async def _next(self) -> bytes:
        try:
            return await anext(self._pieces)
        except StopAsyncIteration:
            self._ended = True
            return b""
