"""What versions did in an interval, made up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from airlock.rollouts import Measured, Reading, difference

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
SCORES = tuple(number / 20 for number in range(1, 21))


def metrics(
    requests: int = 0,
    errors: int = 0,
    *,
    milliseconds: Iterable[float] = (),
    scores: Iterable[float] = (),
    started: float = 1000.0,
    others: Mapping[str, float] | None = None,
    snapshot: str = "fraud@1",
) -> str:
    """A host's ``/metrics`` after so many requests, of which some failed."""
    labels = f'service="cc-fraud",stage="PROD",snapshot="{snapshot}"'
    lines = ["# HELP airlock_requests_total Answered requests.", "# TYPE airlock_requests_total counter"]
    for code, count in (("200", requests - errors), ("500", errors)):
        lines.append(f'airlock_requests_total{{{labels},endpoint="score",code="{code}"}} {count}.0')
    lines += _buckets("airlock_request_seconds", labels, SECONDS, [each / 1000 for each in milliseconds])
    lines += _buckets("airlock_score", labels, SCORES, list(scores))
    lines += [f"process_start_time_seconds {started}"]
    lines += [f"{name} {value}" for name, value in (others or {}).items()]
    return "\n".join(lines) + "\n"


def stream_metrics(
    answered: int = 0,
    dead: Mapping[str, int] | None = None,
    *,
    passed_on: int = 0,
    milliseconds: Iterable[float] = (),
    started: float = 1000.0,
    reads: str = "input",
    share_percent: float = 0.0,
    at_end: bool = True,
    file_right: bool = True,
) -> str:
    """What a stream's worker shows after so many records, each micro-batch with its time."""
    labels = 'service="cc-fraud",stage="PROD",snapshot="fraud@1"'
    buried = sum((dead or {}).values())
    lines = [
        f"airlock_stream_records_in_total{{{labels}}} {answered + buried + passed_on}.0",
        f"airlock_stream_records_out_total{{{labels}}} {answered}.0",
        f"airlock_stream_records_forwarded_total{{{labels}}} {passed_on}.0",
        f'airlock_stream_share_percent{{{labels},topic="transactions.share"}} {share_percent}',
        f"airlock_stream_at_end{{{labels}}} {float(at_end)}",
        f"airlock_stream_file_right{{{labels}}} {float(file_right)}",
        f"process_start_time_seconds {started}",
    ]
    for name in ("input", "share", "shadow", "nothing"):
        lines.append(f'airlock_stream_reads{{{labels},reads="{name}"}} {float(name == reads)}')
    for reason, count in (dead or {}).items():
        lines.append(f'airlock_stream_dead_letters_total{{{labels},reason="{reason}"}} {count}.0')
    lines += _buckets("airlock_stream_batch_seconds", labels, SECONDS, [each / 1000 for each in milliseconds])
    return "\n".join(lines) + "\n"


def _buckets(name: str, labels: str, bounds: tuple[float, ...], values: list[float]) -> list[str]:
    lines = []
    for bound in (*bounds, float("inf")):
        written = "+Inf" if bound == float("inf") else f"{bound:.6g}"
        count = sum(value <= bound for value in values)
        lines.append(f'{name}_bucket{{{labels},le="{written}"}} {float(count)}')
    return lines


def measured(
    requests: int = 0,
    errors: int = 0,
    *,
    milliseconds: Iterable[float] = (),
    scores: Iterable[float] = (),
    others: Mapping[str, float] | None = None,
) -> Measured:
    """What a version did in an interval that it began without any request."""
    from airlock.rollouts import read

    before = Reading(NOW, {("process_start_time_seconds", ()): 1000.0})
    text = metrics(requests, errors, milliseconds=milliseconds, scores=scores, others=others)
    return difference(before, read(text, NOW + timedelta(minutes=10)))


def measured_stream(
    answered: int = 0,
    dead: Mapping[str, int] | None = None,
    *,
    passed_on: int = 0,
    milliseconds: Iterable[float] = (),
) -> Measured:
    """What a stream's worker did in an interval that it began without any record."""
    from airlock.rollouts import read

    before = Reading(NOW, {("process_start_time_seconds", ()): 1000.0})
    text = stream_metrics(answered, dead, passed_on=passed_on, milliseconds=milliseconds)
    return difference(before, read(text, NOW + timedelta(minutes=10)))
