"""Logs are followed without gap or repetition, though a cluster counts in whole seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airlock.runtimes.kubernetes.cluster import Cluster
from airlock.runtimes.kubernetes.logs import PodLogs

_START = 1_795_000_000


@dataclass
class Containers(Cluster):
    """The log of one pod's container after the other, as a node keeps and gives them."""

    runs: list[list[tuple[int, str]]] = field(default_factory=lambda: [[]])
    """Of each run of the container the lines: nanoseconds since the start, and text."""

    def log(self, namespace: str, pod: str, **options: str) -> str | None:
        runs = self.runs[:-1] if options.get("previous") else self.runs
        if not runs:
            return None
        since = options.get("sinceTime", "1970-01-01T00:00:00Z")
        begin = int(datetime.strptime(since, "%Y-%m-%dT%H:%M:%S%z").timestamp()) * 10**9
        lines = [(_START * 10**9 + at, text) for at, text in runs[-1]]
        lines = [line for line in lines if line[0] >= begin]
        if "tailLines" in options:
            lines = lines[-int(options["tailLines"]) :]
        stamped = options.get("timestamps") == "true"
        return "".join(f"{_stamp(at)} {text}\n" if stamped else f"{text}\n" for at, text in lines)

    def pod(self) -> dict[str, Any]:
        status = {"name": "host", "restartCount": len(self.runs) - 1, "state": {"running": {}}}
        return {"metadata": {"name": "dep-1-a-b"}, "status": {"containerStatuses": [status]}}


def _stamp(nanoseconds: int) -> str:
    moment = datetime.fromtimestamp(nanoseconds // 10**9, UTC)
    # Like Go, which leaves the zeros at the end out.
    fraction = f".{nanoseconds % 10**9:09}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.sampled_from([0, 0, 1, 10, 999_999_999, 10**9])),
        st.tuples(st.just("look"), st.just(0)),
        st.tuples(st.just("restart"), st.just(1)),
    ),
    max_size=40,
)


@given(_steps)
def test_every_line_comes_once(steps: list[tuple[str, int]]) -> None:
    node = Containers()
    logs = PodLogs(node, "models", "host")
    at, said, read = 5, 0, []
    position, restarted_since = None, False
    for step, later in [*steps, ("look", 0)]:
        at += later
        if step == "say":
            node.runs[-1].append((at, f"line {said}"))
            said += 1
        elif (
            step == "restart" and not restarted_since
        ):  # of two runs in between, the cluster forgets the first
            node.runs.append([])
            restarted_since = True
        elif step == "look":
            found = logs.since([node.pod()], position)
            read += found.lines
            position, restarted_since = found.position, False

    assert read == [f"line {number}" for number in range(said)]


def test_a_line_that_is_being_written_waits() -> None:
    node = Containers()
    node.runs[-1] = [(1, "whole")]
    logs = PodLogs(node, "models", "host")
    whole = node.log

    def cut(namespace: str, pod: str, **options: str) -> str | None:
        return f"{whole(namespace, pod, **options)}{_stamp(_START * 10**9 + 2)} ha"

    node.log = cut  # type: ignore[method-assign]
    first = logs.since([node.pod()], None)
    node.runs[-1].append((2, "half"))
    node.log = whole  # type: ignore[method-assign]

    assert first.lines == ["whole"]
    assert logs.since([node.pod()], first.position).lines == ["half"]


def test_pieces_of_a_result_are_not_for_people() -> None:
    node = Containers()
    node.runs[-1] = [(number, f"airlock-result {number}/900 eA==") for number in range(1, 901)]
    node.runs[-1] = [(0, "first"), (0, "second"), *node.runs[-1], (2000, "last")]
    logs = PodLogs(node, "models", "host")

    assert logs.since([node.pod()], None).lines == ["first", "second", "last"]
    assert logs.last_lines([node.pod()], 2) == "second\nlast"
    assert logs.last_lines([node.pod()], 1) == "last"


def test_the_lines_of_several_pods_say_whose_they_are() -> None:
    node = Containers()
    node.runs[-1] = [(1, "a line")]
    other = node.pod() | {"metadata": {"name": "dep-1-a-c"}}

    lines = PodLogs(node, "models", "host").since([node.pod(), other], None).lines

    assert lines == ["[b] a line", "[c] a line"]


def test_the_last_words_are_those_of_the_run_that_ended() -> None:
    node = Containers()
    node.runs = [[(1, "why it ended")], [(2, "it starts")]]

    assert PodLogs(node, "models", "host").last_words(node.pod(), 5) == "why it ended"
