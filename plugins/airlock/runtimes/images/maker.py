"""The images of snapshots: made once, found again by everybody, always the same bytes.

An image is made in two steps. The environment (base image and locked packages) is shared by all snapshots
with the same lock; host and model are a thin layer on it. Images are named by digests of what is in them: a
caller who was killed at any line is followed by one who finds what was done, and goes on from there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import docker  # type: ignore[import-untyped]

from airlock.exceptions import AdapterError, IntegrityError
from airlock.runtimes.containers.layout import JOB_FOLDER
from airlock.runtimes.images import context, recipes
from airlock.runtimes.images.alone import alone
from airlock.runtimes.images.context import Entry
from airlock.runtimes.images.engine import Image, ImageEngine, labels_of
from airlock.runtimes.images.environments import Environments, Ground, Wanted, own_ground, scratch
from airlock.runtimes.images.login import RegistryLogin
from airlock.runtimes.images.names import (
    ENVIRONMENT_LABEL,
    OF_STREAMS,
    PACKAGES_LABEL,
    RECIPE_LABEL,
    SNAPSHOT_LABEL,
    ImageName,
    checks_name,
    is_digested,
    snapshot_name,
)
from airlock.runtimes.images.refusals import Refused
from airlock.runtimes.stream_packages import with_stream_packages
from airlock.snapshots.manifest import Manifest
from airlock.snapshots.store import ArtifactStore
from airlock.spec import Images, digest, file_digest

__all__ = ["ImageMaker", "RegistryLogin"]

log = logging.getLogger(__name__)

_HOST_PACKAGE = "airlock_host"
_CHECKS_LOCK = "checks.lock"
_PYTHON_OF_CHECKS = ">=3.11,<3.14"

Labels = dict[str, str]


class ImageMaker:
    """Makes images on one Docker engine, and keeps them in a registry where there is one.

    :param client: of the engine.
    :param images: how the runtime wants its images.
    :param store: has the files of snapshots.
    :param host_source: the folder of the ``airlock-host`` project.
    :param login: at the registry; without one, Docker's own settings on this machine count.
    """

    def __init__(
        self,
        client: docker.APIClient,
        images: Images,
        store: ArtifactStore,
        host_source: Path,
        login: RegistryLogin | None = None,
    ) -> None:
        self._engine = ImageEngine(client, registry=images.registry, login=login)
        self._environments = Environments(self._engine, images.base)
        self._images = images
        self._store = store
        self._host_source = host_source

    def snapshot_image(self, manifest: Manifest, *, known: str | None = None, stream: bool = False) -> str:
        """The image of a snapshot, which this engine then has: looked for, and made where there is none.

        :param known: the image that this snapshot ran in before. One with a registry's digest is taken, or
            it is an error: what was tested is what runs. An image id that is not here is made anew.
        :param stream: with the packages of a stream. It is another image, which leaves the first as it was.
        :returns: ``repository@sha256:…`` where there is a registry, else the image's id.
        :raises IntegrityError: the snapshot's files are not the recorded bytes; nothing was made.
        :raises AdapterError: the image cannot be had or made.
        """
        name = snapshot_name(manifest.model, manifest.digest, self._images.registry, stream=stream)
        own = self._own_labels(manifest.digest, stream)
        if known is not None and self._has(known, own):
            return known

        def make(labels: Labels) -> str:
            with scratch(f"The snapshot {manifest.digest} cannot be put together") as folder:
                model = folder / recipes.MODEL
                self._store.materialise(manifest, model)
                ground = self._ground(manifest, model, folder if stream else None)
                return self._engine.build(
                    str(name),
                    recipes.snapshot(
                        ground.image,
                        python_path=ground.python_path,
                        labels=labels | {ENVIRONMENT_LABEL: ground.key},
                    ),
                    [*self._host, *context.files_in(model, recipes.MODEL)],
                )

        return self._found_or_made(name, own, manifest.image or self._images.base, make)

    def checks_image(self) -> str:
        """The image that measures models: the checks environment and the host, no model.

        :returns: ``repository@sha256:…`` where there is a registry, else the image's id.
        :raises AdapterError: it cannot be had or made.
        """
        lock = self._host_source / _CHECKS_LOCK
        try:
            lock_digest = file_digest(lock)
        except FileNotFoundError as error:
            raise AdapterError(f"The lock of the checks environment is missing: {lock}.") from error
        contents = digest({"lock": lock_digest, "host": context.digest_of(self._host)})
        name = checks_name(digest({"contents": contents, "base": self._images.base}), self._images.registry)

        def make(labels: Labels) -> str:
            wanted = Wanted(lock, lock_digest, python=_PYTHON_OF_CHECKS, needed_by="the host")
            ground = self._environments.find_or_make(wanted)
            recipe = recipes.checks(ground.image, labels=labels | {ENVIRONMENT_LABEL: ground.key})
            return self._engine.build(str(name), recipe, self._host)

        return self._found_or_made(name, {SNAPSHOT_LABEL: contents}, self._images.base, make)

    # --- looking

    def _has(self, image: str, own: Labels) -> bool:
        """Whether a known image is on the engine, pulled where it is in a registry."""
        found = self._engine.find(image)
        if found is None and not is_digested(image):
            log.info("The image %s, in which the snapshot ran before, is not on this engine", image)
            return False
        if found is None:
            try:
                found = self._engine.pull(image)
            except Refused as error:
                raise AdapterError(
                    f"The image in which this snapshot was tested cannot be had. {error.message}",
                    mend=f"{error.mend or ''} Where it is lost, make a new snapshot.".strip(),
                ) from error
        _require(found, image, own)
        return True

    def _found_or_made(self, name: ImageName, own: Labels, base: str, make: Callable[[Labels], str]) -> str:
        """An image by its name, made by this or any other caller.

        :param own: labels that say what is in it.
        :param base: the image that it is to stand on.
        :param make: given labels, makes the image, without a name.
        """
        if reference := self._in_registry(name, own):
            return reference
        labels = own | {RECIPE_LABEL: self._recipe(own, base)}
        with alone(f"the image {name}", on=self._engine.identity()):
            if self._with_labels(name, labels) is None:
                made = make(labels)
                # Callers on other machines cannot be waited for: whoever names the image first is right.
                if self._with_labels(name, labels) is None:
                    self._engine.tag(made, name)
                else:
                    self._engine.forget(made)
            found = self._with_labels(name, labels)
            if found is None:
                raise AdapterError(f"The image {name} was removed while it was made.", mend="Do it again.")
            if self._images.registry is None:
                return str(found["Id"])
            # Another engine may have been faster meanwhile.
            return self._in_registry(name, own) or f"{name.repository}@{self._engine.push(name)}"

    def _in_registry(self, name: ImageName, own: Labels) -> str | None:
        if self._images.registry is None:
            return None
        found = self._engine.digest_in_registry(str(name))
        if found is None:
            return None
        reference = f"{name.repository}@{found}"
        _require(self._engine.find(reference) or self._engine.pull(reference), str(name), own)
        return reference

    def _with_labels(self, name: ImageName, labels: Labels) -> Image | None:
        found = self._engine.find(str(name))
        return found if found is not None and labels_of(found).items() >= labels.items() else None

    # --- making

    def _ground(self, manifest: Manifest, model: Path, for_stream: Path | None) -> Ground:
        """What the image of a snapshot stands on.

        :param for_stream: of a stream, a folder to put a longer lock into.
        """
        environment = manifest.environment
        lock, lock_digest = model / environment.lock_path, environment.lock_digest
        if for_stream is not None:
            text = with_stream_packages(lock.read_text(encoding="utf-8"), self._host_source)
            lock = for_stream / environment.lock_path
            lock.write_text(text, encoding="utf-8")
            lock_digest = file_digest(lock)
        wanted = Wanted(lock, lock_digest, manifest.python, needed_by=manifest.model)
        if manifest.image is None:
            return self._environments.find_or_make(wanted)
        return own_ground(
            self._engine,
            manifest.image,
            wanted,
            host_source=self._host_source,
            stream=for_stream is not None,
        )

    def _own_labels(self, snapshot: str, stream: bool) -> Labels:
        return {SNAPSHOT_LABEL: snapshot, **({PACKAGES_LABEL: OF_STREAMS} if stream else {})}

    def _recipe(self, own: Labels, base: str) -> str:
        """A digest of all that decides how an image is made, as far as that is known beforehand."""
        decides: dict[str, object] = {
            "contents": own[SNAPSHOT_LABEL],
            "base": base,
            "host": context.digest_of(self._host),
            "steps": recipes.STEPS,
        }
        if PACKAGES_LABEL in own:
            decides["stream"] = with_stream_packages("", self._host_source)
        return digest(decides)

    @cached_property
    def _host(self) -> list[Entry]:
        """The host and the folder for a job, as they go into the context: read once, so that labels fit."""
        package = self._host_source / _HOST_PACKAGE
        if not package.is_dir():
            raise AdapterError(f"There is no {_HOST_PACKAGE} in {self._host_source}.")
        files = context.files_in(package, f"{recipes.HOST}/{_HOST_PACKAGE}", wanted=_is_of_the_source)
        job = context.open_folder(f"{recipes.JOB}/{JOB_FOLDER.rpartition('/')[2]}")
        return [*(context.in_memory(file) for file in files), job]


def _require(image: Image, name: str, own: Labels) -> None:
    found = {key: value for key in (SNAPSHOT_LABEL, PACKAGES_LABEL) if (value := labels_of(image).get(key))}
    if found != own:
        raise IntegrityError(
            f"The image {name} holds {_said(found)} instead of {_said(own)}.",
            mend="Somebody else has given it this name: remove it from the registry, and it is made afresh.",
        )


def _said(own: Labels) -> str:
    stream = " with the packages of a stream" if PACKAGES_LABEL in own else ""
    return f"{own.get(SNAPSHOT_LABEL) or 'no snapshot'}{stream}"


def _is_of_the_source(name: str) -> bool:
    return name != "__pycache__" and not name.startswith(".")
