"""What the others get when a deployment gets no more requests."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airlock.orchestration.traffic import hundred_percent


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 100), max_size=5))
def test_what_is_left_is_shared_by_the_others(shares: dict[str, int]) -> None:
    scaled = hundred_percent(shares)
    assert sum(scaled.values()) == (100 if sum(shares.values()) else 0)
    assert all(percent >= 0 for percent in scaled.values())
