"""A labelled data set: its files, its digest, its columns."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from airlock_host.arrow_rows import arrow_type
from airlock_host.batch.inputs import CSV, find_files
from airlock_host.exceptions import InputUnusable
from airlock_host.schema import Schema


@dataclass(frozen=True)
class Dataset:
    """Rows with the true answer in the column ``target``.

    :param digest: ``sha256:`` of the file, or, of several files, of the list of their digests and names.
    """

    name: str
    target: str
    digest: str
    table: pa.Table

    @classmethod
    def open(cls, job: Mapping[str, str], schema: Schema) -> Dataset:
        """Read the data set that a job names.

        :param job: its ``name``, ``path`` (a file, a folder, or a pattern) and ``target``.
        :param schema: of the model's input, which says how a CSV file's columns are read.
        :raises InputUnusable: there are no files, they cannot be read, have no rows, or no target.
        """
        name, path, target = job["name"], job["path"], job["target"]
        files = _files(name, path)
        try:
            table = pa.concat_tables([_read(file, schema) for file in files], promote_options="default")
        except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
            raise InputUnusable(f"data set {name!r} at {path} cannot be read: {error}") from None
        if target not in table.column_names:
            raise InputUnusable(
                f"data set {name!r} has no target column {target!r}; it has {', '.join(table.column_names)}. "
                "Name the right one under datasets in the service's file.",
                field=target,
            )
        if table.num_rows == 0:
            raise InputUnusable(f"data set {name!r} at {path} has no rows")
        return cls(name, target, _digest(files), table)

    @property
    def facts(self) -> dict[str, Any]:
        """What a report says of the data."""
        return {"name": self.name, "digest": self.digest, "rows": self.table.num_rows}

    def features(self, schema: Schema) -> pa.Table:
        """Only what the model takes, never the target; what may be null and is not there is null.

        :raises InputUnusable: a column that may not be null is missing, a column is of another type, or
            the target itself is an input of the model.
        """
        if self.target in schema.names:
            raise InputUnusable(
                f"{self.target!r} is the target of data set {self.name!r} and also an input of the model: "
                "it would be scored on the answer",
                field=self.target,
            )
        columns = {}
        for field in schema:
            if field.name in self.table.column_names:
                columns[field.name] = self._cast(field.name, arrow_type(field))
            elif field.nullable:
                columns[field.name] = pa.nulls(self.table.num_rows, arrow_type(field))
            else:
                raise InputUnusable(
                    f"data set {self.name!r} lacks the column {field.name!r}, which the model needs",
                    field=field.name,
                )
        return pa.table(columns)

    def numbers(self) -> NDArray[np.float64]:
        """The target as numbers, NaN where it is missing.

        :raises InputUnusable: it holds something else.
        """
        column = self.table.column(self.target)
        try:
            return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise InputUnusable(
                f"the target {self.target!r} of data set {self.name!r} is {column.type} and not "
                "numbers; write 0 and 1 for two classes",
                field=self.target,
            ) from None

    def duplicates(self) -> int:
        """How many rows repeat an earlier one in every column."""
        plain = [
            name
            for name in self.table.column_names
            if not pa.types.is_nested(self.table.schema.field(name).type)
        ]
        distinct = self.table.select(plain).group_by(plain).aggregate([]).num_rows
        return int(self.table.num_rows - distinct)

    def _cast(self, name: str, wanted: pa.DataType) -> pa.ChunkedArray:
        column = self.table.column(name)
        try:
            return column.cast(wanted)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputUnusable(
                f"column {name!r} of data set {self.name!r} is {column.type} and no {wanted}: {error}",
                field=name,
            ) from None


def _files(name: str, path: str) -> list[Path]:
    try:
        return find_files([path])
    except InputUnusable as error:
        raise InputUnusable(
            f"data set {name!r}: {error}. Correct its path under datasets in the service's file."
        ) from None


def _read(file: Path, schema: Schema) -> pa.Table:
    if file.name.endswith(CSV):
        types = {field.name: arrow_type(field) for field in schema}
        return pyarrow.csv.read_csv(file, convert_options=pyarrow.csv.ConvertOptions(column_types=types))
    return pq.read_table(file)


def _digest(files: Sequence[Path]) -> str:
    if len(files) == 1:
        return f"sha256:{_sha256(files[0])}"
    lines = "".join(f"{_sha256(file)}  {file.name}\n" for file in files)
    return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
