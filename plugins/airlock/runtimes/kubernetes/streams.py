"""Streams as Deployments of one pod, which a Secret tells what to read."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from airlock.runtimes.base import Endpoint, stream_endpoints
from airlock.runtimes.kubernetes import labels as names
from airlock.runtimes.kubernetes.cluster import DEPLOYMENT, POD, SECRET, Object
from airlock.runtimes.kubernetes.record import Record, metadata, owner
from airlock.runtimes.kubernetes.refusals import Refused
from airlock.runtimes.kubernetes.server import STREAM_FILE, inside_address, outside_address, stream_secret
from airlock.runtimes.kubernetes.servers import Servers
from airlock.spec import RuntimeSpec

_FORBIDDEN = 403


class Streams(Servers):
    """Drives the streams of one runtime, in one namespace."""

    def begin(self, record: Record, stream: Mapping[str, Any] | None = None) -> None:
        """Make all objects of a stream. What one that runs was told to read stays so.

        :param stream: what it reads at first.
        :raises Refused: the cluster refuses.
        """
        if stream is not None and not self._runs(record):
            self._tell(record, stream)
        super().begin(record)

    def change(self, record: Record, stream: Mapping[str, Any]) -> None:
        """Write the stream file of a deployment anew.

        :raises Refused: the cluster refuses.
        """
        written = self._tell(record, stream)
        for pod in self.pods(record):
            self._wake(pod, str(written["metadata"]["resourceVersion"]))

    def endpoints(self, record: Record) -> Sequence[Endpoint]:
        """The topic, and where the worker says how it is."""
        inside = inside_address(record, self._namespace)
        outside = outside_address(record, self._options)
        return stream_endpoints(str(record.topic), outside or inside, inside)

    def _runs(self, record: Record) -> bool:
        found = self._cluster.get(DEPLOYMENT, self._namespace, record.object_name)
        return found is not None and self._look(record, found).state != "failed"

    def _tell(self, record: Record, stream: Mapping[str, Any]) -> Object:
        item = secret_object(record, self._spec, stream)
        return self._cluster.apply(item, SECRET, self._namespace)

    def _wake(self, pod: Object, version: str) -> None:
        """Have a node look at a pod's volumes now: it would in a minute or so.

        Where this user may not change pods, that is how long it takes.
        """
        annotations = {"annotations": {names.STREAM: version}}
        try:
            self._cluster.change(POD, self._namespace, pod["metadata"]["name"], {"metadata": annotations})
        except Refused as error:
            if error.status != _FORBIDDEN:
                raise


def secret_object(record: Record, spec: RuntimeSpec, stream: Mapping[str, Any]) -> Object:
    """The Secret with the file of a stream. It goes with the record."""
    said = metadata(record, spec, names.ROLE_SERVER)
    item = SECRET.head(stream_secret(record), **said, ownerReferences=[owner(record.item)])
    content = base64.b64encode(json.dumps(stream).encode()).decode()
    return item | {"type": "Opaque", "data": {STREAM_FILE: content}}
