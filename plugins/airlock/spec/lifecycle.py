"""The life cycle: the stages of a pathway, and what is checked in each."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic

from airlock.spec.base import Spec
from airlock.spec.checks import AnyCheck
from airlock.spec.kinded import written_name
from airlock.spec.names import Mode, Name, StageName, Text
from airlock.spec.refusal import refusal
from airlock.spec.rollout import AnyRollout, Direct, Rollout
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
    rollout: AnyRollout | None = pydantic.Field(default=None, kw_only=True)
    """How traffic moves from the current version to the new one; without it, ``direct``."""

    @property
    def moves_traffic_by(self) -> Rollout:
        """The rollout, also where none is written."""
        return self.rollout or Direct()

    @pydantic.field_validator("rollout")
    @classmethod
    def _has_traffic(cls, rollout: Rollout | None, info: pydantic.ValidationInfo) -> Rollout | None:
        if rollout is not None and rollout.kind != "direct" and info.data.get("mode") == "batch":
            message = f"{rollout.kind} moves requests from version to version, but the stage runs as batch"
            raise refusal(message, "Remove the rollout, or run the stage online.")
        return rollout

    @pydantic.model_serializer(mode="wrap")
    def _leave_out_what_is_not_written(self, dump: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = dump(self)
        if written.get("rollout") is None:  # so that life cycles without one keep the digests they always had
            written.pop("rollout", None)
        return written


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
