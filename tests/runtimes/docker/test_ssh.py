"""An engine on a machine that is reached over SSH: a real server, on loopback."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from airlock.runtimes.base import RuntimeSettings
from airlock.runtimes.docker.adapter import DockerAdapter
from airlock.spec import DockerOptions, RuntimeSpec
from tests.docker_engine import DockerEngine

from ..conftest import Snapshot
from ..contract import ask, plan, ready
from ..waiting import wait_for

pytestmark = pytest.mark.docker

SSHD = "/usr/sbin/sshd"


@pytest.fixture
def ssh_engine(docker_engine: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The tests' engine at an address of SSH, and a home folder from which one may log in there."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(mode=0o700, parents=True)
    keys = {"host": tmp_path / "host_key", "user": home / ".ssh" / "id_ed25519"}
    for key in keys.values():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = {name: key.with_suffix(".pub").read_text() for name, key in keys.items()}
    (tmp_path / "authorized_keys").write_text(public["user"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {public['host']}")
    (tmp_path / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {keys['host']}\nPidFile none\nStrictModes no\n"
        f"AuthorizedKeysFile {tmp_path}/authorized_keys\nPasswordAuthentication no\nUsePAM no\n"
        f"SetEnv DOCKER_HOST={docker_engine.url}\nPermitRootLogin prohibit-password\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(tmp_path / "sshd_config")])
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    try:
        wait_for(lambda: _listens(port), lambda listens: listens, seconds=20)
        yield f"ssh://{getpass.getuser()}@127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _adapter(engine: str, base_image: str, settings: RuntimeSettings) -> DockerAdapter:
    options = DockerOptions.model_validate(
        {"engine": engine, "project": "airlock-tests", "images": {"base": base_image}}
    )
    return DockerAdapter(RuntimeSpec("over-ssh", kind="docker", stages=["DEV"], options=options), settings)


def test_a_snapshot_runs_on_an_engine_behind_ssh(
    ssh_engine: str, base_image: str, settings: RuntimeSettings, snapshot: Snapshot
) -> None:
    adapter = _adapter(ssh_engine, base_image, settings)
    assert adapter.check().ok, adapter.check().message

    handle = ready(adapter, plan(snapshot()))

    assert ask(adapter, handle, amount=21.0).json()[0]["doubled"] == 42.0
    adapter.undeploy(handle)
    assert [*adapter.list()] == []


def test_a_machine_that_is_not_known_is_not_talked_to(
    ssh_engine: str, base_image: str, settings: RuntimeSettings
) -> None:
    (Path(os.environ["HOME"]) / ".ssh" / "known_hosts").unlink()

    health = _adapter(ssh_engine, base_image, settings).check()

    assert not health.ok
    assert "known_hosts" in health.message, health.message
