"""Workers of a stream change in an order that answers each record once, and those of a key in their order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from airlock.orchestration.stream_moves import Drain, InForce, Move, Take, next_move, roles
from airlock.registry.records import Mirror, Traffic
from airlock.runtimes.streams import IDLE, StreamRole

KEYS = 10
"""Each stands for so many percent of all keys: key 0 is in a share of 10, keys 0 and 1 in one of 20."""


def traffic(shares: Mapping[str, int], mirror: Mirror | None = None) -> Traffic:
    return Traffic(
        id=1,
        service="cc-fraud",
        stage="PROD",
        shares=shares,
        mirror=mirror,
        sticky=None,
        actor="airlock",
        reason="",
        from_time=datetime(2026, 1, 1, tzinfo=UTC),
        to_time=None,
    )


class Topics:
    """An input and what is passed on, and the workers that read them as they are told."""

    def __init__(self, workers: list[str]) -> None:
        self.told: dict[str, StreamRole] = dict.fromkeys(workers, IDLE)
        self.dead: set[str] = set()
        self.answers: list[tuple[int, int]] = []
        self._number = 0
        self._input: list[tuple[int, int]] = []
        self._passed_on: list[tuple[int, int]] = []

    def produce(self, records: int) -> None:
        for _ in range(records):
            self._number += 1
            self._input.append((self._number * 7 % KEYS, self._number))

    @property
    def said(self) -> dict[str, InForce | None]:
        return {
            name: InForce(role, at_end=role.reads == "share" and not self._passed_on)
            for name, role in self.told.items()
            if name not in self.dead
        }

    def obey(self, move: Move) -> None:
        if isinstance(move, Take):
            assert not (self.said[move.deployment] or InForce(IDLE)).is_as(move.role), "it does so already"
            self.told[move.deployment] = move.role
        else:
            assert self.told[move.deployment].reads == "share"
            self.work(move.deployment, records=1_000)
        for topic in ("input", "share"):
            alive = [name for name in self.told if name not in self.dead]
            readers = [name for name in alive if self.told[name].reads == topic]
            assert len(readers) <= 1, f"{readers} read the same at once"

    def work(self, name: str, records: int) -> None:
        role = self.told[name]
        for _ in range(records if name not in self.dead else 0):
            if role.reads == "share" and self._passed_on:
                self.answers.append(self._passed_on.pop(0))
            if role.reads == "input" and self._input:
                record = self._input.pop(0)
                is_passed_on = record[0] * 100 / KEYS < role.share_percent
                (self._passed_on if is_passed_on else self.answers).append(record)

    def check(self) -> None:
        """Everything is answered once, in the order of each key."""
        assert len(self.answers) == self._number
        by_key: dict[int, list[int]] = defaultdict(list)
        for key, number in self.answers:
            by_key[key].append(number)
        assert all(numbers == sorted(set(numbers)) for numbers in by_key.values())


WORKERS = ["one", "two", "three"]


@st.composite
def wishes(draw: st.DrawFn) -> Traffic:
    names = draw(st.permutations(WORKERS))
    percent = draw(st.integers(0, 10)) * 10
    shares = {name: share for name, share in zip(names, (percent, 100 - percent), strict=False) if share}
    mirror = Mirror(names[2], 30) if draw(st.booleans()) else None
    return traffic({} if draw(st.integers(0, 9)) == 0 else shares, mirror)


@given(
    turns=st.lists(
        st.tuples(
            wishes(),
            st.integers(0, 12),
            st.lists(st.tuples(st.sampled_from(WORKERS), st.integers(0, 9)), max_size=3),
            st.sampled_from([None, None, None, None, *WORKERS]),
        ),
        max_size=8,
    ),
    last=st.sampled_from(WORKERS),
)
def test_from_any_state_to_any_state_each_record_has_one_reader(
    turns: list[tuple[Traffic, int, list[tuple[str, int]], str | None]], last: str
) -> None:
    """Killed after any number of moves, and with workers that die, it ends as wanted."""
    topics = Topics(WORKERS)
    passed_on = False
    for wanted, moves, work, dies in [*turns, (traffic({last: 100}), 99, [], None)]:
        topics.produce(13)
        passed_on |= len(wanted.shares) > 1
        if wanted.id and dies not in (None, last):
            topics.dead.add(str(dies))
        for _ in range(moves):
            move = next_move(roles(wanted, WORKERS), topics.said, passed_on=passed_on)
            if move is None:
                break
            topics.obey(move)
            for name, records in work:
                topics.work(name, records)
        topics.produce(13)
        for name, records in work:
            topics.work(name, records)
    assert topics.told[last] == StreamRole("input")
    assert [name for name, role in topics.told.items() if role != IDLE and name not in topics.dead] == [last]
    topics.work(last, 1_000)
    topics.check()


@given(
    wanted=wishes(),
    said=st.dictionaries(
        st.sampled_from(WORKERS),
        st.one_of(
            st.none(),
            st.builds(
                InForce,
                st.builds(
                    StreamRole,
                    st.sampled_from(["input", "share", "shadow", "nothing"]),
                    st.sampled_from([0, 5, 50]),
                ),
                st.booleans(),
            ),
        ),
    ),
    passed_on=st.booleans(),
)
def test_whatever_workers_say_it_comes_to_an_end(
    wanted: Traffic, said: dict[str, InForce | None], passed_on: bool
) -> None:
    for _ in range(20):
        move = next_move(roles(wanted, WORKERS), said, passed_on=passed_on)
        if move is None:
            break
        role = move.role if isinstance(move, Take) else StreamRole("share")
        said[move.deployment] = InForce(role, at_end=isinstance(move, Drain))
    else:
        raise AssertionError("it goes round in circles")


def plan(wanted: Traffic, said: dict[str, InForce | None], *, passed_on: bool = True) -> list[str]:
    """The moves in words, each done as it is asked for."""
    said, found = dict(said), []
    while (move := next_move(roles(wanted, ["new", "current"]), said, passed_on=passed_on)) is not None:
        if isinstance(move, Drain):
            said[move.deployment] = InForce(StreamRole("share"), at_end=True)
            found.append(f"{move.deployment}: at end")
        else:
            said[move.deployment] = InForce(move.role)
            percent = f" {move.role.share_percent:g}" if move.role.share_percent else ""
            found.append(f"{move.deployment}: {move.role.reads}{percent}")
    return found


READS = InForce(StreamRole("input"))
WAITS = InForce(IDLE)


def passes_on(percent: int) -> InForce:
    return InForce(StreamRole("input", share_percent=percent))


def test_a_first_version_reads_the_input() -> None:
    assert plan(traffic({"new": 100}), {"new": WAITS}, passed_on=False) == ["new: input"]


def test_blue_green_hands_over() -> None:
    moves = plan(traffic({"new": 100}), {"new": WAITS, "current": READS}, passed_on=False)
    assert moves == ["current: nothing", "new: input"]


def test_a_canary_gets_its_share_once_it_reads_it() -> None:
    moves = plan(traffic({"new": 5, "current": 95}), {"new": WAITS, "current": READS})
    assert moves == ["new: share", "current: input 5"]


def test_a_share_grows_in_the_file_of_the_current_one_only() -> None:
    said = {"new": InForce(StreamRole("share")), "current": passes_on(5)}
    assert plan(traffic({"new": 50, "current": 50}), said) == ["current: input 50"]


def test_a_canary_that_takes_over_answers_first_what_was_passed_on() -> None:
    said = {"new": InForce(StreamRole("share")), "current": passes_on(50)}
    assert plan(traffic({"new": 100}), said) == ["current: nothing", "new: at end", "new: input"]


def test_a_canary_that_goes_back_leaves_its_records_to_the_current_version() -> None:
    said = {"new": InForce(StreamRole("share")), "current": passes_on(50)}
    moves = plan(traffic({"current": 100}), said)
    assert moves == ["new: nothing", "current: share", "current: at end", "current: input"]


def test_nobody_waits_for_a_canary_that_is_dead() -> None:
    moves = plan(traffic({"current": 100}), {"current": passes_on(50)})
    assert moves == ["current: share", "current: at end", "current: input"]


def test_a_worker_that_says_nothing_is_told_to_read_nothing() -> None:
    moves = plan(traffic({"current": 100}), {"new": None, "current": passes_on(50)})
    assert moves[0] == "new: nothing"


def test_without_the_one_that_is_to_read_the_others_go_on() -> None:
    assert plan(traffic({"current": 100}), {"new": READS}) == []
    assert plan(traffic({"current": 100}), {"new": READS, "current": None}) == []


def test_a_shadow_reads_beside_the_current_version() -> None:
    wanted = roles(traffic({"current": 100}, Mirror("new", 30)), ["new", "current"])
    said = {"new": WAITS, "current": READS}
    assert next_move(wanted, said, passed_on=False) == Take("new", StreamRole("shadow", shadow_percent=30))
