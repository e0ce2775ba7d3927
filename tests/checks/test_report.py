"""What people read: the page for approvers, and the Markdown section of one check."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from airlock.checks import (
    Change,
    CheckResult,
    Figure,
    Link,
    Metric,
    RoleSlot,
    StageReport,
    changes,
    html,
    markdown,
)
from airlock.checks.interval_plot import interval_plot
from airlock.checks.report import LARGEST, verdict, verdict_words
from airlock.spec import Smoke
from checks.building import (
    AGAINST_CHAMPION,
    CHAMPION,
    MANIFEST,
    ONLINE,
    SVG,
    at_least,
    champion,
    judged,
    not_worse_by,
    performance,
    smoke,
)

PASSED = judged(Smoke(), smoke(), ONLINE)
GOOD = judged(
    at_least(0.8, vs_champion={"roc_auc": {"min_delta": -0.01}}),
    performance(champion=champion(0.02, [0.01, 0.03])),
    AGAINST_CHAMPION,
)
BAD = judged(at_least(0.95), performance())
OPEN = judged(not_worse_by(0.001), performance(champion=champion(0.0, [-0.01, 0.01])), AGAINST_CHAMPION)


def report(*results: CheckResult, **changed: Any) -> StageReport:
    values: dict[str, Any] = {
        "service": "cc-fraud",
        "snapshot": "fraud@3",
        "digest": "sha256:" + "3" * 64,
        "stage": "UAT",
        "next_stage": "PROD",
        "requester": "dana",
        "results": results,
        "evidence_digest": "sha256:" + "e" * 64,
        "approvals": [RoleSlot("model-risk", ["ada", "bob"])],
        "champion": "fraud@2",
        "champion_digest": CHAMPION.digest,
        "policy_digest": "sha256:" + "9" * 64,
    }
    return StageReport(**{**values, **changed})


def text(page: str) -> str:
    """What a page says, without its tags and style sheet."""
    body = re.sub(r"<style>.*?</style>|<svg.*?</svg>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_a_page_begins_with_the_verdict_and_what_is_asked() -> None:
    said = text(html(report(PASSED, GOOD)))

    beginning = said[:500]
    assert "May fraud@3 enter PROD?" in beginning
    assert "All 2 checks passed." in beginning
    assert "Asked: 1 approval as model-risk , from ada or bob." in beginning
    assert "dana asked for this passage and cannot approve it" in beginning


def test_a_failed_stage_asks_nobody_and_shows_the_failure_before_all_numbers() -> None:
    said = text(html(report(PASSED, BAD)))

    assert "fraud@3 may not enter PROD" in said
    assert "Asked:" not in said
    assert said.index("roc_auc is 0.9; the limit is at least 0.95.") < said.index("Key numbers")
    assert "How often a positive case gets a higher score" in said


def test_a_failure_that_only_warns_is_explained() -> None:
    said = text(html(report(judged(at_least(0.95, on_fail="warn"), performance()))))

    assert "Nothing stops it; 1 of 1 check gave a warning (performance)." in said
    assert "A failure of this check only warns, as the life cycle says." in said


def test_an_open_question_is_put_to_a_person() -> None:
    said = text(html(report(PASSED, OPEN)))

    assert "1 of 2 checks could not decide (performance): a person has to." in said
    assert "these rows do not tell" in said


@pytest.mark.parametrize(
    ("statuses", "status", "words"),
    [
        ([], "skipped", "No check was run, so nothing is known."),
        (["pass"], "pass", "The check passed."),
        (["pass", "pass"], "pass", "All 2 checks passed."),
        (["pass", "warn"], "warn", "Nothing stops it; 1 of 2 checks gave a warning (b)."),
        (["inconclusive", "warn"], "inconclusive", "1 of 2 checks could not decide (a): a person has to."),
        (["fail", "inconclusive"], "fail", "1 of 2 checks failed (a)."),
        (["error", "fail"], "error", "1 of 2 checks could not run (a), which is not a pass."),
        (["skipped", "pass"], "skipped", "1 of 2 checks did not run (a), which is not a pass."),
    ],
)
def test_the_verdict_in_words(statuses: list[Any], status: str, words: str) -> None:
    results = [
        CheckResult(check=name, kind="smoke", status=each, summary="")
        for name, each in zip("abc", statuses, strict=False)
    ]

    assert verdict(results) == status
    assert verdict_words(results) == words


def test_a_page_names_every_digest_and_what_was_not_tested() -> None:
    page = html(report(PASSED, GOOD))

    for digest in ("3" * 64, "2" * 64, "e" * 64, "9" * 64, "d" * 64):
        assert f"sha256:{digest}" in page
    assert "Other data than this data set" in text(page)


def test_a_first_version_is_called_that() -> None:
    said = text(html(report(PASSED, champion=None)))

    assert "this is the first, and there was nothing to compare it with" in said


def test_a_stage_whose_gate_asks_nobody_says_so() -> None:
    assert "PROD asks nobody: its gate opens by itself." in text(html(report(PASSED, approvals=())))


def test_the_last_stage_asks_for_no_entry() -> None:
    said = text(html(report(PASSED, next_stage=None, approvals=())))

    assert "fraud@3 in UAT" in said
    assert "asks nobody" not in said


class Loads(HTMLParser):
    """Collects what a page would run or load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "iframe", "object", "embed", "img", "form", "base"):
            self.found.append(tag)
        self.found += [name for name, _ in attrs if name.startswith("on") or name == "src"]


