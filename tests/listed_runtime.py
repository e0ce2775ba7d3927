"""A runtime in memory, as far as an inventory asks it: what is there, how it is, and taking it away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from airlock.exceptions import AdapterError
from airlock.runtimes.base import Handle, Health, JobHandle, Status, WithoutRouter

_Names = list[str]


class ListedRuntime(WithoutRouter):
    """Holds names only; ``stuck`` ones cannot be removed, and ``away`` means that it cannot be asked."""

    def __init__(self, deployments: Iterable[str] = (), jobs: Iterable[str] = ()) -> None:
        self.deployments = list(deployments)
        self.jobs = list(jobs)
        self.stuck: set[str] = set()
        self.away = False
        self.health = Health(True)

    def check(self) -> Health:
        return self.health

    def status(self, handle: Handle) -> Status:
        return Status("ready") if handle["name"] in self.deployments else Status("gone", "It is not there.")

    def list(self) -> Sequence[Handle]:
        if self.away:
            raise AdapterError("The engine does not answer.", mend="Start it.")
        return [{"name": name} for name in self.deployments]

    def list_jobs(self) -> Sequence[JobHandle]:
        return [{"name": name} for name in self.jobs]

    def undeploy(self, handle: Handle) -> None:
        self._remove(self.deployments, handle["name"])

    def remove_job(self, handle: JobHandle) -> None:
        self._remove(self.jobs, handle["name"])

    def _remove(self, names: _Names, name: str) -> None:
        if name in self.stuck:
            raise AdapterError(f"{name} cannot be removed: the disk is read-only.")
        if name in names:
            names.remove(name)
