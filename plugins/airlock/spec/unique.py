"""Lists whose items must differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pydantic
from pydantic_core import InitErrorDetails, core_schema

from airlock.spec.mistakes import shown
from airlock.spec.refusal import details_of, refusal, refusal_at, together


class Unique:
    """Refuses two items of a list that have the same name: ``Annotated[list[Stage], Unique("stage", …)]``.

    Looks at the data as it was written, so that duplicates are reported beside other mistakes in the items.

    :param what: what the name is, for the message.
    :param by: the key that holds an item's name, or a function that finds it; the item itself if absent.
    """

    def __init__(
        self, what: str, *, by: str | Callable[[Any], Any] | None = None, mend: str = "Remove one of them."
    ) -> None:
        self._what = what
        self._by = by
        self._mend = mend

    def __get_pydantic_core_schema__(
        self, source: Any, handler: pydantic.GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return handler(schema) | ({"uniqueItems": True} if self._by is None else {})

    def _check(self, value: Any, validate: core_schema.ValidatorFunctionWrapHandler) -> Any:
        duplicates = self._duplicates(value) if isinstance(value, list) else []
        try:
            valid = validate(value)
        except pydantic.ValidationError as error:
            if not duplicates:
                raise
            raise together(details_of(error) + duplicates) from None
        if duplicates:
            raise together(duplicates)
        return valid

    def _duplicates(self, items: list[Any]) -> list[InitErrorDetails]:
        found = []
        seen = set()
        for index, item in enumerate(items):
            name = self._name(item)
            if not isinstance(name, str | int | float):
                continue
            identity = (isinstance(name, bool), name)  # true is not 1 in YAML and JSON
            if identity in seen:
                error = refusal(f"the {self._what} {shown(name)} is here twice", self._mend)
                found.append(refusal_at(index, error))
            seen.add(identity)
        return found

    def _name(self, item: Any) -> Any:
        if self._by is None:
            return item
        if callable(self._by):
            return self._by(item)
        return item.get(self._by) if isinstance(item, Mapping) else getattr(item, self._by, None)
