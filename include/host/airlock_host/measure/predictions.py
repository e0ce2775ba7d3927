"""A model's answers to many records, and whether each can be told to belong to its record."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from airlock_host.arrow_rows import arrow_type
from airlock_host.measure.answers import MOST_SHOWN
from airlock_host.measure.endpoint import RECORDS_A_REQUEST, Endpoint, EndpointError, content, in_words
from airlock_host.measure.records import ROW
from airlock_host.measure.vectors import Vector
from airlock_host.schema import Field, Schema
from airlock_host.times import read_time


@dataclass(frozen=True)
class Reject:
    """A record that the model's input schema refused.

    :param record: its position in the input, from 0.
    """

    record: int
    field: str | None
    problem: str

    def __str__(self) -> str:
        where = "" if self.field is None else f"{self.field!r} "
        return f"record {self.record + 1} was refused: {where}{self.problem}"


@dataclass(frozen=True)
class Scored:
    """What a model answered.

    :param table: its answers, one a row.
    :param positions: for each row of ``table`` the position of the record that it answers.
    :param failure: why there are no answers at all, where the model failed.
    """

    table: pa.Table
    positions: NDArray[np.int64]
    rejects: Sequence[Reject]
    failure: str | None = None

    @classmethod
    def read(cls, result: Mapping[str, Any], rejects: str) -> Scored:
        """Read the files of a score job that was told to keep the column :data:`ROW`.

        :param result: the job's result.
        :param rejects: path of its rejects file, which is absent when there are none.
        """
        table = pa.concat_tables([pq.read_table(file["path"]) for file in result["files"]])
        path = Path(rejects)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        positions = table.column(ROW).to_numpy()
        return cls(table.drop_columns(ROW), positions, [_reject(json.loads(line)) for line in lines])

    @classmethod
    def ask(cls, url: str, features: pa.Table, outputs: Schema, wanted: Sequence[str]) -> Scored:
        """Have the rows of a table scored by an endpoint, some hundred in one request.

        :param wanted: the outputs that are kept.
        """
        answers: dict[int, Any] = {}
        rejects: list[Reject] = []
        with Endpoint(url) as endpoint:
            for begin in range(0, features.num_rows, RECORDS_A_REQUEST):
                records = dict(
                    enumerate(_json_records(features.slice(begin, RECORDS_A_REQUEST)), start=begin)
                )
                try:
                    answers |= _ask(endpoint, records, rejects)
                except _NoAnswerError as failure:
                    return cls(pa.table({}), np.empty(0, np.int64), rejects, str(failure))
        fields = [field for field in outputs if field.name in wanted]
        columns = {
            field.name: _column([_get(answer, field.name) for answer in answers.values()], field)
            for field in fields
        }
        return cls(pa.table(columns), np.fromiter(answers, np.int64), rejects)

    def describe_rejects(self, *, before: int | None = None) -> list[str]:
        """The first refused records in words.

        :param before: leave out those at this position and after it.
        """
        rejects = [reject for reject in self.rejects if before is None or reject.record < before]
        return [str(reject) for reject in rejects[:MOST_SHOWN]]


def _reject(line: Mapping[str, Any]) -> Reject:
    problem = line["problems"][0]
    return Reject(int(line["row"]), problem["field"], problem["problem"])


@dataclass(frozen=True)
class Predictions:
    """One number for each record of a data set, NaN where there is none.

    :param rejected: how many records the model refused.
    :param problems: what makes the predictions unusable, a sentence each.
    """

    values: Vector
    rejected: int
    problems: list[str]

    @classmethod
    def match(cls, scored: Scored, features: pa.Table, outputs: Schema, column: str) -> Predictions:
        """Match answers with the records they belong to.

        The host keeps the position of each record. Whether the model itself kept the order is proven by
        a field that it takes and gives back under the same name, such as a customer's number.
        """
        rows = features.num_rows
        missing = np.full(rows, np.nan)
        rejected = len({reject.record for reject in scored.rejects})
        if scored.failure is not None:
            return cls(missing, rejected, [scored.failure])
        if column not in scored.table.column_names:
            return cls(missing, rejected, [f"the answers have no column {column!r}"])
        positions = scored.positions
        if len(np.unique(positions)) != len(positions) or len(positions) + rejected != rows:
            return cls(
                missing,
                rejected,
                [
                    f"{len(positions):,} answers and {rejected:,} refusals are not one for "
                    f"each of {rows:,} records: answers cannot be matched with records"
                ],
            )
        for name in echoed(features, outputs, scored.table):
            asked = features.column(name).take(pa.array(positions))
            if (row := _first_difference(asked, scored.table.column(name))) is not None:
                return cls(
                    missing,
                    rejected,
                    [
                        f"answers are not in the order of the records: {name!r} of record "
                        f"{int(positions[row]) + 1} is not given back as it was sent"
                    ],
                )
        values = missing
        values[positions] = _numbers(scored.table.column(column))
        problems = []
        unusable = rows - rejected - int(np.isfinite(values).sum())
        if rejected:
            problems.append(f"{rejected:,} of {rows:,} records were refused; {scored.describe_rejects()[0]}")
        if unusable:
            problems.append(f"{unusable:,} of {rows:,} predictions in {column!r} are missing or not finite")
        return cls(values, rejected, problems)


def echoed(features: pa.Table, outputs: Schema, answers: pa.Table | None = None) -> list[str]:
    """Fields that the model takes and gives back under the same name and with the same type."""
    return [
        field.name
        for field in outputs
        if field.name in features.column_names
        and features.schema.field(field.name).type == arrow_type(field)
        and (answers is None or field.name in answers.column_names)
    ]


def _first_difference(asked: pa.ChunkedArray, answered: pa.ChunkedArray) -> int | None:
    if answered.type != asked.type:
        answered = answered.cast(asked.type)
    same = pc.fill_null(pc.equal(asked, answered), False)
    both_null = pc.and_(pc.is_null(asked), pc.is_null(answered))
    position = pc.index(pc.or_(same, both_null), False).as_py()
    return None if position < 0 else int(position)


def _numbers(column: pa.ChunkedArray) -> Vector:
    try:
        column = column.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return np.full(len(column), np.nan)
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


class _NoAnswerError(Exception):
    """The endpoint could not score; the message says what it answered."""


def _ask(endpoint: Endpoint, records: dict[int, dict[str, Any]], rejects: list[Reject]) -> dict[int, Any]:
    """Answers by position, for records that are not refused; the refused ones are added to ``rejects``."""
    while records:
        positions = list(records)
        try:
            response = endpoint.score(list(records.values()))
        except EndpointError as error:
            raise _NoAnswerError(str(error)) from None
        answer = content(response)
        if response.status_code == 200 and isinstance(answer, list) and len(answer) == len(records):
            return dict(zip(positions, answer, strict=True))
        refused = _refused(answer, positions) if response.status_code == 422 else []
        if not refused:
            raise _NoAnswerError(in_words(response))
        rejects += refused
        for reject in refused:
            records.pop(reject.record, None)
    return {}


def _refused(answer: Any, positions: Sequence[int]) -> list[Reject]:
    problems = answer.get("problems", []) if isinstance(answer, dict) else []
    return [
        Reject(positions[problem["record"]], problem.get("field"), problem["problem"])
        for problem in problems
        if problem["record"] < len(positions)
    ]


def _json_records(table: pa.Table) -> list[dict[str, Any]]:
    """Rows as JSON values: NaN as null, times as RFC 3339."""
    columns = []
    for column in table.columns:
        if pa.types.is_timestamp(column.type):
            # Not with strftime: it wants the system's data of time zones, which slim images lack.
            text = column.cast(pa.timestamp(column.type.unit)).cast(pa.string())
            column = pc.binary_join_element_wise(pc.replace_substring(text, " ", "T"), "Z", "")
        elif pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), None, column)
        columns.append(column.to_pylist())
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def _get(answer: Any, name: str) -> Any:
    return answer.get(name) if isinstance(answer, Mapping) else None


def _column(values: list[Any], field: Field) -> pa.Array:
    """Answered values as a column; null where a value is not of the field's type."""
    if field.type == "timestamp":
        values = [None if value is None else read_time(value) for value in values]
    try:
        return pa.array(values, arrow_type(field))
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError):
        return pa.nulls(len(values), arrow_type(field))
