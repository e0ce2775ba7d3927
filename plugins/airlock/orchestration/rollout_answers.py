"""Compares what both versions of a shadow answered to the same requests."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from airlock.exceptions import CheckError
from airlock.orchestration import stream_answers
from airlock.orchestration.streams import is_worker
from airlock.orchestration.version_server import ask_server
from airlock.rollouts import Compared, Comparison
from airlock.rollouts.recorded import PAGE, RING, Position, Recording, page
from airlock.spec import Guarded, Rollout

if TYPE_CHECKING:
    from airlock.registry import Registry
    from airlock.registry.records import DeploymentRecord, RolloutRecord
    from airlock.spec import AnswersGuard

_MOST_PAGES = 2 * RING // PAGE
"""Where answers are recorded as fast as they are read, the rest is left to the next time."""

_PATH = "/airlock/answers"


def answers_to_record(rollout: Rollout) -> int:
    """How many answers a server must keep where versions take over in this way."""
    return RING if isinstance(rollout, Guarded) and rollout.compares_answers is not None else 0


def compared_so_far(rollout: RolloutRecord) -> Compared | None:
    """What has been found of answers in the step under way; ``None`` where none are compared."""
    written = (rollout.readings or {}).get("answers")
    return None if written is None else Comparison.from_json(written).found


def compare_answers(
    registry: Registry,
    rollout: RolloutRecord,
    guard: AnswersGuard,
    new: DeploymentRecord,
    current: DeploymentRecord,
    now: datetime,
) -> Compared:
    """What was found of all answers since the step began; what is new of them is read where it is due.

    How far they are compared is kept with the rollout, so that it does not matter who looks. Those of streams
    are compared by a job, which the rollout's task begins.
    """
    if is_worker(new):
        return stream_answers.found(rollout)
    comparison = Comparison.from_json((rollout.readings or {}).get("answers"))
    if not comparison.is_due(now):
        return comparison.found
    try:
        further = comparison.go_on(
            guard, now, _recorded(new, comparison.new), _recorded(current, comparison.current)
        )
    except CheckError as error:
        return replace(comparison.found, why=str(error))
    kept = registry.rollouts.keep_answers(rollout, further.to_json())
    return Comparison.from_json((kept.readings or {}).get("answers")).found


def _recorded(deployment: DeploymentRecord, position: Position) -> Recording:
    """What a version has recorded since.

    :raises CheckError: it records nothing, or cannot be reached.
    """
    read = _page(deployment, position.after)
    answers = read.answers
    for _ in range(_MOST_PAGES):
        further = _page(deployment, read.next)
        if further.started != read.started or not further.answers:
            break
        answers += further.answers
        read = further
    return Recording(read.started, answers, read.next)


def _page(deployment: DeploymentRecord, after: int) -> Recording:
    answer = ask_server(deployment, _PATH, after=after, limit=PAGE)
    if answer.is_success:
        return page(answer.text)
    raise CheckError(
        f"{deployment.snapshot_name} keeps no answers to compare: it was deployed before its stage's rollout "
        "had a guard that compares them."
    )
