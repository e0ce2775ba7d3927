"""One record through a model before anyone relies on it."""

from __future__ import annotations

import logging

import orjson

from airlock_host.exceptions import HostError, ModelFailed, SnapshotUnusable
from airlock_host.json_rows import read_records
from airlock_host.models import Model
from airlock_host.schema import Field
from airlock_host.snapshot import Snapshot

log = logging.getLogger(__name__)


def warm_up(model: Model) -> None:
    """Score the first golden record, or, where the model has none, one made up from its input schema.

    :raises SnapshotUnusable: the golden record cannot be scored. A made-up record that cannot be scored is
        only a warning: it may be one that never comes.
    """
    snapshot = model.snapshot
    golden = _golden_record(snapshot)
    record = golden or {field.name: example_value(field) for field in snapshot.inputs}
    try:
        model.score(read_records([record], snapshot.inputs))
    except HostError as error:
        if golden:
            raise SnapshotUnusable(f"the first golden record cannot be scored: {error}") from error
        if not isinstance(error, ModelFailed):
            raise
        log.warning("a record made up from the input schema cannot be scored: %s", error)


def example_value(field: Field) -> object:
    """A value that fits a field."""
    if field.values:
        return field.values[0]
    match field.type:
        case "number" | "integer":
            low, high = field.limits
            value = min(max(0.0, low), high)
            return value if field.type == "number" else int(-(-value // 1))
        case "boolean":
            return False
        case "string":
            return ""
        case "timestamp":
            return "2000-01-01T00:00:00Z"


def _golden_record(snapshot: Snapshot) -> dict[str, object] | None:
    if snapshot.golden is None:
        return None
    path = snapshot.folder / snapshot.golden
    try:
        with path.open("rb") as lines:
            first = orjson.loads(next(lines))
        return dict(first["input"])
    except (OSError, StopIteration, ValueError, KeyError, TypeError) as error:
        raise SnapshotUnusable(
            f'{snapshot.golden} must hold lines such as {{"input": {{...}}, "output": {{...}}}}: {error!r}'
        ) from error
