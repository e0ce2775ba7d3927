"""Requirements are read without what ties them to one machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from airlock.exceptions import SnapshotError
from airlock.snapshots.requirements import normalised, read_requirements


def read(folder: Path, text: str, name: str = "requirements.txt") -> list[str]:
    (folder / name).write_text(text)
    return read_requirements(folder, name)


def test_comments_and_blank_lines_are_left_out(tmp_path: Path) -> None:
    text = "\ufeff# what it needs\n\nscikit-learn>=1.6  # trees\r\n  numpy >= 2 ; python_version < '3.13'\n"
    assert read(tmp_path, text) == ["scikit-learn>=1.6", "numpy >= 2 ; python_version < '3.13'"]


def test_lines_that_go_on_are_joined_and_hashes_left_out(tmp_path: Path) -> None:
    text = "idna==3.10 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\nnumpy \\\n >=2\n"
    assert read(tmp_path, text) == ["idna==3.10", "numpy >=2"]


def test_included_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.txt").write_text("-r b.txt\na\n")
    (tmp_path / "more" / "b.txt").write_text("b\n")
    assert read(tmp_path, "--requirement=more/a.txt\nc\n") == ["b", "a", "c"]


def test_the_dependencies_of_a_python_env_are_read(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("scikit-learn==1.6.0\n")
    text = "python: 3.12.4\nbuild_dependencies: [pip]\ndependencies:\n- -r requirements.txt\n- pandas<3\n"
    assert read(tmp_path, text, "python_env.yaml") == ["scikit-learn==1.6.0", "pandas<3"]


def test_the_https_address_of_a_wheel_is_accepted(tmp_path: Path) -> None:
    line = "idna @ https://files.example/idna-3.10-py3-none-any.whl"
    assert read(tmp_path, line) == [line]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("--index-url https://packages.example/simple", "ties the model to one machine's package index"),
        ("-i https://packages.example/simple", "package index"),
        ("--extra-index-url=https://packages.example", "package index"),
        ("--find-links /srv/wheels", "package index"),
        ("-e .", "is a path"),
        ("./wheels/private-1.0-py3-none-any.whl", "is a path"),
        ("wheels/private-1.0-py3-none-any.whl", "is a path"),
        ("/srv/wheels/private.whl", "is a path"),
        ("../private", "is a path"),
        ("~/private", "is a path"),
        ("file:///srv/private.whl", "is a path"),
        ("private @ file:///srv/private.whl", "address of private cannot be locked"),
        ("private @ git+https://git.example/private", "cannot be locked"),
        ("private @ https://user:secret@packages.example/p.whl", "cannot be locked"),
        ("private @ https://packages.example/${TOKEN}/p.whl", "cannot be locked"),
        ("-c constraints.txt", "the option '-c' cannot be locked"),
        ("--no-binary :all:", "cannot be locked"),
        ("scikit learn", "is not a requirement"),
        ("numpy=>2", "is not a requirement"),
        ("-r ../outside.txt", "outside the model's folder"),
        ("-r /etc/requirements.txt", "outside the model's folder"),
        ("-r requirements.txt", "never ends"),
        ("-r absent.txt", "has no absent.txt"),
    ],
)
def test_what_cannot_be_locked_is_refused_with_its_line(tmp_path: Path, line: str, problem: str) -> None:
    with pytest.raises(SnapshotError, match=problem) as caught:
        read(tmp_path, f"numpy\n{line}\n")
    assert "secret" not in str(caught.value)
    assert "line 2" in str(caught.value) or "never ends" in problem or "absent" in problem


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match=r"has no requirements\.txt\. Write one .*'scikit-learn>=1\.6'"):
        read_requirements(tmp_path, "requirements.txt")


@pytest.mark.parametrize("text", ["dependencies: [", "python: 3.12", "dependencies: {}", "dependencies: [1]"])
def test_a_python_env_without_dependencies_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SnapshotError, match=r"python_env\.yaml"):
        read(tmp_path, text, "python_env.yaml")


def test_requirements_of_the_host_are_read_alike() -> None:
    assert normalised(["# wide ranges", "numpy>=1.26   # columns", ""], source="host") == ["numpy>=1.26"]
    with pytest.raises(SnapshotError, match="host, line 2"):
        normalised(["numpy", "-e ."], source="host")
