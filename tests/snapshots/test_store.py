"""The artifact store: what is there is whole, and what comes out is what was recorded."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import fsspec  # type: ignore[import-untyped]
import pytest

from airlock.exceptions import IntegrityError, SnapshotError
from airlock.snapshots.manifest import MANIFEST_PATH, Manifest
from airlock.snapshots.store import ArtifactStore
from airlock.snapshots.verify import verify_folder

from .conftest import CONTENTS, manifest_of


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fill(store: ArtifactStore, contents: dict[str, bytes] = CONTENTS) -> None:
    for content in contents.values():
        store.put(BytesIO(content), sha256(content))


def blobs(store: ArtifactStore) -> list[str]:
    """Names of all that is in the store, also what is not finished."""
    files, root = fsspec.core.url_to_fs(store.url)
    return sorted(files.find(root)) if files.exists(root) else []


@pytest.fixture(params=["folder", "file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ArtifactStore]:
    """One store on disk by its path, one by its address, and one that fsspec keeps in memory."""
    urls = {
        "folder": f"{tmp_path}/store",
        "file": f"file://{tmp_path}/store",
        "memory": f"memory://{uuid4().hex}",
    }
    url = urls[request.param]
    yield ArtifactStore(url)
    if url.startswith("memory://"):
        files, root = fsspec.core.url_to_fs(url)
        if files.exists(root):
            files.rm(root, recursive=True)


@pytest.fixture
def disk_store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(f"file://{tmp_path}/store")


def test_bytes_come_back_under_their_digest(store: ArtifactStore) -> None:
    content = os.urandom(3_000_000)
    assert not store.has(sha256(content))
    store.put(BytesIO(content), sha256(content))
    assert store.has(sha256(content))
    with store.open(sha256(content)) as stream:
        assert stream.read() == content


def test_other_bytes_than_announced_are_not_kept(store: ArtifactStore) -> None:
    with pytest.raises(IntegrityError, match=sha256(b"announced")):
        store.put(BytesIO(b"other"), sha256(b"announced"))
    assert not store.has(sha256(b"announced"))
    assert blobs(store) == []


def test_a_stream_that_breaks_leaves_nothing_and_its_error_is_passed_on(store: ArtifactStore) -> None:
    class Breaking(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 0:
                raise ConnectionResetError("the network is gone")
            return super().read(10)

    with pytest.raises(ConnectionResetError, match="the network is gone"):
        store.put(Breaking(b"0123456789abcdef"), sha256(b"0123456789abcdef"))
    assert blobs(store) == []


def test_what_a_driver_raises_is_explained(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    class DriverError(Exception):
        """The drivers of object stores raise exceptions of their own."""

    def fail(*_: object, **__: object) -> None:
        raise DriverError("no credentials")

    for act in ("exists", "open"):
        with monkeypatch.context() as patched:
            patched.setattr(store._files, act, fail)
            with pytest.raises(SnapshotError, match=r"cannot be used: no credentials\. Check its address"):
                store.put(BytesIO(b"1"), sha256(b"1"))
    assert blobs(store) == []


def test_a_process_killed_while_it_puts_leaves_no_blob_under_the_final_name(
    disk_store: ArtifactStore,
) -> None:
    content = b"x" * 3_000_000
    program = f"""
import io, os, signal
from airlock.snapshots.store import ArtifactStore
class Deadly(io.BytesIO):
    def read(self, size=-1):
        if self.tell() > 1_000_000:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(size)
ArtifactStore({disk_store.url!r}).put(Deadly(b"x" * 3_000_000), {sha256(content)!r})
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    assert not disk_store.has(sha256(content))
    disk_store.put(BytesIO(content), sha256(content))
    with disk_store.open(sha256(content)) as stream:
        assert stream.read() == content


def test_the_same_blob_may_be_put_by_many_at_once(store: ArtifactStore) -> None:
    content = os.urandom(2_000_000)
    start = threading.Barrier(8)

    def put() -> None:
        start.wait()
        store.put(BytesIO(content), sha256(content))

    with ThreadPoolExecutor(8) as pool:
        for finished in [pool.submit(put) for _ in range(8)]:
            finished.result()
    assert len(blobs(store)) == 1
    with store.open(sha256(content)) as stream:
        assert stream.read() == content


def test_what_is_there_is_not_written_again(disk_store: ArtifactStore, tmp_path: Path) -> None:
    disk_store.put(BytesIO(b"once"), sha256(b"once"))
    [blob] = (path for path in (tmp_path / "store").rglob("*") if path.is_file())
    before = blob.stat()
    disk_store.put(BytesIO(b"once"), sha256(b"once"))
    assert blob.stat().st_mtime_ns == before.st_mtime_ns
    assert blob.stat().st_ino == before.st_ino
    assert stat.S_IMODE(before.st_mode) == 0o444


