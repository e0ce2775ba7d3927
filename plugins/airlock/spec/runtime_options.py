"""What a runtime's ``options`` may hold: one class for each kind of runtime."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

import pydantic

from airlock.spec.base import Spec
from airlock.spec.duration import Duration
from airlock.spec.kubernetes_parts import (
    Autoscale,
    Ingress,
    KServe,
    ObjectName,
    PodTemplatePatch,
    Requests,
    Route,
    StableGateway,
    Toleration,
)
from airlock.spec.names import Line, Name
from airlock.spec.refusal import refusal
from airlock.spec.size import Size
from airlock.spec.unique import Unique

EnvironmentName = Annotated[str, pydantic.Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""The name of an environment variable."""


class RuntimeOptions(Spec):
    """Options that every kind has."""

    cpu: float | None = pydantic.Field(default=None, gt=0, le=1024)
    """Processor cores; without it, what the service asks for."""
    memory: Size | None = None
    """Memory; without it, what the service asks for."""
    environment: dict[EnvironmentName, str] = {}  # noqa: RUF012
    """Variables of deployments and jobs. Secrets belong in the connection's extra, as ``environment``."""


class LocalOptions(RuntimeOptions):
    """Options of the kind ``local``."""


def _check_path(path: str) -> str:
    if path.startswith("/") and path != "/" and ".." not in path.split("/"):
        return path.rstrip("/")
    raise refusal(f"{path!r} is not an absolute path", "Write it from the root, like /srv/airlock.")


AbsolutePath = Annotated[Line, pydantic.AfterValidator(_check_path)]
"""An absolute path, without ``..``."""


class Images(Spec):
    """How the image of a snapshot is made, and where it is kept.

    An image is made once for each snapshot: the base image, the locked environment, the host and the model.
    """

    base: Line = "python:3.12-slim"
    """The image that all others are made from; it has a Python that fits the snapshots."""
    registry: Line | None = None
    """Where images are pushed to and pulled from, with an optional path: ``registry.example:5000/airlock``.
    Without one, images stay on the engine that made them."""
    engine: Line | None = None
    """The Docker engine that makes images, for runtimes that have none of their own."""


class Volume(Spec):
    """A volume that jobs share with Airflow: it is mounted at the folder where Airflow sees it too."""

    volume: Line
    """Name of the Docker volume or of the Kubernetes volume claim."""
    folder: AbsolutePath
    """Where it is mounted, in Airflow as well as in jobs."""
    read_only: bool = False
    """Jobs may not write to it."""


class ContainerOptions(RuntimeOptions):
    """Options that kinds have which run containers."""

    images: Images = Images()
    """How images are made, and where they are kept."""
    volumes: Annotated[list[Volume], Unique("folder", by="folder")] = []  # noqa: RUF012
    """Volumes that jobs read their input from and write their output to."""
    ready_within: Duration = timedelta(minutes=10)
    """A deployment that is not ready by then has failed."""


class TlsFiles(Spec):
    """Files with which Airflow and a Docker engine know each other."""

    ca: AbsolutePath
    """The authority's certificate."""
    certificate: AbsolutePath
    """Airflow's certificate."""
    key: AbsolutePath
    """Airflow's private key."""


def _check_ports(text: str) -> str:
    first, _, last = text.partition("-")
    if first.isdigit() and last.isdigit() and 0 < int(first) <= int(last) <= 65_535:
        return text
    raise refusal(f"{text!r} is not a range of ports", "Write the first and the last one: 20000-23999.")


class Publish(Spec):
    """Where online deployments can be reached from outside the engine's networks."""

    address: Line = "127.0.0.1"
    """Address of the engine's machine to listen on; it also stands in the endpoint's URL."""
    ports: Annotated[str, pydantic.AfterValidator(_check_ports)] = "20000-23999"
    """Each deployment keeps one of these ports."""


def _check_engine(url: str) -> str:
    if url.startswith(("unix:///", "tcp://", "ssh://")):
        return url
    raise refusal(
        f"{url!r} is no address of a Docker engine",
        "Write unix:///var/run/docker.sock, tcp://host:2376 or ssh://user@host.",
    )


def _check_user(user: str) -> str:
    if not re.fullmatch(r"[0-9]{1,9}:[0-9]{1,9}", user):
        raise refusal(f"{user!r} is no user and group", "Write their numbers: '1000:1000'.")
    if int(user.partition(":")[0]) == 0:
        raise refusal("models do not run as root", "Write the numbers of another user: '1000:1000'.")
    return user


