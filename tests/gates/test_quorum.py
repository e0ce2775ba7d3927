"""People are matched to places: found by brute force, the same places can be filled."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from airlock.gates.quorum import Assignment, Slot, Vote, match, slots
from airlock.spec import Approval, Roles

RISK, OPERATIONS = Approval("model-risk"), Approval("it-operations")


def filled(assignment: Assignment) -> dict[str, str]:
    return {str(slot): user for slot, user in assignment.filled.items()}


def missing(assignment: Assignment) -> dict[str, list[str]]:
    return {str(slot): assignment.candidates[slot] for slot in assignment.missing}


def test_somebody_with_two_roles_takes_the_place_that_others_cannot() -> None:
    roles = Roles({"model-risk": ["mia", "ivo"], "it-operations": ["mia"]})
    first = match([RISK, OPERATIONS], [Vote("mia")], roles)
    assert filled(first) == {"model-risk": "mia"}
    both = match([RISK, OPERATIONS], [Vote("mia"), Vote("ivo")], roles)
    assert filled(both) == {"model-risk": "ivo", "it-operations": "mia"}
    assert both.complete


def test_one_person_fills_one_place_only() -> None:
    roles = Roles({"model-risk": ["mia"], "it-operations": ["mia"]})
    assignment = match([RISK, OPERATIONS], [Vote("mia"), Vote("mia")], roles)
    assert filled(assignment) == {"model-risk": "mia"}
    assert missing(assignment) == {"it-operations": []}, "nobody is left who could"


def test_a_candidate_may_help_by_freeing_somebody_else() -> None:
    roles = Roles({"model-risk": ["mia", "ivo"], "it-operations": ["mia", "zoe"]})
    assignment = match([RISK, OPERATIONS], [Vote("mia")], roles)
    assert missing(assignment) == {"it-operations": ["ivo", "zoe"]}, "with ivo, mia can be it-operations"


def test_a_role_that_is_asked_twice_needs_two_people() -> None:
    roles = Roles({"model-risk": ["mia", "ivo", "zoe"]})
    assignment = match([Approval("model-risk", 2)], [Vote("mia")], roles)
    assert filled(assignment) == {"model-risk (1 of 2)": "mia"}
    assert missing(assignment) == {"model-risk (2 of 2)": ["ivo", "zoe"]}


def test_people_without_a_role_and_excluded_people_fill_nothing() -> None:
    roles = Roles({"model-risk": ["mia", "ivo"]})
    votes = [Vote("eve"), Vote("mia")]
    assignment = match([RISK], votes, roles, excluded={"mia"})
    assert filled(assignment) == {}
    assert missing(assignment) == {"model-risk": ["ivo"]}


def test_without_places_it_is_complete() -> None:
    assert match([], [], Roles()).complete


# Any policy, any roles, any votes.

ROLES = ["a", "b", "c"]
PEOPLE = ["p1", "p2", "p3", "p4", "p5"]

approvals = st.lists(st.builds(Approval, st.sampled_from(ROLES), st.integers(1, 2)), max_size=3)
roles_of_people = st.dictionaries(
    st.sampled_from(ROLES), st.lists(st.sampled_from(PEOPLE), unique=True), max_size=3
).map(Roles)
votes = st.lists(st.sampled_from(PEOPLE), max_size=6).map(lambda users: [Vote(user) for user in users])
excluded = st.sets(st.sampled_from(PEOPLE), max_size=2)


def most_that_can_be_filled(
    asked: list[Approval], given_votes: list[Vote], roles: Roles, barred: set[str]
) -> int:
    """Try every order in which people could take the places one after the other."""
    places = slots(asked)
    people = sorted({vote.user for vote in given_votes} - barred)
    seats: list[str | None] = [*people, *([None] * len(places))]
    return max(
        sum(
            user is not None and user in roles.people(slot.role)
            for slot, user in zip(places, order, strict=True)
        )
        for order in set(itertools.permutations(seats, len(places)))
    )


@given(approvals, votes, roles_of_people, excluded)
def test_it_fills_as_many_places_as_any_arrangement_could(
    asked: list[Approval], given_votes: list[Vote], roles: Roles, barred: set[str]
) -> None:
    assignment = match(asked, given_votes, roles, excluded=barred)
    assert len(assignment.filled) == most_that_can_be_filled(asked, given_votes, roles, barred)


@given(approvals, votes, roles_of_people, excluded)
def test_each_place_has_one_person_who_may_have_it(
    asked: list[Approval], given_votes: list[Vote], roles: Roles, barred: set[str]
) -> None:
    assignment = match(asked, given_votes, roles, excluded=barred)
    people = list(assignment.filled.values())
    assert len(people) == len(set(people)), "nobody has two places"
    for slot, user in assignment.filled.items():
        assert user in roles.people(slot.role)
        assert Vote(user) in given_votes
        assert user not in barred
    assert {*assignment.filled, *assignment.missing} == set(slots(asked))
    assert not set(assignment.filled) & set(assignment.missing)


@given(approvals, votes, roles_of_people, excluded, st.sampled_from(PEOPLE))
def test_one_more_vote_never_empties_a_place(
    asked: list[Approval], given_votes: list[Vote], roles: Roles, barred: set[str], newcomer: str
) -> None:
    before = match(asked, given_votes, roles, excluded=barred)
    after = match(asked, [*given_votes, Vote(newcomer)], roles, excluded=barred)
    assert set(before.filled) <= set(after.filled)


@given(approvals, votes, roles_of_people, excluded)
def test_candidates_are_exactly_those_whose_vote_helps(
    asked: list[Approval], given_votes: list[Vote], roles: Roles, barred: set[str]
) -> None:
    before = match(asked, given_votes, roles, excluded=barred)
    named = {user for people in before.candidates.values() for user in people}
    for user in set(PEOPLE) - {vote.user for vote in given_votes}:
        after = match(asked, [*given_votes, Vote(user)], roles, excluded=barred)
        assert (len(after.filled) > len(before.filled)) == (user in named)


def test_slots_sort_and_read_well() -> None:
    asked = slots([Approval("b", 2), Approval("a")])
    assert [str(slot) for slot in asked] == ["b (1 of 2)", "b (2 of 2)", "a"]
    assert min(asked) == Slot("a")
