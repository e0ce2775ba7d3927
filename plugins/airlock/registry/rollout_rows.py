"""Rollouts as parts of a transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update

from airlock.exceptions import NotFound
from airlock.registry import tables
from airlock.registry.database import Transaction
from airlock.registry.ledger import append
from airlock.registry.records import JsonObject, RolloutMove, RolloutOutcome, RolloutRecord
from airlock.spec.digest import digest as digest_of


def close_rollout(
    transaction: Transaction,
    rollout: RolloutRecord,
    outcome: RolloutOutcome,
    reason: str,
    by: str,
    evidence: JsonObject | None = None,
) -> None:
    """Give a rollout its outcome."""
    moves: dict[RolloutOutcome, RolloutMove] = {
        "completed": "complete",
        "rolled_back": "roll_back",
        "stopped": "stop",
    }
    ending = {"outcome": outcome, "reason": reason}
    remember_move(transaction, rollout, moves[outcome], evidence or {}, by, ending)
    change_rollout(transaction, rollout, {**ending, "ended_at": transaction.now})


def remember_move(
    transaction: Transaction,
    rollout: RolloutRecord,
    move: RolloutMove,
    evidence: JsonObject,
    by: str,
    more: JsonObject,
) -> None:
    """Keep a move with its evidence, and its digest on the ledger."""
    values: dict[str, Any] = {"step": rollout.step, "extended": rollout.extended, "move": move}
    transaction.connection.execute(
        insert(tables.rollout_steps).values(
            rollout_id=rollout.id, evidence=evidence, recorded_at=transaction.now, **values
        )
    )
    details = {
        **values,
        "passage": rollout.passage_id,
        "stage": rollout.stage,
        "deployment": rollout.deployment_id,
        "evidence_digest": digest_of(evidence),
        **more,
    }
    append(transaction, f"rollout.{move}", rollout.id, by, details)


def change_rollout(transaction: Transaction, rollout: RolloutRecord, changes: JsonObject) -> None:
    """Change columns of a rollout."""
    transaction.connection.execute(
        update(tables.rollouts).where(tables.rollouts.c.id == rollout.id).values(**changes)
    )


def get_rollout(connection: Connection, rollout_id: str) -> RolloutRecord:
    """One rollout.

    :raises NotFound: there is none of this id.
    """
    found = select_rollouts(connection, tables.rollouts.c.id == rollout_id)
    if not found:
        raise NotFound(f"The registry has no rollout {rollout_id!r}.")
    return found[0]


def select_rollouts(connection: Connection, condition: ColumnElement[bool]) -> list[RolloutRecord]:
    """The oldest first."""
    columns = tables.rollouts.c
    query = select(tables.rollouts).where(condition).order_by(columns.began_at, columns.id)
    return [RolloutRecord(**row._mapping) for row in connection.execute(query)]
