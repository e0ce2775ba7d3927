"""What Airlock raises: every message says what is wrong, where, and how to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class AirlockError(Exception):
    """Base of all errors that a user can act on.

    :param message: what is wrong, and where.
    :param mend: what to do about it, where that is not plain from the message.
    """

    def __init__(self, message: str, *, mend: str | None = None) -> None:
        super().__init__(message if mend is None else f"{message} {mend}")
        self.message = message
        self.mend = mend


@dataclass(frozen=True)
class Problem:
    """One mistake in a file that a person wrote.

    :param line: counted from 1, like ``column``.
    """

    file: Path
    line: int
    column: int
    message: str
    mend: str | None = None

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}:{self.column}: {self.message}."
        return text if self.mend is None else f"{text} {self.mend}"


class SpecError(AirlockError):
    """A life cycle, service, runtime, policy or role is not as it must be.

    :param problems: every mistake with its place, where the error is about files.
    """

    def __init__(self, message: str, *, mend: str | None = None, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message, mend=mend)
        self.problems = tuple(problems)


class SnapshotError(AirlockError):
    """A model folder cannot become a snapshot."""


class IntegrityError(AirlockError):
    """Stored bytes are not the bytes that were recorded."""


class RegistryError(AirlockError):
    """The registry cannot do what was asked."""


class NotFound(RegistryError):
    """The registry does not know what was named."""


class Conflict(RegistryError):
    """The request contradicts something that is already so."""


class NoSuitableRuntime(RegistryError):
    """No runtime fits; the message lists each with the reason."""


class RuntimeBusy(RegistryError):
    """Runtimes fit, but every slot is taken: waiting helps."""


class AdapterError(AirlockError):
    """A runtime's adapter could not reach or use the runtime."""


class GatewayError(AirlockError):
    """The gateway's proxy is missing, or does not run."""


class ProxyBusy(GatewayError):
    """The gateway's proxy runs, but does not answer or follow yet: trying again helps."""


class DeploymentFailed(AdapterError):
    """A deployment did not become ready; the message holds its last log lines."""


class EntryRefused(AirlockError):
    """A snapshot may not enter a stage; the message lists each unmet condition."""


class DecisionRefused(AirlockError):
    """A person's approve or reject does not count; the message says why."""


class CheckError(AirlockError):
    """A check could not run (which is not a verdict on the model)."""
