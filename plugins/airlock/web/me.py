"""Who is logged in."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter

from airlock.web.airflow_private import DagAccessEntity, GetUserDep, may, may_configure
from airlock.web.guards import RegistryDep, UserName

router = APIRouter(tags=["me"])


@dataclass(frozen=True)
class Me:
    """The person behind the login.

    :param roles: approver roles, as ``include/policies/roles.yaml`` says.
    :param may_promote: may start passages (of services in general).
    :param may_configure: may apply ``include/`` and take runtimes out of use.
    """

    name: str
    roles: list[str]
    may_promote: bool
    may_configure: bool


@router.get("/me")
def me(user: GetUserDep, name: UserName, registry: RegistryDep) -> Me:
    """The login, and what it may do."""
    roles = registry.catalog.roles().roles
    return Me(
        name=name,
        roles=sorted(role for role, people in roles.items() if name in people),
        may_promote=may(user, "POST", None, DagAccessEntity.RUN),
        may_configure=may_configure(user),
    )
