"""From two texts of ``/metrics`` to what happened between them."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.exceptions import CheckError
from airlock.rollouts import Reading, difference, read
from tests.rollouts.building import NOW, metrics

LATER = NOW + timedelta(minutes=10)


def test_counts_of_an_interval_are_differences() -> None:
    before = read(metrics(100, 7, milliseconds=[3] * 100, scores=[0.5] * 93), NOW)
    after = read(metrics(250, 8, milliseconds=[3] * 200 + [30] * 50, scores=[0.5] * 242), LATER)

    found = difference(before, after)

    assert (found.requests, found.errors, found.restarted) == (150, 1, False)
    assert found.latency.total == 150
    assert dict(zip(found.latency.bounds, found.latency.counts, strict=True))[0.05] == 50
    assert found.scores.total == 149
    assert (found.since, found.until) == (NOW, LATER)


def test_a_process_that_began_anew_counts_from_nothing() -> None:
    before = read(metrics(100, 7), NOW)

    again = difference(before, read(metrics(30, 2, started=LATER.timestamp() - 5), LATER))
    fell = difference(before, read(metrics(30, 2), LATER))

    assert (again.requests, again.errors, again.restarted) == (30, 2, True)
    assert (fell.requests, fell.errors, fell.restarted) == (30, 2, True)


def test_requests_without_an_answer_are_counted_by_gateways_whatever_the_process_does() -> None:
    before = read(metrics(100, 7), NOW).with_unanswered(40)
    after = read(metrics(30, 2, started=LATER.timestamp() - 5), LATER).with_unanswered(43)

    assert difference(before, after).errors == 2 + 3
    assert difference(before, after).requests == 30 + 3
    assert Reading.from_json(before.to_json()).samples == before.samples


@pytest.mark.parametrize(
    ("by_the_host", "by_gateways", "in_all"),
    [(5, 0, 5), (0, 5, 5), (5, 5, 5), (3, 5, 5), (5, 3, 5)],
)
def test_a_request_without_an_answer_fails_once_whoever_has_counted_it(
    by_the_host: int, by_gateways: int, in_all: int
) -> None:
    """A gateway of the cluster counts none, and a host that has broken down counts none either."""
    others = {'airlock_requests_total{endpoint="score",code="499"}': by_the_host}
    before = read(metrics(100, 7), NOW).with_unanswered(40)
    after = read(metrics(130, 7, others=others), LATER).with_unanswered(40 + by_gateways)

    found = difference(before, after)

    assert (found.requests, found.errors) == (30 + in_all, in_all)


def test_two_replicas_behind_one_address_cannot_be_measured() -> None:
    """What one of them counted days ago does not belong to the interval."""
    before = read(metrics(100, 7), NOW)

    with pytest.raises(CheckError, match="several processes"):
        difference(before, read(metrics(30, 2, started=2000.0), LATER))


def test_both_versions_show_the_same_series() -> None:
    one, two = (read(metrics(5, snapshot=name), NOW) for name in ("fraud@1", "fraud@2"))

    assert one.samples == two.samples


def test_a_reading_survives_being_kept() -> None:
    reading = read(metrics(5, scores=[0.1], others={"queue": 3, "other": 4}), NOW)

    kept = Reading.from_json(json.loads(json.dumps(reading.to_json(keep=["queue"]))))

    assert kept.at == NOW
    assert dict(kept.samples) == {
        series: value for series, value in reading.samples.items() if series[0] != "other"
    }


def test_labels_may_hold_anything() -> None:
    text = 'a_total{reason="say \\"no\\", } x\\\\n",path="\\n"} 2 1700000000\n'

    [(series, value)] = read(text, NOW).samples.items()

    assert series == ("a_total", (("path", "\n"), ("reason", 'say "no", } x\\n')))
    assert value == 2


@pytest.mark.parametrize("text", ["", "# only words\n", "<html>", "a_total many\n"])
def test_something_else_is_said(text: str) -> None:
    with pytest.raises(CheckError, match="/metrics"):
        read(text, NOW)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(CheckError):
        read(text, NOW)
