"""Applying include/, runtimes, schemas, the ledger, and who somebody is."""

from __future__ import annotations

from typing import Any

import pytest

from airlock.spec.json_schema import schemas
from tests.web.application import AsUser
from tests.web.project import FILES
from tests.web.story import API, Story


def test_applying_shows_the_difference_and_the_second_time_changes_nothing(as_user: AsUser) -> None:
    client = as_user("olga")

    planned = client.post(f"{API}/apply", json={"files": FILES, "dry_run": True}).json()
    assert {(each["kind"], each["name"], each["action"]) for each in planned["changes"]} == {
        ("lifecycle", "guarded", "add"),
        ("service", "cc-fraud", "add"),
        ("service", "tumour-triage", "add"),
        ("runtime", "local", "add"),
        ("policy", "LIVE", "add"),
        ("roles", "roles", "add"),
    }
    assert client.get(f"{API}/runtimes").json() == []

    client.post(f"{API}/apply", json={"files": FILES, "dry_run": False})
    again = client.post(f"{API}/apply", json={"files": FILES, "dry_run": False}).json()
    assert {each["action"] for each in again["changes"]} == {"same"}
    assert [each["name"] for each in client.get(f"{API}/runtimes").json()] == ["local"]


def test_only_operators_and_administrators_apply(as_user: AsUser) -> None:
    """Who may say who approves and where models run is not who promotes."""
    for name, status in {"vera": 403, "dana": 403, "olga": 200, "ada": 200}.items():
        assert as_user(name).post(f"{API}/apply", json={"files": {}}).status_code == status


def test_mistakes_in_the_files_come_back_with_their_places(as_user: AsUser) -> None:
    files = {**FILES, "services/cc-fraud.yaml": "service: cc-fraud\nlifecylce: guarded\nowner: fraud-team\n"}

    answer = as_user("olga").post(f"{API}/apply", json={"files": files})

    assert answer.status_code == 422
    assert answer.json()["error"] == "spec_error"
    places = {(each["file"], each["line"]) for each in answer.json()["problems"]}
    assert ("services/cc-fraud.yaml", 2) in places
    assert "/tmp" not in answer.text


@pytest.mark.parametrize(
    "path", ["../secret.yaml", "/etc/passwd.yaml", "services/../../x.yaml", "dags/evil.py"]
)
def test_files_stay_inside_include(path: str, as_user: AsUser) -> None:
    assert as_user("olga").post(f"{API}/apply", json={"files": {path: "a: 1"}}).status_code == 422


def test_the_ledger_is_shown_and_verified(story: Story, as_user: AsUser) -> None:
    story.snapshot(by="dana")
    client = as_user("vera")

    (entry,) = client.get(f"{API}/audit/entries", params={"event": "snapshot."}).json()
    assert (entry["event"], entry["actor"]) == ("snapshot.created", "dana")
    verified = client.get(f"{API}/audit/verify").json()
    assert verified["ok"] is True

    head = {"expected_count": verified["head"]["count"], "expected_hash": verified["head"]["hash"]}
    assert client.get(f"{API}/audit/verify", params=head).json()["ok"] is True
    wrong = {**head, "expected_hash": "0" * 64}
    assert client.get(f"{API}/audit/verify", params=wrong).json()["ok"] is False


def test_me_is_the_login_with_its_roles(story: Story, as_user: AsUser) -> None:
    as_user("olga").post(f"{API}/apply", json={"files": FILES, "dry_run": False})

    people: dict[str, Any] = {
        name: as_user(name).get(f"{API}/me").json() for name in ("rita", "vera", "olga")
    }

    assert people["rita"] == {
        "name": "rita",
        "roles": ["model-risk"],
        "may_promote": True,
        "may_configure": False,
    }
    assert (people["vera"]["may_promote"], people["olga"]["may_configure"]) == (False, True)


@pytest.mark.parametrize("kind", sorted(schemas()))
def test_every_kind_of_file_has_a_schema(kind: str, as_user: AsUser) -> None:
    schema = as_user("vera").get(f"{API}/schemas/{kind}").json()

    assert schema["$schema"].startswith("http://json-schema.org/")


def test_the_hosts_requirements_are_told_to_who_packs(as_user: AsUser) -> None:
    requirements = as_user("dana").get(f"{API}/host-requirements").json()

    assert any(line.startswith("pyarrow") for line in requirements)


def test_the_api_describes_itself(as_user: AsUser) -> None:
    description = as_user("vera").get(f"{API}/openapi.json").json()

    assert "/api/v1/passages/{passage_id}/decisions" in description["paths"]


def test_what_people_change_stands_in_airflows_audit_log(as_user: AsUser) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    as_user("olga").post(f"{API}/runtimes/moon/cordon", json={"reason": "full"})

    with create_session() as session:
        last = session.scalars(select(Log).order_by(Log.id.desc())).first()
        assert last is not None
        assert (last.event, last.owner) == ("airlock_cordon_runtime", "olga")
        assert "moon" in str(last.extra)


def test_an_empty_registry_that_has_no_tables_is_a_clear_error(
    as_user: AsUser, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = as_user("ada")
    monkeypatch.setenv("AIRFLOW__AIRLOCK__DATABASE_URL", f"sqlite:///{tmp_path}/another.db")

    answer = client.get(f"{API}/snapshots")

    assert answer.status_code == 503
    assert answer.json()["error"] == "registry_error"
    assert "airlock db migrate" in answer.json()["mend"]
