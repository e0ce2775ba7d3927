"""What a deployment had counted at one moment: its ``/metrics``, read and kept."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airlock.exceptions import CheckError

Labels = tuple[tuple[str, str], ...]
Series = tuple[str, Labels]
"""A metric's name with its labels, in alphabetical order."""

START = "process_start_time_seconds"
REQUESTS = "airlock_requests_total"

UNANSWERED: Series = (REQUESTS, (("code", "504"), ("seen_by", "gateway")))
"""Requests that gateways have seen left without an answer; some of them the deployment counts, too."""

_SAMPLE = re.compile(
    r"^(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)(?:\s+-?\d+)?$"
)
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?')
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}

# Which version answers is known; without these labels both versions' series have the same names.
_OF_THE_VERSION = {"service", "stage", "snapshot"}


@dataclass(frozen=True)
class Reading:
    """All numbers of a deployment's ``/metrics`` at one moment.

    :param at: when they were read.
    """

    at: datetime
    samples: Mapping[Series, float]

    @property
    def started(self) -> float | None:
        """When the process that counts began, in seconds since 1970."""
        return self.samples.get((START, ()))

    def with_unanswered(self, count: int) -> Reading:
        """The same, with the requests that it has never answered, as gateways count them."""
        return replace(self, samples={**self.samples, UNANSWERED: float(count)})

    def to_json(self, keep: Iterable[str] = ()) -> dict[str, Any]:
        """What guards need of it, in plain JSON.

        :param keep: metrics beside Airlock's own.
        """
        wanted = {START, *keep}
        return {
            "at": self.at.isoformat(),
            "samples": [
                [name, dict(labels), value]
                for (name, labels), value in self.samples.items()
                if (name in wanted or name.startswith("airlock_")) and math.isfinite(value)
            ],
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Reading:
        """The reading that ``to_json`` wrote."""
        samples = {(name, _labels(labels.items())): value for name, labels, value in written["samples"]}
        return cls(datetime.fromisoformat(written["at"]), samples)


def read(text: str, at: datetime) -> Reading:
    """Understand Prometheus' text format, version 0.0.4.

    :raises CheckError: the text is something else.
    """
    samples = dict(_samples(text))
    if not samples:
        raise CheckError("The deployment's /metrics shows no numbers, so nothing can be compared.")
    return Reading(at, samples)


def _samples(text: str) -> Iterator[tuple[Series, float]]:
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        found = _SAMPLE.match(line)
        if found is None:
            raise CheckError(f"The deployment's /metrics has a line that is no number: {line[:80]!r}.")
        labels = _LABEL.findall(found["labels"] or "")
        try:
            value = float(found["value"])
        except ValueError:
            raise CheckError(
                f"The deployment's /metrics has a line that is no number: {line[:80]!r}."
            ) from None
        yield (found["name"], _labels((name, _unescaped(label)) for name, label in labels)), value


def _labels(labels: Iterable[tuple[str, str]]) -> Labels:
    return tuple(sorted((name, value) for name, value in labels if name not in _OF_THE_VERSION))


def _unescaped(text: str) -> str:
    return re.sub(r'\\[n"\\]', lambda found: _ESCAPES[found.group()], text)
