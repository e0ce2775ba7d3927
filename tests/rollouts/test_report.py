"""The page of a rollout is whole at every moment of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airlock.rollouts.answers import Compared, Example, Labels, Numbers
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


COMPARED = Compared(
    1200,
    31,
    {"score": Numbers(1200, 30, 0.31, 0.004, -0.002)},
    {"decision": Labels(1200, 9, {("pay", "pay"): 1100, ("refuse", "refuse"): 91, ("refuse", "pay"): 9})},
    (
        Example(
            "7d1f-<b>",
            0,
            {"status": 200, "rows": 1, "outputs": {"score": 0.91, "decision": "refuse"}},
            {"status": 200, "rows": 1, "outputs": {"score": 0.6, "decision": "pay"}},
        ),
        Example("9ac2", None, {"status": 200, "rows": 1}, {"status": 500, "rows": 0}),
    ),
)


def test_the_answers_of_both_versions_are_shown_side_by_side() -> None:
    evidence = {"step": "100 % mirrored", "answers": COMPARED.to_json()}
    page = html(replace(REPORT, moves=[ReportedMove("advance", NOW, evidence)]))

    assert "<b>1,200</b> requests were answered by both versions" in page
    assert "<b>31</b> of them differently (2.58 %)" in page
    assert "fraud@2: pay" in page
    assert '<td class="number other">9</td>' in page
    assert "decision <b>refuse</b>" in page
    assert "status <b>500</b>" in page
    assert "7d1f-&lt;b&gt;" in page


def test_what_is_found_so_far_is_shown_while_it_is_under_way() -> None:
    assert "Answers so far" not in html(REPORT)
    page = html(replace(REPORT, so_far=Compared()))
    assert "Answers so far" in page
    assert "No answers were compared yet." in page
    assert "keeps no answers." in html(replace(REPORT, so_far=Compared(why="fraud@1 keeps no answers.")))


def test_many_labels_are_a_list_of_what_became_what() -> None:
    pairs = {(f"l{number}", f"l{number + 1}"): number + 1 for number in range(20)}
    found = Compared(210, 210, labels={"class": Labels(210, 210, pairs)})

    page = html(replace(REPORT, so_far=found))
    assert "<td>l19</td><td>l20</td>" in page
    assert 'class="confusion"' not in page

    text = Compared(210, 0, labels={"note": Labels(210, 0)})
    assert "too many different values" in html(replace(REPORT, so_far=text))
