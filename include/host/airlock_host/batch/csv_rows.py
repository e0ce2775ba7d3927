"""CSV files as record batches.

Cells are read as text and turned into the model's types here, so that one that cannot be is a rejected
record and not the end of the job.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from airlock_host.arrow_rows import arrow_type
from airlock_host.csv_cells import PATTERNS
from airlock_host.exceptions import InputUnusable, Problem
from airlock_host.schema import Field, Schema
from airlock_host.times import read_time

_BLOCK_BYTES = 4 * 2**20


def csv_columns(path: Path, schema: Schema) -> pa.Schema:
    """The columns of a CSV file: the model's fields with their types, all others as strings.

    :raises InputUnusable: the file cannot be read, or has no first line with names.
    """
    with _open(path, {}) as reader:
        names = reader.schema.names
    types = {field.name: arrow_type(field) for field in schema}
    return pa.schema([pa.field(name, types.get(name, pa.string())) for name in names])


@dataclass(frozen=True)
class Block:
    """Some rows of a CSV file.

    :param rows: with the types of :func:`csv_columns`; a cell that is not of its type is null.
    :param text: the same rows as they were written.
    :param problems: one for each such cell, by its row in this block.
    """

    rows: pa.RecordBatch
    text: pa.RecordBatch
    problems: list[Problem]


def read_csv(path: Path, schema: Schema) -> Iterator[Block]:
    """The file, block by block.

    :raises InputUnusable: a line has too many or too few cells, or the file is not UTF-8.
    """
    fields = {field.name: field for field in schema}
    with _open(path, dict.fromkeys(csv_columns(path, schema).names, pa.string())) as reader:
        while True:
            try:
                text = reader.read_next_batch()
            except StopIteration:
                return
            except pa.ArrowException as error:
                raise InputUnusable(f"{path} cannot be read as CSV: {error}", field="input") from None
            found: list[Problem] = []
            arrays = [
                _typed(array, fields[name], found) if name in fields else array
                for name, array in zip(text.schema.names, text.columns, strict=True)
            ]
            yield Block(pa.RecordBatch.from_arrays(arrays, names=text.schema.names), text, found)


def _open(path: Path, types: dict[str, pa.DataType]) -> Any:
    try:
        return pyarrow.csv.open_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except (OSError, pa.ArrowException) as error:
        raise InputUnusable(f"{path} cannot be read as CSV: {error}", field="input") from None


def _typed(text: pa.Array, field: Field, found: list[Problem]) -> pa.Array:
    """Text as a field's type; what does not look like it becomes null and a problem."""
    if field.type == "string":
        return text
    text = pc.utf8_trim_whitespace(text)
    if field.type == "timestamp":
        return _times(text, field, found)
    fits = pc.match_substring_regex(text, PATTERNS[field.type])
    if not pc.all(fits, min_count=0).as_py():
        wrong = pc.indices_nonzero(pc.fill_null(pc.invert(fits), False))
        found += [_not_of_type(row, text[row].as_py(), field) for row in wrong.to_pylist()]
        text = pc.if_else(fits, text, None)
    if field.type != "boolean":
        text = pc.ascii_ltrim(text, characters="+")
    return text.cast(arrow_type(field))


def _times(text: pa.Array, field: Field, found: list[Problem]) -> pa.Array:
    times: list[Any] = []
    for row, cell in enumerate(text.to_pylist()):
        try:
            times.append(None if cell is None else read_time(cell).item())
        except ValueError:
            times.append(None)
            found.append(_not_of_type(row, cell, field))
    return pa.array(times, type=pa.timestamp("us")).cast(arrow_type(field))


def _not_of_type(row: int, cell: str, field: Field) -> Problem:
    return Problem(row, field.name, f"is the text {cell[:60]!r}", field.expected)
