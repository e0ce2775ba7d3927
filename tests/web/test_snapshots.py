"""Uploading files and registering snapshots over the API."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.web.application import AsUser
from tests.web.manifests import small_snapshot
from tests.web.story import API, Story, upload


def test_a_snapshot_is_registered_under_the_name_of_who_is_logged_in(story: Story, as_user: AsUser) -> None:
    snapshot = story.snapshot(by="dana")

    assert snapshot["name"] == "credit-card-fraud@1"
    assert snapshot["created_by"] == "dana"
    shown = as_user("vera").get(f"{API}/snapshots/credit-card-fraud@1").json()
    assert shown["digest"] == snapshot["digest"]
    assert [entry["path"] for entry in shown["manifest"]["files"]] == ["model.py", "requirements.lock"]


def test_the_same_files_again_are_the_same_snapshot(story: Story, as_user: AsUser) -> None:
    story.snapshot()
    again = as_user("ada").post(f"{API}/snapshots", json={"manifest": small_snapshot().document})

    assert again.status_code == 200
    assert again.json()["name"] == "credit-card-fraud@1"
    assert story.snapshot(code="def score(batch): return 1")["name"] == "credit-card-fraud@2"


def test_a_manifest_whose_files_are_not_there_names_them(as_user: AsUser) -> None:
    snapshot = small_snapshot()
    client = as_user("ada")
    first, second = sorted(snapshot.blobs)
    upload(client, first, snapshot.blobs[first])

    answer = client.post(f"{API}/snapshots", json={"manifest": snapshot.document})

    assert answer.status_code == 409
    assert answer.json()["error"] == "missing_files"
    assert answer.json()["missing"] == [second]


def test_bytes_that_are_not_what_was_announced_are_not_kept(as_user: AsUser) -> None:
    announced = hashlib.sha256(b"good").hexdigest()
    client = as_user("ada")

    answer = client.put(
        f"{API}/blobs/{announced}", content=b"evil", headers={"Content-Type": "application/octet-stream"}
    )

    assert answer.status_code == 422
    assert answer.json()["error"] == "integrity_error"
    assert client.head(f"{API}/blobs/{announced}").status_code == 404


def test_a_blob_comes_back_as_it_was_sent_and_may_be_sent_twice(as_user: AsUser) -> None:
    content = b"0123456789" * 300_000
    sha256 = hashlib.sha256(content).hexdigest()
    client = as_user("ada")

    upload(client, sha256, content)
    upload(client, sha256, content)

    assert client.head(f"{API}/blobs/{sha256}").status_code == 200
    assert client.get(f"{API}/blobs/{sha256}").content == content


def test_a_file_above_the_limit_is_refused(as_user: AsUser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AIRLOCK__LARGEST_BLOB_MIB", "1")
    content = b"x" * (1024 * 1024 + 1)
    sha256 = hashlib.sha256(content).hexdigest()
    client = as_user("ada")

    answer = client.put(
        f"{API}/blobs/{sha256}", content=content, headers={"Content-Type": "application/octet-stream"}
    )

    assert answer.status_code == 413
    assert client.head(f"{API}/blobs/{sha256}").status_code == 404


def test_verifying_finds_a_changed_byte_in_the_store(story: Story, as_user: AsUser, tmp_path: Path) -> None:
    story.snapshot()
    client = as_user("vera")
    address = f"{API}/snapshots/credit-card-fraud@1/verify"
    assert client.post(address, json={}).json()["ok"] is True

    sha256 = next(entry.sha256 for entry in small_snapshot().manifest.files if entry.path == "model.py")
    blob = tmp_path / "artifacts" / "sha256" / sha256[:2] / sha256[2:]
    blob.chmod(0o644)
    blob.write_bytes(b"def score(batch): steal()")

    found = client.post(address, json={}).json()
    assert found["ok"] is False
    assert [problem["path"] for problem in found["problems"]] == ["model.py"]


def test_an_unknown_snapshot_is_named_with_what_is_near(story: Story, as_user: AsUser) -> None:
    story.snapshot()

    answer = as_user("vera").get(f"{API}/snapshots/credit-card-fraut@1")

    assert answer.status_code == 404
    assert answer.json()["error"] == "not_found"
    assert "credit-card-fraud" in str(answer.json())


def test_lists_leave_the_manifests_out(story: Story, as_user: AsUser) -> None:
    story.snapshot()
    story.snapshot(model="breast-cancer", services=["tumour-triage"])

    found = as_user("vera").get(f"{API}/snapshots", params={"service": "tumour-triage"}).json()

    assert [(each["name"], each["manifest"]) for each in found] == [("breast-cancer@1", None)]
