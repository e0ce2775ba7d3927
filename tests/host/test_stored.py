"""Jobs whose files are in an object store: a real S3 API, over HTTP."""

from __future__ import annotations

import gc
import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from airlock_host.batch.run import run
from airlock_host.batch.stored import run_stored
from airlock_host.exceptions import HostError, InputUnusable, StoreUnusable
from airlock_host.measure.stored import run_stored as check_stored
from airlock_host.staging import Mirror, is_url
from airlock_host.stores import Bucket, bucket_of
from host.building import GOOD, INPUTS, LOANS, MEAN, MEANS, NUMBERS, OUTPUTS, build_snapshot, write_numbers
from host.object_store import ObjectStore, object_store
from host.serving.live import wait_for


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectStore]:
    with object_store() as started:
        yield started


@pytest.fixture
def store(server: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """An empty bucket, known to this process by its variables alone."""
    server.clear()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    return server


@pytest.fixture
def means(tmp_path: Path) -> Path:
    return build_snapshot(tmp_path / "means", MEANS, inputs=NUMBERS, outputs=MEAN)


@pytest.fixture
def files(tmp_path: Path, store: ObjectStore) -> list[str]:
    """Three files of numbers, on disk in ``in`` and in the bucket under ``in/``."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    names = ["a.parquet", "b.parquet", "deep/c.parquet"]
    for seed, name in enumerate(names):
        write_numbers(tmp_path / "in" / name, 500 + seed, seed=seed)
        store.put(f"in/{name}", tmp_path / "in" / name)
    store.write("in/_left_out.parquet", b"not Parquet")
    store.write("in/.left_out.csv", b"not CSV")
    store.write("in/notes.txt", b"no data")
    return names


def score(model: Path, **job: Any) -> dict[str, Any]:
    places = {"input": "s3://loans/in/", "output": "s3://loans/out", "result": "unused"}
    return run_stored({"kind": "score", "model": str(model), "provenance": {"run": "1"}, **places, **job})


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- scoring


@pytest.mark.parametrize(
    ("place", "pattern"),
    [
        ("s3://loans/in/", "in"),
        ("s3://loans/in", "in"),
        ("s3://loans/in/*.parquet", "in/*.parquet"),
        ("s3://loans/in/**/*.parquet", "in/**/*.parquet"),
        ("s3://loans/in/[ab].parquet", "in/[ab].parquet"),
        ("s3://loans/i?/deep/*", "i?/deep/*"),
        ("s3://loans/**", "in/**"),
        (["s3://loans/in/b.parquet", "s3://loans/in/*"], ["in/b.parquet", "in/*"]),
    ],
)
def test_the_same_bytes_as_from_disk(
    tmp_path: Path, store: ObjectStore, means: Path, files: list[str], place: Any, pattern: Any
) -> None:
    patterns = pattern if isinstance(pattern, list) else [pattern]
    local = run(
        {
            "model": str(means),
            "provenance": {"run": "1"},
            "input": [str(tmp_path / one) for one in patterns],
            "output": str(tmp_path / "out"),
        }
    )

    result = score(means, input=place)

    assert store.everything("out") == {
        f"out/{name}": data for name, data in content(tmp_path / "out").items()
    }
    assert [file["path"] for file in result["files"]] == [
        f"s3://loans/out/{Path(file['path']).name}" for file in local["files"]
    ]
    assert [file["sha256"] for file in result["files"]] == [file["sha256"] for file in local["files"]]
    assert [*(tmp_path / "tmp").iterdir()] == []


def test_several_processes_and_one_file(
    tmp_path: Path, store: ObjectStore, means: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airlock_host.batch.run._ROWS_PER_PROCESS", 100)
    for seed in range(2):
        write_numbers(tmp_path / f"{seed}.parquet", 500, seed=seed)
        store.put(f"in/{seed}.parquet", tmp_path / f"{seed}.parquet")

    result = score(means, output="s3://loans/scored/all.parquet", processes=2)

    assert result["processes"] == 2
    assert result["files"][0]["path"] == "s3://loans/scored/all.parquet"
    assert pq.read_table(io.BytesIO(store.read("scored/all.parquet"))).num_rows == 1000
    assert store.everything("scored").keys() == {"scored/all.parquet"}


def test_rejects_are_put_and_taken_away_when_there_are_none(tmp_path: Path, store: ObjectStore) -> None:
    loans = build_snapshot(tmp_path / "loans", LOANS)
    head = ",".join(GOOD) + "\n"
    store.write("in/loans.csv", (head + "3000,40,car,true,,\n3000,4,car,true,,\n").encode())
    first = score(loans, output="s3://loans/out/a.parquet")
    assert first["rejects"]["path"] == "s3://loans/out/_a.rejects.jsonl"
    assert json.loads(store.read("out/_a.rejects.jsonl"))["file"] == "loans.csv"

    store.write("in/loans.csv", (head + "3000,40,car,true,,\n").encode())
    second = score(loans, output="s3://loans/out/a.parquet")

    assert second["rejects"] is None
    assert store.everything("out").keys() == {"out/a.parquet"}


def test_files_of_an_earlier_job_are_removed_and_those_of_others_left(
    tmp_path: Path, store: ObjectStore, means: Path, files: list[str]
) -> None:
    score(means)
    assert "out/part-00001.parquet" in store.everything("out")
    store.put("out/part-00009.parquet", tmp_path / "in" / "a.parquet")
    store.write("out/part-00010.parquet", b"not even Parquet")
    store.write("out/other.txt", b"other")

    score(means, input="s3://loans/in/a.parquet")

    assert store.everything("out").keys() == {
        f"out/{name}"
        for name in (
            "_airlock.json",
            "part-00000.parquet",
            "part-00009.parquet",
            "part-00010.parquet",
            "other.txt",
        )
    }


def test_paths_and_urls_in_one_job(tmp_path: Path, store: ObjectStore, means: Path, files: list[str]) -> None:
    result = score(
        means,
        input=[str(tmp_path / "in" / "a.parquet"), "s3://loans/in/b.parquet", f"file://{tmp_path}/in/deep/*"],
        output=f"{tmp_path}/out",
        rejects="s3://loans/rejects.jsonl",
    )

    assert result["rows_out"] == 500 + 501 + 502
    assert content(tmp_path / "out").keys() >= {"part-00002.parquet", "_airlock.json"}


def test_a_key_is_taken_as_it_is_written(tmp_path: Path, store: ObjectStore, means: Path) -> None:
    write_numbers(tmp_path / "a.parquet", 5)
    store.put("day=2026-03-31/a [1] b%20c?#d.parquet", tmp_path / "a.parquet")

    result = score(means, input="s3://loans/day=2026-03-31/a [1] b%20c?#d.parquet")

    assert result["rows_out"] == 5


# --- a second time


class _Killed(BaseException):
    """Stands for a kill: nothing of the host catches it."""


@pytest.mark.parametrize("calls", range(8))
def test_killed_at_any_step_and_repeated_it_leaves_the_same_bytes_once(
    tmp_path: Path,
    store: ObjectStore,
    means: Path,
    files: list[str],
    monkeypatch: pytest.MonkeyPatch,
    calls: int,
) -> None:
    score(means, input="s3://loans/in/**/*.parquet", provenance={"run": "older"})
    older = store.everything("out")
    left = [calls]

    def counted(name: str) -> None:
        act = getattr(Bucket, name)

        def perhaps(*arguments: Any) -> Any:
            if left[0] == 0:
                raise _Killed
            left[0] -= 1
            return act(*arguments)

        monkeypatch.setattr(Bucket, name, perhaps)

    with monkeypatch.context() as patched:
        monkeypatch = patched
        for name in ("put", "remove", "fetch"):
            counted(name)
        with pytest.raises(_Killed):
            score(means)
    after_kill = store.everything("out")
    assert after_kill == older if calls < 3 else "out/_airlock.json" not in after_kill
    assert [*(tmp_path / "tmp").iterdir()] == []

    score(means)

    whole = store.everything("out")
    run(
        {
            "model": str(means),
            "provenance": {"run": "1"},
            "input": f"{tmp_path}/in",
            "output": f"{tmp_path}/o",
        }
    )
    assert whole == {f"out/{name}": data for name, data in content(tmp_path / "o").items()}


def test_a_file_is_put_whole_or_not_at_all(store: ObjectStore) -> None:
    class Torn(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 0:
                raise OSError(5, "Input/output error")
            return super().read(10)

    class TornPath:
        def open(self, mode: str) -> io.BytesIO:
            return Torn(b"new and torn in the middle")

    store.write("out/a.txt", b"old")
    with pytest.raises(OSError, match="Input/output"):
        Bucket("s3://loans").put(TornPath(), "out/a.txt")  # type: ignore[arg-type]
    gc.collect()
    assert store.read("out/a.txt") == b"old"


def test_a_signal_in_the_middle_leaves_no_copies(
    tmp_path: Path, store: ObjectStore, files: list[str]
) -> None:
    source = f"""
        import time
        def score(rows):
            open({str(tmp_path / "at_work")!r}, "w").close()
            time.sleep(600)
    """
    model = build_snapshot(tmp_path / "model", source, inputs=NUMBERS, outputs=MEAN)
    job = {"model": str(model), "input": "s3://loans/in/", "output": "s3://loans/out"}
    (tmp_path / "job.json").write_text(json.dumps({**job, "result": str(tmp_path / "result.json")}))
    process = subprocess.Popen(
        [sys.executable, "-m", "airlock_host", "batch", "--job", str(tmp_path / "job.json")]
    )
    wait_for((tmp_path / "at_work").exists, "work")
    assert [*(tmp_path / "tmp").iterdir()] != []

    process.send_signal(signal.SIGTERM)

    assert process.wait(60) == 143
    assert [*(tmp_path / "tmp").iterdir()] == []
    assert store.everything("out") == {}


# --- what goes wrong


@pytest.mark.parametrize(
    ("job", "message", "field"),
    [
        ({"input": "s3://nowhere/in/"}, "there is no bucket s3://nowhere at http://127", None),
        ({"input": "s3://nowhere/*.csv"}, "there is no bucket s3://nowhere at http://127", None),
        ({"output": "s3://nowhere/out"}, "there is no bucket s3://nowhere at http://127", None),
        ({"input": "s3://loans/none.csv"}, "s3://loans/none.csv does not exist", "input"),
        ({"input": "s3://loans/none/*.csv"}, "no Parquet or CSV file matches s3://loans/none/*.csv", "input"),
        ({"input": "s3://loans/in/notes.txt"}, "s3://loans/in/notes.txt is neither Parquet", "input"),
        (
            {"output": "s3://loans/in"},
            "s3://loans/in/a.parquet is an input and lies where the output",
            "output",
        ),
        ({"output": "s3://loans"}, "s3://loans is a whole bucket", "output"),
        ({"input": "ftp://loans/a.csv"}, "ftp://loans/a.csv is no URL that the host can read", None),
        ({"input": "s3://loans/a//b.csv"}, "has an empty part, or one of dots", None),
        ({"input": "s3://loans/../b.csv"}, "has an empty part, or one of dots", None),
        ({"input": "s3://"}, "s3:// names no bucket", None),
    ],
)
def test_the_callers_mistakes(
    store: ObjectStore, means: Path, files: list[str], job: dict[str, str], message: str, field: str | None
) -> None:
    with pytest.raises(InputUnusable) as error:
        score(means, **job)
    assert message in str(error.value)
    assert error.value.field == field
    assert "/tmp" not in str(error.value)


def test_an_empty_folder_and_a_torn_file_are_named_by_url(store: ObjectStore, means: Path) -> None:
    store.write("in/torn.parquet", b"PAR1 and no more")
    with pytest.raises(InputUnusable, match=r"^s3://loans/in/torn\.parquet cannot be read as Parquet"):
        score(means)
    store.write("empty/notes.txt", b"")
    with pytest.raises(InputUnusable, match=r"^folder s3://loans/empty holds no Parquet or CSV file"):
        score(means, input="s3://loans/empty/")


def test_secrets_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(InputUnusable) as error:
        bucket_of("s3://key:secret@loans/in/a.csv")
    assert "secret" not in str(error.value)
    assert "belong into the runtime's variables" in str(error.value)


def test_denied(store: ObjectStore, means: Path, files: list[str]) -> None:
    store.refuse()
    with pytest.raises(
        StoreUnusable, match=r"s3://loans/in/ cannot be read: it was denied: .*AWS_ACCESS_KEY_ID and"
    ):
        score(means)


def test_without_credentials_the_variable_is_named(
    store: ObjectStore, means: Path, files: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store.refuse()
    """Here from a file, of someone who may not; without any at all, moto fails by itself."""
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreUnusable, match="AWS_ACCESS_KEY_ID is not set"):
        score(means)


def test_denied_when_all_is_scored_tells_where(store: ObjectStore, tmp_path: Path, files: list[str]) -> None:
    source = f"""
        import urllib.request
        def score(rows):
            headers = {{"Content-Type": "text/plain"}}
            url = "{store.url}/moto-api/reset-auth"
            urllib.request.urlopen(urllib.request.Request(url, b"0", headers))
            return rows.mean(axis=1)
    """
    model = build_snapshot(tmp_path / "model", source, inputs=NUMBERS, outputs=MEAN)
    with pytest.raises(StoreUnusable, match=r"s3://loans/out/_airlock.json cannot be removed: it was denied"):
        score(model, processes=1)


def test_nobody_at_the_address(store: ObjectStore, means: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(
        StoreUnusable,
        match=rf"^s3://loans/in/? cannot be read: its store at http://127.0.0.1:{port} cannot be reached: .*"
        "Set AWS_ENDPOINT_URL",
    ):
        score(means)


@pytest.mark.parametrize("address", ["127.0.0.1:9000", "s3.example", "ftp://s3.example"])
def test_an_address_that_is_none(
    store: ObjectStore, means: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    with pytest.raises(StoreUnusable, match="and no address such as http://store:9000"):
        score(means)


def test_no_room_for_the_copies(
    store: ObjectStore, means: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 100

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    with pytest.raises(
        HostError, match=r"what the job reads is .* KiB, and its TMPDIR .* has room for 100 bytes"
    ):
        score(means)


@pytest.mark.parametrize(
    ("job", "code"), [({"input": "s3://loans/none.csv"}, 2), ({"output": "s3://none/a"}, 2)]
)
def test_the_command_line_knows_urls(
    tmp_path: Path, store: ObjectStore, means: Path, files: list[str], job: dict[str, str], code: int
) -> None:
    places = {"model": str(means), "input": "s3://loans/in/", "output": "s3://loans/out"}
    path = tmp_path / "job.json"
    path.write_text(json.dumps({**places, **job, "result": str(tmp_path / "result.json")}))
    ended = subprocess.run([sys.executable, "-m", "airlock_host", "batch", "--job", str(path)], check=False)
    assert ended.returncode == code
    assert "s3://" in json.loads((tmp_path / "result.json").read_text())["error"]["message"]


# --- checks


def test_a_check_from_records_to_its_measures(tmp_path: Path, store: ObjectStore) -> None:
    loans = build_snapshot(tmp_path / "loans", LOANS)
    records = check_stored(
        {
            "kind": "records",
            "input": [*INPUTS],
            "golden": [],
            "count": 5,
            "bad": True,
            "output": "s3://loans/checks/records.parquet",
        }
    )
    scored = score(
        loans,
        input=["s3://loans/checks/records.parquet"],
        output="s3://loans/checks/score.parquet",
        rejects="s3://loans/checks/score.rejects.jsonl",
        columns=["airlock_row"],
    )
    assert scored["rows_rejected"] == 1

    measured = check_stored(
        {
            "kind": "contract",
            "mode": "batch",
            "input": [*INPUTS],
            "output": [*OUTPUTS],
            "golden": [],
            "rtol": 0,
            "atol": 0,
            "rejects": "s3://loans/checks/score.rejects.jsonl",
            "results": {"records": records, "score": scored},
        }
    )

    assert measured["answers"]["answered"] == measured["answers"]["valid"] == 5
    assert measured["bad_record"]["refused"] is True
    assert [*(tmp_path / "tmp").iterdir()] == []


def test_a_dataset_is_read_and_its_mistakes_named_by_url(tmp_path: Path, store: ObjectStore) -> None:
    store.write("data/a.csv", b"x,label\n1,0\n2,1\n")
    job = {
        "kind": "features",
        "input": [{"name": "x", "type": "number"}],
        "output": "s3://loans/checks/features.parquet",
        "dataset": {"name": "holdout", "path": "s3://loans/data/*.csv", "target": "label"},
    }
    assert check_stored(job)["dataset"]["rows"] == 2
    assert pq.read_table(io.BytesIO(store.read("checks/features.parquet"))).column_names == [
        "x",
        "airlock_row",
    ]

    with pytest.raises(InputUnusable, match=r"data set 'holdout': s3://loans/nowhere\.csv does not exist"):
        check_stored({**job, "dataset": {**job["dataset"], "path": "s3://loans/nowhere.csv"}})  # type: ignore[dict-item]


def test_answers_that_are_gone_are_named_by_url(store: ObjectStore) -> None:
    job = {
        "kind": "smoke",
        "mode": "batch",
        "output": [*OUTPUTS],
        "rejects": "s3://loans/checks/none.jsonl",
        "results": {"score": {"files": [{"path": "s3://loans/checks/gone.parquet"}]}},
    }
    with pytest.raises(InputUnusable, match=r"^s3://loans/checks/gone\.parquet does not exist"):
        check_stored(job)


# --- without a store


def test_paths_need_no_store() -> None:
    """pyarrow's file systems take a quarter of a second to load."""
    copies = Mirror()
    assert copies.reads("/data/*.csv") == "/data/*.csv"
    assert copies.writes("file:///data/a b.parquet") == "/data/a b.parquet"
    assert copies.named("/tmp/airlock/s3/b/k") == "/tmp/airlock/s3/b/k"
    copies.fetch()
    assert not is_url([{"name": "x"}])
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, airlock_host.batch.stored; print('airlock_host.stores' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "False"
