"""The connection to a cluster: plain JSON in and out, errors as sentences.

Requests go through the client that Airflow's hook makes, but without the client's classes: what a newer
cluster says is then understood as well, and what it does not say is simply not there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

from airlock.exceptions import AdapterError
from airlock.runtimes.kubernetes.refusals import Refused, refused

FIELD_MANAGER = "airlock"
SECONDS_TO_CONNECT = 10.0
SECONDS_TO_ANSWER = 30.0

Object = dict[str, Any]
"""An object of the cluster, as JSON."""


@dataclass(frozen=True)
class Kind:
    """A kind of object, and where the API has it."""

    name: str
    api: str
    plural: str

    @property
    def group(self) -> str:
        """The API group, empty for the oldest one."""
        return self.api.rpartition("/")[0]

    def path(self, namespace: str, name: str = "") -> str:
        """Where one object is, or all of a namespace."""
        root = f"/apis/{self.api}" if "/" in self.api else f"/api/{self.api}"
        place = f"/namespaces/{namespace}" if namespace else ""
        return f"{root}{place}/{self.plural}" + (f"/{name}" if name else "")

    def head(self, name: str, **metadata: Any) -> Object:
        """The beginning of an object of this kind."""
        return {"apiVersion": self.api, "kind": self.name, "metadata": {"name": name, **metadata}}


NAMESPACE = Kind("Namespace", "v1", "namespaces")
CONFIG_MAP = Kind("ConfigMap", "v1", "configmaps")
SECRET = Kind("Secret", "v1", "secrets")
SERVICE = Kind("Service", "v1", "services")
POD = Kind("Pod", "v1", "pods")
EVENT = Kind("Event", "v1", "events")
DEPLOYMENT = Kind("Deployment", "apps/v1", "deployments")
JOB = Kind("Job", "batch/v1", "jobs")
DISRUPTION_BUDGET = Kind("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets")
AUTOSCALER = Kind("HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers")
INGRESS = Kind("Ingress", "networking.k8s.io/v1", "ingresses")
ROUTE = Kind("HTTPRoute", "gateway.networking.k8s.io/v1", "httproutes")
INFERENCE_SERVICE = Kind("InferenceService", "serving.kserve.io/v1beta1", "inferenceservices")
RULES_REVIEW = Kind("SelfSubjectRulesReview", "authorization.k8s.io/v1", "selfsubjectrulesreviews")


class Cluster:
    """Requests to one cluster; connects with the first one.

    :param connection: the Airflow connection; ``None`` takes the file that KUBECONFIG names, the cluster this
        runs in, or ``~/.kube/config``.
    :param context: of the kubeconfig file.
    """

    def __init__(self, connection: str | None, context: str | None) -> None:
        self._connection = connection
        self._context = context

    # --- requests

    def version(self) -> str:
        """The cluster's version, such as ``v1.33.1``."""
        return str(self._json("GET", "/version").get("gitVersion", ""))

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object, ``None`` if it is not there.

        :raises Refused: the cluster refuses.
        """
        try:
            return self._json("GET", kind.path(namespace, name))
        except Refused as error:
            if error.status == 404:
                return None
            raise

    def find(self, kind: Kind, namespace: str, **selectors: str) -> list[Object]:
        """Objects of one kind, by ``labelSelector`` or ``fieldSelector``.

        :raises Refused: the cluster refuses.
        """
        return list(self._json("GET", kind.path(namespace), selectors).get("items") or [])

    def apply(self, item: Object, kind: Kind, namespace: str) -> Object:
        """Say what an object must be like; it is made where it is missing (server-side apply).

        Fields that others have set and this does not speak of stay as they are. A field of which others say
        something else is taken over, so apply only to what is ours.

        :raises Refused: the cluster refuses.
        """
        return self._json(
            "PATCH",
            kind.path(namespace, item["metadata"]["name"]),
            {"fieldManager": FIELD_MANAGER, "force": "true"},
            body=item,
            content="application/apply-patch+yaml",
        )

    def change(self, kind: Kind, namespace: str, name: str, patch: Object) -> Object | None:
        """Change some fields of an object; ``None`` if it is not there.

        :param patch: a merge patch; with ``metadata.resourceVersion`` it holds only for that version.
        :raises Refused: the cluster refuses.
        """
        try:
            return self._json(
                "PATCH",
                kind.path(namespace, name),
                {"fieldManager": FIELD_MANAGER},
                body=patch,
                content="application/merge-patch+json",
            )
        except Refused as error:
            if error.status == 404:
                return None
            raise

    def create(self, item: Object, kind: Kind, namespace: str = "") -> Object:
        """Make an object that is not there; of several callers one makes it.

        :raises Refused: the cluster refuses; with the status 409 it is there already.
        """
        return self._json("POST", kind.path(namespace), {"fieldManager": FIELD_MANAGER}, body=item)

    def delete(self, kind: Kind, namespace: str, name: str, *, uid: str, version: str | None = None) -> None:
        """Begin to delete an object after all that it owns; what is gone or is another one by now is well.

        :param version: its ``resourceVersion``: where it has been changed since, it stays.
        :raises Refused: the cluster refuses.
        """
        known = {"uid": uid} if version is None else {"uid": uid, "resourceVersion": version}
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Foreground",
            "preconditions": known,
        }
        try:
            self._json("DELETE", kind.path(namespace, name), body=options)
        except Refused as error:
            if error.status not in (404, 409):
                raise

    def log(self, namespace: str, pod: str, **options: str) -> str | None:
        """What a pod's container said; ``None`` if there is no log, or not yet, or no longer.

        :raises Refused: the cluster refuses.
        """
        path = f"{POD.path(namespace, pod)}/log"
        try:
            return self._send("GET", path, options).decode("utf-8", "replace")
        except Refused as error:
            # 400: the container has not started; 404 and 500: its pod, its node or its log file has gone.
            if error.status in (400, 404, 500):
                return None
            raise

    # --- connection

    @property
    def extra(self) -> Mapping[str, Any]:
        """What the Airflow connection says beside the address and the credentials."""
        return self._hook.conn_extras if self._connection else {}

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Object | None = None,
        content: str = "application/json",
    ) -> Object:
        text = self._send(method, path, query or {}, body=body, content=content)
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise AdapterError(
                f"{self._address} is no Kubernetes API: it answers {method} {path} with {text[:100]!r}.",
                mend=f"Correct {self._place}.",
            )
        return answer

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        body: Object | None = None,
        content: str = "application/json",
    ) -> bytes:
        from kubernetes.client.exceptions import ApiException  # type: ignore[import-untyped]
        from urllib3.exceptions import HTTPError

        client = self._client
        headers = {"Accept": "application/json, */*", "Content-Type": content, "User-Agent": "airlock"}
        client.update_params_for_auth(headers, [], ["BearerToken"])
        parameters = f"?{urlencode(query, quote_via=quote)}" if query else ""
        try:
            answer = client.request(
                method,
                f"{self._address}{path}{parameters}",
                headers=headers,
                body=body,
                _request_timeout=(SECONDS_TO_CONNECT, SECONDS_TO_ANSWER),
            )
        except ApiException as error:
            if error.status:
                raise refused(error.status, error.body, place=self._place) from error
            raise self._unreachable(str(error.reason)) from error
        except (HTTPError, OSError) as error:
            raise self._unreachable(str(error)) from error
        data = answer.data
        return data if isinstance(data, bytes) else str(data).encode()

    def _unreachable(self, why: str) -> AdapterError:
        return AdapterError(
            f"The cluster at {self._address} cannot be reached: {_line(why)}.",
            mend=f"Correct {self._place}, or see to the cluster.",
        )

    @property
    def _place(self) -> str:
        if self._connection:
            return f"the Airflow connection {self._connection!r}"
        return "the file that KUBECONFIG names" if os.environ.get("KUBECONFIG") else "the kubeconfig file"

    @property
    def _address(self) -> str:
        return str(self._client.configuration.host)

    @cached_property
    def _hook(self) -> Any:
        try:
            from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
        except ImportError as error:
            raise AdapterError(
                "The kind kubernetes needs Airflow's provider for Kubernetes.",
                mend="Run: pip install 'airflow-airlock[kubernetes]'.",
            ) from error
        from kubernetes.client import Configuration  # type: ignore[import-untyped]

        options: dict[str, Any] = {"client_configuration": Configuration(), "cluster_context": self._context}
        if self._connection is None:
            return KubernetesHook(
                conn_id=None,
                kubernetes_conn_id=None,
                # The client reads the variable only once, when it is imported.
                config_file=os.environ.get("KUBECONFIG") or None,
                **options,
            )
        return KubernetesHook(conn_id=self._connection, **options)

    @cached_property
    def _client(self) -> Any:
        """The hook's client, without any change to what all clients of this process share.

        With ``in_cluster`` or ``disable_verify_ssl`` in its connection the hook would set the process-wide
        default, so both are done here.
        """
        from kubernetes.client import ApiClient

        hook = self._hook
        try:
            extra = hook.conn_extras
            in_cluster = _is_set(extra, "in_cluster")
            verifies = not _is_set(extra, "disable_verify_ssl")
            if in_cluster:
                hook.in_cluster = False  # then it looks for the cluster first, with our configuration
            hook.disable_verify_ssl = False
            client = hook.get_conn()
        except AdapterError:
            raise
        except Exception as error:  # the hook, the client and YAML each have their own
            why = _line(str(error)) or type(error).__name__
            raise AdapterError(
                f"{_capital(self._place)} cannot be used: {why}.",
                mend="See docs/run-on-kubernetes.md for what belongs there.",
            ) from error
        if in_cluster and not hook.is_in_cluster:
            raise AdapterError(
                f"{_capital(self._place)} says in_cluster, but this does not run in a cluster.",
                mend="Give it a kubeconfig.",
            )
        if not verifies:
            client.configuration.verify_ssl = False
            return ApiClient(client.configuration)
        return client


def _is_set(extra: Mapping[str, Any], name: str) -> bool:
    value = extra.get(name, extra.get(f"extra__kubernetes__{name}"))
    return str(value).lower() in ("true", "1", "yes", "on", "t", "y")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
