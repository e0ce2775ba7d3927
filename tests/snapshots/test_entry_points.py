"""Finding a model's functions without running it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from airlock.exceptions import SnapshotError
from airlock.snapshots.entry_points import find_functions


def functions(folder: Path, source: str | bytes) -> dict[str, str]:
    path = folder / "source.py"
    path.write_bytes(source if isinstance(source, bytes) else dedent(source).encode())
    return find_functions(path, shown_as="model.py")


def test_functions_are_found_by_name(tmp_path: Path) -> None:
    source = """
        def train(table): ...
        def metrics(records): ...
        def score(records): ...
        def init(): ...
        def helper(): ...
    """
    assert functions(tmp_path, source) == {
        "init": "init", "score": "score", "metrics": "metrics", "train": "train"
    }  # fmt: skip


@pytest.mark.parametrize("family", ["modelop", "airlock"])
def test_functions_are_found_by_marker(tmp_path: Path, family: str) -> None:
    source = (
        f"""
        # {family}.init
        def begin(): ...

        #{family}.score
        def predict(record):
            yield record

        #   {family}.metrics  \n
    """.rstrip()
        + f"""
        def measure(frame): ...

        # {family}.train
        def fit(): ...
    """
    )
    found = functions(tmp_path, source)
    assert found == {"init": "begin", "score": "predict", "metrics": "measure", "train": "fit"}


def test_the_marker_wins_over_the_name(tmp_path: Path) -> None:
    source = """
        def score(x): ...

        # airlock.score
        def predict(x): ...
    """
    assert functions(tmp_path, source) == {"score": "predict"}


def test_one_function_may_have_several_markers_and_comments(tmp_path: Path) -> None:
    source = """
        # airlock.score
        # airlock.metrics
        # Both do the same.
        def both(x): ...
    """
    assert functions(tmp_path, source) == {"score": "both", "metrics": "both"}


@pytest.mark.parametrize(
    "source",
    [
        """
        # airlock.score
        @decorator
        def predict(x): ...
        """,
        """
        @decorator(
            1,
        )
        # airlock.score
        def predict(x): ...
        """,
    ],
)
def test_a_marker_may_stand_above_or_below_decorators(tmp_path: Path, source: str) -> None:
    assert functions(tmp_path, source) == {"score": "predict"}


def test_markers_in_strings_and_behind_code_mean_nothing(tmp_path: Path) -> None:
    source = '''
        TEXT = """
        # airlock.score
        """
        x = 1  # airlock.score
        def score(x): ...
    '''
    assert functions(tmp_path, source) == {"score": "score"}


def test_other_markers_of_modelop_mean_nothing(tmp_path: Path) -> None:
    source = """
        # modelop.schema.0: input.avsc
        # modelop.slot.1: in-use
        # modelop.something

        # modelop.score
        def predict(x): ...
    """
    assert functions(tmp_path, source) == {"score": "predict"}


def test_methods_and_inner_functions_are_not_entry_points(tmp_path: Path) -> None:
    source = """
        class Model:
            def score(self, x): ...
        def outer():
            def score(x): ...
    """
    with pytest.raises(SnapshotError, match="has no function that scores"):
        functions(tmp_path, source)


def test_the_source_is_not_run(tmp_path: Path) -> None:
    source = f"open({str(tmp_path / 'ran')!r}, 'w')\ndef score(x): ...\n"
    assert functions(tmp_path, source) == {"score": "score"}
    assert not (tmp_path / "ran").exists()


def test_the_encoding_a_source_declares_is_used(tmp_path: Path) -> None:
    source = "# -*- coding: latin-1 -*-\n# café\n# airlock.score\ndef prédire(x): ...\n".encode("latin-1")
    assert functions(tmp_path, source) == {"score": "prédire"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def predict(x): ...", r"no function that scores\. Name it 'score', or write .*# airlock.score"),
        ("", "no function that scores"),
        (
            "# airlock.score\ndef a(x): ...\n\n# modelop.score\ndef b(x): ...\n",
            "two functions are marked 'score', in lines 1 and 4",
        ),
        (
            "# airlock.score\n\ndef predict(x): ...\n",
            "line 1: .* is not directly above a function",
        ),
        (
            "class M:\n    # airlock.score\n    def predict(x): ...\n",
            "line 2: .* is not directly above",
        ),
        ("# airlock.scroe\ndef predict(x): ...\n", "line 1: .*marks nothing.* airlock.score"),
        ("async def score(x): ...", "line 1: score is an 'async def'"),
        ("def score(x): ...\n\ndef score(y): ...\n", "score.* defined more than once, in lines 1 and 3"),
        ("def score(x:\n    pass", "model.py, line 1: not valid Python"),
        (b"def score(x): '\xff'\n", "not valid Python"),
        (b"def score(x): ...\n\0", "model.py"),
        ("(" * 10_000, "model.py"),
    ],
)
def test_mistakes_are_explained_with_their_line(tmp_path: Path, source: str | bytes, message: str) -> None:
    with pytest.raises(SnapshotError, match=message):
        functions(tmp_path, source)


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="cannot be read"):
        find_functions(tmp_path / "absent.py", shown_as="model.py")
