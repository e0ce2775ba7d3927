"""How people name a snapshot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.exceptions import SnapshotError
from airlock.snapshots.reference import SnapshotRef

DIGEST = "sha256:" + "0a" * 32


def test_the_three_forms() -> None:
    assert SnapshotRef.parse("credit-card-fraud@3") == SnapshotRef(model="credit-card-fraud", version=3)
    assert SnapshotRef.parse("credit-card-fraud") == SnapshotRef(model="credit-card-fraud")
    assert SnapshotRef.parse(DIGEST) == SnapshotRef(digest=DIGEST)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@3",
        "model@",
        "model@0",
        "model@-1",
        "model@03",
        "model@1.5",
        "model@٣",
        "model@3@4",
        "model\n@1",
        "Model@1",
        "a b@1",
        "../model@1",
        "sha256:",
        "sha256:0a",
    ],
)
def test_anything_else_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(SnapshotError, match=r"credit-card-fraud@3.*sha256"):
        SnapshotRef.parse(text)


@given(
    st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?", fullmatch=True),
    st.integers(1, 10**9 - 1) | st.none(),
)
def test_what_is_written_is_read_again(model: str, version: int | None) -> None:
    reference = SnapshotRef(model=model, version=version)
    assert SnapshotRef.parse(str(reference)) == reference
