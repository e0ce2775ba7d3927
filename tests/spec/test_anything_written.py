"""Whatever a person writes: an include folder is read, or every problem has a line within its file."""

import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from airlock.exceptions import Problem, SpecError
from airlock.spec import load_include, load_model
from tests.spec.writing import GOOD, write_good
from tests.spec.written_specs import kinds_and_specs, mutations

FILES = st.sampled_from(sorted(GOOD))
_SNIPPETS = st.one_of(
    st.text(max_size=5),
    st.sampled_from(list("\t\n :-[]{}&*!|>'\"%@`#,?\r\0")),
    st.sampled_from(
        ["- ", ": ", "\n  ", "<<: *a", "&a ", "*a", "---\n", "!!int ", "null", "1e999", "{{ ", "\u2028"]
    ),
)


def problems_of(read: Callable[[Path], object], path: Path) -> list[Problem] | None:
    """What is wrong, or ``None`` where the reader takes what is there."""
    try:
        read(path)
    except SpecError as error:
        return list(error.problems)
    return None


def assert_readable_or_explained(folder: Path) -> None:
    problems = problems_of(load_include, folder)
    assert problems is None or problems
    for problem in problems or []:
        lines = re.split(r"\r\n|\r|\n", problem.file.read_bytes().decode("utf-8-sig", errors="replace"))
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert problem.message


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("include")


@given(FILES, st.text())
def test_any_text(folder: Path, name: str, text: str) -> None:
    (write_good(folder) / name).write_text(text, encoding="utf-8", newline="")

    assert_readable_or_explained(folder)


@given(FILES, st.binary())
def test_any_bytes(folder: Path, name: str, data: bytes) -> None:
    (write_good(folder) / name).write_bytes(data)

    assert_readable_or_explained(folder)


@given(st.data(), FILES, st.integers(1, 3))
def test_good_files_with_something_cut_or_put_in(
    folder: Path, data: st.DataObject, name: str, cuts: int
) -> None:
    text = dedent(GOOD[name])
    for _ in range(cuts):
        begin = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(begin, min(len(text), begin + 8)))
        text = text[:begin] + data.draw(_SNIPPETS) + text[end:]
    (write_good(folder) / name).write_text(text, encoding="utf-8", newline="")

    assert_readable_or_explained(folder)


@given(kinds_and_specs().flatmap(lambda pair: st.tuples(st.just(pair[0]), mutations(pair[1]))))
def test_good_data_with_something_changed(folder: Path, kind_and_data: tuple[str, object]) -> None:
    kind, written = kind_and_data
    file = {
        "lifecycle": "lifecycles/standard.yaml",
        "service": "services/cc-fraud.yaml",
        "runtime": "runtimes/local.yaml",
        "policy": "policies/PROD.yaml",
        "roles": "policies/roles.yaml",
        "model": "models/model.yaml",
    }[kind]
    path = write_good(folder, **{"models/model.yaml": ""}) / file
    path.write_text(yaml.safe_dump(written, allow_unicode=True), encoding="utf-8")

    assert_readable_or_explained(folder)
    if kind == "model":
        problems = problems_of(load_model, path)
        assert problems is None or problems
