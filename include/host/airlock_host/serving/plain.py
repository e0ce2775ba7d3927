"""``POST /score``: a record, or a list of records, answered by a record, or a list of records."""

from __future__ import annotations

from functools import partial

import orjson

from airlock_host.json_rows import read_records, write_records
from airlock_host.schema import Schema
from airlock_host.serving.messages import Answer, Protocol, Refused, Request, Score


def plain(schema: Schema) -> Protocol:
    """The protocol for models that take ``schema``."""
    return partial(_answer, schema)


def _answer(schema: Schema, request: Request, score: Score) -> Answer:
    content = request.json()
    if isinstance(content, dict):
        scored = score(read_records([content], schema))
        return Answer(orjson.dumps(write_records(scored)[0]), scored=scored)
    if isinstance(content, list):
        scored = score(read_records(content, schema))
        return Answer(orjson.dumps(write_records(scored)), scored=scored)
    raise Refused(400, "bad_request", "the body must be a record (an object) or a list of records")
