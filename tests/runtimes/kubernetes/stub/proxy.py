"""The API server's way to pods: their logs, and requests to their ports through services."""

from __future__ import annotations

import http.client
import random
from typing import Any, NamedTuple

from .answers import Refusal, bad_request, not_found
from .node.kubelet import Kubelet
from .node.logs import read
from .request import Request, Target
from .resources import BY_PLURAL, Object
from .store import Store

_SECONDS = 60.0


class Forwarded(NamedTuple):
    """The answer of a server in a pod."""

    kind: str
    headers: dict[str, str]
    body: bytes


class Proxy:
    """Reaches the pods of the node."""

    def __init__(self, store: Store, kubelet: Kubelet) -> None:
        self._store = store
        self._kubelet = kubelet

    def log(self, pod: Object, query: dict[str, str]) -> tuple[int, str]:
        """A container's log.

        :raises Refusal: there is none, with the server's words.
        """
        names = [one["name"] for one in pod["spec"]["containers"]]
        name = query.get("container") or (names[0] if len(names) == 1 else "")
        if not name:
            choice = " ".join(names)
            raise bad_request(
                f"a container name must be specified for pod {pod['metadata']['name']}, "
                f"choose one of: [{choice}]"
            )
        if not pod["spec"].get("nodeName"):
            return 200, ""
        if self._kubelet.is_lost:
            where = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}/{name}"
            raise Refusal(
                500,
                "InternalError",
                f'Get "https://192.168.0.1:10250/containerLogs/{where}": '
                "dial tcp 192.168.0.1:10250: connect: no route to host",
            )
        worker = self._kubelet.worker(pod)
        if worker is None:
            raise bad_request(
                f'container "{name}" in pod "{pod["metadata"]["name"]}" is waiting to start: '
                "ContainerCreating"
            )
        found = worker.log_of(name, previous=query.get("previous") in ("true", "True", "1"))
        if isinstance(found, str):
            raise bad_request(found)
        return 200, read(found, query)

    def forward(self, request: Request, target: Target) -> tuple[int, Any]:
        """A request to a service's or a pod's port.

        :raises Refusal: nothing is behind it, or it cannot be reached.
        """
        scheme_name_port = target.name.split(":")
        name = scheme_name_port[1] if len(scheme_name_port) == 3 else scheme_name_port[0]
        port = scheme_name_port[-1] if len(scheme_name_port) > 1 else ""
        pod, number = (
            self._behind_service(target, name, port) if target.resource.plural == "services"
            else (self._store.get(target.resource, target.namespace, name), int(port or 80))
        )  # fmt: skip
        worker = self._kubelet.worker(pod)
        network = worker.network() if worker else None
        address = f"{pod['status'].get('podIP')}:{number}"
        if network is None:
            raise _unavailable(f"dial tcp {address}: i/o timeout")
        try:
            with network.connect(number, 5.0) as connection:
                return _exchange(connection, request, target, network.address, number)
        except (OSError, http.client.HTTPException) as error:
            why = "connect: connection refused" if isinstance(error, ConnectionRefusedError) else str(error)
            raise _unavailable(f"dial tcp {address}: {why}") from None

    def _behind_service(self, target: Target, name: str, port: str) -> tuple[Object, int]:
        service = self._store.find("services", target.namespace, name)
        if service is None:
            raise not_found(BY_PLURAL["services"], name)
        ports = service["spec"].get("ports") or []
        wanted = [
            one
            for one in ports
            if port in (str(one["port"]), one.get("name", "")) or (not port and len(ports) == 1)
        ]
        ready = endpoints(self._store, service)
        if not ready or not wanted:
            raise _unavailable(f'no endpoints available for service "{target.name}"')
        pod = random.choice(ready)
        inside = wanted[0]["targetPort"]
        named = {
            one.get("name"): one["containerPort"]
            for container in pod["spec"]["containers"]
            for one in container.get("ports") or ()
        }
        return pod, int(named.get(inside, inside))


def endpoints(store: Store, service: Object) -> list[Object]:
    """The ready pods that a service selects."""
    selector = service["spec"].get("selector") or {}
    return [
        pod
        for pod in store.all("pods", service["metadata"]["namespace"])
        if selector
        and selector.items() <= (pod["metadata"].get("labels") or {}).items()
        and not pod["metadata"].get("deletionTimestamp")
        and is_ready(pod)
    ]


def is_ready(pod: Object) -> bool:
    """Whether a pod's condition says so."""
    return any(
        one["type"] == "Ready" and one["status"] == "True"
        for one in pod.get("status", {}).get("conditions") or ()
    )


def _exchange(
    connection: Any, request: Request, target: Target, address: str, port: int
) -> tuple[int, Forwarded]:
    client = http.client.HTTPConnection(address, port)
    client.sock = connection
    connection.settimeout(_SECONDS)
    query = "&".join(f"{key}={value}" for key, value in request.query.items())
    kept = {key: value for key, value in request.headers.items() if key in ("content-type", "accept")}
    kept |= {key: value for key, value in request.headers.items() if key.startswith("x-")}
    client.request(request.method, target.rest + (f"?{query}" if query else ""), request.body or None, kept)
    answer = client.getresponse()
    body = answer.read()
    dropped = {"content-length", "content-type", "transfer-encoding", "connection", "date", "server"}
    headers = {name: value for name, value in answer.getheaders() if name.lower() not in dropped}
    return answer.status, Forwarded(
        answer.getheader("content-type", "application/octet-stream"), headers, body
    )


def _unavailable(why: str) -> Refusal:
    return Refusal(
        503, "ServiceUnavailable", f"error trying to reach service: {why}" if "dial" in why else why
    )
