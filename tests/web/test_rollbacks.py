"""Going back over the API: what could be gone back to, who may, and that asking again finishes it."""

from __future__ import annotations

from typing import Any

import pytest

from airlock.registry import Registry
from airlock.registry.records import RolloutRecord
from airlock.spec import Mode, load_include
from tests.listed_runtime import ListedRuntime
from tests.web.application import AsUser
from tests.web.story import API, Story, project_folder

SERVICE = f"{API}/services/cc-fraud"


@pytest.fixture
def two_versions(story: Story, registry: Registry) -> list[str]:
    """The names of two versions that LIVE's batches were scored with, the one in use last."""
    story.apply(load_include(project_folder() / "include"))
    names = [story.snapshot(code=f"version = {number}")["name"] for number in (1, 2)]
    for name in names:
        passage = story.begin(story.promote(name))
        put_into_use(registry, passage.id, passage.snapshot_digest, "batch")
        registry.passages.finish(passage.id, "completed", "")
    return names


def put_into_use(
    registry: Registry, passage_id: str, digest: str, mode: Mode, deployment_id: str | None = None
) -> None:
    registry.history.make_current(
        passage_id=passage_id,
        deployment_id=deployment_id,
        service="cc-fraud",
        stage="LIVE",
        mode=mode,
        snapshot_digest=digest,
    )


def begin_a_rollout(story: Story, registry: Registry) -> RolloutRecord:
    """A version of LIVE is in use online, and another one is being rolled out."""
    [rollout] = registry.rollouts.list(story.at_the_rollout().passage_id)
    current = registry.deployments.get(str(rollout.current_deployment_id))
    put_into_use(registry, str(current.passage_id), current.snapshot_digest, "online", current.id)
    return rollout


def in_use(registry: Registry) -> str:
    version = registry.history.current("cc-fraud", "LIVE", "batch")
    assert version is not None
    return version.snapshot_name


def request(old: str, new: str, **other: Any) -> dict[str, Any]:
    return {
        "stage": "LIVE",
        "mode": "batch",
        "from": new,
        "to": old,
        "reason": "It blocks everybody.",
    } | other


def ways_back(as_user: AsUser) -> list[dict[str, Any]]:
    answer = as_user("vera").get(f"{SERVICE}/ways-back", params={"stage": "LIVE"})
    assert answer.status_code == 200, answer.text
    ways: list[dict[str, Any]] = answer.json()
    return ways


def test_the_earlier_version_is_in_use_again(
    two_versions: list[str], as_user: AsUser, registry: Registry
) -> None:
    old, new = two_versions
    [way] = ways_back(as_user)
    assert (way["mode"], way["in_use"], way["targets"], way["rollout_of"]) == ("batch", new, [old], None)

    done = as_user("olga").post(f"{SERVICE}/rollbacks", json=request(old, new))

    assert done.status_code == 200, done.text
    assert (done.json()["left"], done.json()["to"], done.json()["requested_by"]) == (new, old, "olga")
    assert in_use(registry) == old
    [shown] = as_user("vera").get(f"{SERVICE}/rollbacks").json()
    assert shown == done.json()


def test_asked_again_it_is_the_same_rollback(
    two_versions: list[str], as_user: AsUser, registry: Registry
) -> None:
    first, again = (
        as_user("olga").post(f"{SERVICE}/rollbacks", json=request(*two_versions)).json() for _ in range(2)
    )
    assert first == again
    assert len(registry.rollbacks.list("cc-fraud")) == 1


def test_an_interrupted_rollback_is_the_first_way_and_is_finished(
    two_versions: list[str], as_user: AsUser, registry: Registry
) -> None:
    old, new = two_versions
    left, target = registry.history.versions("cc-fraud", "LIVE", "batch")
    begun = registry.rollbacks.begin(left, target, requested_by="olga", reason="It blocks everybody.")
    put_into_use(registry, target.passage_id, target.snapshot_digest, "batch")  # and there it was killed

    [way] = ways_back(as_user)
    assert (way["in_use"], way["targets"]) == (new, [old])
    done = as_user("olga").post(f"{SERVICE}/rollbacks", json=request(way["targets"][0], way["in_use"]))

    assert done.json()["id"] == begun.id
    assert done.json()["ended_at"] is not None
    assert registry.rollbacks.under_way("cc-fraud", "LIVE", "batch") is None
    assert in_use(registry) == old


@pytest.mark.parametrize("line", ["begun", "in use"])
def test_an_interrupted_rollback_does_not_keep_people_from_another_version(
    two_versions: list[str], story: Story, as_user: AsUser, registry: Registry, line: str
) -> None:
    oldest, old = two_versions
    new = story.snapshot(code="version = 3")["name"]
    passage = story.begin(story.promote(new))
    put_into_use(registry, passage.id, passage.snapshot_digest, "batch")
    left, target, _ = registry.history.versions("cc-fraud", "LIVE", "batch")
    begun = registry.rollbacks.begin(left, target, requested_by="olga", reason="It blocks everybody.")
    if line == "in use":
        registry.rollbacks.make_current(begun.id, None)

    [way] = ways_back(as_user)
    assert (way["in_use"], way["targets"]) == (new, [old, oldest])
    done = as_user("rita").post(f"{SERVICE}/rollbacks", json=request(oldest, new))

    assert done.status_code == 200, done.text
    assert in_use(registry) == oldest
    outcomes = [(each["to"], each["outcome"]) for each in as_user("vera").get(f"{SERVICE}/rollbacks").json()]
    assert outcomes == [(oldest, "done"), (old, "replaced")]


