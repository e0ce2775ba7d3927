"""Snapshots get their version when they come, and are found by any of their names."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select

from airlock.exceptions import Conflict, IntegrityError, NotFound
from airlock.registry import Registry
from airlock.registry import tables as t
from tests.registry.building import add_snapshot


def test_versions_count_up_for_each_model(registry: Registry) -> None:
    names = [
        add_snapshot(registry, model, content=content).name
        for model, content in [("fraud", 1), ("fraud", 2), ("credit", 1), ("fraud", 3)]
    ]
    assert names == ["fraud@1", "fraud@2", "credit@1", "fraud@3"]


def test_the_same_digest_is_the_same_snapshot(registry: Registry) -> None:
    first = add_snapshot(registry, by="ann")
    assert add_snapshot(registry, by="bob") == first
    assert first.created_by == "ann"
    tagged = registry.snapshots.add(first.manifest, first.digest, by="bob", services=["wire-fraud"])
    assert tagged.name == first.name
    assert tagged.services == ("cc-fraud", "wire-fraud")
    assert [entry.event for entry in registry.ledger.entries()] == ["snapshot.created", "snapshot.tagged"]


def test_a_wrong_digest_is_refused(registry: Registry) -> None:
    with pytest.raises(IntegrityError, match="manifest of fraud does not have the digest sha256:0"):
        registry.snapshots.add({"model": "fraud", "services": [], "modes": []}, "sha256:0", by="ann")


def test_it_is_found_by_name_digest_and_model(registry: Registry) -> None:
    first, second = add_snapshot(registry, content=1), add_snapshot(registry, content=2)
    assert registry.snapshots.get("fraud@1") == first
    assert registry.snapshots.get(first.digest) == first
    assert registry.snapshots.get(first.digest[: len("sha256:") + 12]) == first
    assert registry.snapshots.get("fraud") == second


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("frau", r"no snapshot 'frau'. Did you mean fraud@2\?"),
        ("fraud@7", r"no snapshot 'fraud@7'. It has fraud@1, fraud@2"),
        ("fraud@x", "no snapshot 'fraud@x'"),
        ("fraud@99999999999", "no snapshot 'fraud@99999999999'"),
        ("sha256:", "no snapshot 'sha256:'"),
        ("sha256:%", "no snapshot"),
        ("something-else", "airlock snapshot list"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is_near(registry: Registry, ref: str, message: str) -> None:
    add_snapshot(registry, content=1)
    add_snapshot(registry, content=2)
    with pytest.raises(NotFound, match=message):
        registry.snapshots.get(ref)


def test_a_beginning_that_two_digests_share_is_refused(registry: Registry) -> None:
    snapshot = add_snapshot(registry)
    twin = snapshot.digest[:-1] + ("0" if snapshot.digest[-1] != "0" else "1")
    with registry.database.write() as transaction:
        row = dict(transaction.connection.execute(select(t.snapshots)).one()._mapping)
        transaction.connection.execute(insert(t.snapshots).values(**{**row, "digest": twin, "version": 2}))
    with pytest.raises(Conflict, match="Give more digits"):
        registry.snapshots.get(snapshot.digest[:40])
    assert registry.snapshots.get(snapshot.digest) == snapshot


def test_the_newest_of_a_service_may_be_of_any_of_its_models(registry: Registry) -> None:
    assert registry.snapshots.newest("cc-fraud") is None
    add_snapshot(registry, "forest", content=1)
    add_snapshot(registry, "forest", content=2)
    boosted = add_snapshot(registry, "boosted")
    add_snapshot(registry, "other", services=["heloc"])
    assert registry.snapshots.newest("cc-fraud") == boosted


def test_lists_are_newest_first(registry: Registry) -> None:
    for model, content in [("forest", 1), ("forest", 2), ("boosted", 1)]:
        add_snapshot(registry, model, content=content)
    names = [snapshot.name for snapshot in registry.snapshots.list(service="cc-fraud")]
    assert names == ["boosted@1", "forest@2", "forest@1"]
    assert [snapshot.name for snapshot in registry.snapshots.list(model="forest")] == ["forest@2", "forest@1"]
    assert registry.snapshots.list(service="heloc") == []
