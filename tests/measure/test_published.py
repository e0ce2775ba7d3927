"""What the host publishes of a snapshot is what the contract check expects of it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from airlock_host.measure.published import differences
from airlock_host.schema import Schema
from airlock_host.serving.openapi import describe
from airlock_host.snapshot import Deployment, Snapshot

FIELDS = [
    {"name": f"{type_}-{number}", "type": type_, "nullable": nullable, **limits}
    for number, (nullable, (type_, limits)) in enumerate(
        itertools.product(
            (False, True),
            (
                *(
                    (type_, limits)
                    for type_ in ("integer", "number")
                    for limits in ({}, {"min": 0}, {"max": 9}, {"min": -1, "max": 9})
                ),
                *((type_, {}) for type_ in ("boolean", "string", "timestamp")),
                ("string", {"values": ["a", "b"]}),
                ("integer", {"values": [1, 2]}),
            ),
        )
    )
]


def document(fields: list[dict[str, object]]) -> object:
    schema = Schema.read(fields)
    snapshot = Snapshot(Path("/"), "every-kind", "python", {}, schema, schema)
    return json.loads(json.dumps(describe(snapshot, Deployment())))


def test_every_kind_of_field_is_published_as_it_is_checked() -> None:
    schema = Schema.read(FIELDS)
    assert differences(document(FIELDS), inputs=schema, outputs=schema) == []


@pytest.mark.parametrize("end", ["min", "max"])
def test_a_limit_that_is_not_published_is_told(end: str) -> None:
    promised = Schema.read([{"name": "age", "type": "integer", end: 9}])
    found = differences(document([{"name": "age", "type": "integer"}]), inputs=promised, outputs=promised)
    assert [text.split(" is published")[0] for text in found] == ["input 'age'", "output 'age'"]
