"""What a snapshot is: one immutable JSON document, known by its digest.

A manifest holds nothing that differs between machines: no times, no users, no absolute paths, no file
modes. It is validated whenever it is read, because it decides which files are written where.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

from airlock.exceptions import IntegrityError
from airlock.snapshots.paths import RESERVED_FOLDER, clashes, objection
from airlock.spec.digest import canonical_json
from airlock.spec.digest import digest as digest_of
from airlock.spec.image_reference import PinnedImage
from airlock.spec.names import Mode, Name
from airlock.spec.schema import Field

MANIFEST_PATH = f"{RESERVED_FOLDER}/manifest.json"
"""Where a materialised snapshot holds its manifest, as canonical JSON: its SHA-256 is the digest."""

Format = Literal["python", "mlflow", "onnx"]

_ENTRY_POINTS: dict[Format, tuple[set[str], set[str]]] = {
    "python": ({"module", "score"}, {"init", "metrics", "train"}),
    "mlflow": ({"model"}, set()),
    "onnx": ({"graph"}, set()),
}
"""For each format the entry points it must have, and those it may have."""

_ENTRY_FILES = {"module", "model", "graph"}
"""The entry points that are paths; the others are names of functions."""


def _checked_path(path: str) -> str:
    if reason := objection(path):
        raise ValueError(f"the path {path!r} may not be in a snapshot: {reason}")
    return path


SnapshotPath = Annotated[str, AfterValidator(_checked_path)]
"""A path inside a snapshot: relative, with ``/`` between names, and the same on every machine."""

Digest = Annotated[str, pydantic.Field(pattern=r"^sha256:[0-9a-f]{64}$")]
"""``sha256:`` and 64 hexadecimal digits."""

HexDigest = Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 as 64 hexadecimal digits, as it names blobs in the store."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Frozen):
    """One file of a snapshot.

    :param size: in bytes.
    :param unsafe_format: opening the file with its usual library can run code (see ``unsafe_formats``).
    """

    path: SnapshotPath
    size: Annotated[int, pydantic.Field(ge=0)]
    sha256: HexDigest
    unsafe_format: bool = False


class Environment(_Frozen):
    """The locked environment: a requirements file in which every package has hashes."""

    lock_path: SnapshotPath = "requirements.lock"
    lock_digest: Digest


class Manifest(_Frozen):
    """All that Airlock knows of a snapshot without opening its files.

    :param entry_points: what the host calls. python: ``module`` (a path) and the names of its functions
        ``score`` and, where present, ``init``, ``metrics`` and ``train``; mlflow: ``model``, onnx: ``graph``
        (paths).
    :param python: the versions of Python the environment is locked for, such as ``>=3.11,<3.14``.
    :param image: the container image that the model runs in instead of one made from its environment,
        ``None`` for most.
    :param files: every file, sorted by path.
    :param golden: path of the golden records, ``None`` if there are none.
    """

    schema_version: Literal[1] = 1
    model: Name
    description: str = ""
    owner: str = ""
    format: Format
    entry_points: dict[str, str]
    python: str
    files: tuple[FileEntry, ...]
    environment: Environment
    input_schema: tuple[Field, ...]
    output_schema: tuple[Field, ...]
    golden: SnapshotPath | None = None
    modes: tuple[Mode, ...]
    services: tuple[Name, ...]
    image: PinnedImage | None = None

    @model_validator(mode="after")
    def _files_are_consistent(self) -> Self:
        paths = [entry.path for entry in self.files]
        if any(first >= second for first, second in itertools.pairwise(paths)):
            raise ValueError("the files are not sorted by path, or one is named twice")
        for first, second in clashes(paths):
            raise ValueError(f"{first!r} and {second!r} cannot both exist on every file system")
        entry_files = [value for kind, value in self.entry_points.items() if kind in _ENTRY_FILES]
        for path in (self.environment.lock_path, self.golden, *entry_files):
            if path is not None and path not in paths:
                raise ValueError(f"{path!r} is named but is not among the files")
        lock = self.file(self.environment.lock_path)
        if self.environment.lock_digest != f"sha256:{lock.sha256}":
            raise ValueError("the digest of the environment is not that of its lock file")
        return self

    @model_validator(mode="after")
    def _entry_points_fit_the_format(self) -> Self:
        required, optional = _ENTRY_POINTS[self.format]
        names = set(self.entry_points)
        if missing := required - names:
            raise ValueError(f"entry point {sorted(missing)[0]!r} is missing, which {self.format} needs")
        if unknown := names - required - optional:
            raise ValueError(f"entry point {sorted(unknown)[0]!r} is unknown for {self.format}")
        for kind in names - _ENTRY_FILES:
            if not self.entry_points[kind].isidentifier():
                raise ValueError(f"entry point {kind!r} is not the name of a function")
        return self

    @classmethod
    def read(cls, document: Mapping[str, Any], *, digest: str | None = None) -> Manifest:
        """Read a manifest from parsed JSON, which may come from anywhere.

        :param digest: the digest it must have, where that is known.
        :raises IntegrityError: it is not a manifest, or not the one with that digest.
        """
        try:
            manifest = cls.model_validate(document)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(str(part) for part in problem['loc']) or 'manifest'}: {problem['msg']}"
                for problem in error.errors()
            )
            raise IntegrityError(f"This is not a valid snapshot manifest: {problems}.") from error
        if digest is not None and manifest.digest != digest:
            raise IntegrityError(
                f"The manifest of {manifest.model} has the digest {manifest.digest} instead of {digest}.",
                mend="It was changed after it was recorded: make a new snapshot.",
            )
        return manifest

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read the manifest of a materialised snapshot.

        :raises IntegrityError: the folder has none, or it is damaged.
        """
        path = folder / MANIFEST_PATH
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise IntegrityError(f"{path} cannot be read: {error.strerror}.") from error
        except ValidationError as error:
            raise IntegrityError(f"{path} is not a valid snapshot manifest.") from error

    def document(self) -> dict[str, Any]:
        """The manifest as plain JSON values, as the registry keeps it."""
        # Where there is no image it is left out: the digests of older manifests must stay theirs.
        return self.model_dump(mode="json", exclude=set() if self.image else {"image"})

    def canonical_json(self) -> bytes:
        """The manifest as canonical JSON (RFC 8785): the bytes the digest is of."""
        return canonical_json(self.document())

    @property
    def digest(self) -> str:
        """What the snapshot is known by: ``sha256:`` and 64 hexadecimal digits."""
        return digest_of(self.document())

    @property
    def size(self) -> int:
        """Total size of the files in bytes."""
        return sum(entry.size for entry in self.files)

    def file(self, path: str) -> FileEntry:
        """The entry of one file.

        :raises KeyError: there is no such file.
        """
        for entry in self.files:
            if entry.path == path:
                return entry
        raise KeyError(path)
