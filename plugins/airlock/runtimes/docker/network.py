"""The network in which the containers of a project find each other by name."""

from __future__ import annotations

from airlock.exceptions import AdapterError
from airlock.runtimes.docker import labels
from airlock.runtimes.docker.engine import Engine
from airlock.spec.runtime_options import DockerOptions

_WITHOUT_NAMES = ("bridge", "host", "none")


def ensure_network(engine: Engine, options: DockerOptions) -> str:
    """The name of the network; the project's own is made where it is missing.

    :raises AdapterError: the network that the options name is not there, or knows no names.
    """
    if options.network is None:
        if not engine.networks(options.project):
            engine.create_network(options.project, {labels.PROJECT: options.project})
        return options.project
    if problem := problem_with_network(engine, options):
        raise AdapterError(problem)
    return options.network


def problem_with_network(engine: Engine, options: DockerOptions) -> str | None:
    """Why the network that the options name cannot be used; ``None`` if it can, or is made when needed."""
    if options.network is None:
        return None
    if options.network in _WITHOUT_NAMES:
        return (
            f"In Docker's network {options.network!r} containers do not find each other by name. "
            "Make one with 'docker network create', and name it in the runtime's options as network."
        )
    if not engine.networks(options.network):
        return (
            f"The Docker engine at {engine.url} has no network {options.network!r}. "
            f"Make it with 'docker network create {options.network}'."
        )
    return None
