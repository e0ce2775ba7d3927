"""Items of a list that are of several kinds: ``smoke``, or ``{latency: {p99_ms: 200}}``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pydantic

from airlock.spec.base import Spec


class Kinded(Spec):
    """Base of what is written as its kind, or as ``{kind: {option: value}}``."""

    kind: ClassVar[str]

    @pydantic.model_validator(mode="before")
    @classmethod
    def _read_short_forms(cls, data: Any) -> Any:
        if data == cls.kind:
            data = {}
        elif isinstance(data, Mapping) and list(data) == [cls.kind]:
            data = {} if data[cls.kind] is None else data[cls.kind]
        return {"name": cls.kind, **data} if isinstance(data, Mapping) else data

    @pydantic.model_serializer(mode="wrap")
    def _write_as_in_yaml(self, dump: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {self.kind: dump(self)}


def written_kind(value: Any) -> str | None:
    """The kind of an item as written: ``smoke``, ``{latency: {...}}`` or built in Python."""
    if isinstance(value, str):
        return value
    if isinstance(value, Kinded):
        return value.kind
    if isinstance(value, Mapping) and len(value) == 1:
        return str(next(iter(value)))
    return None


def written_name(value: Any) -> str | None:
    """The name of an item as written, which is its kind when it has none of its own."""
    if isinstance(value, Kinded):
        return str(getattr(value, "name", value.kind))
    kind = written_kind(value)
    options = value[kind] if isinstance(value, Mapping) and kind is not None else None
    name = options.get("name", kind) if isinstance(options, Mapping) else kind
    return name if isinstance(name, str) else None
