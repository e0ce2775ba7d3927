"""Golden records: inputs with the outputs that the snapshot's author saw, one JSON object a line."""

from __future__ import annotations

import json
from typing import Any

from airlock.exceptions import CheckError

MOST_RECORDS = 1000
"""They travel inside job files: enough to notice a changed environment, few enough to be read."""


def read_golden(content: str) -> list[dict[str, Any]]:
    """Read a snapshot's golden records.

    :param content: the text of the file that the manifest names as ``golden``; empty where it names none.
    :returns: ``{"input": {...}, "output": {...}}`` for each record.
    :raises CheckError: a line is not such an object, or there are more than 1,000 records.
    """
    records = []
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        records.append(_record(number, line))
    if len(records) > MOST_RECORDS:
        raise CheckError(
            f"the golden file holds {len(records):,} records, more than {MOST_RECORDS:,}.",
            mend="Keep a small, telling selection; use a performance check for a whole data set.",
        )
    return records


def _record(number: int, line: str) -> dict[str, Any]:
    mend = 'Write one object a line: {"input": {...}, "output": {...}}.'
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise CheckError(f"golden record on line {number} is not JSON: {error.msg}.", mend=mend) from None
    if not isinstance(record, dict) or any(
        not isinstance(record.get(part), dict) for part in ("input", "output")
    ):
        raise CheckError(f"golden record on line {number} has no input or no output.", mend=mend)
    return {"input": record["input"], "output": record["output"]}
