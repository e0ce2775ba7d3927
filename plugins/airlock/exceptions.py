"""What Airlock raises: every message says what is wrong, where, and how to mend it."""

from __future__ import annotations


class AirlockError(Exception):
    """Base of all errors that a user can act on.

    :param message: what is wrong, and where.
    :param mend: what to do about it, where that is not plain from the message.
    """

    def __init__(self, message: str, *, mend: str | None = None) -> None:
        super().__init__(message if mend is None else f"{message} {mend}")
        self.message = message
        self.mend = mend


class SpecError(AirlockError):
    """A life cycle, service, runtime, policy or role is not as it must be."""


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


class DeploymentFailed(AdapterError):
    """A deployment did not become ready; the message holds its last log lines."""


class EntryRefused(AirlockError):
    """A snapshot may not enter a stage; the message lists each unmet condition."""


class DecisionRefused(AirlockError):
    """A person's approve or reject does not count; the message says why."""


class CheckError(AirlockError):
    """A check could not run (which is not a verdict on the model)."""
