import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.spec import GiB, MiB
from airlock.spec.size import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("512MiB", 512 * MiB), ("1.5GiB", 1536 * MiB), ("2 GiB", 2 * GiB), ("2GB", 2_000_000_000), ("7B", 7)],
)
def test_reads(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "512", "512Mi", "512mb", "-1GiB", "1.GiB", "GiB", "1GiB\n", "1  GiB"])
def test_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="is not an amount of memory"):
        parse_size(text)


@given(st.integers(min_value=MiB, max_value=2**50))
def test_what_it_writes_it_reads(size: int) -> None:
    assert parse_size(format_size(size)) == size
