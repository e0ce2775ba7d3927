"""What checks found, and the name of it that decisions are bound to."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from airlock.registry import Registry
from airlock.registry.evidence import evidence_digest
from airlock.registry.records import PassageRecord
from tests.registry.building import add_snapshot, begin, record, result


@pytest.fixture
def passage(registry: Registry) -> PassageRecord:
    return begin(registry, add_snapshot(registry), "run-1")


def test_a_rerun_replaces_a_result_and_the_older_one_stays(
    registry: Registry, passage: PassageRecord
) -> None:
    record(registry, passage, status="error")
    record(registry, passage, status="pass")
    record(registry, passage, "latency", kind="latency")
    assert [(row.check_name, row.status) for row in registry.evidence.results(passage.id, "DEV")] == [
        ("latency", "pass"),
        ("smoke", "pass"),
    ]
    history = registry.evidence.history(passage.id, "DEV", "smoke")
    assert [(row.status, row.replaced) for row in history] == [("error", True), ("pass", False)]
    assert registry.evidence.count(passage.id, "DEV", "smoke") == 2
    assert registry.evidence.results(passage.id, "PROD") == []


def test_the_very_same_again_changes_nothing(registry: Registry, passage: PassageRecord) -> None:
    first = record(registry, passage)
    rows = registry.ledger.head().count
    assert record(registry, passage) == first
    assert registry.ledger.head().count == rows


def test_numbers_that_are_not_finite_become_none(registry: Registry, passage: PassageRecord) -> None:
    row = record(registry, passage, auc=float("nan"), seconds=float("inf"))
    assert row.result["metrics"][0]["value"] is None
    assert row.result["seconds"] is None


def test_the_digest_does_not_depend_on_order_time_or_ids(registry: Registry) -> None:
    digests = set()
    checks = ("contract", "latency", "smoke")
    for number, order in enumerate(itertools.permutations(checks)):
        passage = begin(registry, add_snapshot(registry, content=number), f"run-{number}")
        for check in order:
            metrics = result()["metrics"]
            found = {**result(kind=check, seconds=number), "metrics": metrics[:: -1 if number % 2 else 1]}
            registry.evidence.record(passage.id, f"dep-{number}", "DEV", check, found)
        digests.add(registry.evidence.digest(passage.id, "DEV"))
    assert len(digests) == 1


@pytest.mark.parametrize("change", [{"status": "warn"}, {"auc": 0.91}, {"kind": "contract"}])
def test_the_digest_depends_on_what_was_found(
    registry: Registry, passage: PassageRecord, change: dict[str, Any]
) -> None:
    record(registry, passage)
    before = registry.evidence.digest(passage.id, "DEV")
    record(registry, passage, **change)
    assert registry.evidence.digest(passage.id, "DEV") != before
    record(registry, passage, seconds=99.0)
    assert registry.evidence.digest(passage.id, "DEV") == before, "found again, it is the same evidence again"


def test_replaced_results_do_not_count(registry: Registry, passage: PassageRecord) -> None:
    record(registry, passage, status="fail")
    record(registry, passage)
    history = registry.evidence.history(passage.id, "DEV")
    assert evidence_digest(history) == registry.evidence.digest(passage.id, "DEV")


def test_reports_of_a_check_and_of_a_stage(registry: Registry, passage: PassageRecord) -> None:
    evidence = registry.evidence
    assert evidence.report(passage.id, "DEV") is None
    evidence.save_report(passage.id, "DEV", "<h1>DEV</h1>", format="html")
    evidence.save_report(passage.id, "DEV", "## smoke", format="markdown", check_name="smoke")
    evidence.save_report(passage.id, "DEV", "<h1>DEV, again</h1>", format="html")
    assert evidence.report(passage.id, "DEV") == "<h1>DEV, again</h1>"
    assert evidence.report(passage.id, "DEV", format="markdown", check_name="smoke") == "## smoke"
    rows = registry.ledger.head().count
    evidence.save_report(passage.id, "DEV", "<h1>DEV, again</h1>", format="html")
    assert registry.ledger.head().count == rows
