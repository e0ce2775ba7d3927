"""The result of a job in its log."""

from __future__ import annotations

import base64
import json
import zlib

from hypothesis import given
from hypothesis import strategies as st

from airlock.runtimes.kubernetes.results import is_frame, result_in


def frames(result: dict[str, object], size: int = 6) -> list[str]:
    data = zlib.compress(json.dumps(result).encode())
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return [
        f"airlock-result {number}/{len(pieces)} {base64.b64encode(piece).decode()}"
        for number, piece in enumerate(pieces, 1)
    ]


@given(
    result=st.dictionaries(st.text(max_size=5), st.text(max_size=40), max_size=5),
    noise=st.lists(st.text("ab/ 1-", max_size=20), max_size=3),
    size=st.integers(1, 50),
)
def test_a_result_is_found_between_other_lines(
    result: dict[str, object], noise: list[str], size: int
) -> None:
    made = frames(result, size)
    log = [*noise, *(line for frame in made for line in (frame, *noise))]

    assert result_in("\n".join(log)) == result


def test_the_last_whole_result_counts() -> None:
    log = [*frames({"a": "1"}), *frames({"b": "2"}), *frames({"c": "3" * 99})[:-1]]

    assert result_in("\n".join(log)) == {"b": "2"}


def test_a_missing_or_broken_piece_is_no_result() -> None:
    made = frames({"a": "a long result that needs several pieces"})

    assert result_in("\n".join(made[1:])) is None
    assert result_in("\n".join([*made[:-1], "airlock-result 2/2 ????"])) is None
    assert result_in("airlock-result 1/1 e30=") is None
    assert result_in("") is None


def test_frames_are_told_from_lines_for_people() -> None:
    assert is_frame(frames({})[0])
    assert not is_frame("airlock-result is a word")
    assert not is_frame("a line")
