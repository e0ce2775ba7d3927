"""Applying ``include/``: what the files say becomes what the registry knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, Field

from airlock.exceptions import NotFound, Problem, SpecError
from airlock.registry.records import Change
from airlock.spec import Include, load_include
from airlock.spec.json_schema import schemas
from airlock.web.airflow_private import action_logging
from airlock.web.guards import RegistryDep, UserName, requires_configuration

router = APIRouter(tags=["include"])


class IncludeFiles(BaseModel):
    """The YAML files under ``include/`` by their path in it, such as ``policies/PROD.yaml``."""

    files: dict[str, str]
    dry_run: bool = Field(True, description="Only say what would change.")


class Applied(BaseModel):
    """What applying changes, or has changed."""

    changes: list[Change]
    warnings: list[str]
    dry_run: bool


@router.post(
    "/apply", dependencies=[Depends(requires_configuration), Depends(action_logging("airlock_apply"))]
)
def apply(sent: IncludeFiles, registry: RegistryDep, by: UserName) -> Applied:
    """Register runtimes, services, life cycles, policies and roles. The second time changes nothing.

    What the files no longer have is removed from the registry; a runtime in use is cordoned instead.
    """
    with _written(sent.files) as folder:
        include = _load(folder)
        warnings = [str(_relative(each, folder)) for each in include.warnings]
    if sent.dry_run:
        changes = registry.catalog.plan(include)
    else:
        changes = registry.catalog.apply(include, by=by)
    return Applied(changes=changes, warnings=warnings, dry_run=sent.dry_run)


@router.get("/schemas/{kind}")
def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of one kind of file, for editors."""
    known = schemas()
    if kind not in known:
        raise NotFound(f"There is no kind of file {kind!r}.", mend=f"Known: {', '.join(sorted(known))}.")
    return known[kind]


@contextmanager
def _written(files: dict[str, str]) -> Iterator[Path]:
    with TemporaryDirectory(prefix="airlock-apply-") as temporary:
        folder = Path(temporary)
        for name, text in files.items():
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or path.suffix != ".yaml" or "\\" in name:
                raise HTTPException(422, f"{name!r} is not a path of a YAML file inside include/.")
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        yield folder


def _load(folder: Path) -> Include:
    try:
        return load_include(folder)
    except SpecError as error:
        problems = [_relative(each, folder) for each in error.problems]
        raise SpecError(error.message.replace(f"{folder}/", ""), mend=error.mend, problems=problems) from None


def _relative(mistake: Problem, folder: Path) -> Problem:
    """A mistake in the temporary folder, with the file as the sender knows it."""
    return replace(mistake, file=mistake.file.relative_to(folder))