def test_a_rollback_that_another_version_has_overtaken_is_not_finished(
    two_versions: list[str], story: Story, as_user: AsUser, registry: Registry
) -> None:
    old, bad = two_versions
    left, target = registry.history.versions("cc-fraud", "LIVE", "batch")
    registry.rollbacks.begin(left, target, requested_by="olga", reason="It blocks everybody.")
    new = story.snapshot(code="version = 3")["name"]
    passage = story.begin(story.promote(new))
    put_into_use(registry, passage.id, passage.snapshot_digest, "batch")

    [way] = ways_back(as_user)
    assert (way["in_use"], way["targets"]) == (new, [old])
    again = as_user("olga").post(f"{SERVICE}/rollbacks", json=request(old, bad))

    assert again.status_code == 409
    assert f"{new} is in use in LIVE, not {bad}" in again.json()["message"]
    assert in_use(registry) == new


@pytest.mark.parametrize("person", ["rita", "omar"])
def test_who_has_a_role_of_the_stage_may_go_back(
    two_versions: list[str], as_user: AsUser, person: str
) -> None:
    assert as_user(person).post(f"{SERVICE}/rollbacks", json=request(*two_versions)).status_code == 200


def test_who_has_none_is_refused_and_nothing_happens(
    two_versions: list[str], as_user: AsUser, registry: Registry
) -> None:
    answer = as_user("dana").post(f"{SERVICE}/rollbacks", json=request(*two_versions, stage="LAB"))
    assert answer.status_code == 403
    assert "who has a role of LAB; you are neither" in answer.json()["message"]
    assert registry.rollbacks.list("cc-fraud") == []


def test_who_looked_at_an_older_version_is_told_to_look_again(
    two_versions: list[str], as_user: AsUser, registry: Registry
) -> None:
    old, new = two_versions
    answer = as_user("olga").post(f"{SERVICE}/rollbacks", json=request(old, old))
    assert answer.status_code == 409
    assert f"{new} is in use in LIVE, not {old}" in answer.json()["message"]
    assert in_use(registry) == new


def test_where_nothing_is_in_use_there_is_no_way_back(story: Story, as_user: AsUser) -> None:
    story.apply(load_include(project_folder() / "include"))
    answer = as_user("vera").get(f"{SERVICE}/ways-back", params={"stage": "LIVE"})
    assert answer.status_code == 404
    assert "No version of cc-fraud is in use in LIVE" in answer.json()["message"]


def test_ending_a_rollout_sends_all_requests_back_to_the_version_in_use(
    story: Story, as_user: AsUser, registry: Registry
) -> None:
    rollout = begin_a_rollout(story, registry)
    [way] = ways_back(as_user)
    assert way["rollout_of"] == registry.deployments.get(rollout.deployment_id).snapshot_name

    ends, wanted = f"{SERVICE}/rollout-ends", {"stage": "LIVE", "reason": "Customers call."}
    assert as_user("dana").post(ends, json=wanted | {"stage": "LAB"}).status_code == 403
    assert as_user("rita").post(ends, json=wanted).status_code == 200

    ended = registry.rollouts.get(rollout.id)
    assert (ended.outcome, ended.reason) == ("rolled_back", "rita: Customers call.")


def test_a_rollout_that_began_after_a_rollback_in_vain_is_what_ends_first(
    two_versions: list[str], story: Story, as_user: AsUser, registry: Registry
) -> None:
    rollout = begin_a_rollout(story, registry)
    left = registry.history.current("cc-fraud", "LIVE", "online")
    earlier = registry.history.current("cc-fraud", "LIVE", "batch")
    assert left is not None
    assert earlier is not None
    registry.rollbacks.begin(left, earlier, requested_by="olga", reason="It did not get ready.")

    online, _ = ways_back(as_user)

    assert online["rollout_of"] == registry.deployments.get(rollout.deployment_id).snapshot_name
    assert online["targets"] == [two_versions[1]]


def test_where_shows_the_address_that_stays(
    story: Story, as_user: AsUser, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the version in use, where the runtime has a router of its own."""
    begin_a_rollout(story, registry)
    monkeypatch.setattr(
        ListedRuntime, "address", lambda self, service, stage: f"https://front/{service}/{stage}"
    )
    monkeypatch.setattr("airlock.runtimes.adapter_for", lambda spec, settings: ListedRuntime())

    rows = as_user("vera").get(f"{SERVICE}/where").json()

    assert {(row["current"], row["url"]) for row in rows} == {
        (True, "https://front/cc-fraud/LIVE"),
        (False, None),
    }
    then = as_user("vera").get(f"{SERVICE}/where", params={"at": "2099-01-01T12:00Z"}).json()
    assert {row["url"] for row in then} <= {None}
