"""What differs between two snapshots, from their manifests alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Manifest = Mapping[str, Any]


_PLAIN = {"format": "Format", "python": "Python", "image": "Image", "owner": "Owner", "model": "Model"}


@dataclass(frozen=True)
class Change:
    """One thing that is otherwise in the candidate than in the champion.

    :param before: in the champion.
    :param after: in the candidate.
    """

    what: str
    before: str
    after: str


def changes(candidate: Manifest, champion: Manifest | None) -> list[Change]:
    """List what is new in the candidate; without a champion, what it consists of.

    :param candidate: its manifest as plain JSON, as is the champion's.
    """
    before = champion or {}
    found = [
        _schema("Input", "input_schema", before, candidate),
        _schema("Output", "output_schema", before, candidate),
    ]
    found += [_files(before, candidate), _environment(before, candidate)]
    found += [
        Change(what, str(before.get(key, "")) or "none", str(candidate.get(key, "")) or "none")
        for key, what in _PLAIN.items()
        if before.get(key) != candidate.get(key)
    ]
    return [change for change in found if change is not None]


def _schema(side: str, key: str, before: Manifest, after: Manifest) -> Change | None:
    old, new = _fields(before, key), _fields(after, key)
    if old == new:
        return None
    if not before:
        return Change(f"{side} schema", "none", f"{len(new)} fields")
    told = [f"{name} added" for name in new if name not in old]
    told += [f"{name} removed" for name in old if name not in new]
    told += [f"{name} changed" for name in new if name in old and new[name] != old[name]]
    return Change(f"{side} schema", f"{len(old)} fields", f"{len(new)} fields: {_some(told)}")


def _fields(manifest: Manifest, key: str) -> dict[str, Any]:
    return {field["name"]: field for field in manifest.get(key, ())}


def _files(before: Manifest, after: Manifest) -> Change | None:
    old, new = _digests(before), _digests(after)
    if old == new:
        return None
    if not before:
        return Change("Files", "none", f"{len(new)} files, {_size(after)}")
    told = [f"{path} added" for path in new if path not in old]
    told += [f"{path} removed" for path in old if path not in new]
    told += [f"{path} changed" for path in new if path in old and new[path] != old[path]]
    return Change(
        "Files", f"{len(old)} files, {_size(before)}", f"{len(new)} files, {_size(after)}: {_some(told)}"
    )


def _digests(manifest: Manifest) -> dict[str, str]:
    return {entry["path"]: entry["sha256"] for entry in manifest.get("files", ())}


def _size(manifest: Manifest) -> str:
    size = sum(entry["size"] for entry in manifest.get("files", ()))
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB"


def _environment(before: Manifest, after: Manifest) -> Change | None:
    old, new = _lock(before), _lock(after)
    if old == new:
        return None
    return Change("Locked packages", old or "none", new or "none")


def _lock(manifest: Manifest) -> str:
    digest = str(manifest.get("environment", {}).get("lock_digest", ""))
    return digest[: len("sha256:") + 12]


def _some(told: list[str]) -> str:
    shown = 8
    more = f" and {len(told) - shown} more" if len(told) > shown else ""
    return ", ".join(told[:shown]) + more
