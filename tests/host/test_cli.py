"""The command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airlock_host.cli import main
from host.building import GOOD, build_snapshot


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_batch_writes_its_result(tmp_path: Path) -> None:
    job = {
        "kind": "score",
        "model": str(build_snapshot(tmp_path / "snapshot")),
        "input": str(tmp_path / "in.csv"),
        "output": str(tmp_path / "out"),
        "result": str(tmp_path / "result.json"),
    }
    (tmp_path / "in.csv").write_text(
        ",".join(GOOD)
        + "\n"
        + ",".join("" if value is None else str(value) for value in GOOD.values())
        + "\n"
    )
    (tmp_path / "job.json").write_text(json.dumps(job))
    assert exit_code("batch", "--job", str(tmp_path / "job.json")) == 0
    assert json.loads((tmp_path / "result.json").read_text())["rows_out"] == 1


def test_the_callers_mistake_is_2_and_told_in_the_result(tmp_path: Path) -> None:
    job = {
        "model": str(build_snapshot(tmp_path / "s")),
        "input": "nowhere.csv",
        "output": str(tmp_path / "o"),
    }
    path = tmp_path / "job.json"
    path.write_text(json.dumps({**job, "result": str(tmp_path / "result.json")}))
    assert exit_code("batch", "--job", str(path)) == 2
    assert json.loads((tmp_path / "result.json").read_text()) == {
        "error": {"type": "InputUnusable", "message": "nowhere.csv does not exist", "field": "input"}
    }


def test_a_model_that_does_not_load_is_1(tmp_path: Path) -> None:
    job = {"model": str(tmp_path), "input": "a.csv", "output": str(tmp_path / "o")}
    path = tmp_path / "job.json"
    path.write_text(json.dumps({**job, "result": str(tmp_path / "result.json")}))
    assert exit_code("batch", "--job", str(path)) == 1
    assert json.loads((tmp_path / "result.json").read_text())["error"]["type"] == "SnapshotUnusable"


@pytest.mark.parametrize(
    ("text", "reason"),
    [(None, "cannot be read"), ("{", "is not JSON"), ("[]", "must name a 'result' file")],
)
def test_a_job_file_that_cannot_be_read_is_2_and_told_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, reason: str
) -> None:
    path = tmp_path / "job.json"
    if text is not None:
        path.write_text(text)
    assert exit_code("batch", "--job", str(path)) == 2
    assert reason in capsys.readouterr().err.splitlines()[-1]


def test_check_hands_its_job_to_the_measurements(tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_text(json.dumps({"kind": "taste", "result": str(tmp_path / "result.json")}))
    assert exit_code("check", "--job", str(path)) == 2
    assert "'taste' is no kind of check" in (tmp_path / "result.json").read_text()