def test_a_missing_blob_is_named(store: ArtifactStore) -> None:
    with pytest.raises(IntegrityError, match=f"no blob {sha256(b'absent')}"):
        store.open(sha256(b"absent"))


@pytest.mark.parametrize(
    "name", ["", "abc", "../../etc/passwd", "A" * 64, "sha256:" + "0" * 64, "0" * 64 + "\n"]
)
def test_only_digests_name_blobs(store: ArtifactStore, name: str) -> None:
    for act in (store.has, store.open, lambda digest: store.put(BytesIO(b""), digest)):
        with pytest.raises(IntegrityError, match="64 hexadecimal digits"):
            act(name)


def test_an_address_that_no_driver_understands_is_explained() -> None:
    with pytest.raises(SnapshotError, match=r"nosuchstorage://x cannot be used.*extra"):
        ArtifactStore("nosuchstorage://x")


def test_a_store_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SnapshotError, match="cannot be used"):
        ArtifactStore(f"{tmp_path}/file").put(BytesIO(b"1"), sha256(b"1"))


# Materialising


def test_a_materialised_folder_holds_the_files_and_the_manifest(
    store: ArtifactStore, manifest: Manifest, tmp_path: Path
) -> None:
    fill(store)
    target = tmp_path / "runtime" / "snapshot"
    store.materialise(manifest, target)
    for path, content in CONTENTS.items():
        assert (target / path).read_bytes() == content
        assert stat.S_IMODE((target / path).stat().st_mode) == 0o444
    assert sha256((target / MANIFEST_PATH).read_bytes()) == manifest.digest.removeprefix("sha256:")
    assert Manifest.load(target) == manifest
    assert verify_folder(manifest, target) == []
    assert [path.name for path in target.parent.iterdir()] == ["snapshot"]


def test_files_are_copies_not_links_to_the_store(
    disk_store: ArtifactStore, manifest: Manifest, tmp_path: Path
) -> None:
    fill(disk_store)
    disk_store.materialise(manifest, tmp_path / "snapshot")
    changed = tmp_path / "snapshot" / "model.py"
    changed.chmod(0o644)
    changed.write_bytes(b"malicious")
    assert disk_store.verify(manifest) == []


def test_materialising_again_changes_nothing(
    store: ArtifactStore, manifest: Manifest, tmp_path: Path
) -> None:
    fill(store)
    target = tmp_path / "snapshot"
    store.materialise(manifest, target)
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*")}
    store.materialise(manifest, target)
    assert {path: path.stat().st_mtime_ns for path in target.rglob("*")} == before


def test_an_empty_folder_is_filled(store: ArtifactStore, manifest: Manifest, tmp_path: Path) -> None:
    fill(store)
    target = tmp_path / "snapshot"
    target.mkdir()
    store.materialise(manifest, target)
    assert verify_folder(manifest, target) == []


def test_a_folder_that_was_changed_is_refused_and_left(
    store: ArtifactStore, manifest: Manifest, tmp_path: Path
) -> None:
    fill(store)
    target = tmp_path / "snapshot"
    store.materialise(manifest, target)
    (target / "weights" / "empty.bin").unlink()
    (target / "extra.py").write_text("")
    with pytest.raises(IntegrityError, match=r"extra.py: is not part.*weights/empty.bin: is missing"):
        store.materialise(manifest, target)
    assert (target / "extra.py").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("obstacle", ["file", "link to a file", "link to an empty folder", "dangling link"])
def test_something_else_in_the_way_is_refused(
    disk_store: ArtifactStore, manifest: Manifest, tmp_path: Path, obstacle: str
) -> None:
    fill(disk_store)
    target = tmp_path / "snapshot"
    (tmp_path / "other-file").write_text("")
    (tmp_path / "other-folder").mkdir()
    match obstacle:
        case "file":
            target.write_text("")
        case "link to a file":
            target.symlink_to("other-file")
        case "link to an empty folder":
            target.symlink_to("other-folder")
        case "dangling link":
            target.symlink_to("absent")
    with pytest.raises(IntegrityError, match="does not hold the snapshot"):
        disk_store.materialise(manifest, target)
    assert list((tmp_path / "other-folder").iterdir()) == []


def test_a_damaged_blob_never_reaches_a_runtime(
    disk_store: ArtifactStore, manifest: Manifest, tmp_path: Path
) -> None:
    fill(disk_store)
    damage(tmp_path / "store", CONTENTS["weights/big.bin"])
    with pytest.raises(IntegrityError, match=r"weights/big.bin: .* other bytes than were recorded"):
        disk_store.materialise(manifest, tmp_path / "runtime" / "snapshot")
    assert list((tmp_path / "runtime").iterdir()) == []


def test_a_missing_blob_stops_materialising(store: ArtifactStore, manifest: Manifest, tmp_path: Path) -> None:
    fill(store, {path: content for path, content in CONTENTS.items() if path != "weights/big.bin"})
    with pytest.raises(IntegrityError, match=sha256(CONTENTS["weights/big.bin"])):
        store.materialise(manifest, tmp_path / "runtime" / "snapshot")
    assert list((tmp_path / "runtime").iterdir()) == []


