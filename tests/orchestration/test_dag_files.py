"""The files in dags/: all services, a shard of them, or just the one that a task needs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.exceptions import SpecError
from airlock.orchestration import dag_files
from airlock.orchestration.dag_files import in_shard, lifecycle_dags, raise_mistakes, scoring_dags
from airlock.orchestration.shards import shard_count, shard_files, write_shards


class ParsingFor:
    """What Airflow says when a worker parses a file for one task."""

    def __init__(self, dag_id: str | None) -> None:
        self.dag_id = dag_id


@pytest.fixture
def copy(include: Path, tmp_path: Path) -> Path:
    shutil.copytree(include / "lifecycles", tmp_path / "lifecycles")
    shutil.copytree(include / "services", tmp_path / "services")
    return tmp_path


def test_each_service_has_a_dag_and_each_schedule_another(include: Path) -> None:
    assert set(lifecycle_dags(include)) == {"cc-fraud", "heloc-credit-line", "tumour-triage"}
    assert set(scoring_dags(include)) == {"heloc-credit-line.score", "tumour-triage.score"}


def test_a_worker_builds_only_the_dag_of_its_task(include: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dag_files, "get_parsing_context", lambda: ParsingFor("cc-fraud"))

    assert set(lifecycle_dags(include)) == {"cc-fraud"}
    assert scoring_dags(include) == {}


def test_one_services_mistake_takes_only_its_own_dag_away(copy: Path) -> None:
    broken = copy / "services" / "cc-fraud.yaml"
    broken.write_text(broken.read_text().replace("owner:", "ownr:"))

    assert set(lifecycle_dags(copy)) == {"heloc-credit-line", "tumour-triage"}
    with pytest.raises(SpecError, match=r"cc-fraud\.yaml.*ownr"):
        raise_mistakes(copy)


def test_without_mistakes_there_is_no_error(copy: Path) -> None:
    raise_mistakes(copy)


@given(st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True), unique=True), st.integers(1, 12))
def test_every_service_is_in_exactly_one_shard(services: list[str], count: int) -> None:
    for service in services:
        assert sum(in_shard(service, (number, count)) for number in range(1, count + 1)) == 1


@pytest.mark.parametrize(("services", "shards"), [(0, 1), (100, 1), (101, 2), (1000, 10)])
def test_a_shard_holds_about_a_hundred_services(services: int, shards: int) -> None:
    assert shard_count(services) == shards


def test_shard_files_replace_the_single_file_and_leave_others_alone(tmp_path: Path) -> None:
    (tmp_path / "model_lifecycles.py").write_text("")
    (tmp_path / "my_own.py").write_text("")

    written = write_shards(tmp_path, 2)
    write_shards(tmp_path, 3)

    assert [path.name for path in written] == [
        "batch_scoring_1_of_2.py",
        "batch_scoring_2_of_2.py",
        "model_lifecycles_1_of_2.py",
        "model_lifecycles_2_of_2.py",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*shard_files(3), "my_own.py"])


def test_one_shard_is_the_file_that_ships(include: Path) -> None:
    for name, content in shard_files(1).items():
        assert (include.parent / "dags" / name).read_text() == content
