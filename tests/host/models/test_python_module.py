"""Models that are Python modules."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from airlock_host.exceptions import ModelFailed, SnapshotUnusable
from airlock_host.json_rows import read_records, write_records
from airlock_host.models import Model, load
from airlock_host.snapshot import Snapshot
from host.building import GOOD, MEAN, NUMBERS, build_snapshot

NUMBER = ({"name": "a", "type": "number"}, {"name": "b", "type": "number"})
RECORDS = [{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 5.0}]
MEANS = [{"mean": 1.5}, {"mean": 4.0}]


def model_of(folder: Path, source: str, **parts: object) -> Model:
    parts = {"inputs": NUMBER, "outputs": MEAN} | parts
    return load(Snapshot.open(build_snapshot(folder / "snapshot", source, **parts)))  # type: ignore[arg-type]


def answers(model: Model) -> list[dict[str, object]]:
    return write_records(model.score(read_records(RECORDS, model.snapshot.inputs)))


@pytest.mark.parametrize(
    "source",
    [
        """
        def score(rows):  # a DataFrame, as nothing else is said and pandas is installed
            return rows.mean(axis=1)
        """,
        """
        import pandas as pd
        def score(rows: pd.DataFrame) -> pd.DataFrame:
            return pd.DataFrame({"mean": rows["a"] / 2 + rows["b"] / 2})
        """,
        """
        from __future__ import annotations
        import numpy as np
        def score(rows: np.ndarray) -> np.ndarray:
            return rows.mean(axis=1, keepdims=True)
        """,
        """
        import numpy as np
        import numpy.typing as npt
        def score(rows: npt.NDArray[np.float64]):
            return {"mean": rows.mean(axis=1)}
        """,
        """
        import numpy as np
        def score(columns: dict[str, np.ndarray]):
            return ((columns["a"] + columns["b"]) / 2).tolist()
        """,
        """
        import pyarrow as pa
        import pyarrow.compute as pc
        def score(batch: pa.RecordBatch) -> pa.RecordBatch:
            mean = pc.divide(pc.add(batch.column("a"), batch.column("b")), 2.0)
            return pa.RecordBatch.from_arrays([mean], names=["mean"])
        """,
    ],
    ids=["unsaid", "dataframe", "array", "typed array", "columns", "record batch"],
)
def test_rows_come_in_the_form_that_score_asks_for(tmp_path: Path, source: str) -> None:
    assert answers(model_of(tmp_path, source)) == MEANS


@pytest.mark.parametrize(
    "source",
    [
        """
        def score(record: dict):
            return {"mean": (record["a"] + record["b"]) / 2}
        """,
        """
        def score(record):  # ModelOp's convention
            yield {"mean": (record["a"] + record["b"]) / 2}
        """,
    ],
    ids=["dict", "generator"],
)
def test_one_record_at_a_time_works_and_is_warned_about(
    tmp_path: Path, source: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert answers(model_of(tmp_path, source)) == MEANS
    assert "about 600 times" in caplog.text


def test_init_gets_the_folder_or_nothing_and_may_open_files_by_relative_path(tmp_path: Path) -> None:
    source = """
        weight = None
        def begin():
            global weight
            weight = float(open("weight.txt").read())
        def score(rows):
            return rows.sum(axis=1) * weight
    """
    folder = build_snapshot(
        tmp_path / "snapshot",
        source,
        inputs=NUMBER,
        outputs=MEAN,
        entry_points={"module": "model.py", "init": "begin", "score": "score"},
    )
    (folder / "weight.txt").write_text("0.5", encoding="ascii")
    here = Path.cwd()
    assert answers(load(Snapshot.open(folder))) == MEANS
    assert Path.cwd() == here


def test_init_may_take_the_folder(tmp_path: Path) -> None:
    source = """
        def init(folder):
            assert (folder / "model.py").is_file()
        def score(rows):
            return rows.mean(axis=1)
    """
    assert answers(model_of(tmp_path, source)) == MEANS


def test_the_folder_is_where_the_module_imports_from_and_stays_as_it_was(tmp_path: Path) -> None:
    folder = build_snapshot(
        tmp_path / "snapshot",
        "from sibling_of_model import mean\ndef score(rows):\n    return mean(rows)\n",
        inputs=NUMBER,
        outputs=MEAN,
    )
    (folder / "sibling_of_model.py").write_text("def mean(rows):\n    return rows.mean(axis=1)\n")
    before = sorted(folder.rglob("*"))
    assert answers(load(Snapshot.open(folder))) == MEANS
    assert sorted(folder.rglob("*")) == before
    assert sys.modules["sibling_of_model"].__file__ == str(folder / "sibling_of_model.py")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def score(rows: int): ...", "takes a int; it may take a pandas.DataFrame"),
        ("def score(): ...", "takes no parameter"),
        ("def other(rows): ...", "has no function 'score'"),
        ("1 / 0", "cannot be imported: ZeroDivisionError"),
        ("def score(rows:", "cannot be imported: SyntaxError"),
        ("import nowhere_to_be_found", "needs nowhere_to_be_found, which cannot be imported"),
        ("def init():\n    open('weights')\ndef score(rows): ...", "init raised FileNotFoundError"),
        ("def init():\n    import nowhere_at_all\ndef score(rows): ...", "needs nowhere_at_all"),
        ("import sys\ndef init():\n    sys.exit('no')\ndef score(rows): ...", "init raised SystemExit: no"),
    ],
)
def test_a_model_that_does_not_load_says_why(tmp_path: Path, source: str, reason: str) -> None:
    with pytest.raises(SnapshotUnusable, match=reason.replace("(", r"\(")):
        model_of(tmp_path, source)


def test_an_array_cannot_hold_strings(tmp_path: Path) -> None:
    source = "import numpy as np\ndef score(rows: np.ndarray): ..."
    with pytest.raises(SnapshotUnusable, match="an array, which holds only numbers"):
        model_of(tmp_path, source, inputs=({"name": "a", "type": "string"},))


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        ("1 / 0", "the model raised ZeroDivisionError: division by zero"),
        ("__import__('sys').exit(3)", "the model raised SystemExit: 3"),
        ("None", "the model answered a builtins.NoneType"),
        ("np.zeros(3)", r"was given 2 rows and answered an array of shape \(3,\)"),
        ("np.zeros((2, 2))", "answered 2 columns without names, its output schema lists mean"),
        ("np.zeros((2, 1, 1))", "array of shape"),
        ("{'other': np.zeros(2)}", "answered the columns other, its output schema lists mean"),
        ("[{'mean': 1.0}, {}]", "records that do not all have the same names"),
        ("np.array(['a', 'b'])", "output 'mean' should be a finite number"),
        ("np.array([1.0, np.nan])", "breaks its output schema: record 1: field 'mean' is null"),
        ("np.array([1.0, np.inf])", "breaks its output schema: record 1: field 'mean' is inf"),
    ],
)
def test_what_a_model_answers_is_held_against_its_output_schema(
    tmp_path: Path, returned: str, reason: str
) -> None:
    model = model_of(tmp_path, f"import numpy as np\ndef score(rows):\n    return {returned}\n")
    with pytest.raises(ModelFailed, match=reason):
        answers(model)


@pytest.mark.parametrize(
    ("kind", "returned", "answer"),
    [
        ("integer", "np.array([1.0, 2.0])", [1, 2]),
        ("integer", "[1, 2]", [1, 2]),
        ("boolean", "np.array([True, False])", [True, False]),
        ("boolean", "pd.Series([True, False], dtype='boolean')", [True, False]),
        ("string", "np.array(['a', 'b'])", ["a", "b"]),
        ("string", "pd.Series(['a', 'b'])", ["a", "b"]),
        (
            "timestamp",
            "pd.to_datetime(pd.Series(['2026-01-01T00:00', '2026-01-02T01:00']))",
            ["2026-01-01T00:00:00.000000Z", "2026-01-02T01:00:00.000000Z"],
        ),
        (
            "timestamp",
            "pd.Series(['2026-01-01T00:00+01:00'] * 2).map(pd.Timestamp)",
            ["2025-12-31T23:00:00.000000Z"] * 2,
        ),
    ],
)
def test_answers_of_every_type(tmp_path: Path, kind: str, returned: str, answer: list[object]) -> None:
    source = f"import numpy as np\nimport pandas as pd\ndef score(rows):\n    return {returned}\n"
    model = model_of(tmp_path, source, outputs=({"name": "it", "type": kind},))
    assert [record["it"] for record in answers(model)] == answer


@pytest.mark.parametrize(
    ("kind", "returned"),
    [
        ("integer", "np.array([1.0, 2.5])"),
        ("integer", "np.array([1.0, np.nan])"),
        ("integer", "np.array([1.0, np.inf])"),
        ("boolean", "[True, None]"),
        ("boolean", "[1, 0]"),
        ("string", "[1, 2]"),
        ("string", "['a', None]"),
        ("timestamp", "[1, 2]"),
        ("timestamp", "['2026-01-01', None]"),
    ],
)
def test_answers_of_the_wrong_type(tmp_path: Path, kind: str, returned: str) -> None:
    source = f"import numpy as np\ndef score(rows):\n    return {returned}\n"
    with pytest.raises(ModelFailed, match="'it'"):
        answers(model_of(tmp_path, source, outputs=({"name": "it", "type": kind},)))


def test_nulls_reach_a_model_as_its_library_marks_them(tmp_path: Path) -> None:
    source = """
        def score(rows):
            assert rows["debt"].isna().all()
            assert rows["applied"].isna().all()
            assert rows.dtypes["age"] == "int64"
            return [{"score": 0.5, "decision": None} for _ in range(len(rows))]
    """
    outputs = (
        {"name": "score", "type": "number"},
        {"name": "decision", "type": "string", "nullable": True},
    )
    model = load(Snapshot.open(build_snapshot(tmp_path / "snapshot", source, outputs=outputs)))
    rows = read_records([{**GOOD, "applied": None}], model.snapshot.inputs)
    assert write_records(model.score(rows)) == [{"score": 0.5, "decision": None}]


def test_no_rows_need_no_model(tmp_path: Path) -> None:
    model = model_of(tmp_path, "def score(rows):\n    raise ValueError('empty')\n")
    assert model.score(read_records([], model.snapshot.inputs)).count == 0


def test_a_long_module_is_a_model_as_well(tmp_path: Path) -> None:
    """Classes pickled under the module's own name must find it again."""
    source = dedent("""
        import pickle
        class Mean:
            def __call__(self, rows):
                return rows.mean(axis=1)
        model = None
        def init():
            global model
            model = pickle.loads(pickle.dumps(Mean()))
        def score(rows):
            return model(rows)
    """)
    assert answers(model_of(tmp_path, source)) == MEANS


def test_twenty_numbers(tmp_path: Path) -> None:
    model = model_of(tmp_path, "def score(rows):\n    return rows.mean(axis=1)\n", inputs=NUMBERS)
    record = {entry["name"]: float(number) for number, entry in enumerate(NUMBERS)}
    rows = read_records([record], model.snapshot.inputs)
    assert write_records(model.score(rows)) == [{"mean": 9.5}]
