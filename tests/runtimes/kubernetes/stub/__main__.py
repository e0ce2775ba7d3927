"""Run a cluster until told to end: ``python -m tests.runtimes.kubernetes.stub FOLDER [--port N]``.

``FOLDER/kubeconfig`` is there once it answers.
"""

from __future__ import annotations

import argparse
import json
import secrets
import signal
import threading
import traceback
from pathlib import Path
from typing import Any, Protocol

from .access import Access
from .admission import check
from .controllers.deployments import Deployments
from .controllers.garbage import Garbage, Namespaces
from .controllers.gateways import Gateways
from .controllers.jobs import Jobs
from .controllers.others import Autoscalers, Claims, Disruption, LostNodes, Quotas
from .controllers.scheduler import Scheduler
from .defaults import fill_in
from .node.images import Images
from .node.kubelet import Kubelet
from .proxy import Proxy
from .server import ApiServer
from .store import Store

_ROUND_SECONDS = 0.25
_BETWEEN_ROUNDS_SECONDS = 0.02


class _Controller(Protocol):
    def run(self, store: Store) -> None: ...


class _Manager(threading.Thread):
    """Runs the controllers whenever something changed, and now and then for what time changes."""

    def __init__(self, store: Store) -> None:
        super().__init__(name="controllers", daemon=True)
        self._store = store
        self._controllers: list[_Controller] = [
            Namespaces(),
            Deployments(),
            Jobs(),
            Claims(),
            Scheduler(),
            Disruption(),
            Autoscalers(),
            Quotas(),
            Gateways(),
            LostNodes(),
            Garbage(),
        ]
        self.is_stopped = threading.Event()

    def run(self) -> None:
        seen = 0
        while not self.is_stopped.is_set():
            with self._store.changed:
                if self._store.version == seen:
                    self._store.changed.wait(_ROUND_SECONDS)
                seen = self._store.version
            for controller in self._controllers:
                try:
                    with self._store.lock:
                        controller.run(self._store)
                except Exception:  # a fault of the cluster, which its log shows
                    traceback.print_exc()
            self.is_stopped.wait(_BETWEEN_ROUNDS_SECONDS)


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="stub")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    folder: Path = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    token = secrets.token_urlsafe(24)
    store = Store(prepare=fill_in, check=check)
    kubelet = Kubelet(store, Images(folder / "images"), folder / "pods")
    for name in ("default", "kube-system"):
        store.create("namespaces", "", {"metadata": {"name": name}}, "kube-apiserver")
    kubelet.register()

    def control(what: str, _: Any) -> Any:
        {"lose-node": kubelet.lose, "return-node": kubelet.come_back}[what]()
        return {}

    server = ApiServer(options.port, store, Access(store, token), Proxy(store, kubelet), control)
    manager = _Manager(store)
    manager.start()
    kubelet.start()
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    unfinished = folder / "kubeconfig.unfinished"
    unfinished.write_text(json.dumps(_kubeconfig(server.server_address[1], token)), encoding="utf-8")
    unfinished.replace(folder / "kubeconfig")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    manager.is_stopped.set()
    kubelet.stop()
    server.shutdown()


def _kubeconfig(port: int, token: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "stub", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "administrator", "user": {"token": token}}],
        "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "administrator"}}],
        "current-context": "stub",
    }


main()
