from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from airlock.exceptions import AdapterError
from airlock.runtimes.stream_packages import LOCK, REQUIREMENTS, with_stream_packages
from airlock.snapshots.requirements import read_requirements

from .conftest import HOST_SOURCE

NUMPY = "numpy==2.2.0 \\\n    --hash=sha256:00\n"


def names(lock: str) -> list[str]:
    return re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE)


def test_a_stream_has_what_the_snapshot_has_and_more() -> None:
    lock = with_stream_packages(NUMPY, HOST_SOURCE)

    assert lock.startswith(NUMPY)
    assert names(lock) == ["numpy", "confluent-kafka", "fastavro", "msgspec"]
    assert all("--hash=sha256:" in line for line in lock.splitlines()[2:]), (
        "each with its hashes, on one line"
    )


def test_what_the_snapshot_has_itself_stays_what_it_is() -> None:
    own = NUMPY + "confluent_kafka==2.8.0 ; python_version < '4' \\\n    --hash=sha256:00\n"

    lock = with_stream_packages(own, HOST_SOURCE)

    assert lock.startswith(own)
    assert names(lock) == ["numpy", "fastavro", "msgspec"]


def test_a_version_that_the_host_cannot_use_is_refused() -> None:
    with pytest.raises(
        AdapterError, match=r"has confluent-kafka 1\.9\.2, and a stream needs confluent-kafka<3,>=2\.6"
    ):
        with_stream_packages("confluent-kafka==1.9.2 \\\n    --hash=sha256:00\n", HOST_SOURCE)


def test_a_missing_lock_is_named(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=LOCK):
        with_stream_packages(NUMPY, tmp_path)


def test_the_lock_is_of_the_hosts_extra() -> None:
    project = tomllib.loads((HOST_SOURCE / "pyproject.toml").read_text(encoding="utf-8"))

    assert (
        read_requirements(HOST_SOURCE, REQUIREMENTS) == project["project"]["optional-dependencies"]["kafka"]
    )
