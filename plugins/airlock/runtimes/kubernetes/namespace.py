"""The namespace of a runtime: used if it is there, made if it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from airlock.exceptions import AdapterError
from airlock.runtimes.kubernetes import labels as names
from airlock.runtimes.kubernetes.cluster import NAMESPACE, Cluster
from airlock.runtimes.kubernetes.refusals import Refused
from airlock.spec import KubernetesOptions, RuntimeSpec

_POD_SECURITY = "pod-security.kubernetes.io/enforce"
_LEVEL = "restricted"
_LONGEST = 63

Made = TypeVar("Made")


def namespace_of(spec: RuntimeSpec, options: KubernetesOptions) -> str:
    """The name of a runtime's namespace."""
    if options.namespace is not None:
        return options.namespace
    return names.object_name(f"airlock-{spec.runtime}", longest=_LONGEST)


def in_namespace(cluster: Cluster, name: str, make: Callable[[], Made], *, runtime: str) -> Made:
    """Make something in a namespace, and the namespace before it where it is missing.

    :raises AdapterError: the namespace is not there and may not be made, or the cluster refuses the rest.
    """
    try:
        return make()
    except Refused as error:
        if not _is_missing(error, name):
            raise
    _make(cluster, name, runtime)
    return make()


def _is_missing(error: Refused, name: str) -> bool:
    return error.status == 404 and f'namespaces "{name}" not found' in error.message


def _make(cluster: Cluster, name: str, runtime: str) -> None:
    labels = {names.MANAGED_BY: names.AIRLOCK, names.RUNTIME: names.label(runtime), _POD_SECURITY: _LEVEL}
    try:
        cluster.create(NAMESPACE.head(name, labels=labels), NAMESPACE)
    except Refused as error:
        if error.status == 409:  # another caller was faster
            return
        raise AdapterError(
            f"The namespace {name} does not exist and cannot be made: {error.message}",
            mend=f"Have someone run: kubectl create namespace {name}.",
        ) from error
