"""Values that are Avro records, by the schema in the stream file; a registry is never asked."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from airlock_host.columns import Columns
from airlock_host.exceptions import InputUnusable, KafkaUnusable
from airlock_host.json_rows import write_records
from airlock_host.schema import Field, FieldType, Schema
from airlock_host.stream.codecs import unfitting
from airlock_host.stream.settings import Avro

_MAGIC = struct.Struct(">bI")

_TYPES: dict[FieldType, str] = {
    "number": "double",
    "integer": "long",
    "boolean": "boolean",
    "string": "string",
    # As JSON has it, so that both formats answer alike.
    "timestamp": "string",
}


def avro_functions(
    avro: Avro, inputs: Schema, outputs: Schema
) -> tuple[Callable[[bytes], Any], Callable[[Columns], list[bytes]]]:
    """How to read a value, and how to write answers.

    :raises InputUnusable: the schema is not one of a record, or has other fields than the model.
    :raises KafkaUnusable: fastavro is not installed.
    """
    try:
        import fastavro
    except ImportError:
        raise KafkaUnusable(
            "records of format avro need fastavro, which is not installed: install airlock-host[kafka]"
        ) from None
    try:
        schema = fastavro.parse_schema(avro.schema)
        names = [field["name"] for field in schema["fields"]]  # type: ignore[index, call-overload]
    except Exception as error:
        raise InputUnusable(f"avro.schema is not the Avro schema of a record: {error}") from None
    unfitting(names, inputs, "avro.schema")
    answer_schema = fastavro.parse_schema(answer_type(outputs))
    begin = 0 if avro.confluent_id is None else _MAGIC.size

    def read(value: bytes) -> Any:
        if avro.confluent_id is not None:
            _check_id(value, avro.confluent_id)
        source = io.BytesIO(value)
        source.seek(begin)
        record = fastavro.schemaless_reader(source, schema, None)
        if source.tell() != len(value):
            raise ValueError(f"{len(value) - source.tell()} bytes are left over behind the Avro record")
        if not isinstance(record, dict):
            raise ValueError("the value is no Avro record")
        return {name: _plain(value) for name, value in record.items()}

    def write(answer: Columns) -> list[bytes]:
        values = []
        for record in write_records(answer):
            sink = io.BytesIO()
            fastavro.schemaless_writer(sink, answer_schema, record)
            values.append(sink.getvalue())
        return values

    return read, write


def answer_type(outputs: Schema) -> dict[str, Any]:
    """The Avro schema of answers: a record of the model's outputs in their order, null where they may be."""

    def kind(field: Field) -> Any:
        return ["null", _TYPES[field.type]] if field.nullable else _TYPES[field.type]

    return {
        "type": "record",
        "name": "Answer",
        "fields": [{"name": field.name, "type": kind(field)} for field in outputs],
    }


def _check_id(value: bytes, expected: int) -> None:
    if len(value) < _MAGIC.size or value[0] != 0:
        raise ValueError("the value does not begin with Confluent's magic byte and a schema id")
    found = _MAGIC.unpack_from(value)[1]
    if found != expected:
        raise ValueError(f"the value is written by schema {found}; avro.schema is schema {expected}")


def _plain(value: Any) -> Any:
    """A value as JSON has it; a number that is not finite stays one, and is refused by the input schema."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value
