"""Which keys a share holds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airlock_host.stream.shares import holds, place


def test_places_are_for_ever() -> None:
    assert [round(place(key), 6) for key in (b"", b"a", b"customer-1")] == [33.046714, 60.858024, 72.921254]


@given(st.binary(), st.floats(0, 100), st.floats(0, 100))
def test_a_share_that_grows_keeps_its_keys(key: bytes, one: float, other: float) -> None:
    less, more = sorted((one, other))
    if holds(less, key, "in", 0, 0):
        assert holds(more, key, "in", 0, 0)


@given(st.none() | st.binary())
def test_none_and_all(key: bytes | None) -> None:
    assert not holds(0, key, "in", 0, 0)
    assert holds(100, key, "in", 0, 0)


def test_a_share_has_its_size_whatever_the_partition() -> None:
    taken = sum(holds(20, f"customer-{number}".encode(), "in", 0, 0) for number in range(10_000))
    assert abs(taken - 2_000) < 200


def test_records_without_a_key_are_spread() -> None:
    taken = [holds(20, None, "in", number % 4, number) for number in range(10_000)]
    assert abs(sum(taken) - 2_000) < 200
    assert taken == [holds(20, None, "in", number % 4, number) for number in range(10_000)]
