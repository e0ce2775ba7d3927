"""Values of records: whatever they are, each is a row or a poison with a reason."""

from __future__ import annotations

import io
import json
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import fastavro
import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock_host.columns import Columns
from airlock_host.exceptions import InputUnusable, ModelFailed
from airlock_host.json_rows import read_records
from airlock_host.models import Model
from airlock_host.schema import Schema
from airlock_host.snapshot import Snapshot
from airlock_host.stream.codecs import Codec, codec
from airlock_host.stream.json_batches import JsonBatches
from airlock_host.stream.outcomes import Outcome, Reason
from airlock_host.stream.scoring import score
from airlock_host.stream.settings import Avro, StreamSettings
from host.building import GOOD, INPUTS, OUTPUTS

AVRO = {
    "type": "record",
    "name": "Loan",
    "fields": [
        {"name": "income", "type": "double"},
        {"name": "age", "type": "int"},
        {"name": "purpose", "type": "string"},
        {"name": "owner", "type": "boolean"},
        {"name": "debt", "type": ["null", "double"]},
        {"name": "applied", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}


def codec_of(kind: Any, *, confluent_id: int | None = None, schema: Any = AVRO) -> Codec:
    avro = Avro(schema, confluent_id) if kind == "avro" else None
    settings = StreamSettings({}, "g", "in", "out", "dead", format=kind, avro=avro)
    return codec(settings, Schema.read(INPUTS), Schema.read(OUTPUTS))


def as_arrow(*records: dict[str, Any], **columns: Any) -> bytes:
    table = pa.Table.from_pylist(list(records))
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def as_avro(record: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    fastavro.schemaless_writer(sink, AVRO, record)
    return sink.getvalue()


TIME = 1_774_958_400_000_000
LOAN = {**GOOD, "applied": np.datetime64(TIME, "us").item()}
WRITE: dict[str, Callable[..., bytes]] = {
    "json": lambda **keys: json.dumps({**GOOD, **keys}).encode(),
    "avro": lambda **keys: as_avro({**GOOD, "applied": TIME, **keys}),
    "arrow": lambda **keys: as_arrow({**LOAN, **keys}),
}


class Loans(Model):
    """Answers a share of the income, and fails on one that is 666."""

    def __init__(self) -> None:
        outputs = Schema.read(OUTPUTS)
        super().__init__(
            Snapshot(Path(), "loans", "python", {}, Schema.read(INPUTS), outputs),
            self._answer,
        )

    def _answer(self, rows: Columns) -> dict[str, Any]:
        if (rows["income"] == 666).any():
            raise ModelFailed("666")
        return {"score": rows["income"] / 10_000, "decision": ["yes"] * rows.count}


def answered(outcome: Outcome) -> dict[int, bytes]:
    """The answers by position of their values."""
    return {position: answer for position, answer in enumerate(outcome.answers) if answer is not None}


@pytest.mark.parametrize("kind", ["json", "avro", "arrow"])
def test_good_and_bad_values_side_by_side(kind: str) -> None:
    write = WRITE[kind]
    values = [
        write(income=100.0),
        None,
        b"\xff",
        write(income=-1.0),
        write(income=666.0),
        write(income=math.nan) if kind != "json" else write(income="x"),
        write(income=200.0),
        b"x" * 1_000_001,
    ]
    outcome = score(values, codec_of(kind), Loans())
    assert answered(outcome).keys() == {0, 6}
    assert {position: poison.reason for position, poison in outcome.poisons.items()} == {
        1: "empty",
        2: "not_decodable",
        3: "bad_record",
        4: "model_failed",
        5: "bad_record",
        7: "too_large",
    }
    assert outcome.poisons[3].message == "field 'income' is -1.0; expected a finite number of at least 0"
    assert sum(rows for rows, _ in outcome.scored) == 2


def test_an_answer_in_json() -> None:
    outcome = score([WRITE["json"](income=100.0)], codec_of("json"), Loans())
    assert json.loads(answered(outcome)[0]) == {"score": 0.01, "decision": "yes"}


def test_an_answer_in_avro_is_a_record_of_the_outputs() -> None:
    outcome = score([WRITE["avro"](income=100.0)], codec_of("avro"), Loans())
    fields = [{"name": "score", "type": "double"}, {"name": "decision", "type": "string"}]
    schema = {"type": "record", "name": "Answer", "fields": fields}
    assert fastavro.schemaless_reader(io.BytesIO(answered(outcome)[0]), schema, None) == {
        "score": 0.01,
        "decision": "yes",
    }


def test_many_rows_in_one_arrow_value_are_answered_by_as_many() -> None:
    values = [
        as_arrow(*({**LOAN, "income": float(n)} for n in numbers)) for numbers in ([1, 2, 3], [666, 4], [5])
    ]
    outcome = score(values, codec_of("arrow"), Loans())
    tables = {
        position: pa.ipc.open_stream(answer).read_all()["score"].to_pylist()
        for position, answer in answered(outcome).items()
    }
    assert tables == {0: [0.0001, 0.0002, 0.0003], 2: [0.0005]}
    assert outcome.poisons[1].reason == "model_failed"


def test_an_arrow_value_has_no_other_columns() -> None:
    outcome = score([as_arrow(LOAN, more=[1])], codec_of("arrow"), Loans())
    assert outcome.poisons[0].message == "the record batch has 'more', which is not a field of this model"


def test_confluents_envelope_with_the_schema_of_the_file() -> None:
    reader = codec_of("avro", confluent_id=7)
    plain = WRITE["avro"](income=100.0)
    right, wrong = (struct.pack(">bI", 0, number) + plain for number in (7, 8))
    outcome = score([right, wrong, plain], reader, Loans())
    assert answered(outcome).keys() == {0}
    assert outcome.poisons[1].message == "the value is written by schema 8; avro.schema is schema 7"


def test_an_avro_schema_must_fit_the_model() -> None:
    for schema, problem in (
        ({**AVRO, "fields": AVRO["fields"][1:]}, "avro.schema lacks 'income'"),
        ({**AVRO, "fields": [*AVRO["fields"], {"name": "x", "type": "int"}]}, "avro.schema has 'x', which"),
        ({"type": "map", "values": "int"}, "avro.schema is not the Avro schema of a record"),
        ({"type": "nothing"}, "avro.schema is not the Avro schema of a record"),
    ):
        with pytest.raises(InputUnusable, match=problem):
            codec_of("avro", schema=schema)


def test_two_broken_values_do_not_make_a_right_one() -> None:
    good = WRITE["json"](income=1.0)
    first, _, second = WRITE["json"](purpose="car").partition(b'"car')
    outcome = score([good + b"," + good, first + b'"ca', b"r" + second], codec_of("json"), Loans())
    assert not answered(outcome)
    assert {poison.reason for poison in outcome.poisons.values()} == {"not_decodable"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
LOANS = st.fixed_dictionaries(
    {name: st.just(value) | JSON for name, value in GOOD.items()}, optional={"other": JSON}
)
JSON_VALUES = (
    st.none() | st.binary(max_size=50) | (JSON | LOANS).map(lambda value: json.dumps(value).encode())
)


def flipped(good: bytes) -> st.SearchStrategy[bytes]:
    """Values that were right until some bytes changed."""

    def change(changes: list[tuple[int, int]]) -> bytes:
        value = bytearray(good)
        for at, byte in changes:
            value[at] = byte
        return bytes(value)

    return st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), max_size=4).map(change)


def one_fate_each(kind: str, values: list[bytes | None]) -> None:
    outcome = score(values, codec_of(kind), Loans())
    assert sorted([*answered(outcome), *outcome.poisons]) == list(range(len(values)))
    for poison in outcome.poisons.values():
        assert poison.reason in get_args(Reason)
        assert poison.message


@given(st.lists(JSON_VALUES, max_size=5))
def test_any_json_has_one_fate(values: list[bytes | None]) -> None:
    one_fate_each("json", values)


@given(st.lists(st.none() | st.binary(max_size=80) | flipped(WRITE["avro"]()), max_size=5))
def test_any_avro_has_one_fate(values: list[bytes | None]) -> None:
    one_fate_each("avro", values)


@given(st.lists(st.none() | st.binary(max_size=80) | flipped(WRITE["arrow"]()), max_size=3))
def test_any_arrow_has_one_fate(values: list[bytes | None]) -> None:
    one_fate_each("arrow", values)


MANY = 60
DOUBTFUL = (
    *(
        b'{"n": %b}' % number
        for number in (b"-0", b"01", b"1e400", b"NaN", b"1.", b"9" * 30, b"5e-324", b"[1]")
    ),
    *(
        b'{"n": 1, "s": "%b"}' % text
        for text in (b"\xff", b"\\ud800", b"\\udc00", b"\n", b"\t", b"\\u0000", b"\0")
    ),
    *(b'{"n": 1, "i": %b}' % number for number in (b"1.0", b"1.5", b"1e2", b"9223372036854775808", b'"1"')),
    *(b'{"n": 1, "t": "%b"}' % time for time in (b"2026-03-31T12:00:00Z", b"2026-02-30T12:00:00Z", b"now")),
    *(b'{"n": 1, "b": %b}' % truth for truth in (b"true", b"null", b"1", b"True")),
    *(b'{"n": 1, "n": 2}', b'{"n": 1, "x": 2}', b'{"i": 1}', b'{"n": null}', b'{"\\u006e": 1}', b"{}", b"[]"),
    *(b'{"n": 1}{"n": 2}', b"", b" ", b'{"n": 1}\n', b'{"n":\n1}', b'{"n": 1} {"n":', b"2}", b'{"n": 1}\0{'),
    *(
        b'\xef\xbb\xbf{"n": 1}',
        b'{"n": 1,}',
        b'{"n": 1 /* */}',
        b'{"n": {"n": 1}}',
        b'{"n": 1, "s": "}',
        b'{"}',
    ),
)
FEW_FIELDS = Schema.read(
    [
        {"name": "n", "type": "number"},
        *({"name": kind[0], "type": kind, "nullable": True} for kind in ("string", "integer", "boolean")),
        {"name": "t", "type": "timestamp", "nullable": True},
    ]
)


@given(
    st.lists(st.sampled_from(DOUBTFUL) | flipped(b'{"n": 1.5, "s": "car", "b": true}'), max_size=5), st.data()
)
def test_many_together_are_read_as_one_by_one(doubtful: list[bytes], data: st.DataObject) -> None:
    values = [b'{"n": %d, "s": "home", "i": 7}' % n for n in range(MANY)]
    for value in doubtful:
        values.insert(data.draw(st.integers(0, len(values))), value)
    rows = JsonBatches(FEW_FIELDS).read(values)
    if rows is not None:
        one_by_one = read_records([orjson.loads(value) for value in values], FEW_FIELDS)
        for field, array in rows:
            np.testing.assert_array_equal(array, one_by_one[field.name])


def test_right_values_are_read_together() -> None:
    values = [
        b'{"n": 1, "t": "2026-03-31T12:00:00Z"}',
        b'{"i": 7, "b": true, "s": "\xc3\xa4", "n": 2.5}',
    ] * MANY
    rows = JsonBatches(FEW_FIELDS).read(values)
    assert rows is not None
    assert [array.tolist()[1] for _, array in rows] == [2.5, "ä", 7.0, True, None]
