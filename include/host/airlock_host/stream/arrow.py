"""Values that are Arrow IPC streams: many rows in one record, answered by as many."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from airlock_host.arrow_rows import arrow_fields, check_types, read_batch, write_arrays
from airlock_host.columns import Columns
from airlock_host.exceptions import BadRecords
from airlock_host.schema import Schema
from airlock_host.stream.codecs import Values, joined, sort_out, unfitting


class ArrowCodec:
    """A value is good or bad as a whole: its answer has a row for each of its rows."""

    def __init__(self, inputs: Schema, limit: int) -> None:
        """:param limit: the most bytes of a value."""
        self._inputs = inputs
        self._limit = limit

    def read(self, values: Sequence[bytes | None]) -> Values:
        """Read the rows of each value, one value after the other."""
        good, parts, poisons = sort_out(values, self._read, self._limit)
        ends, end = [], 0
        for part in parts:
            end += part.count
            ends.append(end)
        return Values(good, ends, joined(parts, self._inputs), poisons)

    def _read(self, value: bytes) -> Columns:
        with pa.ipc.open_stream(value) as reader:
            unfitting(reader.schema.names, self._inputs, "the record batch")
            absent = [field for field in self._inputs if field.name not in reader.schema.names]
            table = reader.read_all()
        # Offsets that point out of their buffers would otherwise be followed.
        table.validate(full=True)
        for column in arrow_fields(Schema(absent)):
            table = table.append_column(column, pa.nulls(table.num_rows, column.type))
        check_types(table.schema, self._inputs, "the record batch")
        batches = table.combine_chunks().to_batches()
        if not batches:
            return Columns(self._inputs, 0, lambda field: [])
        rows, problems = read_batch(batches[0], self._inputs)
        if problems:
            raise BadRecords(problems)
        return rows

    def write(self, answer: Columns, ends: list[int] | None) -> list[bytes]:
        """A stream of one record batch for each value."""
        assert ends is not None
        schema = pa.schema(arrow_fields(answer.schema))
        batch = pa.RecordBatch.from_arrays(write_arrays(answer), schema=schema)
        values, begin = [], 0
        for end in ends:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, schema) as writer:
                writer.write_batch(batch.slice(begin, end - begin))
            values.append(sink.getvalue().to_pybytes())
            begin = end
        return values
