"""Secret variables: from the connection's extra into a Secret, so that no pod's description has them."""

from __future__ import annotations

import base64

from airlock.exceptions import AdapterError
from airlock.runtimes.kubernetes.cluster import SECRET, Cluster, Object
from airlock.runtimes.kubernetes.job import file_name
from airlock.runtimes.kubernetes.record import owner


class Secrets:
    """Secrets of deployments and jobs, in one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace

    def of(self, object_name: str, *, is_job: bool = False) -> list[str]:
        """The names of the Secrets of a deployment or job: one, if the connection has secret variables."""
        if not self._variables():
            return []
        return [file_name(object_name) if is_job else object_name]

    def apply(self, owned_by: Object, *, is_job: bool = False) -> None:
        """Make the Secret, which goes with an object.

        :raises AdapterError: the cluster refuses.
        """
        metadata = owned_by["metadata"]
        values = self._variables().items()
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values}
        for name in self.of(metadata["name"], is_job=is_job):
            item = SECRET.head(
                name,
                labels=dict(metadata.get("labels", {})),
                annotations=dict(metadata.get("annotations", {})),
                ownerReferences=[owner(owned_by)],
            )
            self._cluster.apply(item | {"type": "Opaque", "data": data}, SECRET, self._namespace)

    def _variables(self) -> dict[str, str]:
        found = self._cluster.extra.get("environment") or {}
        if not isinstance(found, dict):
            raise AdapterError(
                "The extra of the Airflow connection has an 'environment' that is not a mapping.",
                mend='Write it like {"environment": {"AWS_SECRET_ACCESS_KEY": "…"}}.',
            )
        return {str(key): str(value) for key, value in found.items()}
