"""Logs of pods: the last lines, and what is new since a position.

The cluster counts a log's time in whole seconds and knows no positions. So each line comes with its time, and
a position holds for each pod the time of the last line that was read, and how many lines of that time there
were.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airlock.runtimes.base import LogLines
from airlock.runtimes.kubernetes.cluster import Cluster, Object
from airlock.runtimes.kubernetes.results import is_frame

_STAMPED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)(?: |$)")
_NANOSECONDS = 10**9
_FRAMES_AT_MOST = 300
"""A result is printed behind what people read; this many lines more are looked through first."""


@dataclass(frozen=True)
class Line:
    """One line of a log, and when it was said, in nanoseconds since 1970."""

    time: int
    text: str


@dataclass(frozen=True)
class Reached:
    """How far a pod's log was read.

    :param restarts: of the container by then.
    :param time: of the last line that was read, in nanoseconds since 1970; 0 for none.
    :param lines: how many lines of that time were read.
    """

    restarts: int = 0
    time: int = 0
    lines: int = 0


class PodLogs:
    """Reads logs of pods in one namespace.

    :param container: whose log it is.
    """

    def __init__(self, cluster: Cluster, namespace: str, container: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._container = container

    def last_lines(self, pods: Sequence[Object], lines: int) -> str:
        """The last lines of all pods together, in the order of their times."""
        found = [(line, pod) for pod in pods for line in self._tail(pod, lines)]
        found.sort(key=lambda item: item[0].time)
        return "\n".join(_said(line, pod, pods) for line, pod in found[-lines:])

    def since(self, pods: Sequence[Object], position: str | None) -> LogLines:
        """What the pods said since a position, in the order of their times."""
        reached = _read_position(position)
        found: list[tuple[Line, Object]] = []
        for pod in pods:
            name = pod["metadata"]["name"]
            new, reached[name] = self._new_lines(pod, reached.get(name, Reached()))
            found.extend((line, pod) for line in new if not is_frame(line.text))
        found.sort(key=lambda item: item[0].time)
        return LogLines([_said(line, pod, pods) for line, pod in found], _write_position(reached))

    def last_words(self, pod: Object, lines: int) -> str:
        """What a container said before it ended the last time."""
        name = pod["metadata"]["name"]
        for options in ({"previous": "true"}, {}):
            if restarts_of(pod, self._container) or not options:
                text = self._read(name, tailLines=str(lines), **options)
                if text and text.strip():
                    return "\n".join(line for line in text.splitlines() if not is_frame(line))
        return ""

    def whole(self, pod: Object, *, tail: int | None) -> str:
        """A pod's log, or so many of its last lines."""
        options = {} if tail is None else {"tailLines": str(tail)}
        return self._read(pod["metadata"]["name"], **options) or ""

    def _tail(self, pod: Object, lines: int) -> list[Line]:
        name = pod["metadata"]["name"]
        for tail in (lines + _FRAMES_AT_MOST, None):
            options = {} if tail is None else {"tailLines": str(tail)}
            text = self._read(name, timestamps="true", **options)
            if not text and restarts_of(pod, self._container):
                text = self._read(name, timestamps="true", previous="true", **options)
            read = _lines(text or "")
            found = [line for line in read if not is_frame(line.text)]
            if len(found) >= lines or tail is None or len(read) < tail:
                break
        return found[-lines:]

    def _new_lines(self, pod: Object, reached: Reached) -> tuple[list[Line], Reached]:
        name = pod["metadata"]["name"]
        restarts = restarts_of(pod, self._container)
        options = {"timestamps": "true"}
        if reached.time:
            moment = datetime.fromtimestamp(reached.time // _NANOSECONDS, UTC)
            options["sinceTime"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        lines: list[Line] = []
        if restarts > reached.restarts:
            lines += _lines(self._read(name, previous="true", **options) or "")
        lines += _lines(_finished(self._read(name, **options) or "", pod, self._container))
        new = _after(lines, reached)
        if not new:
            return [], Reached(restarts, reached.time, reached.lines)
        last = max(line.time for line in new)
        before = reached.lines if last == reached.time else 0
        return new, Reached(restarts, last, before + sum(line.time == last for line in new))

    def _read(self, pod: str, **options: str) -> str | None:
        return self._cluster.log(self._namespace, pod, container=self._container, **options)


def restarts_of(pod: Mapping[str, Any], container: str) -> int:
    """How often a pod's container was started again."""
    return int(_status_of(pod, container).get("restartCount", 0))


def _status_of(pod: Mapping[str, Any], container: str) -> Mapping[str, Any]:
    found: Mapping[str, Any]
    for found in pod.get("status", {}).get("containerStatuses") or []:
        if found.get("name") == container:
            return found
    return {}


def _finished(text: str, pod: Mapping[str, Any], container: str) -> str:
    """Without a last line that is still being written."""
    if text.endswith("\n") or "running" not in _status_of(pod, container).get("state", {}):
        return text
    return text[: text.rfind("\n") + 1]


def _after(lines: Iterable[Line], reached: Reached) -> list[Line]:
    new, skipped = [], 0
    for line in lines:
        if line.time == reached.time and skipped < reached.lines:
            skipped += 1
        elif line.time >= reached.time:
            new.append(line)
    return new


def _lines(text: str) -> list[Line]:
    lines: list[Line] = []
    for line in text.split("\n"):
        found = _STAMPED.match(line)
        if found is not None:
            lines.append(Line(_nanoseconds(found), line[found.end() :].rstrip("\r")))
        elif line:
            lines.append(Line(lines[-1].time if lines else 0, line))
    return lines


def _nanoseconds(found: re.Match[str]) -> int:
    moment = datetime.fromisoformat(found[1] + found[3])
    return int(moment.timestamp()) * _NANOSECONDS + int((found[2] or "").ljust(9, "0"))


def _said(line: Line, pod: Object, pods: Sequence[Object]) -> str:
    """A line, and which pod said it where there are several."""
    if len(pods) == 1:
        return line.text
    return f"[{pod['metadata']['name'].rpartition('-')[2]}] {line.text}"


def _read_position(position: str | None) -> dict[str, Reached]:
    return {pod: Reached(*reached) for pod, reached in json.loads(position or "{}").items()}


def _write_position(reached: Mapping[str, Reached]) -> str:
    return json.dumps({pod: [at.restarts, at.time, at.lines] for pod, at in sorted(reached.items())})
