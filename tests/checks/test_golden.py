"""Golden records, as a snapshot's file holds them."""

from __future__ import annotations

import pytest

from airlock.checks import read_golden
from airlock.exceptions import CheckError

LINE = '{"input": {"a": 1}, "output": {"b": 2}}'


def test_each_line_is_a_record_and_empty_lines_are_none() -> None:
    assert read_golden(f"{LINE}\n\n{LINE}\n") == [{"input": {"a": 1}, "output": {"b": 2}}] * 2
    assert read_golden("") == []


@pytest.mark.parametrize("line", ["{", "[]", '{"input": {}}', '{"input": 1, "output": {}}'])
def test_a_broken_line_is_named(line: str) -> None:
    with pytest.raises(CheckError, match="line 2"):
        read_golden(f"{LINE}\n{line}")


def test_too_many_records_are_refused() -> None:
    with pytest.raises(CheckError, match="1,001 records"):
        read_golden(f"{LINE}\n" * 1001)
