"""Every command as a person or a script uses it, against a real server."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from airlock.orchestration.routers import Renewed
from airlock.registry import Registry
from tests.cli.conftest import Airlock, Server
from tests.listed_runtime import ListedRuntime
from tests.web.application import PASSWORDS
from tests.web.project import write_project
from tests.web.story import Story

MODEL_YAML = """
model: multiplier
owner: tests
python: ">=3.11,<3.14"
input: [{name: amount, type: number}]
output: [{name: score, type: number}]
"""


@pytest.fixture
def model_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model; its environment is not locked here, which would ask a package index."""

    def lock(folder: Path, host_requirements: list[str], **options: Any) -> Path:
        assert any(line.startswith("pyarrow") for line in host_requirements)
        path = folder / "requirements.lock"
        path.write_text("# inputs: none\n")
        return path

    monkeypatch.setattr("airlock.snapshots.pack.lock", lock)
    folder = tmp_path / "multiplier"
    folder.mkdir()
    (folder / "model.yaml").write_text(MODEL_YAML)
    (folder / "model.py").write_text("def score(batch):\n    return {'score': batch['amount']}\n")
    (folder / "requirements.txt").write_text("")
    return folder


def test_a_model_folder_becomes_a_snapshot(airlock: Airlock, model_folder: Path) -> None:
    made = airlock("dana", "snapshot", "create", str(model_folder), "--service", "cc-fraud")
    again = airlock("dana", "snapshot", "create", str(model_folder), "-s", "cc-fraud", "--json")

    assert made.exit_code == 0, made.output
    assert made.stdout.startswith("multiplier@1  sha256:")
    known = json.loads(again.stdout)
    assert (known["name"], known["created"], known["created_by"]) == ("multiplier@1", False, "dana")

    listed = airlock("vera", "snapshot", "list", "--service", "cc-fraud")
    assert "multiplier@1" in listed.stdout
    shown = airlock("vera", "snapshot", "show", "multiplier")
    assert "model.py" in shown.stdout
    assert "amount: number" in shown.stdout


def test_the_store_and_a_folder_are_verified(
    airlock: Airlock, run: Airlock, model_folder: Path, tmp_path: Path
) -> None:
    from airlock.snapshots.manifest import Manifest
    from airlock.snapshots.store import ArtifactStore

    made = airlock("dana", "snapshot", "create", str(model_folder), "-s", "cc-fraud", "--json")
    manifest = json.loads(airlock("dana", "snapshot", "show", "multiplier@1", "--json").stdout)["manifest"]
    folder = tmp_path / "materialised"
    ArtifactStore(f"file://{tmp_path}/artifacts").materialise(Manifest.read(manifest), folder)

    assert airlock("vera", "snapshot", "verify", "multiplier@1").exit_code == 0
    assert run("snapshot", "verify", str(folder)).exit_code == 0
    assert airlock("vera", "snapshot", "verify", "multiplier@1", "--folder", str(folder)).exit_code == 0

    (folder / "model.py").chmod(0o644)
    (folder / "model.py").write_text("def score(batch): ...")
    changed = run("snapshot", "verify", str(folder))
    assert changed.exit_code == 1
    assert "model.py: changed" in changed.stdout
    assert json.loads(made.stdout)["digest"] in run("snapshot", "verify", str(folder), "--json").stdout


