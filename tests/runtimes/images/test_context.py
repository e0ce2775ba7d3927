"""What is sent to an engine: the same bytes for the same files."""

from __future__ import annotations

import os
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from airlock.exceptions import AdapterError
from airlock.runtimes.images.context import (
    Entry,
    digest_of,
    files_in,
    in_memory,
    open_folder,
    stream,
    text_file,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inner = tmp_path / "model" / "weights"
    inner.mkdir(parents=True)
    (inner / "layer.bin").write_bytes(bytes(range(256)) * 10)
    (inner / "empty").touch()
    (tmp_path / "model" / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "model" / "run.sh").chmod(0o700)
    (tmp_path / "elsewhere").write_text("linked")
    (tmp_path / "model" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "model" / f"{'long' * 60}.txt").write_text("é")
    return tmp_path / "model"


def sent(folder: Path) -> bytes:
    return b"".join(
        stream([text_file("Dockerfile", "FROM x\n"), *files_in(folder, "model"), open_folder("w/job")])
    )


def test_it_is_a_tar_file_with_all_that_is_in_the_folder(folder: Path) -> None:
    with tarfile.open(fileobj=BytesIO(sent(folder))) as archive:
        members = {member.name: member for member in archive}
        contents = {
            name: archive.extractfile(member).read()  # type: ignore[union-attr]
            for name, member in members.items()
            if member.isfile()
        }
    assert contents == {
        "Dockerfile": b"FROM x\n",
        "model/link": b"linked",
        f"model/{'long' * 60}.txt": "é".encode(),
        "model/run.sh": b"#!/bin/sh\n",
        "model/weights/empty": b"",
        "model/weights/layer.bin": bytes(range(256)) * 10,
    }
    modes = {name: oct(member.mode) for name, member in members.items()}
    assert modes["model/run.sh"] == "0o555"
    assert modes["model/link"] == "0o444"
    assert modes["model/weights"] == "0o755"
    assert modes["w/job"] == "0o1777"
    assert {(member.uid, member.gid, member.mtime) for member in members.values()} == {(0, 0, 946684800)}


def test_neither_times_nor_owners_nor_rights_of_others_change_it(folder: Path) -> None:
    before = sent(folder), digest_of(files_in(folder, "model"))
    os.utime(folder / "run.sh", (1, 1))
    (folder / "weights/empty").chmod(0o666)

    assert (sent(folder), digest_of(files_in(folder, "model"))) == before


def test_other_bytes_have_another_digest(folder: Path) -> None:
    kept = [in_memory(entry) for entry in files_in(folder, "model")]
    before = digest_of(files_in(folder, "model"))
    assert digest_of(kept) == before
    (folder / "weights/layer.bin").write_bytes(b"other")

    assert digest_of(files_in(folder, "model")) != before
    assert digest_of(kept) == before


def test_what_is_not_wanted_stays(folder: Path) -> None:
    found = [
        entry.path for entry in files_in(folder, "m", wanted=lambda name: name not in ("weights", "link"))
    ]
    assert found == ["m", f"m/{'long' * 60}.txt", "m/run.sh"]


def test_a_file_that_becomes_shorter_meanwhile_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(bytes(5_000_000))
    pieces = stream([Entry("log", file, 0o444)])
    next(pieces)
    file.write_bytes(b"")

    with pytest.raises(AdapterError, match="became shorter while it was read"):
        list(pieces)
