"""How Airlock's tasks fail, and how they wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from airlock.exceptions import AdapterError, AirlockError, CheckError, RuntimeBusy
from airlock.orchestration.files import StorageError
from airlock.orchestration.polling import PollTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airlock.orchestration.placement import Placement
    from airlock.orchestration.watching import Begun
    from airlock.registry.records import DeploymentRecord

# What may go better at the next try; anything else is a fact that a retry does not change.
TRANSIENT = (AdapterError, CheckError, StorageError)

RETRYING: dict[str, Any] = {"retries": 2, "retry_delay": timedelta(seconds=5)}


@contextmanager
def failing_in_words(context: Context, on_final_failure: Callable[[Context, str], None]) -> Iterator[None]:
    """Turn Airlock's errors into Airflow's, and hand the reason of a final failure on to be recorded.

    Facts fail at once; what may go better (:data:`TRANSIENT`) is tried again while the task has retries.
    """
    try:
        yield
    except AirlockError as error:
        transient = isinstance(error, TRANSIENT)
        instance = context["ti"]
        if not transient or instance.try_number > instance.max_tries:
            on_final_failure(context, f"{instance.task_id}: {error}")
        if transient:
            raise AirflowException(str(error)) from None
        raise AirflowFailException(str(error)) from None


def wait_for(operator: BaseOperator, question: str, begun: Begun | None = None, **arguments: Any) -> NoReturn:
    """Leave the worker slot until a question of :mod:`airlock.orchestration.polling` is answered with yes.

    The operator then goes on in its method ``resume``.

    :param begun: what this try has begun; ``resume`` gets its entries as ``begun``.
    """
    operator.defer(
        trigger=PollTrigger(question, arguments),
        method_name="resume",
        kwargs={"begun": begun.entries if begun else {}},
    )


def claim_or_wait(operator: BaseOperator, placement: Placement) -> DeploymentRecord:
    """A slot; or, while all runtimes that fit are full, leave the worker slot and come back."""
    try:
        return placement.claim()
    except RuntimeBusy as busy:
        operator.log.info("%s", busy)
    wait_for(operator, "slot is free", service=placement.service, stage=placement.stage, mode=placement.mode)