def test_a_folder_that_cannot_be_a_snapshot_is_told_in_one_line(airlock: Airlock, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    done = airlock("dana", "snapshot", "create", str(tmp_path / "empty"), "-s", "cc-fraud")

    assert done.exit_code == 1
    assert "model.yaml" in done.stderr
    assert "Traceback" not in done.output


def test_a_snapshot_without_a_service_asks_for_one(airlock: Airlock, model_folder: Path) -> None:
    done = airlock("dana", "snapshot", "create", str(model_folder))

    assert done.exit_code == 1
    assert "No service is named" in done.stderr


def test_promoting_prints_the_runs_address(airlock: Airlock, story: Story) -> None:
    story.snapshot()

    first = airlock("dana", "promote", "credit-card-fraud@1", "--service", "cc-fraud")
    again = airlock("ada", "promote", "credit-card-fraud", "-s", "cc-fraud")

    assert first.exit_code == 0, first.output
    assert first.stdout.strip() == "http://testserver/dags/cc-fraud/runs/credit-card-fraud%3A1"
    assert "under way already: run credit-card-fraud:1" in again.stdout


def end_passage(story: Story, registry: Registry, outcome: Any, reason: str) -> None:
    """What the tasks of a run do, in short: begin the passage, and end it."""
    deadline = time.monotonic() + 30
    while story_run() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    passage = story.begin(
        {"service": "cc-fraud", "run_id": "credit-card-fraud:1", "snapshot_name": "credit-card-fraud@1"}
    )
    registry.evidence.record(
        passage.id,
        "dep-lab",
        "LAB",
        "smoke",
        {"check": "smoke", "kind": "smoke", "status": "fail", "summary": "No.", "metrics": []},
    )
    registry.passages.finish(passage.id, outcome, reason)


def story_run() -> str | None:
    from airlock.web.airflow_private import run_state

    return run_state("cc-fraud", "credit-card-fraud:1")


@pytest.mark.parametrize(
    ("outcome", "exit_code"), [("completed", 0), ("rejected_by_checks", 1), ("superseded", 1)]
)
def test_waiting_ends_with_the_passages_outcome(
    outcome: str, exit_code: int, airlock: Airlock, story: Story, registry: Registry
) -> None:
    story.snapshot()
    tasks = threading.Thread(target=end_passage, args=(story, registry, outcome, "LAB: smoke failed"))
    tasks.start()

    done = airlock("dana", "promote", "credit-card-fraud@1", "-s", "cc-fraud", "--wait")

    tasks.join()
    assert done.exit_code == exit_code, done.output
    if exit_code:
        assert f"credit-card-fraud@1 goes no further, {outcome}: LAB: smoke failed" in done.stderr


def test_gates_are_shown_and_answered(airlock: Airlock, story: Story, registry: Registry) -> None:
    gate = story.at_the_gate()

    assert "Nothing waits for you." in airlock("olga", "gates").stdout
    waiting = airlock("rita", "gates")
    assert "credit-card-fraud@1" in waiting.stdout
    assert "model-risk (dana, rita); it-operations (omar)" in waiting.stdout

    first = airlock("rita", "approve", "credit-card-fraud@1", "--stage", "LIVE", "-c", "It is better.")
    assert first.exit_code == 0, first.output
    assert "Still missing: it-operations (omar)." in first.stdout
    second = airlock("omar", "reject", gate.passage_id, "--comment", "Not on a Friday.")
    assert "Rejected" in second.stdout
    assert [(each.user, each.verdict, each.comment) for each in registry.decisions.list(gate.passage_id)] == [
        ("rita", "approve", "It is better."),
        ("omar", "reject", "Not on a Friday."),
    ]


def test_an_approval_that_does_not_count_says_why(airlock: Airlock, story: Story) -> None:
    story.at_the_gate(by="dana")

    done = airlock("dana", "approve", "credit-card-fraud@1")

    assert done.exit_code == 1
    assert "dana requested this passage" in done.stderr


def test_approving_what_waits_nowhere_is_told(airlock: Airlock, server: Server) -> None:
    done = airlock("rita", "approve", "credit-card-fraud@9", "--stage", "LIVE")

    assert done.exit_code == 1
    assert "No gate asks about credit-card-fraud@9 into LIVE." in done.stderr


def test_applying_shows_the_difference_and_then_says_that_nothing_changes(
    airlock: Airlock, tmp_path: Path
) -> None:
    include = write_project(tmp_path / "project") / "include"

    looked = airlock("olga", "apply", str(include), "--dry-run")
    assert "+ policy LIVE" in looked.stdout
    assert "Nothing was done." in looked.stdout
    applied = airlock("olga", "apply", str(include), "--yes")
    assert applied.exit_code == 0, applied.output
    assert "Applied: 6 added." in applied.stdout
    assert "Nothing changes" in airlock("olga", "apply", str(include), "--yes").stdout

    (include / "policies" / "LIVE.yaml").write_text("stage: LIVE\napprovals:\n  - role: model-risk\n")
    changed = airlock("olga", "apply", str(include), "--yes")
    assert "~ policy LIVE" in changed.stdout
    assert "-- role: it-operations" in changed.stdout
    assert "Applied: 1 changed." in changed.stdout


def test_applying_without_a_person_to_ask_needs_a_yes(airlock: Airlock, include: Path) -> None:
    done = airlock("olga", "apply", str(include))

    assert done.exit_code == 1
    assert "--yes" in done.stderr


def test_applying_without_the_right_is_refused(airlock: Airlock, include: Path) -> None:
    done = airlock("dana", "apply", str(include), "--yes")

    assert done.exit_code == 1
    assert "operators and administrators" in done.stderr


def test_mistakes_are_listed_with_their_places(run: Airlock, tmp_path: Path) -> None:
    include = write_project(tmp_path / "project") / "include"
    service = include / "services" / "cc-fraud.yaml"
    service.write_text("service: cc-fraud\nlifecylce: guarded\nowner: fraud-team\n")

    done = run("lifecycle", "validate", str(include))

    assert done.exit_code == 1
    assert f"{service}:2:1: unknown key 'lifecylce'. Did you mean 'lifecycle'?" in done.stderr


def test_a_good_folder_validates_and_is_drawn_without_a_server(
    run: Airlock, include: Path, tmp_path: Path
) -> None:
    assert "2 services" in run("lifecycle", "validate", str(include)).stdout
    mermaid = run("lifecycle", "render", "guarded", "--format", "mermaid", "--include", str(include))
    assert mermaid.exit_code == 0, mermaid.output
    assert "LIVE" in mermaid.stdout
    picture = tmp_path / "guarded.svg"
    run("lifecycle", "render", "cc-fraud", "-o", str(picture), "--include", str(include))
    assert picture.read_text().startswith("<svg")


def test_runtimes_are_listed_and_cordoned(airlock: Airlock, include: Path) -> None:
    airlock("olga", "apply", str(include), "--yes")

    assert "0 of 4" in airlock("vera", "runtime", "list").stdout
    cordoned = airlock("olga", "runtime", "cordon", "local", "--reason", "new disks")
    assert cordoned.stdout.strip() == "local: cordoned by olga: new disks"
    assert "healthy" in airlock("olga", "runtime", "uncordon", "local").stdout
    assert airlock("dana", "runtime", "cordon", "local").exit_code == 1


def test_the_ledger_is_verified_against_a_head_that_was_kept(airlock: Airlock, story: Story) -> None:
    story.snapshot()

    whole = airlock("vera", "audit", "verify")
    assert whole.exit_code == 0
    head = whole.stdout.split("--head ")[1].strip()
    assert airlock("vera", "audit", "verify", "--head", head).exit_code == 0
    assert airlock("vera", "audit", "verify", "--head", head[:-4] + "0000").exit_code == 1
    assert airlock("vera", "audit", "verify", "--head", "nonsense").exit_code == 1
    assert "snapshot.created" in airlock("vera", "audit", "log").stdout


def test_where_says_when_a_service_runs_nowhere(airlock: Airlock, server: Server) -> None:
    assert airlock("vera", "where", "cc-fraud").stdout.strip() == "cc-fraud runs nowhere."
    assert airlock("vera", "where", "cc-fraud", "--at", "2026-03-31T12:00Z", "--json").stdout.strip() == "[]"


def test_schemas_are_written_once(run: Airlock, tmp_path: Path) -> None:
    first = run("schema", "write", str(tmp_path))
    second = run("schema", "write", str(tmp_path))

    assert "lifecycle.json" in first.stdout
    assert second.stdout.strip() == f"{tmp_path} is up to date."
    assert json.loads((tmp_path / "service.json").read_text())["title"]


def test_the_registry_is_migrated_by_its_address(run: Airlock, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/another.db"

    assert run("db", "migrate", AIRFLOW__AIRLOCK__DATABASE_URL=url).exit_code == 0
    assert Registry(url).ledger.verify() == []


@pytest.mark.parametrize(
    "arguments",
    [["promote", "model@1"], ["promote"], ["no-such-command"], ["where"], ["apply", "/no/such/folder"]],
    ids=" ".join,
)
def test_a_wrong_use_is_exit_code_2(arguments: list[str], run: Airlock) -> None:
    assert run(*arguments).exit_code == 2


def test_errors_are_json_where_json_is_asked_for(airlock: Airlock, server: Server) -> None:
    done = airlock("vera", "snapshot", "show", "nothing@1", "--json")

    assert done.exit_code == 1
    assert done.stdout == ""
    assert json.loads(done.stderr)["error"] == "not_found"


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["login"],
        ["snapshot"],
        ["snapshot", "create"],
        ["promote"],
        ["where"],
        ["gates"],
        ["approve"],
        ["reject"],
        ["apply"],
        ["lifecycle", "render"],
        ["runtime"],
        ["audit", "verify"],
        ["schema", "write"],
        ["db", "migrate"],
    ],
    ids=lambda command: " ".join(command) or "airlock",
)
def test_every_command_has_help(command: list[str], run: Airlock) -> None:
    done = run(*command, "--help")

    assert done.exit_code == 0
    assert "Usage" in done.stdout


