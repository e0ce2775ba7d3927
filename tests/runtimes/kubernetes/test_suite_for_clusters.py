"""The suite that maintainers run on a real cluster is run on the stub as well, so that it cannot rot."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ..conftest import Snapshot
from .images import StubImages
from .stub.cluster import StubCluster
from .stub.controllers.gateways import OPEN
from .stub.node.images import python_image

pytestmark = [pytest.mark.kubernetes, pytest.mark.package_index]

_PROJECT = Path(__file__).resolve().parents[3]
_SUITE = "tests/e2e/kubernetes"
_IMAGE = "python:3.12-slim"
_WITH_HOST = ["test_jobs.py"]


def _run(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=_PROJECT,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _pass(cluster: StubCluster, image: str, files: Sequence[str]) -> None:
    """Most of it is waiting: the files run at the same time."""
    runs = [
        _run(
            f"{_SUITE}/{file}",
            KUBECONFIG=str(cluster.kubeconfig),
            AIRLOCK_TEST_IMAGE=image,
            AIRLOCK_TEST_GATEWAY=OPEN,
        )
        for file in files
    ]
    outputs = [run.communicate()[0] for run in runs]
    for run, output in zip(runs, outputs, strict=True):
        assert run.returncode == 0, output
        assert "passed" in output.splitlines()[-1]
        assert "skipped" not in output.splitlines()[-1]


@pytest.mark.timeout(1800)
def test_the_suite_for_real_clusters_passes_with_a_plain_python_image(cluster: StubCluster) -> None:
    cluster.add_image(_IMAGE, python_image())
    files = sorted(path.name for path in (_PROJECT / _SUITE).glob("test_*.py"))
    assert files

    _pass(cluster, _IMAGE, files)


@pytest.mark.package_index
@pytest.mark.timeout(1800)
def test_its_jobs_pass_with_an_image_that_holds_the_host(
    cluster: StubCluster, images: StubImages, snapshot: Snapshot
) -> None:
    _pass(cluster, images.of_snapshot(snapshot()), _WITH_HOST)


@pytest.mark.parametrize(
    ("variables", "missing"),
    [
        ({"KUBECONFIG": "", "AIRLOCK_TEST_IMAGE": _IMAGE}, "KUBECONFIG names no cluster"),
        ({"KUBECONFIG": "/nowhere", "AIRLOCK_TEST_IMAGE": ""}, "AIRLOCK_TEST_IMAGE names no image"),
    ],
)
def test_without_a_cluster_or_an_image_the_suite_says_what_is_missing(
    variables: dict[str, str], missing: str
) -> None:
    run = _run(f"{_SUITE}/test_jobs.py", **variables)
    output = run.communicate()[0]

    assert run.returncode == 0, output
    assert missing in output
