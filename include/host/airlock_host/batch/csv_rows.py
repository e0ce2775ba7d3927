"""CSV files as record batches.

Cells are read as text and turned into the model's types here, so that one that cannot be is a rejected
record and not the end of the job.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from airlock_host.arrow_rows import arrow_type
from airlock_host.exceptions import InputUnusable, Problem
from airlock_host.schema import Field, Schema

_BLOCK_BYTES = 4 * 2**20

# What a cell must look like to mean a value of the type. Anything else is refused, not guessed.
_PATTERNS = {
    "number": r"^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?$",
    "integer": r"^[+-]?[0-9]{1,18}$",
    "boolean": r"^([Tt]rue|TRUE|[Ff]alse|FALSE|0|1)$",
    "timestamp": r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,6})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?$",
}


def csv_columns(path: Path, schema: Schema) -> pa.Schema:
    """The columns of a CSV file: the model's fields with their types, all others as strings.

    :raises InputUnusable: the file cannot be read, or has no first line with names.
    """
    with _open(path, {}) as reader:
        names = reader.schema.names
    types = {field.name: arrow_type(field) for field in schema}
    return pa.schema([pa.field(name, types.get(name, pa.string())) for name in names])


def read_csv(path: Path, schema: Schema) -> Iterator[tuple[pa.RecordBatch, list[Problem]]]:
    """The file's record batches, and of each the cells that are not of their field's type.

    Such a cell is null in the batch.

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
            yield pa.RecordBatch.from_arrays(arrays, names=text.schema.names), found


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
    kind = arrow_type(field)
    if field.type == "string":
        return text
    text = pc.utf8_trim_whitespace(text)
    fits = pc.match_substring_regex(text, _PATTERNS[field.type])
    if not pc.all(fits, min_count=0).as_py():
        wrong = pc.invert(fits).fill_null(False)
        for row in pc.indices_nonzero(wrong).to_pylist():
            shown = text[row].as_py()
            found.append(Problem(row, field.name, f"is the text {shown[:60]!r}", field.expected))
        text = pc.if_else(fits, text, None)
    if field.type == "timestamp":
        return _times(text)
    if field.type in ("number", "integer"):
        text = pc.ascii_ltrim(text, characters="+")
    return text.cast(kind)


def _times(text: pa.Array) -> pa.Array:
    from airlock_host.json_rows import read_time

    return pa.array(
        [None if value is None else read_time(value).item() for value in text.to_pylist()],
        type=pa.timestamp("us", tz="UTC"),
    )
