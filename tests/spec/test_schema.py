from typing import Any

import pytest

from airlock.exceptions import SpecError
from airlock.spec import Field


@pytest.mark.parametrize(
    "field",
    [
        Field("age", "integer", min=0, max=120),
        Field("income", "number", nullable=True),
        Field("sex", "string", values=["f", "m"]),
        Field("seen", "timestamp"),
        Field("flag", "boolean", values=[True]),
        Field("ratio", "number", values=[0, 0.5, 1]),
    ],
)
def test_good_fields_survive_json(field: Field) -> None:
    assert Field.model_validate(field.model_dump(mode="json")) == field


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"type": "float"}, "is not one of the choices"),
        ({"type": "string", "min": 0}, "a string has no min or max"),
        ({"type": "number", "min": 2, "max": 1}, "min is above max"),
        ({"type": "integer", "values": [1, "two"]}, "'two' is no integer"),
        ({"type": "integer", "values": [1, 1.5]}, "1.5 is no integer"),
        ({"type": "integer", "values": [True]}, "true is no integer"),
        ({"type": "string", "values": []}, "the list is empty"),
        ({"type": "string", "values": ["a", "a"]}, "the value 'a' is here twice"),
        ({"type": "number", "values": [2**60]}, "a number up to 2\\*\\*53"),
        ({"type": "number", "values": [None]}, "nothing is not text"),
    ],
)
def test_mistakes(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SpecError, match=complaint):
        Field("x", **options)
