"""The judge: rules about who may decide and what may enter a stage, over facts and nothing else."""

from airlock.gates.entry import EntryFacts, Unmet, judge_vote, may_enter
from airlock.gates.gathering import gather
from airlock.gates.quorum import Assignment, Slot, Vote, match

__all__ = [
    "Assignment",
    "EntryFacts",
    "Slot",
    "Unmet",
    "Vote",
    "gather",
    "judge_vote",
    "match",
    "may_enter",
]
