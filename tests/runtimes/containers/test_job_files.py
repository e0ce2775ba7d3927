"""Which folders a job needs to see."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from airlock.exceptions import AdapterError
from airlock.runtimes.base import Job
from airlock.runtimes.containers.job_files import JobFiles, job_files, needed_volumes, volume_of
from airlock.spec.runtime_options import Volume


def job(**arguments: Any) -> Job:
    return Job("job-1", "batch", arguments)


def folders(**arguments: Any) -> tuple[list[str], list[str]]:
    files = job_files(job(**arguments))
    return [str(folder) for folder in files.reads], [str(folder) for folder in files.writes]


def test_a_file_needs_its_folder_and_an_output_folder_itself() -> None:
    assert folders(input=["/srv/in/a.parquet"], output="/srv/out/2026-03-31") == (
        ["/srv/in"],
        ["/srv/out/2026-03-31"],
    )


def test_an_output_file_and_rejects_need_their_folders() -> None:
    assert folders(input="/a/a.csv", output="/b/b.parquet", rejects="/c/c.jsonl") == (["/a"], ["/b", "/c"])


def test_a_pattern_needs_what_its_fixed_part_names() -> None:
    assert folders(input=["/srv/in/day=*/**/[a-z].parquet"])[0] == ["/srv/in"]


def test_a_folder_is_told_from_a_file_by_looking(tmp_path: Path) -> None:
    folder = tmp_path / "made-by-spark.parquet"
    folder.mkdir()

    assert folders(input=str(folder))[0] == [str(folder)]
    assert folders(input=str(tmp_path / "unknown"))[0] == [str(tmp_path / "unknown")]


def test_all_places_that_name_files() -> None:
    arguments = {
        "input": [{"name": "amount", "type": "number"}],
        "output": [{"name": "doubled", "type": "number"}],
        "dataset": {"name": "holdout", "path": "/data/holdout.parquet", "target": "y"},
        "candidate": {"rejects": "/scratch/one/score-rejects.jsonl", "endpoint": "http://a/b"},
        "champion": {"rejects": "/scratch/two/score-rejects.jsonl"},
        "results": {
            "score": {"files": [{"path": "/scratch/three/score.parquet"}], "rejects": None},
            "champion_score": {"files": [], "rejects": {"path": "/scratch/four/rejects.jsonl"}},
            "features": {"rows": 3},
        },
        "provenance": {"path": "/not/a/file"},
    }

    scratch = ["/scratch/four", "/scratch/one", "/scratch/three", "/scratch/two"]
    assert folders(**arguments) == (["/data", *scratch], [])


def test_a_job_without_champion_or_results() -> None:
    assert folders(dataset=None, champion=None, results={}, rejects=None) == ([], [])


def test_urls_are_left_to_the_host() -> None:
    assert folders(input=["s3://in/*.parquet", "/srv/in/a.csv"], output="s3://out/x") == (["/srv/in"], [])


def test_folders_inside_others_are_seen_with_them() -> None:
    assert folders(
        input=["/srv/out/in/a.csv", "/data/a.csv", "/data/b/b.csv"], output="/srv/out", rejects="/srv/out/r/r"
    ) == (["/data"], ["/srv/out"])


def test_an_output_inside_an_input_is_a_folder_of_its_own() -> None:
    assert folders(input="/srv/*.csv", output="/srv/out") == (["/srv"], ["/srv/out"])


@pytest.mark.parametrize("path", ["data/a.csv", "/srv/../etc/a.csv"])
def test_a_path_must_be_absolute(path: str) -> None:
    with pytest.raises(AdapterError, match="not an absolute path"):
        job_files(job(input=path))


@pytest.mark.parametrize(
    "path",
    ["/a.csv", "/*.csv", "/tmp/a.csv", "/airlock/model/a.csv", "/usr/local/lib/x/a.csv", "/proc/1/a.csv"],
)
def test_a_container_keeps_its_own_folders(path: str) -> None:
    with pytest.raises(AdapterError, match="its own things"):
        job_files(job(input=path))


VOLUMES = [
    Volume(volume="data", folder="/srv"),
    Volume(volume="inner", folder="/srv/inner", read_only=True),
]


def test_a_folder_lies_in_the_innermost_volume() -> None:
    found = [
        volume_of(PurePosixPath(folder), VOLUMES)
        for folder in ("/srv/inner/a", "/srv/innermost", "/srv", "/s")
    ]

    assert [volume.volume if volume else None for volume in found] == ["inner", "data", "data", None]


def test_what_lies_outside_of_volumes() -> None:
    files = job_files(job(input=["/srv/a.csv", "/data/a.csv"], output="/srv/inner/out"))

    assert files.outside(VOLUMES) == JobFiles((PurePosixPath("/data"),), ())


def test_only_the_volumes_that_are_needed() -> None:
    inner = job(input=["/srv/inner/a.csv"], output="/out")

    assert needed_volumes(job_files(inner), VOLUMES, inner) == [VOLUMES[1]]


def test_nothing_is_written_to_a_volume_that_may_only_be_read() -> None:
    writing = job(output="/srv/inner/out")

    with pytest.raises(AdapterError, match=r"/srv/inner/out.*volume inner.*read_only"):
        needed_volumes(job_files(writing), VOLUMES, writing)
