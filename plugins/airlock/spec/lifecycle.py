"""The life cycle: the stages of a pathway, and what is checked in each."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from airlock.spec.base import Spec
from airlock.spec.checks import AnyCheck, written_name
from airlock.spec.names import Mode, Name, StageName, Text
from airlock.spec.unique import Unique


class Stage(Spec):
    """One step of a life cycle: where a snapshot is deployed and checked before it may go on."""

    name: StageName
    """What the stage is called: runtimes and policies refer to it."""
    checks: Annotated[
        list[AnyCheck],
        Unique("check", by=written_name, mend="Give one of them another name: {kind: {name: …}}."),
    ] = pydantic.Field(default_factory=list)
    """What is checked, in parallel, after the deployment."""
    mode: Mode | None = None
    """How snapshots run at this stage, for services that do not say it for the stage."""
    retire: Literal["when_replaced", "when_promoted"] = "when_replaced"
    """When an online deployment ends: as soon as the service's next snapshot replaces it here, or when it is
    promoted to the next stage."""


class Lifecycle(Spec):
    """The template of a pathway. Joined with a service it becomes one DAG."""

    lifecycle: Name
    """The life cycle's name; its file is called ``<name>.yaml``."""
    description: Text = pydantic.Field(default="", kw_only=True)
    """What the life cycle is for."""
    stages: Annotated[
        list[Stage],
        pydantic.Field(min_length=1, max_length=50),
        Unique("stage", by="name", mend="Rename one of them: a snapshot passes each stage once."),
    ]
    """The stages, in the order in which a snapshot passes them."""

    def stage(self, name: str) -> Stage:
        """The stage of this name.

        :raises KeyError: there is none.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(name)

    def before(self, name: str) -> list[Stage]:
        """The stages a snapshot has passed when it asks to enter this one."""
        return self.stages[: self.stages.index(self.stage(name))]

    def after(self, name: str) -> Stage | None:
        """The next stage, or ``None`` after the last."""
        position = self.stages.index(self.stage(name)) + 1
        return self.stages[position] if position < len(self.stages) else None
