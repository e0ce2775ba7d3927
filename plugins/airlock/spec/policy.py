"""Policies and roles: what entering a stage asks for, and who may give it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import pydantic

from airlock.spec.base import Spec
from airlock.spec.checks import CheckKind
from airlock.spec.duration import Duration
from airlock.spec.names import Line, Name, StageName
from airlock.spec.unique import Unique


class Approval(Spec):
    """So many different people of one role."""

    role: Name
    """One of the roles in ``policies/roles.yaml``."""
    count: int = pydantic.Field(default=1, ge=1, le=100)
    """How many different people."""


class Policy(Spec):
    """The rules of entering a stage. It belongs to the stage, not to those who write life cycles.

    ``Policy("DEV")`` asks nobody.
    """

    stage: StageName
    """The stage to be entered; the policy's file is called ``<stage>.yaml``."""
    approvals: Annotated[
        list[Approval],
        pydantic.Field(max_length=10),
        Unique("role", by="role", mend="Use 'count' to ask for more people of a role."),
    ] = pydantic.Field(default_factory=list)
    """Who must agree. One person fills one place only."""
    separation_of_duties: bool = True
    """Whether the approvals of the requester and of the snapshot's author are refused."""
    expires: Duration = timedelta(days=7)
    """How long the gate waits for people."""
    evidence: Annotated[list[CheckKind], Unique("kind of check")] = pydantic.Field(default_factory=list)
    """Kinds of checks that must have passed at an earlier stage."""


class Roles(Spec):
    """Who has which approver role: Airflow's user names."""

    roles: dict[Name, Annotated[list[Line], Unique("person")]] = pydantic.Field(default_factory=dict)
    """The people, by role."""

    def people(self, role: str) -> list[str]:
        """Who has a role; nobody has an unknown one."""
        return self.roles.get(role, [])

    def of(self, user: str) -> list[str]:
        """The roles a person has, sorted."""
        return sorted(role for role, people in self.roles.items() if user in people)
