"""Starts and ends the cluster for tests, and does what only tests do: add images, volumes and faults."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from .node.images import Image, Images

_SECONDS_TO_START = 60.0
_SECONDS_TO_END = 30.0
_PROJECT = Path(__file__).resolve().parents[4]


def why_not() -> str:
    """Why this machine cannot run containers as the node does; empty if it can."""
    if sys.platform != "linux":
        return "the cluster's node runs containers in Linux namespaces"
    probe = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if probe.returncode == 0 else f"no namespaces can be made here: {probe.stderr.strip()}"


class StubCluster:
    """A cluster in a process of its own.

    :param folder: for its kubeconfig, its images and what its pods need.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.kubeconfig.unlink(missing_ok=True)
        paths = os.pathsep.join([str(_PROJECT), str(_PROJECT / "plugins")])
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.runtimes.kubernetes.stub", str(self.folder)],
                cwd=_PROJECT,
                env={**os.environ, "PYTHONPATH": paths},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _SECONDS_TO_START
        while not self.kubeconfig.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the cluster did not start:\n{self.log()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it with all its containers."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its containers die with it
            self._process.wait()
        self._process = None

    def log(self) -> str:
        """What went wrong inside it."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def add_image(self, reference: str, image: Image) -> None:
        """Let an image be pulled."""
        Images(self.folder / "images").add(reference, image)

    def lose_node(self) -> None:
        """The node falls silent."""
        self._control("lose-node")

    def return_node(self) -> None:
        """The node is heard again."""
        self._control("return-node")

    def add_volume(self, namespace: str, claim: str, folder: Path) -> None:
        """A claim in a namespace, bound to a folder of this machine."""
        name = f"{namespace}-{claim}"
        size, modes = {"storage": "1Gi"}, ["ReadWriteMany"]
        volume = {"capacity": size, "accessModes": modes, "hostPath": {"path": str(folder)}}
        self.request("POST", "/api/v1/persistentvolumes", {"metadata": {"name": name}, "spec": volume})
        spec = {
            "accessModes": modes,
            "resources": {"requests": size},
            "volumeName": name,
            "storageClassName": "",
        }
        self.request(
            "POST",
            f"/api/v1/namespaces/{namespace}/persistentvolumeclaims",
            {"metadata": {"name": claim}, "spec": spec},
        )

    def remove_volume(self, namespace: str, claim: str) -> None:
        """Take a claim and its volume away; the folder stays."""
        self.request("DELETE", f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim}")
        self.request("DELETE", f"/api/v1/persistentvolumes/{namespace}-{claim}")

    def write_kubeconfig(self, path: Path, namespace: str, user: str, rules: list[dict[str, Any]]) -> None:
        """A kubeconfig for a service account with such rules in a namespace."""
        root = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        self.request("POST", root, {"metadata": {"name": user}})
        token = self.request("POST", f"{root}/{user}/token", {"spec": {}})["status"]["token"]
        group = "rbac.authorization.k8s.io"
        role = {"metadata": {"name": user}, "rules": rules}
        self.request("POST", f"/apis/{group}/v1/namespaces/{namespace}/roles", role)
        binding = {
            "metadata": {"name": user},
            "subjects": [{"kind": "ServiceAccount", "name": user, "namespace": namespace}],
            "roleRef": {"apiGroup": group, "kind": "Role", "name": user},
        }
        self.request("POST", f"/apis/{group}/v1/namespaces/{namespace}/rolebindings", binding)
        config = json.loads(self.kubeconfig.read_text(encoding="utf-8"))
        config["users"][0]["user"] = {"token": token}
        path.write_text(json.dumps(config), encoding="utf-8")

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content: str = "application/json",
        manager: str = "somebody",
    ) -> Any:
        """Anything that the API can do, as its administrator.

        :raises urllib.error.HTTPError: it refuses.
        """
        config = json.loads(self.kubeconfig.read_text(encoding="utf-8"))
        headers = {
            "Authorization": f"Bearer {config['users'][0]['user']['token']}",
            "Content-Type": content,
            "User-Agent": manager,
        }
        data = json.dumps(body).encode() if body is not None else None
        address = config["clusters"][0]["cluster"]["server"] + path
        asked = urllib.request.Request(address, data=data, headers=headers, method=method)
        with urllib.request.urlopen(asked, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if answer.headers["content-type"] == "application/json" else text.decode()

    def _control(self, what: str) -> None:
        self.request("POST", f"/stub/{what}", {})
