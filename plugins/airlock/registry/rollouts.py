"""How traffic moves to new versions: the step each rollout is at, and what was found at every move."""

from __future__ import annotations

import hashlib

from sqlalchemy import and_, insert, select

from airlock.registry import tables
from airlock.registry.database import Database, Transaction
from airlock.registry.ledger import append
from airlock.registry.records import (
    JsonObject,
    RolloutMove,
    RolloutOutcome,
    RolloutRecord,
    RolloutStep,
)
from airlock.registry.rollout_rows import (
    change_rollout,
    close_rollout,
    get_rollout,
    remember_move,
    select_rollouts,
)
from airlock.registry.versions import put_into_use
from airlock.spec.digest import canonical_json
from airlock.spec.digest import digest as digest_of


class Rollouts:
    """Rollouts by passage and stage. A move stands here before any traffic follows it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self,
        *,
        passage_id: str,
        service: str,
        stage: str,
        strategy: JsonObject,
        deployment_id: str,
        current_deployment_id: str | None,
    ) -> RolloutRecord:
        """Begin to move traffic to a deployment; asked again, return the same rollout as it is.

        Another one of the service at this stage (of a passage that was superseded) is stopped.
        """
        rollout_id = _id(passage_id, stage, deployment_id)
        with self._database.write() as transaction:
            connection = transaction.connection
            columns = tables.rollouts.c
            known = select_rollouts(connection, columns.id == rollout_id)
            if known:
                return known[0]
            is_other = and_(columns.service == service, columns.stage == stage, columns.outcome.is_(None))
            for other in select_rollouts(connection, is_other):
                close_rollout(transaction, other, "stopped", f"{deployment_id} takes its place", "airlock")
            values = {
                "passage_id": passage_id,
                "service": service,
                "stage": stage,
                "strategy": strategy,
                "deployment_id": deployment_id,
                "current_deployment_id": current_deployment_id,
            }
            connection.execute(
                insert(tables.rollouts).values(
                    id=rollout_id, step=0, extended=0, began_at=transaction.now, **values
                )
            )
            append(transaction, "rollout.began", rollout_id, "airlock", values)
            return get_rollout(connection, rollout_id)

    def measure_from(self, rollout_id: str, step: int, readings: JsonObject) -> RolloutRecord:
        """Let a step begin now, measured from these readings; one that has begun goes on as it is."""
        with self._database.write() as transaction:
            rollout = get_rollout(transaction.connection, rollout_id)
            if rollout.step == step and rollout.since is None and rollout.outcome is None:
                change_rollout(transaction, rollout, {"since": transaction.now, "readings": readings})
            return get_rollout(transaction.connection, rollout_id)

    def keep_answers(self, seen: RolloutRecord, answers: JsonObject) -> RolloutRecord:
        """Keep how far the answers of both versions have been compared in the step.

        Where somebody has compared them since ``seen``, or the step has changed, nothing is kept, so that no
        answer counts twice.
        """
        with self._database.write() as transaction:
            rollout = get_rollout(transaction.connection, seen.id)
            is_as_seen = (rollout.step, rollout.readings) == (seen.step, seen.readings)
            if is_as_seen and rollout.readings is not None and rollout.outcome is None:
                change_rollout(transaction, rollout, {"readings": {**rollout.readings, "answers": answers}})
            return get_rollout(transaction.connection, seen.id)

    def advance(self, rollout: RolloutRecord, evidence: JsonObject) -> RolloutRecord:
        """Go on to the next step. It is said of the step that ``rollout`` is at, and so once only."""
        changes: JsonObject = {"step": rollout.step + 1, "extended": 0, "asked": None}
        return self._move(rollout, "advance", evidence, {**changes, "since": None, "readings": None})

    def extend(self, rollout: RolloutRecord, evidence: JsonObject) -> RolloutRecord:
        """Prolong the step, once more than ``rollout`` says."""
        return self._move(rollout, "extend", evidence, {"extended": rollout.extended + 1})

    def ask(self, rollout: RolloutRecord, evidence: JsonObject) -> RolloutRecord:
        """Ask people about this evidence; where they are asked already, nothing changes."""
        if rollout.asked is not None:
            return rollout
        return self._move(rollout, "ask", evidence, {"asked": digest_of(evidence)})

    def end(
        self,
        rollout_id: str,
        outcome: RolloutOutcome,
        reason: str,
        evidence: JsonObject | None = None,
        by: str = "airlock",
    ) -> RolloutRecord:
        """End a rollout; one that has ended keeps its first outcome.

        Where it is completed, the new version is the one in use from that moment on, so that people can go
        back from it before any other task has run.

        :param evidence: what the guards had found, where they decided.
        :raises Conflict: it would be completed, and people have gone back from this version.
        """
        with self._database.write() as transaction:
            rollout = get_rollout(transaction.connection, rollout_id)
            if rollout.outcome is None:
                close_rollout(transaction, rollout, outcome, reason, by, evidence)
                if outcome == "completed":
                    _put_into_use(transaction, rollout)
            return get_rollout(transaction.connection, rollout_id)

    def get(self, rollout_id: str) -> RolloutRecord:
        """One rollout.

        :raises NotFound: there is none of this id.
        """
        with self._database.read() as connection:
            return get_rollout(connection, rollout_id)

    def last(self, service: str, stage: str) -> RolloutRecord | None:
        """The rollout that is under way, or the last one that was; ``None`` if there never was one."""
        columns = tables.rollouts.c
        with self._database.read() as connection:
            found = select_rollouts(connection, and_(columns.service == service, columns.stage == stage))
        return max(found, key=lambda rollout: (rollout.outcome is None, rollout.began_at), default=None)

    def steps(self, rollout_id: str) -> list[RolloutStep]:
        """Every move of a rollout with its evidence, in their order."""
        columns = tables.rollout_steps.c
        query = select(tables.rollout_steps).where(columns.rollout_id == rollout_id).order_by(columns.id)
        with self._database.read() as connection:
            return [
                RolloutStep(
                    rollout_id=row.rollout_id,
                    step=row.step,
                    extended=row.extended,
                    move=row.move,
                    evidence=row.evidence,
                    recorded_at=row.recorded_at,
                )
                for row in connection.execute(query)
            ]

    def list(self, passage_id: str, stage: str | None = None) -> list[RolloutRecord]:
        """A passage's rollouts, the oldest first."""
        condition = tables.rollouts.c.passage_id == passage_id
        if stage is not None:
            condition &= tables.rollouts.c.stage == stage
        with self._database.read() as connection:
            return select_rollouts(connection, condition)

    def _move(
        self, seen: RolloutRecord, move: RolloutMove, evidence: JsonObject, changes: JsonObject
    ) -> RolloutRecord:
        """Change a rollout if it is still where it was seen; otherwise somebody has moved it before."""
        with self._database.write() as transaction:
            rollout = get_rollout(transaction.connection, seen.id)
            if (rollout.step, rollout.extended, rollout.asked, rollout.outcome) == (
                seen.step,
                seen.extended,
                seen.asked,
                None,
            ):
                remember_move(transaction, rollout, move, evidence, "airlock", {})
                change_rollout(transaction, rollout, changes)
            return get_rollout(transaction.connection, seen.id)


def _id(passage_id: str, stage: str, deployment_id: str) -> str:
    return "rol-" + hashlib.sha256(canonical_json([passage_id, stage, deployment_id])).hexdigest()[:12]


def _put_into_use(transaction: Transaction, rollout: RolloutRecord) -> None:
    deployments = tables.deployments.c
    of_it = select(deployments.snapshot_digest).where(deployments.id == rollout.deployment_id)
    put_into_use(
        transaction,
        passage_id=rollout.passage_id,
        deployment_id=rollout.deployment_id,
        service=rollout.service,
        stage=rollout.stage,
        mode="online",
        snapshot_digest=transaction.connection.execute(of_it).scalar_one(),
    )