def environment_of(server: Server, person: str) -> dict[str, str]:
    import os

    return {
        **os.environ,
        "AIRLOCK_URL": server.url,
        "AIRLOCK_USERNAME": person,
        "AIRLOCK_PASSWORD": PASSWORDS[person],
    }


def test_no_colour_where_none_is_wanted(server: Server) -> None:
    """The real program, with a terminal that would take colour."""
    airlock = shutil.which("airlock", path=str(Path(sys.executable).parent))
    assert airlock is not None
    shown = {
        name: subprocess.run(
            [airlock, "snapshot", "show", "nothing@1"],
            env={**environment_of(server, "vera"), "FORCE_COLOR": "1", **extra},
            capture_output=True,
            text=True,
            check=False,
        ).stderr
        for name, extra in {"colour": {}, "plain": {"NO_COLOR": "1"}}.items()
    }

    assert "\x1b[31m" in shown["colour"]
    assert "\x1b[3" not in shown["plain"]


def test_the_command_line_starts_fast_and_without_airflow() -> None:
    program = (
        "import sys, airlock.cli.app; slow = {'airflow', 'httpx', 'pydantic', 'sqlalchemy', 'yaml', 'rich'}; "
        "print(sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_nothing_of_the_command_line_imports_airflow() -> None:
    """Also not when commands run: their imports stand inside them."""
    import airlock.cli

    for path in Path(airlock.cli.__file__).parent.glob("*.py"):
        assert "import airflow" not in path.read_text()
        assert "from airflow" not in path.read_text()


@pytest.fixture
def there(airlock: Airlock, include: Path, monkeypatch: pytest.MonkeyPatch) -> ListedRuntime:
    """What is on the runtime ``local``."""
    found = ListedRuntime()
    monkeypatch.setattr("airlock.runtimes.adapter_for", lambda spec, settings: found)
    assert airlock("olga", "apply", str(include), "--yes").exit_code == 0
    return found


def test_a_runtime_is_checked_and_cleaned(airlock: Airlock, there: ListedRuntime) -> None:
    there.deployments = ["dep-0123456789ab"]

    checked = airlock("olga", "runtime", "check", "local")
    assert checked.exit_code == 0
    assert "local: healthy" in checked.stdout
    assert "dep-0123456789ab" in checked.stdout
    assert "airlock runtime clean local" in checked.stdout

    assert airlock("olga", "runtime", "clean", "local").exit_code == 1, "nobody is there to ask"
    looked = airlock("olga", "runtime", "clean", "local", "--dry-run")
    assert "The registry does not know its deployment." in looked.stdout
    assert "Nothing was done." in looked.stdout
    assert there.deployments == ["dep-0123456789ab"]

    assert "Removed: 1 of 1." in airlock("olga", "runtime", "clean", "local", "--yes").stdout
    assert there.deployments == []
    assert "local is clean" in airlock("olga", "runtime", "clean", "local", "--yes").stdout
    assert airlock("dana", "runtime", "clean", "local", "--yes").exit_code == 1


def test_a_runtimes_routes_are_renewed(
    airlock: Airlock, there: ListedRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert airlock("olga", "runtime", "route", "local").stdout.strip() == "No service has traffic on local."

    renewed = Renewed("cc-fraud", "LIVE", "https://models.example.com/cc-fraud/LIVE", "Nothing took it up.")
    monkeypatch.setattr("airlock.web.runtimes.renew", lambda registry, name: [renewed])
    done = airlock("olga", "runtime", "route", "local")

    assert done.exit_code == 1
    assert "cc-fraud in LIVE: https://models.example.com/cc-fraud/LIVE" in done.stdout
    assert "Nothing took it up." in done.stderr


def test_cleaning_prints_json_for_scripts(airlock: Airlock, there: ListedRuntime) -> None:
    there.deployments, there.jobs = ["dep-0123456789ab"], ["dep-0123456789ab-smoke-1-x"]
    there.stuck = {"dep-0123456789ab-smoke-1-x"}

    done = airlock("olga", "runtime", "clean", "local", "--yes", "--json")

    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert [each["name"] for each in found["removed"]] == ["dep-0123456789ab"]
    assert [each["name"] for each in found["failed"]] == ["dep-0123456789ab-smoke-1-x"]
    assert "read-only" in done.stderr


def test_what_cannot_be_asked_is_not_cleaned(airlock: Airlock, there: ListedRuntime) -> None:
    there.away = True

    checked = airlock("olga", "runtime", "check", "local")
    cleaned = airlock("olga", "runtime", "clean", "local", "--yes")

    assert "The engine does not answer." in checked.stderr
    assert cleaned.exit_code == 1
    assert "The engine does not answer." in cleaned.stderr
