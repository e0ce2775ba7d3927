"""The ledger: what was decided and done, and the proof that nobody changed it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query

from airlock.registry import LedgerHead
from airlock.registry.records import LedgerEntry, LedgerProblem
from airlock.web.airflow_private import DagAccessEntity, requires_access_dag
from airlock.web.guards import RegistryDep

router = APIRouter(
    tags=["audit"], dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.AUDIT_LOG))]
)


@dataclass(frozen=True)
class Verification:
    """What looking at every row of the ledger found.

    :param head: number of rows and hash of the last: keep it elsewhere, and give it to a later check.
    """

    ok: bool
    head: LedgerHead
    problems: list[LedgerProblem]


@router.get("/audit/verify")
def verify(
    registry: RegistryDep,
    expected_count: Annotated[
        int | None, Query(ge=0, description="Of a head that was kept elsewhere.")
    ] = None,
    expected_hash: Annotated[str | None, Query(description="Of the same head.")] = None,
) -> Verification:
    """Look at every row: those that were changed, removed or inserted are named."""
    if (expected_count is None) != (expected_hash is None):
        raise HTTPException(422, "expected_count and expected_hash belong together.")
    expected = None
    if expected_count is not None and expected_hash is not None:
        expected = LedgerHead(expected_count, expected_hash)
    head = registry.ledger.head()
    problems = registry.ledger.verify(expected_head=expected)
    return Verification(ok=not problems, head=head, problems=problems)


@router.get("/audit/entries")
def entries(
    registry: RegistryDep,
    after: Annotated[int, Query(ge=0, description="Only rows numbered above this.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    subject: Annotated[str | None, Query(description="Only rows about this: a passage's id, a name.")] = None,
    event: Annotated[str | None, Query(description="Only this event, or those that begin so.")] = None,
) -> list[LedgerEntry]:
    """Rows of the ledger in their order."""
    return registry.ledger.entries(subject=subject, event=event, after=after, limit=limit)
