"""An approver's way in a real browser: Airflow's Required Actions page, and the report it links to."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from airlock.registry import Registry
from tests.e2e.airflow_client import Airflow
from tests.e2e.project import write_model

pytestmark = pytest.mark.browser

expect.set_options(timeout=60_000)  # a busy machine draws Airflow's pages slowly

SERVICE = "answered-in-browser"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture
def page() -> Iterator[Page]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "scripts/prepare-test-machine installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_context(viewport={"width": 1400, "height": 1000}).new_page()
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def log_in(page: Page, airflow: Airflow, user: str) -> None:
    page.goto(airflow.stack.url)
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(airflow.stack.passwords[user])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile(r"^(?!.*login).*$"))


def picture(page: Page, name: str) -> None:
    """Keep a screenshot where ``AIRLOCK_SCREENSHOTS`` says."""
    if folder := os.environ.get("AIRLOCK_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_rita_reads_the_report_and_approves(airflow: Airflow, page: Page, tmp_path: Path) -> None:
    airflow.snapshot(write_model(tmp_path / "model", model="seen", factor=2), SERVICE)
    run_id = airflow.promote("seen@1", SERVICE)
    airflow.task_state(SERVICE, run_id, "LAB.gate", "awaiting_input")

    log_in(page, airflow, "rita")
    page.goto(f"{airflow.stack.url}/dags/{SERVICE}/runs/{run_id}/tasks/LAB.gate/required_actions")
    expect(page.get_by_text("May seen@1 of answered-in-browser go from LAB to LIVE?").first).to_be_visible()
    picture(page, "required-action")
    link = page.get_by_role("link", name="Read the report of its checks")
    report = page.context.new_page()
    report.goto(str(link.get_attribute("href")))
    expect(report.get_by_text("smoke").first).to_be_visible()
    picture(report, "report")

    page.goto(f"{airflow.stack.url}/dags/{SERVICE}/runs/{run_id}/tasks/LAB.gate/required_actions")
    page.get_by_role("button", name="Approve").click()
    airflow.stack.wait_until(
        lambda: [row for row in decisions(airflow, run_id) if row["user"] == "rita"],
        "no decision was recorded",
    )
    picture(page, "answered")


def decisions(airflow: Airflow, run_id: str) -> list[dict[str, str]]:
    """Decisions on the run's passage, as the registry has them."""
    registry = Registry(airflow.stack.registry_database_url)
    passage = registry.passages.by_run(SERVICE, run_id)
    assert passage is not None
    return [{"user": decision.user} for decision in registry.decisions.list(passage.id)]
