"""The page of a rollout is whole at every moment of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airlock.rollouts.report import ReportedMove, RolloutReport, html
from tests.rollouts.building import NOW

REPORT = RolloutReport(
    service="cc-fraud",
    stage="PROD",
    snapshot="fraud@2",
    current="fraud@1",
    strategy="canary, 5 → 100 %",
    moves=(),
    began=NOW,
    under_way="5 %",
    outcome=None,
    reason=None,
    rollout_id="rol-1",
)


@pytest.mark.parametrize(
    ("outcome", "headline"),
    [
        (None, "Under way: 5 %."),
        ("completed", "fraud@2 has all traffic."),
        ("rolled_back", "fraud@2 was rolled back: fraud@1 has all traffic."),
        ("stopped", "The rollout of fraud@2 was stopped."),
    ],
)
def test_the_headline_says_how_it_is(outcome: str | None, headline: str) -> None:
    assert headline in html(replace(REPORT, outcome=outcome))


def test_a_move_without_numbers_is_shown_too() -> None:
    page = html(replace(REPORT, moves=[ReportedMove("stop", NOW, {})], outcome="stopped"))

    assert "was stopped" in page


def test_what_people_and_models_wrote_stays_text() -> None:
    page = html(replace(REPORT, reason="<script>alert(1)</script>", decisions=["<i>mia</i>"]))

    assert "<script>" not in page
    assert "<i>" not in page
