"""What host and model are put on: an image with the locked packages, or the one that a model brings."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from airlock.exceptions import AdapterError
from airlock.runtimes.images import context, packages, recipes
from airlock.runtimes.images.alone import alone
from airlock.runtimes.images.engine import Image, ImageEngine, labels_of
from airlock.runtimes.images.names import ENVIRONMENT_LABEL, PYTHON_LABEL, environment_name
from airlock.runtimes.images.python_in_image import PythonInImage, inspect_python, require_version
from airlock.runtimes.images.refusals import Refused, room_here
from airlock.runtimes.stream_packages import REQUIREMENTS
from airlock.snapshots.requirements import read_requirements
from airlock.spec import digest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ground:
    """What a thin image stands on.

    :param image: its id.
    :param key: what it is, for the label.
    :param python_path: what it has on its ``PYTHONPATH``.
    """

    image: str
    key: str
    python_path: str = ""


@dataclass(frozen=True)
class Wanted:
    """An environment that somebody needs.

    :param lock: requirements in which each package has hashes.
    :param python: the versions of Python it is for, such as ``>=3.11,<3.14``.
    :param needed_by: whom it is for, in messages.
    """

    lock: Path
    lock_digest: str
    python: str
    needed_by: str


class Environments:
    """Images of environments on one engine, each made once.

    :param base: the image that they are made from.
    """

    def __init__(self, engine: ImageEngine, base: str) -> None:
        self._engine = engine
        self._base = base

    def find_or_make(self, wanted: Wanted) -> Ground:
        """The base image with the packages of a lock.

        :raises AdapterError: it cannot be made.
        """
        base = self._base_image()
        key = digest({"lock": wanted.lock_digest, "base": base, "steps": recipes.STEPS[0]})
        name = environment_name(key)
        with alone(f"the image {name}", on=self._engine.identity()):
            found = self._engine.find(str(name))
            if found is not None:
                self._require_version(labels_of(found)[PYTHON_LABEL], wanted)
                log.info("The environment %s is there already", name)
                return Ground(str(found["Id"]), key)
            python = inspect_python(self._engine, base, called=self._base)
            self._require_version(python.version, wanted)
            with scratch(f"The environment {name} cannot be put together") as folder:
                log.info("Fetching the packages of the environment %s", name)
                packages.fetch(wanted.lock, folder, python)
                image = self._engine.build(
                    str(name),
                    recipes.environment(
                        base,
                        library_folder=python.library_folder,
                        packages_folder=python.packages_folder,
                        labels={ENVIRONMENT_LABEL: key, PYTHON_LABEL: python.version},
                    ),
                    context.files_in(folder, recipes.PACKAGES),
                )
            self._engine.tag(image, name)
            return Ground(image, key)

    def _base_image(self) -> str:
        try:
            return str((self._engine.find(self._base) or self._engine.pull(self._base))["Id"])
        except Refused as error:
            if error.of_engine:
                raise
            raise AdapterError(
                f"The engine does not have the base image {self._base}. {error.message}",
                mend=f"Run 'docker pull {self._base}' on the engine's machine, or name another image under "
                "images.base in the runtime's options.",
            ) from error

    def _require_version(self, version: str, wanted: Wanted) -> None:
        require_version(
            version,
            wanted.python,
            called=self._base,
            needed_by=wanted.needed_by,
            mend="Name a base image with such a Python under images.base in the runtime's options, or widen "
            "'python' in model.yaml and make a new snapshot.",
        )


def own_ground(
    engine: ImageEngine, name: str, wanted: Wanted, *, host_source: Path, stream: bool = False
) -> Ground:
    """The image that a model brings, once it is known to have what the host needs.

    :param stream: the host is to read topics there.
    :raises AdapterError: it cannot be had, or lacks something.
    """
    try:
        image = engine.find(name) or engine.pull(name)
    except Refused as error:
        if error.of_engine:
            raise
        raise AdapterError(
            f"The image that {wanted.needed_by} brings cannot be had. {error.message}",
            mend=f"{error.mend or ''} It is named in model.yaml.".strip(),
        ) from error
    python = inspect_python(engine, str(image["Id"]), called=name)
    require_version(
        python.version,
        wanted.python,
        called=name,
        needed_by=wanted.needed_by,
        mend="Correct 'python' or 'image' in model.yaml and make a new snapshot.",
    )
    files = ("requirements.txt", *((REQUIREMENTS,) if stream else ()))
    if missing := _missing(python, host_source, files):
        raise AdapterError(
            f"The image {name} lacks what the host needs: {', '.join(missing)}.",
            mend="Install it there, push the image, write its new digest into model.yaml and snapshot again.",
        )
    return Ground(str(image["Id"]), name, python_path=_python_path(image))


@contextmanager
def scratch(doing: str) -> Iterator[Path]:
    """A folder for temporary files.

    :param doing: what cannot be done where the disk is full, for the error.
    """
    with room_here(doing), tempfile.TemporaryDirectory(prefix="airlock-image-") as folder:
        yield Path(folder)


def _missing(python: PythonInImage, host_source: Path, files: Sequence[str]) -> Sequence[str]:
    missing = []
    for line in (line for file in files for line in read_requirements(host_source, file)):
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate(dict(python.markers)):
            continue
        version = python.packages.get(canonicalize_name(wanted.name))
        if version is None:
            missing.append(f"{wanted.name}{wanted.specifier}")
        elif not wanted.specifier.contains(version, prereleases=True):
            missing.append(f"{wanted.name}{wanted.specifier} (it has {version})")
    return missing


def _python_path(image: Image) -> str:
    variables: list[str] = (image.get("Config") or {}).get("Env") or []
    return next(
        (line.removeprefix("PYTHONPATH=") for line in variables if line.startswith("PYTHONPATH=")), ""
    )