@pytest.mark.parametrize("path", ["../escaped.txt", "/tmp/escaped.txt", "weights/../../escaped.txt"])
def test_a_manifest_cannot_write_outside_the_folder(
    disk_store: ArtifactStore, manifest: Manifest, tmp_path: Path, path: str
) -> None:
    fill(disk_store)
    # Built past all validation, as an attacker inside the process of a registry might.
    evil = manifest.files[0].model_copy(update={"path": path})
    forged = manifest.model_copy(update={"files": (evil, *manifest.files[1:])})
    with pytest.raises(IntegrityError, match="not a valid snapshot manifest"):
        disk_store.materialise(forged, tmp_path / "deep" / "snapshot")
    assert not list(tmp_path.rglob("escaped.txt"))


MATERIALISE = """
import sys
from pathlib import Path
from airlock.snapshots.manifest import Manifest
from airlock.snapshots.store import ArtifactStore
store, manifest = ArtifactStore(sys.argv[1]), Manifest.model_validate_json(Path(sys.argv[2]).read_bytes())
print("ready", flush=True)
sys.stdin.readline()
store.materialise(manifest, Path(sys.argv[3]))
print("done", flush=True)
"""


def test_processes_that_want_the_same_folder_at_once_all_get_it(
    disk_store: ArtifactStore, tmp_path: Path
) -> None:
    contents = CONTENTS | {f"part-{number}.bin": os.urandom(50_000) for number in range(40)}
    manifest = manifest_of(contents)
    fill(disk_store, contents)
    (tmp_path / "manifest.json").write_bytes(manifest.canonical_json())
    target = tmp_path / "runtime" / "snapshot"
    command = [
        sys.executable,
        "-c",
        MATERIALISE,
        disk_store.url,
        str(tmp_path / "manifest.json"),
        str(target),
    ]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[0] for process in processes] == ["done\n"] * 3
    assert verify_folder(manifest, target) == []
    assert [path.name for path in target.parent.iterdir()] == ["snapshot"]


def test_threads_that_want_the_same_folder_at_once_all_get_it(
    store: ArtifactStore, manifest: Manifest, tmp_path: Path
) -> None:
    fill(store)
    start = threading.Barrier(6)

    def materialise() -> None:
        start.wait()
        store.materialise(manifest, tmp_path / "runtime" / "snapshot")

    with ThreadPoolExecutor(6) as pool:
        for finished in [pool.submit(materialise) for _ in range(6)]:
            finished.result()
    assert verify_folder(manifest, tmp_path / "runtime" / "snapshot") == []
    assert [path.name for path in (tmp_path / "runtime").iterdir()] == ["snapshot"]


def test_what_a_killed_process_began_is_taken_over(
    disk_store: ArtifactStore, manifest: Manifest, tmp_path: Path
) -> None:
    fill(disk_store)
    (tmp_path / "manifest.json").write_bytes(manifest.canonical_json())
    target = tmp_path / "runtime" / "snapshot"
    dies_at_the_last_file = """
import os, signal
original = ArtifactStore._copy_out
def copy_out(self, entry, path):
    if entry.path == "weights/empty.bin":
        os.kill(os.getpid(), signal.SIGKILL)
    original(self, entry, path)
ArtifactStore._copy_out = copy_out
"""
    program = MATERIALISE.replace("store, manifest =", dies_at_the_last_file + "store, manifest =", 1)
    command = [sys.executable, "-c", program, disk_store.url, str(tmp_path / "manifest.json"), str(target)]
    killed = subprocess.run(command, input="go\n", text=True, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == [".snapshot.partial"]
    disk_store.materialise(manifest, target)
    assert verify_folder(manifest, target) == []
    assert [path.name for path in target.parent.iterdir()] == ["snapshot"]


# Verifying the store


def damage(folder: Path, content: bytes) -> None:
    """Flip one bit of the blob that holds these bytes."""
    digest = sha256(content)
    blob = folder / "sha256" / digest[:2] / digest[2:]
    blob.chmod(0o644)
    blob.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def test_a_whole_store_has_no_problems(store: ArtifactStore, manifest: Manifest) -> None:
    fill(store)
    assert store.verify(manifest) == []


def test_every_damaged_or_missing_blob_is_named_by_its_file(
    disk_store: ArtifactStore, manifest: Manifest, tmp_path: Path
) -> None:
    fill(disk_store, {path: content for path, content in CONTENTS.items() if content})
    damage(tmp_path / "store", CONTENTS["weights/big.bin"])
    assert [(problem.path, problem.kind) for problem in disk_store.verify(manifest)] == [
        ("requirements.lock", "missing"),
        ("weights/big.bin", "changed"),
        ("weights/empty.bin", "missing"),
    ]
