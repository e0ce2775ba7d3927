"""The cluster that KUBECONFIG names, asked without Airlock: what the adapter's work is held against."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from airlock.runtimes.base import Endpoint

SECONDS = float(os.environ.get("AIRLOCK_TEST_SECONDS") or 300)
"""How long the cluster may take for one step."""

_PAUSE_SECONDS = 0.3

PLURALS = {
    "configmaps": "/api/v1",
    "secrets": "/api/v1",
    "services": "/api/v1",
    "pods": "/api/v1",
    "deployments": "/apis/apps/v1",
    "replicasets": "/apis/apps/v1",
    "jobs": "/apis/batch/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
    "horizontalpodautoscalers": "/apis/autoscaling/v2",
    "ingresses": "/apis/networking.k8s.io/v1",
}
"""Where the API has what Airlock makes."""

Seen = TypeVar("Seen")


def until(look: Callable[[], Seen], wanted: Callable[[Seen], object] = bool) -> Seen:
    """Look until what is seen is wanted; the last thing seen is in the failure."""
    deadline = time.monotonic() + SECONDS
    while True:
        seen = look()
        if wanted(seen):
            return seen
        assert time.monotonic() < deadline, f"after {SECONDS:g} s this is still {seen!r}"
        time.sleep(_PAUSE_SECONDS)


class Cluster:
    """Requests with the rights of whoever runs the tests.

    :param kubeconfig: its file, or several as KUBECONFIG has them.
    """

    def __init__(self, kubeconfig: str) -> None:
        from kubernetes import config  # type: ignore[import-untyped]

        self.kubeconfig = kubeconfig
        self._client = config.new_client_from_config(config_file=kubeconfig)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content: str = "application/json",
        **query: str,
    ) -> Any:
        """Anything that the API can do.

        :raises ApiException: it refuses.
        """
        headers = {"Accept": "application/json, */*", "Content-Type": content}
        self._client.update_params_for_auth(headers, [], ["BearerToken"])
        address = f"{self._client.configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        answer = self._client.request(method, address, headers=headers, body=body, _request_timeout=60)
        data = answer.data
        text = data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data)
        try:
            return json.loads(text)
        except ValueError:
            return text

    def config_with(self, token: str) -> dict[str, Any]:
        """A kubeconfig for this cluster and the user of a token."""
        known = self._client.configuration
        place: dict[str, Any] = {"server": known.host}
        if known.ssl_ca_cert:
            place["certificate-authority"] = known.ssl_ca_cert
        if not known.verify_ssl:
            place["insecure-skip-tls-verify"] = True
        if getattr(known, "tls_server_name", None):
            place["tls-server-name"] = known.tls_server_name
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cluster", "cluster": place}],
            "users": [{"name": "user", "user": {"token": token}}],
            "contexts": [{"name": "user", "context": {"cluster": "cluster", "user": "user"}}],
            "current-context": "user",
        }

    def status_of(self, method: str, path: str, body: Any = None, **query: str) -> tuple[int, str]:
        """The status and the words of a request that may be refused; 200 if it is not."""
        from kubernetes.client.exceptions import ApiException  # type: ignore[import-untyped]

        try:
            self.request(method, path, body, **query)
        except ApiException as error:
            return int(error.status or 0), str(error.body)
        return 200, ""

    def path(self, plural: str, namespace: str, name: str = "") -> str:
        """Where objects of a kind are."""
        return f"{PLURALS[plural]}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")

    def find(self, plural: str, namespace: str, **labels: str) -> list[dict[str, Any]]:
        """Objects of a kind with such labels."""
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        found = self.request("GET", self.path(plural, namespace), labelSelector=selector)
        return list(found["items"])

    def of_runtime(self, namespace: str, runtime: str) -> list[str]:
        """Everything that belongs to a runtime, as ``pods/name``."""
        labels = {"app.kubernetes.io/managed-by": "airlock", "airlock/runtime": runtime}
        return [
            f"{plural}/{item['metadata']['name']}"
            for plural in PLURALS
            for item in self.find(plural, namespace, **labels)
        ]

    def post_through(self, endpoint: Endpoint, path: str, document: Any) -> Any:
        """Ask a service as the cluster's API server passes requests on.

        :raises ApiException: it was not answered, or with an error.
        """
        place = urlsplit(endpoint.inside or endpoint.url)
        service, namespace, _ = (place.hostname or "").split(".")
        inside = f"/api/v1/namespaces/{namespace}/services/{service}:{place.port}/proxy{path}"
        return self.request("POST", inside, document)

    def make_namespace(self, labels: Mapping[str, str]) -> str:
        """A new namespace with a name of its own, once pods can be made in it."""
        name = f"airlock-test-{uuid.uuid4().hex[:8]}"
        self.request("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": dict(labels)}})
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        until(lambda: self.status_of("GET", account)[0], lambda status: status == 200)
        return name

    def remove_namespace(self, name: str) -> None:
        """Take a namespace away with all that is in it, and wait for that."""
        path = f"/api/v1/namespaces/{name}"
        self.status_of("DELETE", path)
        until(lambda: self.status_of("GET", path)[0], lambda status: status == 404)
