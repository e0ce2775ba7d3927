"""Reading from the registry the facts that decide about an entry."""

from __future__ import annotations

from collections.abc import Sequence

from airlock.exceptions import NotFound
from airlock.gates.entry import EntryFacts
from airlock.registry import Registry
from airlock.registry.records import PassageRecord
from airlock.spec import Lifecycle


def gather(
    registry: Registry, passage: PassageRecord, stage: str, *, snapshot_problems: Sequence[str] | None
) -> EntryFacts:
    """Read the facts about a passage's entry into a stage, as they are now.

    :param snapshot_problems: what verifying the stored files found; ``None`` says that nobody has looked.
    :raises NotFound: the passage's life cycle has no such stage, or the passage is gone.
    """
    lifecycle = Lifecycle.model_validate(passage.lifecycle)
    names = [each.name for each in lifecycle.stages]
    if stage not in names:
        raise NotFound(
            f"Life cycle {lifecycle.lifecycle} has no stage {stage!r}.", mend=f"It has {', '.join(names)}."
        )
    return EntryFacts(
        passage=registry.passages.get(passage.id),
        snapshot=registry.snapshots.get(passage.snapshot_digest),
        lifecycle=lifecycle,
        stage=stage,
        policy=registry.catalog.policy(stage),
        roles=registry.catalog.roles(),
        results={name: registry.evidence.results(passage.id, name) for name in names[: names.index(stage)]},
        decisions=registry.decisions.list(passage.id, stage),
        snapshot_problems=snapshot_problems,
    )
