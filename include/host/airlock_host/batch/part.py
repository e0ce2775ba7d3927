"""Scoring one part of the input into one file, in record batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from airlock_host.arrow_rows import arrow_fields, good_rows, read_batch, write_arrays
from airlock_host.batch.csv_rows import read_csv
from airlock_host.batch.inputs import Part
from airlock_host.columns import merged
from airlock_host.exceptions import InputUnusable, ModelFailed, Problem
from airlock_host.models import Model
from airlock_host.schema import Schema

METADATA_KEY = b"airlock"

# Linear models are quickest when a batch fits the processor's second-level cache (facts: 16k rows of 20
# fields); wide rows get fewer, so that memory stays bounded.
_BATCH_ROWS = 16_384
_BATCH_VALUES = 2**22

_ROW_GROUP_ROWS = 131_072
_ROW_GROUP_BYTES = 64 * 2**20
_READ_BUFFER_BYTES = 2**16

# How Parquet is written. Dictionaries while they are small: they halve files of few distinct values, and
# given up late they double the time of all others.
WRITING: Mapping[str, Any] = {"compression": "snappy", "dictionary_pagesize_limit": 2**16}


@dataclass(frozen=True)
class Layout:
    """What the output files look like.

    :param kept: the input columns that pass through.
    :param schema: all columns, with what is stamped into each file as metadata.
    """

    kept: tuple[str, ...]
    schema: pa.Schema


@dataclass(frozen=True)
class Scored:
    """What became of a part."""

    number: int
    rows_in: int
    rows_out: int
    rows_rejected: int
    sha256: str


def layout(
    columns: pa.Schema, kept: str | tuple[str, ...], model_schema: Schema, stamp: dict[str, Any]
) -> Layout:
    """Work out the output's columns: those kept of the input and then the model's answers.

    An answer takes the place of an input column of the same name: models hand identifiers through.

    :param columns: those of the input.
    :param kept: ``all``, ``outputs`` or names, as in :class:`~airlock_host.batch.job.BatchJob`.
    :param model_schema: the model's output schema.
    :raises InputUnusable: a name is not a column of the input.
    """
    names = tuple(columns.names) if kept == "all" else () if kept == "outputs" else tuple(kept)
    for name in names:
        if name not in columns.names:
            raise InputUnusable(
                f"'columns' names {name!r}, which the input does not have; it has {', '.join(columns.names)}",
                field=name,
            )
    names = tuple(name for name in names if name not in model_schema.names)
    fields = [columns.field(name) for name in names] + arrow_fields(model_schema)
    metadata = {METADATA_KEY: json.dumps(stamp, sort_keys=True).encode()}
    return Layout(names, pa.schema(fields, metadata=metadata))


def score_part(
    part: Part,
    model: Model,
    layout: Layout,
    *,
    batch_rows: int | None,
    folder: Path,
    progress: Callable[[int], None],
) -> Scored:
    """Score a part into its two files in ``folder``.

    :param progress: called with the number of rows read, after each batch.
    :raises InputUnusable: the input cannot be read to its end.
    :raises ModelFailed: the model failed; the message names the rows.
    """
    schema, output = model.snapshot.inputs, folder / part.name
    first_row, rows_out = part.first_row, 0
    with _Writer(output, layout.schema) as writer, (folder / part.rejects_name).open("wb") as rejected:
        for piece in _pieces(part, model, layout, batch_rows):
            kept = piece.rows
            columns, found = read_batch(kept, schema)
            found = merged(piece.problems, found)
            if found:
                _write_rejects(rejected, part.path, piece.original, found, first_row)
                good = good_rows(kept.num_rows, found)
                columns, kept = columns.take(good), kept.filter(pa.array(good))
            last_row = first_row + piece.rows.num_rows - 1
            try:
                answer = model.score(columns)
            except ModelFailed as error:
                raise ModelFailed(
                    f"{part.path}, rows {first_row} to {last_row}: {error}"
                ) from error.__cause__
            arrays = [kept.column(kept.schema.get_field_index(name)) for name in layout.kept]
            writer.write(pa.RecordBatch.from_arrays([*arrays, *write_arrays(answer)], schema=layout.schema))
            rows_out += answer.count
            first_row = last_row + 1
            progress(piece.rows.num_rows)
    rows_in = first_row - part.first_row
    return Scored(part.number, rows_in, rows_out, rows_in - rows_out, file_sha256(output))


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, as ``sha256:<hex>``."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class _Piece:
    """The rows the model gets in one call.

    :param original: the same rows, as rejects show them.
    :param problems: what could not even be read.
    """

    rows: pa.RecordBatch
    original: pa.RecordBatch
    problems: list[Problem]


def _pieces(part: Part, model: Model, layout: Layout, batch_rows: int | None) -> Iterator[_Piece]:
    """The part's rows, piece by piece, none of them empty."""
    schema = model.snapshot.inputs
    size = batch_rows or max(256, min(_BATCH_ROWS, _BATCH_VALUES // len(schema)))
    if part.row_groups is None:
        for block in read_csv(Path(part.path), schema):
            for start in range(0, block.rows.num_rows, size):
                yield _Piece(
                    block.rows.slice(start, size),
                    block.text.slice(start, size),
                    [
                        replace(problem, record=problem.record - start)
                        for problem in block.problems
                        if start <= problem.record < start + size
                    ],
                )
        return
    columns = list(dict.fromkeys([*schema.names, *layout.kept]))
    try:
        with pq.ParquetFile(part.path, buffer_size=_READ_BUFFER_BYTES) as file:
            for batch in file.iter_batches(size, list(part.row_groups), columns, use_threads=False):
                if batch.num_rows:
                    yield _Piece(batch, batch, [])
    except (OSError, pa.ArrowException) as error:
        raise InputUnusable(f"{part.path} cannot be read to its end: {error}", field="input") from None


def _write_rejects(
    file: BinaryIO, path: str, batch: pa.RecordBatch, found: list[Problem], first_row: int
) -> None:
    """One line for each bad row: where it was, what is wrong with it, and the row itself."""
    by_row: dict[int, list[Problem]] = {}
    for problem in found:
        by_row.setdefault(problem.record, []).append(problem)
    records = batch.take(pa.array(list(by_row))).to_pylist()
    for (row, its_problems), record in zip(by_row.items(), records, strict=True):
        line = {
            "file": Path(path).name,
            "row": first_row + row,
            "problems": [
                {"field": problem.field, "problem": problem.problem, "expected": problem.expected}
                for problem in its_problems
            ],
            "record": record,
        }
        file.write(orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE))


class _Writer:
    """Writes record batches to a Parquet file in row groups of a useful size."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(
            path,
            schema,
            **WRITING,
        )
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._flush()
        self._writer.close()

    def write(self, batch: pa.RecordBatch) -> None:
        """Write a batch, at once or together with the next ones."""
        self._waiting.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= _ROW_GROUP_ROWS or self._bytes >= _ROW_GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema), self._rows)
        self._waiting, self._rows, self._bytes = [], 0, 0
