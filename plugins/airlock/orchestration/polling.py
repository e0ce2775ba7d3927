"""One trigger that asks a question about the registry or a runtime until the answer is yes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airlock.exceptions import AirlockError

if TYPE_CHECKING:
    from airlock.runtimes.base import Adapter
    from airlock.spec import Mode

Ask = Callable[[], bool]

# An event that arrives while the scheduler still books the deferral fails the try (open upstream:
# facts in docs/decisions), so no question is asked in the first seconds.
SECONDS_BEFORE_FIRST_QUESTION = 3.0


class PollTrigger(BaseTrigger):
    """Fires once ``question`` is answered with yes; the task then looks for itself what came of it.

    :param question: a name in :data:`QUESTIONS`.
    :param arguments: JSON arguments of the question.
    :param interval: seconds between two questions.
    """

    def __init__(self, question: str, arguments: dict[str, Any], interval: float = 2.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow
        self.question = question
        self.arguments = arguments
        self.interval = interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            "airlock.orchestration.polling.PollTrigger",
            {"question": self.question, "arguments": self.arguments, "interval": self.interval},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        # Threads, because registry and runtimes are asked over blocking connections. Airflow's connections
        # are fetched there as well: Airflow hands that request on to the loop of its triggerer.
        await asyncio.sleep(SECONDS_BEFORE_FIRST_QUESTION)
        answered = _asker(self.question, self.arguments)
        while not await asyncio.to_thread(answered):
            await asyncio.sleep(self.interval)
        yield TriggerEvent(self.question)  # type: ignore[no-untyped-call]  # Airflow


def _asker(question: str, arguments: dict[str, Any]) -> Ask:
    """Asks the question, over the same connection each time.

    An error is an answer too: the task meets it again and reports it where people look.
    """
    asks: list[Ask] = []

    def answered() -> bool:
        try:
            if not asks:
                asks.append(QUESTIONS[question](**arguments))
            return asks[0]()
        except AirlockError:
            return True

    return answered


def _slot_is_free(service: str, stage: str, mode: Mode) -> Ask:
    from airlock.orchestration.configuration import open_registry

    return lambda: open_registry().leases.is_free(service=service, stage=stage, mode=mode)


def _first_in_line(passage_id: str) -> Ask:
    from airlock.orchestration.configuration import open_registry

    return lambda: open_registry().passages.promote_queued(passage_id)


def _deployment_settled(runtime: str, handle: dict[str, Any]) -> Ask:
    adapter = _adapter(runtime)
    return lambda: adapter.status(handle).state != "starting"


def _job_settled(runtime: str, handle: dict[str, Any]) -> Ask:
    adapter = _adapter(runtime)
    return lambda: adapter.job_status(handle).state != "running"


def _rollout_moves(rollout: str) -> Ask:
    from airlock.orchestration.configuration import load_settings, open_registry
    from airlock.orchestration.rollout_look import ask_runtime, look

    registry = open_registry()
    runtime = ask_runtime(load_settings(), registry)

    def moves() -> bool:
        record = registry.rollouts.get(rollout)
        if record.since is None or registry.passages.get(record.passage_id).state == "finished":
            return True
        return look(registry, record, runtime).move.kind != "wait"

    return moves


def _drain_is_over(rollout: str) -> Ask:
    from airlock.orchestration.configuration import open_registry
    from airlock.orchestration.rollout_look import drain_is_over

    registry = open_registry()
    return lambda: drain_is_over(registry, registry.rollouts.get(rollout), datetime.now(UTC))


def _adapter(runtime: str) -> Adapter:
    from airlock.orchestration.configuration import load_settings, open_registry

    return load_settings().adapter(open_registry().catalog.runtime(runtime).spec)


QUESTIONS: dict[str, Callable[..., Ask]] = {
    "slot is free": _slot_is_free,
    "first in line": _first_in_line,
    "deployment settled": _deployment_settled,
    "job settled": _job_settled,
    "rollout moves": _rollout_moves,
    "drain is over": _drain_is_over,
}
