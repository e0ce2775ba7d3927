"""Policies and roles: what entering a stage asks for, and who may give it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

import pydantic

from airlock.spec.base import Spec
from airlock.spec.checks import CheckKind
from airlock.spec.duration import Duration
from airlock.spec.names import Line, Name, StageName
from airlock.spec.unique import unique_by


def _written_role(value: Any) -> Any:
    return value.get("role") if isinstance(value, Mapping) else getattr(value, "role", None)


def _itself(value: Any) -> Any:
    return value


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
        unique_by(_written_role, "role", "Use 'count' to ask for more people of a role."),
    ] = []
    """Who must agree. One person fills one place only."""
    separation_of_duties: bool = True
    """Whether the approvals of the requester and of the snapshot's author are refused."""
    expires: Duration = timedelta(days=7)
    """How long the gate waits for people."""
    evidence: Annotated[list[CheckKind], unique_by(_itself, "kind of check", "Remove one of them.")] = []
    """Kinds of checks that must have passed at an earlier stage."""


class Roles(Spec):
    """Who has which approver role: Airflow's user names."""

    roles: dict[Name, Annotated[list[Line], unique_by(_itself, "person", "Remove one of them.")]] = {}
    """The people, by role."""

    def people(self, role: str) -> list[str]:
        """Who has a role; nobody has an unknown one."""
        return self.roles.get(role, [])

    def of(self, user: str) -> list[str]:
        """The roles a person has, sorted."""
        return sorted(role for role, people in self.roles.items() if user in people)
