"""The input of a batch: which files, and how they are cut into parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from airlock_host.arrow_rows import check_types
from airlock_host.batch.csv_rows import csv_columns
from airlock_host.exceptions import InputUnusable
from airlock_host.schema import Schema

PARQUET = (".parquet", ".pq")
CSV = (".csv", ".csv.gz")

# Parts depend on the input alone, never on the machine or the number of processes, so that a second run
# writes the same files.
ROWS_PER_PART = 1_000_000


@dataclass(frozen=True)
class Part:
    """A piece of the input that one process scores into one file.

    :param path: the input file.
    :param row_groups: which row groups of a Parquet file; ``None`` for a CSV file, which is one part.
    :param first_row: the number in the file of the part's first row, from 0.
    """

    number: int
    path: str
    row_groups: tuple[int, ...] | None
    first_row: int

    @property
    def name(self) -> str:
        """The name of its output file."""
        return f"part-{self.number:05}.parquet"

    @property
    def rejects_name(self) -> str:
        """The name of the file with its rejected records."""
        return f"part-{self.number:05}.rejects.jsonl"


@dataclass(frozen=True)
class Plan:
    """All parts of an input, and the columns that every file of it has.

    :param columns: names and types; those of a CSV file that the model does not take are strings.
    """

    parts: Sequence[Part]
    columns: pa.Schema
    rows: int | None


def find_files(inputs: Sequence[str]) -> list[Path]:
    """The files that paths, folders and patterns name, each once, sorted by path.

    :raises InputUnusable: one names nothing, or a file is neither Parquet nor CSV.
    """
    found: set[Path] = set()
    for name in inputs:
        path = Path(name)
        if path.is_dir():
            matches = [entry for entry in path.iterdir() if _is_data(entry)]
            if not matches:
                raise InputUnusable(f"folder {name} holds no Parquet or CSV file", field="input")
        elif has_magic(name) and not path.exists():
            matches = [Path(match) for match in glob(name, recursive=True) if _is_data(Path(match))]
            if not matches:
                raise InputUnusable(f"no Parquet or CSV file matches {name}", field="input")
        else:
            if not path.exists():
                raise InputUnusable(f"{name} does not exist", field="input")
            if not path.name.endswith(PARQUET + CSV):
                raise InputUnusable(
                    f"{name} is neither Parquet ({', '.join(PARQUET)}) nor CSV ({', '.join(CSV)})",
                    field="input",
                )
            matches = [path]
        found.update(match.absolute() for match in matches)
    return sorted(found)


def _is_data(path: Path) -> bool:
    return path.is_file() and is_data_name(path.name)


def is_data_name(name: str) -> bool:
    """Whether a file of this name, found in a folder or by a pattern, is one to score."""
    return name.endswith(PARQUET + CSV) and not name.startswith((".", "_"))


def plan(files: Sequence[Path], schema: Schema) -> Plan:
    """Cut files into parts.

    :raises InputUnusable: a file cannot be read, a column is missing or of a wrong type, or the files differ
        in their columns.
    """
    parts: list[Part] = []
    columns: pa.Schema | None = None
    total: int | None = 0
    for path in files:
        rows: int | None = None
        ranges: list[tuple[tuple[int, ...] | None, int]] = [(None, 0)]
        if path.name.endswith(CSV):
            found = csv_columns(path, schema)
        else:
            metadata, found = _open_parquet(path)
            rows, ranges = metadata.num_rows, list(_row_group_ranges(metadata))
        check_types(found, schema, str(path))
        if columns is None:
            columns = found
        elif not columns.equals(found):
            raise InputUnusable(
                f"{path} has other columns than {files[0]}: {_difference(columns, found)}; "
                "score them as two jobs"
            )
        for row_groups, first_row in ranges:
            parts.append(Part(len(parts), str(path), row_groups, first_row))
        total = None if rows is None or total is None else total + rows
    if columns is None:
        raise InputUnusable("there is no input file", field="input")
    return Plan(parts, columns, total)


def _open_parquet(path: Path) -> tuple[pq.FileMetaData, pa.Schema]:
    try:
        with pq.ParquetFile(path) as file:
            return file.metadata, file.schema_arrow.remove_metadata()
    except (OSError, pa.ArrowException) as error:
        raise InputUnusable(f"{path} cannot be read as Parquet: {error}", field="input") from None


def _row_group_ranges(metadata: pq.FileMetaData) -> Iterator[tuple[tuple[int, ...] | None, int]]:
    """Runs of neighbouring row groups of up to :data:`ROWS_PER_PART` rows; one that is larger is alone."""
    groups: list[int] = []
    first_row = rows = 0
    for group in range(metadata.num_row_groups):
        size = metadata.row_group(group).num_rows
        if groups and rows + size > ROWS_PER_PART:
            yield tuple(groups), first_row
            first_row += rows
            groups, rows = [], 0
        groups.append(group)
        rows += size
    yield tuple(groups), first_row


def _difference(one: pa.Schema, other: pa.Schema) -> str:
    first, second = ({field.name: field.type for field in columns} for columns in (one, other))
    changed = [
        f"{name} is {second.get(name, 'missing')} instead of {first.get(name, 'missing')}"
        for name in sorted(set(first) | set(second))
        if first.get(name) != second.get(name)
    ]
    return "; ".join(changed) or "their order differs"