def test_a_page_runs_and_loads_nothing_whatever_is_in_it() -> None:
    evil = '<script>alert(1)</script><img src=x onerror="alert(1)">'
    hostile = PASSED.model_copy(
        update={"check": evil, "summary": evil, "notes": (evil,), "records": {evil: 1}, "not_tested": (evil,)}
    )
    metric = Metric(
        name=evil, value=1.0, ci=(0.5, 1.5), status="fail", limit=evil, message=evil, bound=(0, 1)
    )
    page = html(
        report(
            hostile.model_copy(update={"metrics": (metric,)}),
            snapshot=evil,
            requester=evil,
            service=evil,
            changes=[Change(evil, evil, evil)],
            links=[
                Link("run", "javascript:alert(1)"),
                Link("other", "//evil.example"),
                Link(evil, "/dags/x"),
            ],
            facts={evil: evil},
        )
    )

    loads = Loads()
    loads.feed(page)
    assert loads.found == []
    assert "javascript:" not in page
    assert "evil.example" not in page
    assert 'href="/dags/x"' in page


def test_a_page_is_small_and_leaves_out_figures_that_do_not_fit() -> None:
    path = " ".join(f"L {number} {number}" for number in range(2500))
    large = Figure(title="Large", alt="a.", svg=SVG.replace("M 0 0", f"M 0 0 {path}"))
    result = GOOD.model_copy(update={"figures": (large,) * 12})

    page = html(report(result))

    assert len(page.encode()) <= LARGEST
    shown = page.count("<figure>")
    assert 0 < shown < 12
    assert f"{12 - shown} more figures are left out" in text(page)


def test_a_page_is_the_same_every_time() -> None:
    assert html(report(PASSED, BAD)) == html(report(PASSED, BAD))


def test_every_metric_is_in_the_table_with_limit_champion_interval_and_n() -> None:
    said = text(html(report(GOOD)))

    assert "Ranking (ROC AUC) passed 0.9 0.88 to 0.92 0.88 at least 0.8 1,000" in said
    assert "Ranking (ROC AUC) against the champion passed +0.0200 +0.0100 to +0.0300" in said


def test_markdown_says_the_verdict_first_and_every_number() -> None:
    section = markdown(BAD)

    assert section.startswith("### performance: failed\n\nroc_auc is 0.9; the limit is at least 0.95.\n")
    assert "| Ranking (ROC AUC) | failed | 0.9 (0.88 to 0.92) | at least 0.95 |" in section
    assert "- Not tested: Other data than this data set" in section


def test_markdown_keeps_hostile_text_on_its_line() -> None:
    evil = "a | b\n# c <script> [x](javascript:y) `d`"
    section = markdown(PASSED.model_copy(update={"summary": evil, "notes": (evil,)}))

    escaped = r"a \| b # c \<script\> \[x\](javascript:y) \`d\`"
    assert section.count(escaped) == 2
    assert "\n# c" not in section


@pytest.mark.parametrize(
    "metric",
    [
        Metric(
            name="roc_auc",
            value=0.9,
            ci=(0.8, 1.0),
            status="pass",
            bound=(0.7, None),
            limit="at least 0.7",
            champion=0.85,
        ),
        Metric(
            name="p99_ms",
            value=5,
            ci=(4.0, None),
            unit="ms",
            status="pass",
            bound=(None, 9),
            limit="at most 9 ms",
        ),
        Metric(
            name="x_vs_champion",
            value=0.9,
            champion=0.9,
            delta=0.0,
            delta_ci=(0.0, 0.0),
            status="pass",
            bound=(-0.1, None),
        ),
    ],
)
def test_an_interval_is_drawn_inside_its_frame(metric: Metric) -> None:
    drawn = interval_plot(metric)

    assert drawn is not None
    places = [float(found) for found in re.findall(r'(?:x1|x2|cx|x)="([-\d.]+)"', drawn)]
    assert all(0 <= place <= 190 for place in places)
    assert "interval" in drawn


def test_a_number_without_an_interval_is_not_drawn() -> None:
    assert interval_plot(Metric(name="rows", value=5, status="pass")) is None


def test_changes_between_manifests_are_listed() -> None:
    after = {
        **MANIFEST,
        "files": [*MANIFEST["files"], {"path": "weights.json", "size": 2_000_000, "sha256": "bb"}],
        "input_schema": MANIFEST["input_schema"][:1],
        "environment": {"lock_digest": "sha256:" + "4" * 64},
        "owner": "risk",
    }

    found = {change.what: change for change in changes(after, MANIFEST)}

    assert found["Files"].after == "2 files, 2.0 MB: weights.json added"
    assert found["Input schema"].after == "1 fields: amount removed"
    assert found["Locked packages"].before == "sha256:111111111111"
    assert (found["Owner"].before, found["Owner"].after) == ("payments", "risk")
    assert "Output schema" not in found


def test_a_first_version_consists_of_what_it_has_and_the_same_changes_nothing() -> None:
    assert changes(MANIFEST, MANIFEST) == []
    assert {change.before for change in changes(MANIFEST, None)} == {"none"}


def test_approvals_that_were_given_are_named() -> None:
    slots = [RoleSlot("model-risk", ["ada"], given_by=["ada"])]

    assert "as model-risk , given by ada." in text(html(replace(report(PASSED), approvals=slots)))
