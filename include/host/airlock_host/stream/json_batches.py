"""The JSON records of a micro-batch, decoded straight into the types of their fields.

It reads what :func:`~airlock_host.json_rows.read_records` would read, to the same values, or nothing: where
anything is off in any record, or only unusual, who asked reads them one by one, which finds the reasons.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np

from airlock_host.columns import Columns, problems
from airlock_host.json_rows import write_records
from airlock_host.schema import Field, FieldType, Schema
from airlock_host.times import read_time

_TYPES: dict[FieldType, Any] = {
    "number": float,
    "integer": Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],
    "boolean": bool,
    "string": str,
    "timestamp": str,
}

_encode = msgspec.json.Encoder().encode


def write_json(answer: Columns) -> list[bytes]:
    """A value a row."""
    return list(map(_encode, write_records(answer)))


class JsonBatches:
    """Reads records of one schema."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        # Numbers first, so that they are one piece of each row.
        fields = sorted(schema, key=lambda field: field.type != "number")
        self._places = {field.name: place for place, field in enumerate(fields)}
        record = msgspec.defstruct(
            "Record",
            [
                (f"field_{place}", _TYPES[field.type] | None, None)
                if field.nullable
                else (f"field_{place}", _TYPES[field.type])
                for place, field in enumerate(fields)
            ],
            rename={f"field_{place}": field.name for place, field in enumerate(fields)},
            forbid_unknown_fields=True,
            kw_only=True,
            gc=False,
        )
        self._decode = msgspec.json.Decoder(record).decode
        self._numbers = len(schema.numbers)
        self._pack = struct.Struct(f"{self._numbers}d").pack

    def read(self, values: Sequence[bytes]) -> Columns | None:
        """The rows of values, each one record; nothing where one is not what it should be."""
        try:
            records = list(map(msgspec.structs.astuple, map(self._decode, values)))
            numbers = self._block(records) if self._numbers else None
            rows = Columns(self._schema, len(values), lambda field: self._column(records, field), numbers)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        return None if problems(rows, 1) else rows

    def _block(self, records: list[tuple[Any, ...]]) -> Any:
        """All number columns, as :class:`Columns` keeps them."""
        if self._numbers < len(self._places):
            records = [record[: self._numbers] for record in records]
        try:
            block = np.frombuffer(b"".join([self._pack(*record) for record in records]))
        except struct.error:  # a null
            block = np.array(records, dtype=np.float64)
        return block.reshape(len(records), self._numbers).T

    def _column(self, records: list[tuple[Any, ...]], field: Field) -> list[Any]:
        place = self._places[field.name]
        column = [record[place] for record in records]
        if field.type == "timestamp":
            return ["NaT" if value is None else read_time(value) for value in column]
        return column
