"""Which image runs: the one that is known, or one that a Docker engine makes and pushes to the registry."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airlock.exceptions import AdapterError
from airlock.runtimes.base import DeploymentPlan, RuntimeSettings
from airlock.runtimes.kubernetes.cluster import Cluster
from airlock.spec import DockerOptions, KubernetesOptions, RuntimeSpec

if TYPE_CHECKING:
    from airlock.runtimes.images.maker import ImageMaker

_ENGINE_OF_THIS_MACHINE = "unix:///var/run/docker.sock"


class Images:
    """The images of one runtime: nodes pull them, so they are in a registry."""

    def __init__(
        self, cluster: Cluster, spec: RuntimeSpec, options: KubernetesOptions, settings: RuntimeSettings
    ) -> None:
        self._cluster = cluster
        self._spec = spec
        self._options = options
        self._settings = settings

    def of(self, plan: DeploymentPlan) -> str:
        """The image of a snapshot, with its digest.

        :raises IntegrityError: the snapshot's files are not the recorded bytes.
        :raises AdapterError: it cannot be made or pushed.
        """
        if plan.image is not None and "@sha256:" in plan.image:
            # What was tested elsewhere is what runs here: nothing is made, and no engine is needed.
            return plan.image
        return self._maker.snapshot_image(plan.manifest, known=None, stream=plan.stream is not None)

    def for_checks(self) -> str:
        """The image of the checks environment, with its digest.

        :raises AdapterError: it cannot be made or pushed.
        """
        return self._maker.checks_image()

    @cached_property
    def _maker(self) -> ImageMaker:
        images = self._options.images
        if images.registry is None:
            raise AdapterError(
                f"The runtime {self._spec.runtime} has no image registry that its nodes can pull from.",
                mend="Add options.images.registry to its file, like registry.example:5000/airlock.",
            )
        try:
            from airlock.runtimes.docker.engine import Engine
            from airlock.runtimes.images.maker import ImageMaker

            engine = Engine(DockerOptions(engine=images.engine or _ENGINE_OF_THIS_MACHINE), None)
            client = engine.image_client
        except ImportError as error:
            raise AdapterError(
                "Images are made on a Docker engine, and Docker's client is not installed.",
                mend="Run: pip install 'airflow-airlock[docker]'.",
            ) from error
        return ImageMaker(
            client,
            images,
            store=self._settings.store,
            host_source=self._settings.host_source,
            login=self._login(),
        )

    def _login(self) -> Any:
        from airlock.runtimes.images.login import RegistryLogin

        found = self._cluster.extra.get("registry")
        if not found:
            return None
        if not isinstance(found, Mapping) or not {"username", "password"} <= found.keys():
            raise AdapterError(
                "The extra of the Airflow connection has a 'registry' without username and password.",
                mend='Write it like {"registry": {"username": "airlock", "password": "…"}}.',
            )
        return RegistryLogin(str(found["username"]), str(found["password"]))
