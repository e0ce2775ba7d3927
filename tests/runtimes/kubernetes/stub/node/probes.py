"""Probes: whether a container has started, is ready, is alive."""

from __future__ import annotations

import http.client
import subprocess
import time
from collections.abc import Callable

from ..resources import Object
from .network import PodNetwork
from .running import Container


class Probe:
    """One probe of one container.

    :param begins: seconds after the container's start.
    """

    def __init__(self, specification: Object, container: Container, network: PodNetwork) -> None:
        self._specification = specification
        self._container = container
        self._network = network
        self._next = container.began + specification.get("initialDelaySeconds", 0)
        self._successes = self._failures = 0
        self.verdict: bool | None = None
        self.why = ""

    def is_due(self) -> bool:
        return bool(time.monotonic() >= self._next)

    def look(self) -> bool:
        """Ask once.

        :returns: whether it was well; the verdict changes with the thresholds.
        """
        self._next = time.monotonic() + self._specification["periodSeconds"]
        try:
            self.why = self._ask()
        except (OSError, http.client.HTTPException, subprocess.SubprocessError) as error:
            self.why = _words(self._specification, error, self._network)
        if self.why:
            self._failures, self._successes = self._failures + 1, 0
            if self._failures >= self._specification["failureThreshold"]:
                self.verdict = False
        else:
            self._failures, self._successes = 0, self._successes + 1
            if self._successes >= self._specification["successThreshold"]:
                self.verdict = True
        return not self.why

    def _ask(self) -> str:
        asks: dict[str, Callable[[Object, float], str]] = {
            "httpGet": self._get,
            "tcpSocket": self._connect,
            "exec": self._execute,
        }
        for kind, ask in asks.items():
            if self._specification.get(kind):
                return ask(self._specification[kind], float(self._specification["timeoutSeconds"]))
        return ""

    def _get(self, wanted: Object, timeout: float) -> str:
        port = self._port(wanted["port"])
        with self._network.connect(port, timeout) as connection:
            client = http.client.HTTPConnection(self._network.address, port, timeout=timeout)
            client.sock = connection
            headers = {header["name"]: header["value"] for header in wanted.get("httpHeaders") or ()}
            client.request("GET", wanted["path"], headers={"User-Agent": "kube-probe/1.36", **headers})
            answer = client.getresponse()
            return "" if 200 <= answer.status < 400 else f"HTTP probe failed with statuscode: {answer.status}"

    def _connect(self, wanted: Object, timeout: float) -> str:
        self._network.connect(self._port(wanted["port"]), timeout).close()
        return ""

    def _execute(self, wanted: Object, timeout: float) -> str:
        done = execute(self._container, wanted["command"], timeout)
        return (
            "" if done.returncode == 0 else (done.stdout.decode("utf-8", "replace") or "exit code is not 0")
        )

    def _port(self, port: int | str) -> int:
        named = {
            one.get("name"): one["containerPort"] for one in self._container.specification.get("ports") or ()
        }
        return int(named.get(port, port))


def execute(container: Container, command: list[str], timeout: float) -> subprocess.CompletedProcess[bytes]:
    """Run a command inside a container, as its user.

    :raises subprocess.SubprocessError: it takes longer.
    """
    process = str(container.process)
    entered = [
        "nsenter",
        "--target",
        process,
        "--mount",
        "--pid",
        "--net",
        "--uts",
        "--ipc",
        "--root",
        "--wd",
    ]
    with open(f"/proc/{process}/status", encoding="ascii") as stream:
        ids = {line.split()[0]: line.split()[1] for line in stream if line.startswith(("Uid:", "Gid:"))}
    entered += ["--setgid", ids["Gid:"], "--setuid", ids["Uid:"], "--"]
    with open(f"/proc/{process}/environ", "rb") as stream_of_bytes:
        pairs = stream_of_bytes.read().split(b"\0")
    environment = dict(pair.split(b"=", 1) for pair in pairs if b"=" in pair)
    return subprocess.run(
        [*entered, *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=timeout,
    )


def _words(specification: Object, error: Exception, network: PodNetwork) -> str:
    if isinstance(error, subprocess.SubprocessError):
        return f"command timed out after {specification['timeoutSeconds']}s"
    port = (specification.get("httpGet") or specification.get("tcpSocket") or {}).get("port")
    address = f"{network.address}:{port}"
    if isinstance(error, TimeoutError):
        late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return f'Get "http://{address}/": {late}'
    if isinstance(error, ConnectionRefusedError):
        return f'Get "http://{address}/": dial tcp {address}: connect: connection refused'
    return f'Get "http://{address}/": {error}'
