"""What was read from files, each with its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from airlock.spec.base import Spec
from airlock.spec.lifecycle import Lifecycle
from airlock.spec.policy import Policy, Roles
from airlock.spec.runtime import RuntimeSpec
from airlock.spec.service import Service
from airlock.spec.yaml_documents import Document

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True)
class Declared(Generic[S]):
    """A spec and the document that says it."""

    spec: S
    document: Document


@dataclass(frozen=True)
class Declarations:
    """All specs of an include folder, by name.

    :param broken: kind and name of those that are there, but wrong: references to them are no mistakes.
    """

    lifecycles: dict[str, Declared[Lifecycle]] = field(default_factory=dict)
    services: dict[str, Declared[Service]] = field(default_factory=dict)
    runtimes: dict[str, Declared[RuntimeSpec]] = field(default_factory=dict)
    policies: dict[str, Declared[Policy]] = field(default_factory=dict)
    roles: Declared[Roles] | None = None
    broken: frozenset[tuple[str, str]] = frozenset()
