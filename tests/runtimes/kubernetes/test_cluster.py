"""The connection to a cluster: where it comes from, and what is said when it cannot be used."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest
from kubernetes.client import Configuration  # type: ignore[import-untyped]

from airlock.exceptions import AdapterError
from airlock.runtimes.kubernetes.cluster import CONFIG_MAP, Cluster


def kubeconfig(folder: Path, address: str, *, context: str = "one") -> Path:
    """A kubeconfig with one context."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "contexts": [{"name": context, "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": address}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_cluster_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"http://127.0.0.1:{closed_port()}"
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, address)))

    with pytest.raises(AdapterError, match=rf"{address} cannot be reached.*KUBECONFIG"):
        Cluster(None, None).get(CONFIG_MAP, "models", "a")


def test_nothing_of_this_process_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, f"http://127.0.0.1:{closed_port()}")))
    before = (Configuration.get_default_copy().host, Configuration.get_default_copy().verify_ssl)

    with pytest.raises(AdapterError):
        Cluster(None, None).version()

    assert (Configuration.get_default_copy().host, Configuration.get_default_copy().verify_ssl) == before


@pytest.mark.parametrize("extra", ["disable_verify_ssl", "in_cluster"])
def test_nothing_of_this_process_is_changed_by_a_connection(
    extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = kubeconfig(tmp_path, f"http://127.0.0.1:{closed_port()}").read_text(encoding="utf-8")
    extras = {"disable_verify_ssl": True, "kube_config": config} if extra != "in_cluster" else {extra: True}
    connection = {"conn_type": "kubernetes", "extra": extras}
    monkeypatch.setenv("AIRFLOW_CONN_A_CLUSTER", json.dumps(connection))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    before = (Configuration.get_default_copy().host, Configuration.get_default_copy().verify_ssl)

    with pytest.raises(AdapterError, match=r"The Airflow connection 'a_cluster'|cannot be reached"):
        Cluster("a_cluster", None).version()

    assert (Configuration.get_default_copy().host, Configuration.get_default_copy().verify_ssl) == before


def test_an_unknown_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, "http://127.0.0.1:1")))

    with pytest.raises(AdapterError, match=r"The file that KUBECONFIG names cannot be used.*another"):
        Cluster(None, "another").version()


def test_a_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))

    with pytest.raises(AdapterError, match=r"The file that KUBECONFIG names cannot be used"):
        Cluster(None, None).version()


def test_an_unknown_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AdapterError, match=r"'nowhere'"):
        Cluster("nowhere", None).version()


def test_a_missing_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow.providers.cncf.kubernetes.hooks.kubernetes", None)

    with pytest.raises(AdapterError, match=r"pip install 'airflow-airlock\[kubernetes\]'"):
        Cluster(None, None).version()
