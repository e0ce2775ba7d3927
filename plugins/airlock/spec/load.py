"""Reading what people write below ``include/``: all mistakes at once, each with its file and line.

::

    include/lifecycles/<life cycle>.yaml
    include/services/<service>.yaml
    include/runtimes/*.yaml               each may hold several documents
    include/policies/<stage>.yaml
    include/policies/roles.yaml
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import pydantic

from airlock.exceptions import Problem, SpecError
from airlock.spec.base import Spec
from airlock.spec.crosscheck import errors, warnings
from airlock.spec.declared import Declarations, Declared
from airlock.spec.lifecycle import Lifecycle
from airlock.spec.mistakes import did_you_mean, mistakes
from airlock.spec.model import ModelDescription
from airlock.spec.names import NAME_PATTERN
from airlock.spec.policy import Policy, Roles
from airlock.spec.runtime import RuntimeSpec
from airlock.spec.service import Service
from airlock.spec.yaml_documents import Document, read_documents

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True)
class Source:
    """Where something was written; the line is counted from 1."""

    file: Path
    line: int


@dataclass(frozen=True)
class Include:
    """Everything below an include folder, by name.

    :param policies: by the stage they guard.
    :param sources: where each was written, by kind (``lifecycle``, ``service``, ``runtime``, ``policy``,
        ``roles``) and name (``roles`` for the roles).
    :param warnings: what works, but is probably not what was meant.
    """

    lifecycles: dict[str, Lifecycle]
    services: dict[str, Service]
    runtimes: dict[str, RuntimeSpec]
    policies: dict[str, Policy]
    roles: Roles
    sources: dict[tuple[str, str], Source]
    warnings: list[Problem]


@dataclass(frozen=True)
class _Kind(Generic[S]):
    """A kind of file.

    :param key: the key that holds the name of what the file says.
    :param named_file: the file is called by that name.
    :param several: a file may hold several documents.
    """

    kind: str
    model: type[S]
    folder: str = ""
    key: str | None = None
    named_file: bool = True
    several: bool = False


_LIFECYCLE = _Kind("lifecycle", Lifecycle, "lifecycles", "lifecycle")
_SERVICE = _Kind("service", Service, "services", "service")
_RUNTIME = _Kind("runtime", RuntimeSpec, "runtimes", "runtime", named_file=False, several=True)
_POLICY = _Kind("policy", Policy, "policies", "stage")
_ROLES = _Kind("roles", Roles)
_MODEL = _Kind("model", ModelDescription, key="model", named_file=False)
_ROLES_FILE = "roles.yaml"


def load_include(folder: Path) -> Include:
    """Read an include folder.

    :raises SpecError: with every mistake of every file in ``problems``.
    """
    if not folder.is_dir():
        raise SpecError(
            f"There is no folder {folder}.", mend="Name the folder that holds lifecycles/ and services/."
        )
    reading = _Reading()
    lifecycles = reading.folder(folder, _LIFECYCLE)
    services = reading.folder(folder, _SERVICE)
    runtimes = reading.folder(folder, _RUNTIME)
    policies = reading.folder(folder, _POLICY)
    roles_file = folder / _POLICY.folder / _ROLES_FILE
    roles = reading.file(roles_file, _ROLES) if roles_file.exists() else []
    together = Declarations(
        lifecycles, services, runtimes, policies, roles[0] if roles else None, frozenset(reading.broken)
    )
    _raise_if(reading.problems + [found.document.problem(mistake) for found, mistake in errors(together)])
    return Include(
        lifecycles={name: declared.spec for name, declared in lifecycles.items()},
        services={name: declared.spec for name, declared in services.items()},
        runtimes={name: declared.spec for name, declared in runtimes.items()},
        policies={name: declared.spec for name, declared in policies.items()},
        roles=roles[0].spec if roles else Roles(),
        sources=reading.sources,
        warnings=_in_order(found.document.problem(mistake) for found, mistake in warnings(together)),
    )


def service_index(folder: Path) -> dict[str, Path]:
    """The service files of an include folder by the name of their service, without opening one.

    A file is called by its service, which ``load_service`` checks.
    """
    index: dict[str, Path] = {}
    for file in _files(folder / _SERVICE.folder):
        index.setdefault(file.stem, file)  # a stray a.yml comes after a.yaml
    return index


def load_service(path: Path) -> Service:
    """Read one service.

    :raises SpecError: with every mistake of the file in ``problems``.
    """
    return _load_one(path, _SERVICE)


def load_lifecycle(folder: Path, name: str) -> Lifecycle:
    """Read one life cycle of an include folder.

    :raises SpecError: there is none of this name, or with every mistake of its file in ``problems``.
    """
    path = folder / _LIFECYCLE.folder / f"{name}.yaml"
    if re.fullmatch(NAME_PATTERN, name) is None or not path.exists():
        known = [file.stem for file in _files(folder / _LIFECYCLE.folder)]
        raise SpecError(f"There is no life cycle {name!r} in {path.parent}.", mend=did_you_mean(name, known))
    return _load_one(path, _LIFECYCLE)


def load_model(path: Path) -> ModelDescription:
    """Read ``model.yaml``, or the one in the folder that is given.

    :raises SpecError: with every mistake of the file in ``problems``.
    """
    return _load_one(path / "model.yaml" if path.is_dir() else path, _MODEL)


def _load_one(path: Path, kind: _Kind[S]) -> S:
    reading = _Reading()
    found = reading.file(path, kind)
    _raise_if(reading.problems)
    return found[0].spec


def _files(folder: Path) -> list[Path]:
    """The YAML files of a folder, by name; also those that are not called ``.yaml``, to be reported."""
    if not folder.is_dir():
        return []
    return sorted(
        file for file in folder.iterdir() if file.suffix.lower() in (".yaml", ".yml") and file.name[0] != "."
    )


class _Reading:
    """Reads files one by one and keeps what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.sources: dict[tuple[str, str], Source] = {}
        self.broken: set[tuple[str, str]] = set()

    def folder(self, include: Path, kind: _Kind[S]) -> dict[str, Declared[S]]:
        """Everything of one kind by name."""
        found: dict[str, Declared[S]] = {}
        for file in _files(include / kind.folder):
            if kind is not _POLICY or file.name != _ROLES_FILE:
                for declared in self.file(file, kind):
                    found[str(getattr(declared.spec, str(kind.key)))] = declared
        return found

    def file(self, file: Path, kind: _Kind[S]) -> list[Declared[S]]:
        """What one file says, as far as it can be understood."""
        documents, problems = read_documents(file)
        wrong_form = bool(problems)
        said = [document for document in documents if document.value is not None]
        if file.suffix != ".yaml":
            message = f"the file ends with {file.suffix or 'nothing'}"
            problems.append(Problem(file, 1, 1, message, f"Rename it to {file.stem}.yaml."))
        if not said and not problems:
            begin = f"Begin it with '{kind.key}: …', or delete it." if kind.key else "Fill or delete it."
            problems.append(Problem(file, 1, 1, "the file is empty", begin))
        if len(said) > 1 and not kind.several:
            line, column = said[1].text.position(said[1].start)
            message = f"a second document; a {kind.kind} file holds one"
            problems.append(Problem(file, line, column, message, "Move it to a file of its own."))
        found = []
        for document in said:
            problems += self._check_name(document, kind)
            try:
                found.append(Declared(kind.model.model_validate(document.value), document))
            except pydantic.ValidationError as error:
                problems += [document.problem(mistake) for mistake in mistakes(error, kind.model)]
                self.broken.add((kind.kind, str(_name(document, kind))))
        self.problems += problems
        if problems:
            self.broken.add((kind.kind, file.stem))
        return [] if wrong_form else found

    def _check_name(self, document: Document, kind: _Kind[S]) -> list[Problem]:
        """That the name is not taken and, where it must, agrees with the file's."""
        file, name = document.text.file, _name(document, kind)
        if name is None:
            return []
        line, column = document.text.position(document.index((str(kind.key),)))
        first = self.sources.setdefault((kind.kind, name), Source(file, line))
        if first != Source(file, line):
            message = f"the {kind.kind} {name!r} is in {first.file}:{first.line} already"
            return [Problem(file, line, column, message, "Rename or remove one of them.")]
        if kind.named_file and name != file.stem:
            message = f"the {kind.kind} {name!r} is in a file called {file.name}"
            return [
                Problem(file, line, column, message, f"Rename the file to {name}.yaml, or change the name.")
            ]
        return []


def _name(document: Document, kind: _Kind[S]) -> str | None:
    """The name as it is written, if it is one."""
    if kind.key is None:
        return kind.kind
    name = document.value.get(kind.key) if isinstance(document.value, dict) else None
    return name if isinstance(name, str) else None


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.line, problem.column))


def _raise_if(problems: list[Problem]) -> None:
    if not problems:
        return
    problems = _in_order(problems)
    files = len({problem.file for problem in problems})
    mistakes_ = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
    where = "1 file" if files == 1 else f"{files} files"
    lines = "".join(f"\n  {problem}" for problem in problems)
    raise SpecError(f"{mistakes_} in {where}:{lines}", problems=problems)
