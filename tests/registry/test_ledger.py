"""The ledger refuses to be changed, and tells where somebody changed it who could."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Table, delete, func, insert, inspect, select, text, update
from sqlalchemy.exc import DBAPIError

from airlock.registry import LedgerHead, Registry
from airlock.registry import tables as t
from airlock.registry.ledger import GENESIS, _hash, append
from airlock.registry.records import LedgerProblem
from tests.registry.building import add_snapshot, approve, begin
from tests.registry.racing import race

ROWS = 12


@pytest.fixture
def filled(registry: Registry) -> Registry:
    """A registry whose ledger has ``ROWS`` rows, the last of which tell of decisions."""
    for number in range(ROWS - 3):
        add_snapshot(registry, f"model-{number}")
    passage = begin(registry, registry.snapshots.get("model-0@1"), "run-1")
    approve(registry, passage, "mia")
    approve(registry, passage, "ivo")
    assert registry.ledger.verify() == []
    assert registry.ledger.head().count == ROWS
    return registry


Act = Callable[..., Any]


@pytest.fixture
def as_administrator(registry: Registry) -> Act:
    """Runs a statement as somebody who may drop triggers, and does."""
    engine = registry.database.engine

    def act(*statements: Any) -> None:
        with engine.begin() as connection:
            for table in inspect(connection).get_table_names():
                if engine.dialect.name == "postgresql":
                    connection.execute(text(f'ALTER TABLE "{table}" DISABLE TRIGGER ALL'))
            if engine.dialect.name == "sqlite":
                query = text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
                for trigger in connection.execute(query).scalars().all():
                    connection.execute(text(f"DROP TRIGGER {trigger}"))
            for statement in statements:
                connection.execute(statement)

    return act


def found(registry: Registry) -> list[tuple[int, str]]:
    return [(problem.number, problem.kind) for problem in registry.ledger.verify()]


def test_rows_tell_who_did_what_and_are_chained(registry: Registry) -> None:
    snapshot = add_snapshot(registry, by="ann")
    begin(registry, snapshot, "run-1", by="rob")
    first, second = registry.ledger.entries()
    assert (first.number, first.event, first.subject, first.actor) == (
        1,
        "snapshot.created",
        "fraud@1",
        "ann",
    )
    assert (second.event, second.actor, second.details["run_id"]) == ("passage.began", "rob", "run-1")
    assert (first.previous_hash, second.previous_hash) == (GENESIS, first.hash)
    assert registry.ledger.head() == LedgerHead(2, second.hash)


def test_entries_can_be_narrowed(filled: Registry) -> None:
    assert [entry.number for entry in filled.ledger.entries(event="decision.")] == [ROWS - 1, ROWS]
    assert [entry.number for entry in filled.ledger.entries(after=3, limit=2)] == [4, 5]
    assert [entry.number for entry in filled.ledger.entries(subject="model-4@1")] == [5]


@pytest.mark.parametrize("table", [t.ledger, t.decisions, t.deployment_states, t.check_results], ids=str)
@pytest.mark.parametrize("act", ["UPDATE", "DELETE", "TRUNCATE"])
def test_the_database_refuses_to_change_history(
    filled: Registry, table: Table, act: str, backend: str
) -> None:
    if act == "TRUNCATE" and backend == "sqlite":
        pytest.skip("SQLite has no TRUNCATE; its DELETE without WHERE is among these tests")
    with filled.database.engine.begin() as connection:
        _give_it_a_row(connection, table)
    statement = {
        "UPDATE": f"UPDATE {table.name} SET id = 99"
        if "id" in table.c
        else "UPDATE ledger SET actor = 'eve'",
        "DELETE": f"DELETE FROM {table.name}",
        "TRUNCATE": f"TRUNCATE {table.name} CASCADE",
    }[act]
    with filled.database.engine.begin() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.execute(text(statement))


def _give_it_a_row(connection: Any, table: Table) -> None:
    if table is t.deployment_states:
        digest = connection.execute(select(t.snapshots.c.digest).limit(1)).scalar_one()
        now = connection.execute(select(t.ledger.c.at).limit(1)).scalar_one()
        deployment = dict.fromkeys(("key", "service", "stage", "mode", "runtime", "purpose", "state"), "x")
        connection.execute(
            insert(t.deployments).values(
                id="x",
                attempt=1,
                snapshot_digest=digest,
                endpoints=[],
                created_at=now,
                changed_at=now,
                **deployment,
            )
        )
        connection.execute(
            insert(table).values(deployment_id="x", state="x", runtime="x", endpoints=[], at=now)
        )
    if table is t.check_results:
        passage, now = connection.execute(select(t.passages.c.id, t.passages.c.started_at)).one()
        connection.execute(
            insert(table).values(
                passage_id=passage, deployment_id="x", stage="DEV", check_name="x", result={}, recorded_at=now
            )
        )


@pytest.mark.parametrize("statement", ["DELETE FROM ledger_head", "UPDATE ledger_head SET row_count = 3"])
def test_the_head_only_moves_forward(filled: Registry, statement: str) -> None:
    with (
        filled.database.engine.begin() as connection,
        pytest.raises(DBAPIError, match=r"(?:the head of the ledger|ledger_head is append-only)"),
    ):
        connection.execute(text(statement))


def test_sqlite_refuses_to_replace_a_row(filled: Registry, backend: str) -> None:
    if backend != "sqlite":
        pytest.skip("PostgreSQL has no INSERT OR REPLACE; its ON CONFLICT DO UPDATE is an UPDATE")
    statement = (
        "INSERT OR REPLACE INTO ledger SELECT number, at, event, subject, 'eve', details, previous_hash, hash"
    )
    with filled.database.engine.begin() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.execute(text(f"{statement} FROM ledger WHERE number = 4"))


@pytest.mark.parametrize("number", [1, 6, ROWS - 3])
@pytest.mark.parametrize(
    "change",
    [{"actor": "eve"}, {"subject": "x@1"}, {"details": "{}"}, {"event": "x"}, {"hash": "0" * 64}],
    ids=str,
)
def test_a_changed_row_is_named(
    filled: Registry, as_administrator: Act, number: int, change: dict[str, str]
) -> None:
    as_administrator(update(t.ledger).where(t.ledger.c.number == number).values(**change))
    assert found(filled) == [(number, "changed")]


@pytest.mark.parametrize("number", [1, 6, ROWS - 3])
def test_a_row_changed_together_with_its_hash_is_named(
    filled: Registry, as_administrator: Act, number: int
) -> None:
    as_administrator(*_forge(filled, number, actor="eve"))
    assert found(filled) == [(number, "changed")]


@pytest.mark.parametrize("number", [1, 6, ROWS - 3])
def test_a_removed_row_is_named(filled: Registry, as_administrator: Act, number: int) -> None:
    as_administrator(delete(t.ledger).where(t.ledger.c.number == number))
    assert found(filled) == [(number, "removed")]


def test_rows_removed_from_the_end_are_named(filled: Registry, as_administrator: Act) -> None:
    add_snapshot(filled, "one-more")
    add_snapshot(filled, "and-another")
    as_administrator(delete(t.ledger).where(t.ledger.c.number > ROWS))
    assert found(filled) == [(ROWS + 1, "removed"), (ROWS + 2, "removed")]


@pytest.mark.parametrize("number", [1, 6])
def test_a_removed_row_is_named_though_the_rest_was_renumbered(
    filled: Registry, as_administrator: Act, number: int
) -> None:
    remove = delete(t.ledger).where(t.ledger.c.number == number)
    as_administrator(remove, *_renumber(from_number=number + 1, by=-1))
    removed = [problem for problem in filled.ledger.verify() if problem.kind == "removed"]
    assert (number, "removed") in [(problem.number, problem.kind) for problem in removed]


@pytest.mark.parametrize("with_right_hash", [True, False])
def test_a_row_added_at_the_end_is_named(
    filled: Registry, as_administrator: Act, with_right_hash: bool
) -> None:
    as_administrator(_new_row(filled, ROWS + 1, with_right_hash))
    assert found(filled) == [(ROWS + 1, "inserted")]


@pytest.mark.parametrize("number", [1, 6])
@pytest.mark.parametrize("with_right_hash", [True, False])
def test_a_row_put_in_between_is_named(
    filled: Registry, as_administrator: Act, number: int, with_right_hash: bool
) -> None:
    new_row = _new_row(filled, number, with_right_hash)
    as_administrator(*_renumber(from_number=number, by=1), new_row)
    assert (number, "inserted") in found(filled)
    assert not [
        problem
        for problem in filled.ledger.verify()
        if problem.message.startswith("Row") and problem.number != number
    ]


@pytest.mark.parametrize("number", [0, -5, 1000])
def test_a_row_far_off_is_named(filled: Registry, as_administrator: Act, number: int) -> None:
    as_administrator(_new_row(filled, number, True))
    assert found(filled) == [(number, "inserted")]


def test_several_wounds_are_all_named(filled: Registry, as_administrator: Act) -> None:
    as_administrator(
        update(t.ledger).where(t.ledger.c.number == 2).values(actor="eve"),
        delete(t.ledger).where(t.ledger.c.number.in_([4, 5])),
        *_forge(filled, 8, actor="eve"),
        _new_row(filled, ROWS + 1, True),
    )
    expected = [(2, "changed"), (4, "removed"), (5, "removed"), (8, "changed"), (ROWS + 1, "inserted")]
    assert found(filled) == expected


def test_an_exported_head_shows_a_ledger_that_was_rewritten_as_a_whole(
    filled: Registry, as_administrator: Act
) -> None:
    anchor = filled.ledger.head()
    assert filled.ledger.verify(expected_head=anchor) == []
    add_snapshot(filled, "later")
    assert filled.ledger.verify(expected_head=anchor) == [], "a longer ledger still contains the old head"

    _rewrite_everything(filled, as_administrator, actor="eve", at_row=5)
    assert filled.ledger.verify() == [], "the chain is whole again: the database alone cannot tell"
    problems = filled.ledger.verify(expected_head=anchor)
    assert [(problem.number, problem.kind) for problem in problems] == [(ROWS, "changed")]


def test_an_exported_head_shows_that_the_end_was_cut_off_with_the_head(
    filled: Registry, as_administrator: Act
) -> None:
    add_snapshot(filled, "later")
    anchor = filled.ledger.head()
    last_kept = filled.ledger.entries(after=ROWS - 1, limit=1)[0]
    as_administrator(
        delete(t.ledger).where(t.ledger.c.number > ROWS),
        update(t.ledger_head).values(row_count=ROWS, hash=last_kept.hash),
    )
    assert filled.ledger.verify() == []
    assert filled.ledger.verify(expected_head=anchor) == [
        LedgerProblem(ROWS + 1, "removed", f"Row {ROWS + 1} was removed: the exported head still knew it.")
    ]


def test_decisions_are_held_against_the_ledger(filled: Registry, as_administrator: Act) -> None:
    columns = [column for column in t.decisions.c if column.name not in ("id", "user", "ledger_number")]
    forged = select(text("99"), text("'eve'"), text("1"), *columns).where(t.decisions.c.user == "mia")
    as_administrator(
        insert(t.decisions).from_select(["id", "user", "ledger_number", *(c.name for c in columns)], forged),
        update(t.decisions).where(t.decisions.c.user == "ivo").values(verdict="reject"),
        delete(t.decisions).where(t.decisions.c.user == "mia"),
    )
    assert [problem.message for problem in filled.ledger.verify()] == [
        "Decision 99 was inserted: the ledger does not tell of it.",
        "The decision that row 11 of the ledger tells of was removed from its table.",
        "Decision 2 was changed: row 12 of the ledger tells otherwise.",
    ]


def test_many_writers_leave_one_unbroken_chain(registry: Registry, url: str, backend: str) -> None:
    processes, each = (8, 5) if backend == "sqlite" else (16, 10)
    registry.close()

    def write(own: Registry, number: int) -> None:
        for turn in range(each):
            add_snapshot(own, "same-model", content=[number, turn])

    race(processes, url, write)
    assert registry.ledger.verify() == []
    assert registry.ledger.head().count == processes * each
    versions = [snapshot.version for snapshot in registry.snapshots.list(model="same-model")]
    assert sorted(versions) == list(range(1, processes * each + 1))


def test_a_write_that_fails_leaves_no_row(registry: Registry) -> None:
    def write_and_fail() -> None:
        with registry.database.write() as transaction:
            append(transaction, "x", "x", "x", {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert registry.ledger.entries() == []
    assert registry.ledger.verify() == []


def _row(registry: Registry, number: int) -> Any:
    with registry.database.read() as connection:
        return connection.execute(select(t.ledger).where(t.ledger.c.number == number)).one()


def _forge(registry: Registry, number: int, **changes: str) -> list[Any]:
    """Change a row and give it the hash that its new content has."""
    row = {**_row(registry, number)._mapping, **changes}
    row["hash"] = _hash_of(row)
    return [update(t.ledger).where(t.ledger.c.number == number).values(**row)]


def _hash_of(row: dict[str, Any]) -> str:
    return _hash(**{name: value for name, value in row.items() if name != "hash"})


def _renumber(from_number: int, by: int) -> list[Any]:
    """Move rows in two steps, since one row after the other would meet its neighbour's number."""
    number = t.ledger.c.number
    return [
        update(t.ledger).where(number >= from_number).values(number=number + 1000),
        update(t.ledger).where(number >= 1000).values(number=number - 1000 + by),
    ]


def _new_row(registry: Registry, number: int, with_right_hash: bool) -> Any:
    before = _row(registry, min(max(number - 1, 1), ROWS))
    row = {
        **before._mapping,
        "number": number,
        "event": "decision-like.accepted",
        "actor": "eve",
        "previous_hash": before.hash if number > 1 else GENESIS,
    }
    row["hash"] = _hash_of(row) if with_right_hash else "f" * 64
    return insert(t.ledger).values(**row)


def _rewrite_everything(registry: Registry, as_administrator: Act, *, actor: str, at_row: int) -> None:
    statements = []
    previous_hash = GENESIS
    with registry.database.read() as connection:
        count = connection.execute(select(func.count()).select_from(t.ledger)).scalar_one()
    for number in range(1, count + 1):
        row = {**_row(registry, number)._mapping, "previous_hash": previous_hash}
        if number == at_row:
            row["actor"] = actor
        row["hash"] = previous_hash = _hash_of(row)
        statements.append(update(t.ledger).where(t.ledger.c.number == number).values(**row))
    as_administrator(*statements, update(t.ledger_head).values(hash=previous_hash))
