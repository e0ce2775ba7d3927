"""What all things that people write have in common."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, dataclass_transform

import pydantic

from airlock.exceptions import SpecError
from airlock.spec.digest import digest
from airlock.spec.mistakes import mistakes


@lru_cache(maxsize=1024)  # many services share a life cycle, and DAG files ask for its digest for each
def _digest_of_json(text: str) -> str:
    return digest(json.loads(text))


@dataclass_transform(field_specifiers=(pydantic.Field,))
class Spec(pydantic.BaseModel):
    """Something a person writes, in YAML or in Python: immutable, without unknown keys, known by its digest.

    Fields can be given by position, in the order they are declared: ``Stage("DEV", checks=[...])``.

    :raises SpecError: on construction in Python, with every mistake. (``model_validate`` raises pydantic's
        own ``ValidationError``, whose places in the data the YAML loader turns into lines.)
    """

    model_config = pydantic.ConfigDict(
        extra="forbid",
        frozen=True,
        # A file that says "5" where a number belongs is refused, as an editor with the schema refuses it.
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = [name for name, field in type(self).model_fields.items() if not field.kw_only]
        if len(values) > len(fields):
            raise TypeError(f"{type(self).__name__} takes at most {len(fields)} values by position")
        by_position = dict(zip(fields, values, strict=False))
        if twice := by_position.keys() & named.keys():
            raise TypeError(f"{type(self).__name__} got more than one value for {', '.join(sorted(twice))}")
        try:
            self.__pydantic_validator__.validate_python(by_position | named, self_instance=self)
        except pydantic.ValidationError as error:
            found = "; ".join(str(mistake) for mistake in mistakes(error, type(self)))
            raise SpecError(f"{type(self).__name__}: {found}") from None

    # Tells pydantic not to send data from files through ``__init__``: it would stop at the first mistake.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def known_keys(cls) -> list[str]:
        """The keys a person may write, for "did you mean" on unknown ones."""
        return list(cls.model_fields)

    @property
    def digest(self) -> str:
        """``sha256:…`` over everything this says, defaults included, however it was written."""
        return _digest_of_json(self.model_dump_json())
