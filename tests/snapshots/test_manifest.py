"""The manifest: what it refuses, and what its digest depends on."""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.exceptions import IntegrityError
from airlock.snapshots.manifest import Manifest

from .conftest import manifest_of

IMAGE = f"registry.example/risk@sha256:{'ab' * 32}"


def test_the_digest_is_the_sha256_of_the_canonical_json(manifest: Manifest) -> None:
    canonical = manifest.canonical_json()
    assert manifest.digest == "sha256:" + hashlib.sha256(canonical).hexdigest()
    assert canonical == json.dumps(json.loads(canonical), sort_keys=True, separators=(",", ":")).encode()


def test_a_manifest_survives_json(manifest: Manifest) -> None:
    again = Manifest.read(json.loads(json.dumps(manifest.document(), indent=2)), digest=manifest.digest)
    assert again == manifest
    assert again.digest == manifest.digest


def test_the_digests_of_manifests_stay_what_they_were() -> None:
    """If this fails, no snapshot that was ever recorded can be deployed any more."""
    manifest = manifest_of({"weights.bin": b"1"})
    assert manifest.digest == "sha256:657a6bb885e0f4f71713551c31d475b8c08d6db1edd6e2a6d810bb35c149a4e3"
    assert "image" not in manifest.document()


def test_an_own_image_is_in_the_document(manifest: Manifest) -> None:
    again = Manifest.read(manifest.document() | {"image": IMAGE})
    assert again.document()["image"] == again.image == IMAGE
    assert Manifest.read(manifest.document() | {"image": None}).digest == manifest.digest


@given(st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(shuffler: random.Random) -> None:
    manifest = manifest_of({"weights.bin": b"1"})
    assert Manifest.read(_shuffled(manifest.document(), shuffler)).digest == manifest.digest


def _shuffled(value: Any, shuffler: random.Random) -> Any:
    if isinstance(value, dict):
        items = [(key, _shuffled(inner, shuffler)) for key, inner in value.items()]
        shuffler.shuffle(items)
        return dict(items)
    return [_shuffled(inner, shuffler) for inner in value] if isinstance(value, list) else value


CHANGES: list[tuple[str, Any]] = [
    ("model", "other"),
    ("owner", "someone-else"),
    ("description", "what it does"),
    ("python", ">=3.12"),
    ("golden", "model.py"),
    ("modes", ["batch"]),
    ("services", ["loans", "mortgages"]),
    ("input_schema", [{"name": "income", "type": "integer"}]),
    ("output_schema", [{"name": "probability", "type": "number", "max": 1}]),
    ("entry_points", {"module": "model.py", "score": "predict"}),
    ("image", IMAGE),
]


@pytest.mark.parametrize(("key", "value"), CHANGES)
def test_everything_a_manifest_says_is_in_the_digest(manifest: Manifest, key: str, value: Any) -> None:
    assert Manifest.read(manifest.document() | {key: value}).digest != manifest.digest


@given(st.dictionaries(st.sampled_from(["a", "b", "c/d", "c/e"]), st.binary(max_size=3), max_size=4))
def test_other_contents_or_names_have_another_digest(contents: dict[str, bytes]) -> None:
    changed = contents | {"a": contents.get("a", b"") + b"!"}
    assert manifest_of(contents).digest != manifest_of(changed).digest


def test_a_manifest_with_another_digest_than_recorded_is_refused(manifest: Manifest) -> None:
    with pytest.raises(IntegrityError, match=f"{manifest.digest} instead of sha256:00"):
        Manifest.read(manifest.document(), digest="sha256:" + "00" * 32)


def _with_path(document: dict[str, Any], path: str) -> dict[str, Any]:
    files = [*document["files"], {"path": path, "size": 1, "sha256": "0" * 64, "unsafe_format": False}]
    return document | {"files": sorted(files, key=lambda entry: str(entry["path"]))}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "../outside",
        "/etc/cron.d/job",
        "weights/../../outside",
        ".airlock/manifest.json",
        "a\\b",
        "\ud800",
        "model.py",
        "MODEL.PY",
        "model.py/inner",
    ],
)
def test_paths_from_untrusted_json_are_refused(manifest: Manifest, path: str) -> None:
    with pytest.raises(IntegrityError, match="not a valid snapshot manifest"):
        Manifest.read(_with_path(manifest.document(), path))


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 2},
        {"unknown": 1},
        {"model": "No Name"},
        {"services": ["../x"]},
        {"modes": ["streaming"]},
        {"format": "pickle"},
        {"golden": "absent.jsonl"},
        {"entry_points": {"module": "absent.py", "score": "score"}},
        {"entry_points": {"module": "model.py"}},
        {"entry_points": {"module": "model.py", "score": "os.system('x')"}},
        {"entry_points": {"module": "model.py", "score": "score", "drop": "drop"}},
        {"environment": {"lock_path": "requirements.lock", "lock_digest": "sha256:" + "1" * 64}},
        {"environment": {"lock_path": "absent.lock", "lock_digest": "sha256:" + "1" * 64}},
        {"input_schema": [{"name": "income", "type": "complex"}]},
    ],
)
def test_a_document_that_is_not_consistent_is_refused(manifest: Manifest, change: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match="not a valid snapshot manifest"):
        Manifest.read(manifest.document() | change)


def test_files_out_of_order_are_refused(manifest: Manifest) -> None:
    document = manifest.document()
    with pytest.raises(IntegrityError, match="not sorted"):
        Manifest.read(document | {"files": document["files"][::-1]})


def test_a_manifest_cannot_be_changed(manifest: Manifest) -> None:
    with pytest.raises(ValueError, match="frozen"):
        manifest.model = "other"


def test_size_is_that_of_all_files() -> None:
    assert manifest_of({"a": b"123", "b": b"45"}).size == manifest_of({}).size + 5
