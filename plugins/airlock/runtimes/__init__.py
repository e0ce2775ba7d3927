"""Runtimes: the places where models run, each driven by an adapter of its kind.

:mod:`airlock.runtimes.base` is the contract. Kinds are imported where they are used, because each may need
packages of its own, and because the local supervisor lives in this package without any: this file imports
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airlock.runtimes.base import Adapter, RuntimeSettings
    from airlock.spec import RuntimeSpec

__all__ = ["adapter_for"]


def adapter_for(spec: RuntimeSpec, settings: RuntimeSettings) -> Adapter:
    """The adapter that drives a runtime.

    :raises AdapterError: there is no such kind, or a package that it needs is not installed.
    """
    if spec.kind == "local":
        from airlock.runtimes.local.adapter import LocalAdapter

        return LocalAdapter(spec, settings)
    if spec.kind == "docker":
        from airlock.runtimes.docker.adapter import DockerAdapter

        return DockerAdapter(spec, settings)
    if spec.kind == "kubernetes":
        from airlock.runtimes.kubernetes.adapter import KubernetesAdapter

        return KubernetesAdapter(spec, settings)
    from airlock.exceptions import AdapterError

    raise AdapterError(
        f"The runtime {spec.runtime} is of the kind {spec.kind!r}, which Airlock does not have."
    )
