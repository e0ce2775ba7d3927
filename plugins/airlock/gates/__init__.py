"""The judge: rules about who may decide and what may enter a stage, over facts and nothing else."""

from airlock.gates.entry import EntryFacts, Unmet, judge_vote, may_enter
from airlock.gates.gathering import gather
from airlock.gates.quorum import Assignment, Slot, Vote, match
from airlock.gates.rollout_question import (
    RolloutQuestion,
    gather_question,
    question_about,
    stage_in_question,
)

__all__ = [
    "Assignment",
    "EntryFacts",
    "RolloutQuestion",
    "Slot",
    "Unmet",
    "Vote",
    "gather",
    "gather_question",
    "judge_vote",
    "match",
    "may_enter",
    "question_about",
    "stage_in_question",
]
