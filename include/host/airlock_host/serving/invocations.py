"""``POST /invocations``: the bodies that MLflow's server and SageMaker containers take.

* ``application/json``: ``dataframe_split``, ``dataframe_records``, ``instances`` or ``inputs``, answered by
  ``{"predictions": [...]}``: a value a row where the model has one output, a record otherwise;
* ``text/csv``: with the fields' names in the first line, or without and then in the schema's order;
* ``application/jsonlines``: a record a line, answered in the same way.

``Accept: text/csv`` and ``Accept: application/jsonlines`` choose the form of the answer.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import Any

import orjson

from airlock_host.columns import Columns
from airlock_host.csv_cells import read_cell
from airlock_host.exceptions import ENOUGH_PROBLEMS, BadRecords, Problem
from airlock_host.json_rows import check_names, read_columns, read_records, write_column, write_records
from airlock_host.schema import Schema
from airlock_host.serving.messages import JSON, Answer, Protocol, Refused, Request, Score, read_json

CSV = "text/csv"
JSON_LINES = "application/jsonlines"

_SHAPES = ("dataframe_split", "dataframe_records", "instances", "inputs")


def invocations(schema: Schema) -> Protocol:
    """The protocol for models that take ``schema``."""
    return partial(_answer, schema)


def _answer(schema: Schema, request: Request, score: Score) -> Answer:
    match request.media_type:
        case "application/json":
            rows = _read_json(read_json(request.body), schema)
        case "text/csv":
            rows = _read_csv(request.body, schema)
        case "application/jsonlines" | "application/x-ndjson":
            lines = request.body.splitlines()
            rows = read_records([read_json(line) for line in lines if line.strip()], schema)
        case other:
            raise Refused.content_type(other, [JSON, CSV, JSON_LINES])
    scored = score(rows)
    accepted = request.headers.get("accept", "")
    if CSV in accepted:
        return Answer(_write_csv(scored), CSV, scored=scored)
    if JSON_LINES in accepted:
        body = b"".join(orjson.dumps(value) + b"\n" for value in _predictions(scored))
        return Answer(body, JSON_LINES, scored=scored)
    return Answer(orjson.dumps({"predictions": _predictions(scored)}), scored=scored)


def _predictions(scored: Columns) -> list[Any]:
    if len(scored.schema) == 1:
        field = scored.schema.fields[0]
        return write_column(field, scored[field.name])
    return write_records(scored)


def _read_json(content: Any, schema: Schema) -> Columns:
    if not isinstance(content, dict):
        raise Refused(400, "bad_request", f"the body must be an object with one of {', '.join(_SHAPES)}")
    if content.get("params") not in (None, {}):
        raise Refused(400, "bad_request", "params are not taken: the snapshot alone decides how it scores")
    shapes = [shape for shape in _SHAPES if shape in content]
    if len(shapes) != 1:
        found = ", ".join(shapes) or "none"
        raise Refused(400, "bad_request", f"the body must have one of {', '.join(_SHAPES)}; found {found}")
    unknown = [key for key in content if key not in (shapes[0], "params")]
    if unknown:
        raise Refused(
            400, "bad_request", f"the body has {unknown[0]!r} beside {shapes[0]}, which is not read"
        )
    value = content[shapes[0]]
    if shapes[0] == "dataframe_split":
        if not isinstance(value, dict) or not isinstance(value.get("data"), list):
            raise Refused(400, "bad_request", "dataframe_split must be an object with 'columns' and 'data'")
        return _read_lists(value["data"], value.get("columns", list(schema.names)), schema)
    if shapes[0] == "inputs" and isinstance(value, dict):
        return _read_lists_by_name(value, schema)
    if not isinstance(value, list):
        raise Refused(400, "bad_request", f"{shapes[0]} must be a list")
    if shapes[0] != "dataframe_records" and value and isinstance(value[0], list):
        return _read_lists(value, list(schema.names), schema)
    return read_records(value, schema)


def _read_lists(data: list[Any], names: Any, schema: Schema) -> Columns:
    """Rows as lists of values, one for each of ``names``."""
    if not isinstance(names, list) or len(set(map(str, names))) != len(names):
        raise Refused(400, "bad_request", "'columns' must be a list of names, each once")
    misshapen = (
        Problem(number, None, _shape_of(row), f"a list of {len(names)} values")
        for number, row in enumerate(data)
        if not isinstance(row, list) or len(row) != len(names)
    )
    wrong = list(islice(misshapen, ENOUGH_PROBLEMS))
    if wrong:
        raise BadRecords(wrong)
    if names == list(schema.names):
        columns = [list(values) for values in zip(*data, strict=True)] or [[] for _ in names]
        return read_columns(dict(zip(names, columns, strict=True)), len(data), schema)
    check_names([str(name) for name in names], schema)
    return read_records([dict(zip(map(str, names), row, strict=True)) for row in data], schema)


def _shape_of(row: Any) -> str:
    return f"has {len(row)} values" if isinstance(row, list) else "is not a list"


def _read_lists_by_name(columns: dict[str, Any], schema: Schema) -> Columns:
    """A list of values for each field."""
    if not all(isinstance(values, list) for values in columns.values()):
        raise Refused(400, "bad_request", "inputs must have a list of values for each field")
    counts = {name: len(values) for name, values in columns.items()}
    if len(set(counts.values())) > 1:
        raise Refused(400, "bad_request", f"the lists in inputs must be of one length; found {counts}")
    count = next(iter(counts.values()), 0)
    if set(columns) == set(schema.names):
        return read_columns(columns, count, schema)
    names = list(columns)
    check_names(names, schema)
    return read_records(
        [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)], schema
    )


def _read_csv(body: bytes, schema: Schema) -> Columns:
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Refused(400, "bad_csv", f"the body is not CSV in UTF-8: {error}") from None
    lines = [line for line in lines if line]
    if lines and not set(lines[0]).isdisjoint(schema.names):
        names, lines = lines[0], lines[1:]
        if len(set(names)) < len(names):
            raise Refused(400, "bad_csv", "the first line must have each name once")
        check_names(names, schema)
    else:
        names = list(schema.names)
    kinds = {field.name: field.type for field in schema}
    records = []
    for number, line in enumerate(lines):
        if len(line) != len(names):
            raise BadRecords([Problem(number, None, f"has {len(line)} cells", f"{len(names)} cells")])
        records.append(
            {name: read_cell(cell, kinds.get(name, "string")) for name, cell in zip(names, line, strict=True)}
        )
    return read_records(records, schema)


def _write_csv(scored: Columns) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(_cells(record.values()) for record in write_records(scored))
    return text.getvalue().encode()


def _cells(values: Any) -> Sequence[Any]:
    return [
        "" if value is None else str(value).lower() if isinstance(value, bool) else value for value in values
    ]