class DockerOptions(ContainerOptions):
    """Options of the kind ``docker``."""

    engine: Annotated[Line, pydantic.AfterValidator(_check_engine)] = "unix:///var/run/docker.sock"
    """The engine: ``unix:///…``, ``tcp://host:2376`` or ``ssh://user@host``."""
    tls: TlsFiles | None = None
    """For an engine at ``tcp://``."""
    project: Name = "airlock"
    """Names and labels begin with it: give each Airlock its own where several share an engine."""
    network: Line | None = None
    """An existing network to join; without it, the project has one of its own."""
    publish: Publish | None = Publish()
    """``null`` publishes nothing: the endpoints are reached inside the network alone."""
    user: Annotated[Line, pydantic.AfterValidator(_check_user)] | None = None
    """``uid:gid`` that containers run as; without it, that of Airflow, or 10001 where Airflow is root."""
    server_volumes: Annotated[list[Volume], Unique("folder", by="folder")] = []  # noqa: RUF012
    """Volumes that online deployments get, for models that need more than their snapshot."""


class KubernetesOptions(ContainerOptions):
    """Options of the kind ``kubernetes``."""

    namespace: ObjectName | None = None
    """Where everything is put; without it, ``airlock-<runtime>``. It is made where it is missing."""
    context: Line | None = None
    """The context of the kubeconfig file; without it, the connection's or the current one."""
    replicas: int = pydantic.Field(default=1, ge=1, le=1000)
    """How many pods an online deployment has, without ``autoscale``."""
    autoscale: Autoscale | None = None
    """Lets the number of pods follow the load."""
    requests: Requests = Requests()
    """What the scheduler sets aside for each pod; without it, as much as its limits."""
    ingress: Ingress | None = None
    """Makes online deployments reachable from outside the cluster, through an ingress controller."""
    route: Route | None = None
    """Makes online deployments reachable from outside the cluster, through a gateway."""
    gateway: StableGateway | None = None
    """Divides the requests for each service and stage between its versions, through the Gateway API."""
    kserve: KServe | None = None
    """Makes online deployments InferenceServices of KServe."""
    service_account: ObjectName | None = None
    """The service account of the pods; without it, they get no token of the cluster."""
    pull_secrets: Annotated[list[ObjectName], Unique("secret")] = []  # noqa: RUF012
    """Secrets with which the nodes log in to the image registry."""
    environment_from: Annotated[list[ObjectName], Unique("secret")] = []  # noqa: RUF012
    """Secrets whose keys become variables of the containers."""
    node_selector: dict[Line, str] = {}  # noqa: RUF012
    """Labels of the nodes that pods may run on."""
    tolerations: list[Toleration] = []  # noqa: RUF012
    """Taints of nodes that pods ignore."""
    user: int | None = pydantic.Field(default=10001, ge=1, le=2**31 - 1)
    """The number of the user and group that containers run as; ``null`` leaves it to the cluster."""
    keep_jobs: Duration = timedelta(days=1)
    """How long a job that has ended stays in the cluster, if nobody removes it before."""
    pod_template: PodTemplatePatch = {}  # noqa: RUF012
    """Laid over the pod template of every deployment and job: mappings are merged, lists of named things by
    name, ``null`` removes. The container is called ``host``."""

    @pydantic.model_validator(mode="after")
    def _one_way_in(self) -> KubernetesOptions:
        ways = [name for name in ("ingress", "route", "kserve") if getattr(self, name) is not None]
        if len(ways) > 1:
            raise refusal(f"there is both {ways[0]} and {ways[1]}", "Keep one of them.")
        return self

    @pydantic.model_validator(mode="after")
    def _one_who_divides(self) -> KubernetesOptions:
        if self.gateway is not None and self.kserve is not None and self.kserve.canary_percent is not None:
            raise refusal(
                "both the gateway and KServe's canary_percent would divide requests",
                "Remove canary_percent: with a gateway each deployment is an InferenceService of its own.",
            )
        return self


OPTIONS: dict[str, type[RuntimeOptions]] = {
    "local": LocalOptions,
    "docker": DockerOptions,
    "kubernetes": KubernetesOptions,
}
"""The options of each kind of runtime."""
