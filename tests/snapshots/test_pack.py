"""Packing: the same folder gives the same digest on any machine, and nothing slips in meanwhile."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airlock.exceptions import SnapshotError
from airlock.snapshots import pack as pack_module
from airlock.snapshots.environment import lock
from airlock.snapshots.manifest import FileEntry, Manifest
from airlock.snapshots.pack import Packed, pack, publish
from airlock.snapshots.store import ArtifactStore
from airlock.snapshots.verify import verify_folder


def packed(folder: Path) -> Packed:
    return pack(folder, services=[], host_requirements=[])


def digest(folder: Path) -> str:
    return packed(folder).manifest.digest


def test_the_manifest_says_what_is_in_the_folder(model_folder: Path) -> None:
    manifest = packed(model_folder).manifest
    assert manifest.model == "credit-risk"
    assert manifest.owner == "risk-analytics"
    assert manifest.modes == ("batch", "online")
    assert manifest.services == ("loans",)
    assert manifest.entry_points == {"module": "model.py", "init": "load", "score": "score"}
    assert manifest.golden == "golden.jsonl"
    assert [entry.path for entry in manifest.files] == [
        "golden.jsonl",
        "model.py",
        "model.yaml",
        "requirements.lock",
        "requirements.txt",
        "weights/layer-1.bin",
    ]
    for entry in manifest.files:
        content = (model_folder / entry.path).read_bytes()
        assert (entry.size, entry.sha256) == (len(content), sha256(content).hexdigest())
    lock = sha256((model_folder / "requirements.lock").read_bytes()).hexdigest()
    assert manifest.environment.lock_digest == f"sha256:{lock}"


def test_an_image_of_the_models_own_is_part_of_the_snapshot(model_folder: Path) -> None:
    image = f"registry.example/risk@sha256:{'0' * 64}"
    without = packed(model_folder).manifest
    (model_folder / "model.yaml").write_text((model_folder / "model.yaml").read_text() + f"image: {image}\n")
    manifest = packed(model_folder).manifest
    assert (without.image, manifest.image) == (None, image)
    assert manifest.environment == without.environment  # the kind local runs it without the image


def test_files_that_can_run_code_are_marked(model_folder: Path) -> None:
    (model_folder / "weights" / "trees.joblib").write_bytes(b"\x80\x04.")
    marked = [entry.path for entry in packed(model_folder).manifest.files if entry.unsafe_format]
    assert marked == ["weights/trees.joblib"]


def test_a_service_named_when_packing_is_part_of_the_snapshot(model_folder: Path) -> None:
    both = pack(model_folder, services=["mortgages"], host_requirements=[]).manifest
    assert both.services == ("loans", "mortgages")
    assert both.digest != digest(model_folder)


# The same folder, the same digest


def by_shutil(source: Path, target: Path) -> None:
    shutil.copytree(source, target)


def without_metadata(source: Path, target: Path) -> None:
    """In reverse order, with other times and modes."""
    for path in sorted(source.rglob("*"), reverse=True):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
            copy.chmod(0o600)
            os.utime(copy, (1, 1))


def by_tar(source: Path, target: Path) -> None:
    archive = target.with_suffix(".tar")
    with tarfile.open(archive, "w") as tar:
        tar.add(source, arcname=".")
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")


def by_zip(source: Path, target: Path) -> None:
    archive = target.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in source.rglob("*"):
            zipped.write(path, path.relative_to(source))
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(target)


def by_git(source: Path, target: Path) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "model"]):
        subprocess.run(["git", "-C", str(source), *command], check=True)
    subprocess.run(["git", "clone", "-q", str(source), str(target)], check=True)


def by_hard_links(source: Path, target: Path) -> None:
    shutil.copytree(source, target, copy_function=os.link)


def by_links_within(source: Path, target: Path) -> None:
    """The same files, reached through symbolic links inside the folder."""
    shutil.copytree(source, target)
    (target / ".git").mkdir()
    (target / "weights").rename(target / ".git" / "really-here")
    (target / "weights").symlink_to(".git/really-here")
    (target / "model.py").rename(target / ".git" / "model.py")
    (target / "model.py").symlink_to(".git/model.py")


def by_materialising(source: Path, target: Path) -> None:
    store = ArtifactStore(f"memory://{uuid4().hex}")
    made = packed(source)
    publish(made, store)
    store.materialise(made.manifest, target)


@pytest.mark.parametrize(
    "copy",
    [
        by_shutil,
        without_metadata,
        by_tar,
        by_zip,
        by_git,
        by_hard_links,
        by_links_within,
        by_materialising,
    ],
)
def test_a_copy_has_the_same_digest(
    model_folder: Path, tmp_path: Path, copy: Callable[[Path, Path], None]
) -> None:
    copy(model_folder, tmp_path / "a copy elsewhere")
    assert digest(tmp_path / "a copy elsewhere") == digest(model_folder)


def test_what_tools_leave_behind_changes_nothing(model_folder: Path) -> None:
    before = digest(model_folder)
    (model_folder / "__pycache__").mkdir()
    (model_folder / "__pycache__" / "model.cpython-311.pyc").write_bytes(b"\0")
    (model_folder / ".git").mkdir()
    (model_folder / ".DS_Store").write_bytes(b"\0")
    (model_folder / ".airlockignore").write_text("*.log\n")
    (model_folder / "training.log").write_text("")
    (model_folder / "empty").mkdir()
    assert digest(model_folder) == before


def digest_elsewhere(model_folder: Path, umask: int, surroundings: dict[str, str]) -> str:
    """What another process, in the folder above and with other surroundings, finds or says."""
    program = (
        f"import os; os.umask({umask}); from pathlib import Path; from airlock.snapshots.pack import pack; "
        "print(pack(Path('credit-risk'), services=[], host_requirements=[]).manifest.digest)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=model_folder.parent,
        env=os.environ | surroundings,
        capture_output=True,
        text=True,
        check=False,
    )
    return (finished.stdout + finished.stderr).strip()


@pytest.mark.parametrize("umask", [0o000, 0o077])
@pytest.mark.parametrize(
    "surroundings", [{"LC_ALL": "C", "TZ": "Asia/Kolkata"}, {"LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "7"}]
)
def test_locale_umask_and_working_folder_change_nothing(
    model_folder: Path, surroundings: dict[str, str], umask: int
) -> None:
    (model_folder / "naïve.txt").write_text("é", encoding="utf-8")
    assert digest_elsewhere(model_folder, umask, surroundings) == digest(model_folder)


def test_a_locale_that_reads_names_otherwise_is_refused(model_folder: Path) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    found = digest_elsewhere(model_folder, 0o022, ascii_only)
    assert "Python reads file names as ascii here" in found
    assert "Set PYTHONUTF8=1" in found


name = st.text("abcdeé-_. ", min_size=1, max_size=6).filter(lambda text: text.strip(". ") == text)
path = st.lists(name, min_size=1, max_size=3).map("/".join)
trees = st.dictionaries(path, st.binary(max_size=50), max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(tree=trees, shuffler=st.randoms(use_true_random=False))
def test_any_folder_has_one_digest_however_it_was_written(
    model_folder: Path, tmp_path: Path, tree: dict[str, bytes], shuffler: Random
) -> None:
    base = digest(model_folder)
    first, second = tmp_path / uuid4().hex, tmp_path / uuid4().hex
    entries = list(tree.items())
    shuffler.shuffle(entries)
    written = _write_tree(model_folder, first, entries)
    _write_tree(model_folder, second, list(reversed(entries)), only=written)
    assert digest(first) == digest(second)
    assert (digest(first) == base) == (not written)
    for path in sorted(written)[:1]:
        with (second / path).open("ab") as stream:
            stream.write(b"!")
        assert digest(first) != digest(second)


def _write_tree(
    base: Path, target: Path, entries: list[tuple[str, bytes]], only: set[str] | None = None
) -> set[str]:
    """Write the files that fit beside each other; returns their paths."""
    shutil.copytree(base, target)
    written = set()
    for path, content in entries:
        if only is not None and path not in only:
            continue
        try:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (target / path).write_bytes(content)
        except OSError:  # a file stands where this one needs a folder, or the other way round
            continue
        written.add(path)
    return written


# Nothing slips in


def test_a_file_that_changes_while_it_is_read_is_noticed(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = pack_module._describe

    def describe_and_interfere(folder: Path, path: str) -> FileEntry:
        entry = really(folder, path)
        if path == "model.py":
            (model_folder / "model.py").write_text("def score(x): return 'other'\n")
            os.utime(model_folder / "weights" / "layer-1.bin", (1, 1))
        return entry

    monkeypatch.setattr(pack_module, "_describe", describe_and_interfere)
    with pytest.raises(SnapshotError, match=r"changed while it was read: model\.py, weights/layer-1\.bin"):
        packed(model_folder)


@pytest.mark.parametrize("change", ["add", "remove"])
def test_a_file_that_comes_or_goes_meanwhile_is_noticed(
    model_folder: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    def lock_and_interfere(*arguments: object, **options: object) -> Path:
        if change == "add":
            (model_folder / "added.txt").write_text("")
        else:
            (model_folder / "golden.jsonl").unlink()
        return lock(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(pack_module, "lock", lock_and_interfere)
    with pytest.raises(SnapshotError, match=r"changed while it was read: (added\.txt|golden\.jsonl)"):
        packed(model_folder)


def test_a_lock_that_is_ignored_is_explained(model_folder: Path) -> None:
    (model_folder / ".airlockignore").write_text("*.lock\n")
    with pytest.raises(SnapshotError, match=r"requirements\.lock.*\.airlockignore"):
        packed(model_folder)


def test_a_folder_without_requirements_is_refused(model_folder: Path) -> None:
    (model_folder / "requirements.txt").unlink()
    with pytest.raises(SnapshotError, match=r"has no requirements\.txt\. Write one"):
        packed(model_folder)


def test_a_link_to_a_secret_is_refused(model_folder: Path) -> None:
    (model_folder / "weights" / "secret").symlink_to("/etc/passwd")
    with pytest.raises(SnapshotError, match="weights/secret: is a symbolic link to /etc/passwd"):
        packed(model_folder)


def test_only_the_lock_is_written(model_folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in model_folder.rglob("*") if path.is_file()}
    packed(model_folder)
    after = {path: path.stat().st_mtime_ns for path in model_folder.rglob("*") if path.is_file()}
    assert after.pop(model_folder / "requirements.lock")
    assert after == before


def test_packing_again_changes_nothing(model_folder: Path) -> None:
    first = packed(model_folder)
    before = (model_folder / "requirements.lock").stat().st_mtime_ns
    assert packed(model_folder) == first
    assert (model_folder / "requirements.lock").stat().st_mtime_ns == before


def test_progress_is_told_for_every_file(model_folder: Path) -> None:
    told: list[str] = []
    made = pack(
        model_folder, services=[], host_requirements=[], progress=lambda entry: told.append(entry.path)
    )
    assert told == [entry.path for entry in made.manifest.files]


# Publishing


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(str(tmp_path / "store"))


def test_a_published_snapshot_can_be_materialised(
    model_folder: Path, store: ArtifactStore, tmp_path: Path
) -> None:
    made = packed(model_folder)
    told: list[str] = []
    publish(made, store, progress=lambda entry: told.append(entry.path))
    assert told == [entry.path for entry in made.manifest.files]
    assert store.verify(made.manifest) == []
    store.materialise(made.manifest, tmp_path / "runtime")
    assert verify_folder(made.manifest, tmp_path / "runtime") == []


def test_the_store_can_tell_a_snapshot_by_its_digest_alone(model_folder: Path, store: ArtifactStore) -> None:
    made = packed(model_folder)
    publish(made, store)
    with store.open(made.manifest.digest.removeprefix("sha256:")) as stream:
        assert Manifest.model_validate_json(stream.read()) == made.manifest


@pytest.mark.parametrize("change", ["write", "remove"])
def test_a_file_that_changes_before_it_is_published_is_refused(
    model_folder: Path, store: ArtifactStore, change: str
) -> None:
    made = packed(model_folder)
    if change == "write":
        (model_folder / "model.py").write_text("def score(x): return 'other'\n")
    else:
        (model_folder / "model.py").unlink()
    with pytest.raises(SnapshotError, match=r"model\.py has changed since the folder was read"):
        publish(made, store)
    assert not store.has(made.manifest.digest.removeprefix("sha256:"))


def test_publishing_may_be_repeated(model_folder: Path, store: ArtifactStore) -> None:
    made = packed(model_folder)
    publish(made, store)
    publish(made, store)
    assert store.verify(made.manifest) == []
