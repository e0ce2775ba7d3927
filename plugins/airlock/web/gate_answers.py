"""Waking a gate: Airflow's own request is answered after the decision stands in the ledger.

The ledger comes first, always. What happens here only makes the gate look sooner: it reads the registry
whenever it wakes, also by itself from time to time, so an answer that Airflow does not take costs time and
never a decision.

An answer waits until the gate has been parked for a moment. Airflow 3.3 may fail a task's try whose answer
comes while the scheduler still books the parking; the gate survives that, but it costs a try and a worker.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

import anyio
import anyio.to_thread
from airflow.configuration import conf

from airlock.gates import stage_in_question
from airlock.orchestration.configuration import open_registry
from airlock.orchestration.judge import APPROVE, GO_ON, REJECT, ROLL_BACK
from airlock.registry.records import GateRecord, Verdict
from airlock.web.airflow_private import (
    AWAITING_INPUT,
    RUNNING,
    Answered,
    BaseUser,
    answer_request,
    task_state,
)

log = logging.getLogger(__name__)

SETTLING_SECONDS = conf.getfloat("scheduler", "scheduler_idle_sleep_time", fallback=1.0) + 1.0
"""How long a gate must have been parked before it is answered: the scheduler books that at its next turn.

It sleeps between turns, 1 s by default; no try failed in 36 that was answered after that time or more.
"""

PATIENCE_SECONDS = 30.0
LOOK_EVERY_SECONDS = 0.5


async def settled(gate: GateRecord, *, patience: float) -> bool:
    """Wait until a gate is parked and the scheduler has booked that.

    :param patience: seconds to wait at most.
    :returns: whether it is. ``False`` at once where the gate needs no waking: its task is about to run, and
        reads the registry then, or it is over.
    """
    deadline = time.monotonic() + patience
    while True:
        task = await anyio.to_thread.run_sync(task_state, gate.dag_id, gate.run_id, gate.task_id)
        if task is None or task.state not in (AWAITING_INPUT, RUNNING):
            return False
        wait = LOOK_EVERY_SECONDS
        if task.state == AWAITING_INPUT:
            wait = SETTLING_SECONDS - (SETTLING_SECONDS if task.since is None else _seconds_since(task.since))
            if wait <= 0:
                return True
        if time.monotonic() + wait > deadline:
            return False
        await anyio.sleep(wait)


async def wake(
    gate: GateRecord, user: BaseUser, verdict: Verdict, *, patience: float = PATIENCE_SECONDS
) -> None:
    """Answer Airflow's request of a gate, when it is settled; runs after the response has been sent.

    "Already answered" and "not asked" need nothing more: the gate looks at the registry once more after it
    has asked and before it parks, so it has yet to look, or is about to be woken by the answer that is there.
    """
    with anyio.move_on_after(patience):
        while await settled(gate, patience=patience):
            answered = await anyio.to_thread.run_sync(_answer, gate, user, verdict)
            log.info("Gate %s of %s: %s", gate.task_id, gate.run_id, answered.value)
            if answered is not Answered.FAILED:
                return
            await anyio.sleep(LOOK_EVERY_SECONDS)
    log.info("Gate %s of %s was not woken; it looks by itself.", gate.task_id, gate.run_id)


def _answer(gate: GateRecord, user: BaseUser, verdict: Verdict) -> Answered:
    """Answer only the question that was decided: on new evidence, the person must be asked anew."""
    now = open_registry().gates_open.find(gate.dag_id, gate.run_id, gate.task_id)
    if now is None or now.closed_at is not None or _question(now) != _question(gate):
        return Answered.NOT_ASKED
    return answer_request(gate.dag_id, gate.run_id, gate.task_id, option=option_of(gate, verdict), user=user)


def option_of(gate: GateRecord, verdict: Verdict) -> str:
    """What stands on the button of a verdict."""
    of_rollout = stage_in_question(gate.stage) is not None
    options = (GO_ON, ROLL_BACK) if of_rollout else (APPROVE, REJECT)
    return options[0 if verdict == "approve" else 1]


def _question(gate: GateRecord) -> tuple[str, str, str, str]:
    return (gate.passage_id, gate.stage, gate.evidence_digest, gate.policy_digest)


def _seconds_since(moment: datetime) -> float:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (datetime.now(UTC) - aware).total_seconds()
