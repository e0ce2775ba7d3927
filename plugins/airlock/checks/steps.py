"""The steps of one check: what runs where, in which order, and what a step may read of earlier ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from airlock.checks.context import CheckContext

Place = Literal["candidate", "champion", "checks"]
Command = Literal["batch", "check"]
Measurement = Mapping[str, Any]
"""What one step came back with: the host's result file, or what :func:`failed` returns."""


CANDIDATE_SCORES = "score"
"""The step in which the candidate scores, wherever there is one."""


@dataclass(frozen=True)
class Step:
    """One job of the host.

    :param name: unique within the check.
    :param where: whose environment runs it.
    :param command: the host's sub-command.
    :param arguments: the job file, without ``model`` and ``result``, which the runtime's adapter fills in.
    :param needs: earlier steps that must have succeeded; without them this one is left out.
    :param may_use: earlier steps that this one can do without.
    """

    name: str
    where: Place
    command: Command
    arguments: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    may_use: tuple[str, ...] = field(default=())

    def job(self, measurements: Mapping[str, Measurement]) -> dict[str, Any]:
        """The job's arguments; a ``check`` finds the results of the earlier steps under ``results``."""
        if self.command == "batch":
            return dict(self.arguments)
        earlier = {
            name: measurements[name]
            for name in (*self.needs, *self.may_use)
            if name in measurements and not has_failed(measurements[name])
        }
        return {**self.arguments, "results": earlier}


def next_step(steps: Sequence[Step], measurements: Mapping[str, Measurement]) -> Step | None:
    """The first step that has not been run and whose needs are met; ``None`` when nothing is left."""
    for step in steps:
        if step.name in measurements:
            continue
        if all(name in measurements and not has_failed(measurements[name]) for name in step.needs):
            return step
    return None


def failed(message: str, *, exit_code: int | None = None) -> dict[str, Any]:
    """The measurement of a step whose job did not succeed.

    :param message: why, as the adapter's job status tells it.
    :param exit_code: the host's exit code: 2 when it refused its input, 1 when something broke,
        ``None`` when the job never ended by itself.
    """
    return {"error": {"message": message, "exit_code": exit_code}}


def has_failed(measurement: Measurement) -> bool:
    """Whether a step's job did not succeed."""
    return "error" in measurement


def error_message(measurement: Measurement) -> str:
    """Why a step's job did not succeed."""
    return str(measurement["error"].get("message", "no reason was given"))


@dataclass(frozen=True)
class Failure:
    """Why a check has no measurement.

    :param status: ``fail`` when the candidate could not do its work, ``error`` when the check could not.
    """

    status: Literal["fail", "error"]
    message: str


_MODEL_BROKE = 1
"""The host's exit code when the model failed. With any other end (2: the job was wrong; killed, timed out,
lost) nothing is known of the model."""


def failure(measurements: Mapping[str, Measurement], context: CheckContext, *needed: str) -> Failure | None:
    """What went wrong before there was a measurement, or ``None`` if all needed steps succeeded.

    Paths of the scratch folder are taken out: they are no part of what was found.

    :param needed: names of the steps, in their order; in ``score`` the candidate itself is at work.
    """
    for name in needed:
        measurement = measurements.get(name)
        if measurement is None:
            return Failure("error", f"The step {name!r} has not been run.")
        if has_failed(measurement):
            why = error_message(measurement).replace(f"{context.scratch}/", "")
            if name == CANDIDATE_SCORES and measurement["error"].get("exit_code") == _MODEL_BROKE:
                return Failure("fail", f"The snapshot could not score: {why}")
            return Failure("error", f"The step {name!r} did not succeed: {why}")
    return None
