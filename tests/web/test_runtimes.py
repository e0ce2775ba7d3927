"""Runtimes: taking them out of use, looking at them, and removing what nothing needs."""

from __future__ import annotations

import pytest

from airlock.registry import Registry
from airlock.runtimes.base import Health
from tests.listed_runtime import ListedRuntime
from tests.web.application import AsUser
from tests.web.project import FILES
from tests.web.story import API

UNKNOWN = "dep-0123456789ab"


@pytest.fixture
def there(as_user: AsUser, monkeypatch: pytest.MonkeyPatch) -> ListedRuntime:
    """What is on the runtime ``local``."""
    found = ListedRuntime()
    monkeypatch.setattr("airlock.runtimes.adapter_for", lambda spec, settings: found)
    as_user("olga").post(f"{API}/apply", json={"files": FILES, "dry_run": False})
    return found


def test_a_runtime_is_cordoned_and_uncordoned(as_user: AsUser) -> None:
    client = as_user("olga")
    client.post(f"{API}/apply", json={"files": FILES, "dry_run": False})

    cordoned = client.post(f"{API}/runtimes/local/cordon", json={"reason": "new disks"}).json()
    assert (cordoned["cordoned"], cordoned["cordoned_by"], cordoned["cordon_reason"]) == (
        True,
        "olga",
        "new disks",
    )
    assert client.post(f"{API}/runtimes/local/uncordon", json={}).json()["cordoned"] is False
    assert client.post(f"{API}/runtimes/moon/cordon", json={}).status_code == 404


def test_checking_a_runtime_remembers_what_was_found(
    as_user: AsUser, registry: Registry, there: ListedRuntime
) -> None:
    there.health = Health(ok=False, message="the disk is full")

    found = as_user("olga").post(f"{API}/runtimes/local/check", json={}).json()

    assert (found["healthy"], found["health_message"]) == (False, "the disk is full")
    assert (found["orphans"], found["drift"], found["unseen"]) == ([], [], "")
    assert registry.catalog.runtime("local").health.ok is False


def test_a_runtime_without_services_in_use_has_nothing_to_route(
    as_user: AsUser, there: ListedRuntime
) -> None:
    assert as_user("olga").post(f"{API}/runtimes/local/route", json={}).json() == []
    assert as_user("vera").post(f"{API}/runtimes/local/route", json={}).status_code == 403


def test_checking_a_runtime_names_what_nothing_needs(as_user: AsUser, there: ListedRuntime) -> None:
    there.deployments, there.jobs = [UNKNOWN], [f"{UNKNOWN}-smoke-1-records"]

    found = as_user("olga").post(f"{API}/runtimes/local/check", json={}).json()

    reason = "The registry does not know its deployment."
    assert found["orphans"] == [
        {"kind": "deployment", "name": UNKNOWN, "reason": reason, "since": None},
        {"kind": "job", "name": f"{UNKNOWN}-smoke-1-records", "reason": reason, "since": None},
    ]


def test_a_runtime_that_does_not_say_what_is_on_it_is_checked_all_the_same(
    as_user: AsUser, there: ListedRuntime
) -> None:
    there.away = True

    found = as_user("olga").post(f"{API}/runtimes/local/check", json={}).json()

    assert found["unseen"] == "The engine does not answer. Start it."
    assert found["orphans"] == []


def test_cleaning_removes_what_is_named_and_stands_in_ledger_and_audit_log(
    as_user: AsUser, registry: Registry, there: ListedRuntime
) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    there.deployments, there.jobs = [UNKNOWN, "dep-ba9876543210"], ["dep-ba9876543210-smoke-1-x"]
    there.stuck = {"dep-ba9876543210-smoke-1-x"}
    named = [
        {"kind": "deployment", "name": UNKNOWN},
        {"kind": "job", "name": "dep-ba9876543210-smoke-1-x"},
        {"kind": "deployment", "name": "dep-not-there"},
    ]

    answer = as_user("olga").post(f"{API}/runtimes/local/clean", json={"remove": named}).json()

    assert [each["name"] for each in answer["removed"]] == [UNKNOWN]
    assert [(each["name"], each["problem"]) for each in answer["failed"]] == [
        (
            "dep-ba9876543210-smoke-1-x",
            "dep-ba9876543210-smoke-1-x cannot be removed: the disk is read-only.",
        )
    ]
    assert there.deployments == ["dep-ba9876543210"]
    [entry] = registry.ledger.entries(event="runtime.cleaned")
    assert (entry.subject, entry.actor, entry.details) == (
        "local",
        "olga",
        {"removed": [f"deployment {UNKNOWN}"]},
    )
    with create_session() as session:
        last = session.scalars(select(Log).order_by(Log.id.desc())).first()
        assert last is not None
        assert (last.event, last.owner) == ("airlock_clean_runtime", "olga")


def test_only_operators_and_administrators_clean(as_user: AsUser, there: ListedRuntime) -> None:
    there.deployments = [UNKNOWN]
    named = {"remove": [{"kind": "deployment", "name": UNKNOWN}]}

    for name, status in {"vera": 403, "dana": 403, "olga": 200}.items():
        assert as_user(name).post(f"{API}/runtimes/local/clean", json=named).status_code == status

    assert there.deployments == []
