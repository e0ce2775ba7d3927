"""The connection to a Docker engine: through Airflow's hook, and with its errors in words.

Nothing else here imports Airflow or Docker's client.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airlock.exceptions import AdapterError, AirlockError
from airlock.runtimes.images.login import RegistryLogin
from airlock.spec.runtime_options import DockerOptions, TlsFiles

if TYPE_CHECKING:
    from docker import APIClient  # type: ignore[import-untyped]

SECONDS_TO_LOOK = 20
SECONDS_TO_ACT = 180
SECONDS_TO_MAKE = 1800
"""How long the engine may take: other containers may keep its disk busy."""

Document = dict[str, Any]
"""What the engine says of one of its things."""

ALWAYS = "always"
"""The restart policy of a server that was ready once."""

_LARGEST_FILE = 256 * 1024 * 1024

_PORT_TAKEN = re.compile(r"port is already allocated|address already in use|ports are not available")
_NO_SPACE = "no space left on device"
_NO_SOURCE = re.compile(r"bind source path does not exist: (\S+)")


class Missing(Exception):
    """The engine does not have what was named."""


class Contradiction(Exception):
    """What was asked contradicts something that is so: a name is taken, a removal is going on."""


class PortTaken(Exception):
    """Somebody else listens at the port."""


class Engine:
    """A Docker engine, which is connected to when it is first asked.

    :param connection: Airflow's connection with a registry's login and with secret variables.
    """

    def __init__(self, options: DockerOptions, connection: str | None) -> None:
        self.url = options.engine
        self._tls = options.tls
        self._connection_id = connection

    @cached_property
    def client(self) -> APIClient:
        """For looking: it is answered soon or not at all.

        :raises AdapterError: the engine cannot be reached.
        """
        return self._connect(SECONDS_TO_LOOK)

    @cached_property
    def acting_client(self) -> APIClient:
        """For what may take the engine some time.

        :raises AdapterError: the engine cannot be reached.
        """
        return self._connect(SECONDS_TO_ACT)

    @cached_property
    def image_client(self) -> APIClient:
        """For making images: a step of that may say nothing for long.

        :raises AdapterError: the engine cannot be reached.
        """
        return self._connect(SECONDS_TO_MAKE)

    @cached_property
    def connection(self) -> Any:
        """Airflow's connection, ``None`` if the runtime names none.

        :raises AdapterError: Airflow does not know it.
        """
        if self._connection_id is None:
            return None
        hook = _hook()
        try:
            return hook.get_connection(self._connection_id)
        except Exception as error:  # each secrets backend raises its own
            raise AdapterError(
                f"Airflow has no connection {self._connection_id!r}: {error}",
                mend="Add it in Airflow under Admin > Connections, or name another in the runtime's file.",
            ) from error

    def login(self) -> RegistryLogin | None:
        """The connection's login at the image registry, if it has one.

        :raises AdapterError: Airflow does not know the connection.
        """
        if self.connection is None or not self.connection.login:
            return None
        return RegistryLogin(self.connection.login, self.connection.password or "")

    def secrets(self) -> dict[str, str]:
        """Secret variables: the connection's extra, under ``environment``.

        :raises AdapterError: they are not names with values.
        """
        if self.connection is None:
            return {}
        found = self.connection.extra_dejson.get("environment", {})
        if not isinstance(found, Mapping):
            raise AdapterError(
                f"In the extra of the connection {self._connection_id!r}, 'environment' is no object.",
                mend='Write {"environment": {"NAME": "value"}}.',
            )
        return {str(name): str(value) for name, value in found.items()}

    # --- looking

    def version(self) -> Document:
        """What the engine is."""
        with self._in_words():
            return dict(self.client.version())

    def info(self) -> Document:
        """What the engine has."""
        with self._in_words():
            return dict(self.client.info())

    @cached_property
    def logs_by_file(self) -> bool:
        """Whether the engine keeps the logs of containers in files that it does not bound by itself."""
        return bool(self.info().get("LoggingDriver") == "json-file")

    @cached_property
    def api_version(self) -> tuple[int, ...]:
        """The version of the interface that engine and client speak."""
        return tuple(int(number) for number in str(self.client.api_version).split("."))

    def inspect(self, name: str) -> Document | None:
        """A container, ``None`` if there is no such thing."""
        try:
            with self._in_words():
                return dict(self.client.inspect_container(name))
        except Missing:
            return None

    def containers(self, labels: Mapping[str, str]) -> list[Document]:
        """Every container with these labels, running or not; with an empty value a label has any."""
        wanted = [f"{name}={value}" if value else name for name, value in labels.items()]
        with self._in_words():
            return list(self.client.containers(all=True, filters={"label": wanted}))

    def has_image(self, reference: str) -> bool:
        """Whether the engine has an image."""
        try:
            with self._in_words():
                self.client.inspect_image(reference)
        except Missing:
            return False
        return True

    def networks(self, name: str) -> list[Document]:
        """The networks of this very name: one, none, and in theory several."""
        with self._in_words():
            return [found for found in self.client.networks(names=[name]) if found["Name"] == name]

    def log(self, name: str, *, lines: int | None = None, since: int | None = None) -> str:
        """A container's log with times; empty if there is no such container.

        :param since: seconds since 1970.
        """
        try:
            with self._in_words():
                text = self.client.logs(
                    name, timestamps=True, tail="all" if lines is None else lines, since=since or None
                )
        except Missing:
            return ""
        return bytes(text).decode("utf-8", "replace")

    def file(self, name: str, path: str) -> bytes | None:
        """An archive with a file of a container; ``None`` if there is none, or one far too large."""
        try:
            with self._in_words():
                pieces, about = self.client.get_archive(name, path)
                if int(about.get("size", 0)) > _LARGEST_FILE:
                    return None
                return b"".join(pieces)
        except Missing:
            return None

    def now(self) -> str:
        """The time by the engine's clock, written as the engine writes times."""
        return str(self.info()["SystemTime"])

    # --- acting

    def create(self, config: Document, name: str) -> str:
        """Make a container; its id.

        :raises Contradiction: the name is taken.
        :raises Missing: there is no such image.
        """
        with self._in_words():
            return str(self.acting_client.create_container_from_config(config, name)["Id"])

    def start(self, name: str) -> None:
        """Start a container; one that runs is well.

        :raises PortTaken: somebody else listens where it is to be published.
        :raises Missing: the container is gone, or its network.
        """
        with self._in_words():
            self.acting_client.start(name)

    def rename(self, container: str, name: str) -> None:
        """Give a container another name.

        :raises Contradiction: the name is taken.
        :raises Missing: the container is gone.
        """
        with self._in_words():
            self.acting_client.rename(container, name)

    def put(self, name: str, folder: str, archive: bytes) -> None:
        """Put files into a container's volume.

        :raises Missing: the container is gone.
        """
        with self._in_words():
            self.acting_client.put_archive(name, folder, archive)

    def run_inside(self, name: str, command: Sequence[str]) -> tuple[int, str]:
        """Run a command in a container that runs, as its user; its exit code, and what it said.

        :raises Contradiction: the container does not run now.
        :raises Missing: it is gone.
        """
        with self._in_words():
            begun = self.acting_client.exec_create(name, list(command))
            said = bytes(self.acting_client.exec_start(begun["Id"]))  # read to its end: the command's end
            code = self.acting_client.exec_inspect(begun["Id"])["ExitCode"]
            return int(code), said.decode("utf-8", "replace").strip()

    def restart_always(self, name: str) -> None:
        """Have a container started again whenever it ends, and when the engine starts.

        Not ``unless-stopped``: an engine that was killed stops what it finds running when it is started, and
        then takes it for stopped on purpose.
        """
        with self._in_words():
            self.acting_client.update_container(name, restart_policy={"Name": ALWAYS})

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a container; one that does not run, or is gone, is well."""
        try:
            with self._in_words():
                self.acting_client.kill(name, number)
        except (Missing, Contradiction):
            return

    def wait(self, name: str, seconds: int) -> bool:
        """Wait until a container has ended, at most so many seconds; whether it has."""
        deadline = time.monotonic() + seconds
        while (found := self.inspect(name)) is not None and found["State"]["Running"]:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def stop(self, name: str, seconds: int) -> None:
        """Ask a container to end, and kill it after so many seconds; what is gone is well."""
        try:
            with self._in_words():
                self.acting_client.stop(name, timeout=seconds)
        except Missing:
            return

    def remove(self, name: str) -> None:
        """Take a container away with its own volumes, killed if need be; returns once it is gone."""
        try:
            with self._in_words():
                self.acting_client.remove_container(name, v=True, force=True)
        except Missing:
            return
        except Contradiction:  # another caller removes it
            try:
                with self._in_words():
                    self.acting_client.wait(name, condition="removed")
            except Missing:
                return

    def create_network(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a network; one that was made at the same moment is well.

        :raises AdapterError: the engine has no addresses left for one.
        """
        try:
            with self._in_words():
                self.acting_client.create_network(
                    name, driver="bridge", labels=dict(labels), check_duplicate=True
                )
        except Contradiction:
            return
        except Missing as error:  # the engine says 404 of addresses too
            raise AdapterError(
                f"The Docker engine at {self.url} cannot make the network {name}: {error}.",
                mend="'docker network prune' removes unused ones, and default-address-pools in daemon.json "
                "gives more addresses.",
            ) from None

    # --- the connection

    def _connect(self, seconds: int) -> APIClient:
        hook = _hook()
        self._require_socket()
        tls = None if self._tls is None else _tls_config(self._tls)
        try:
            # The login is for images alone: an engine can be asked while its registry is away.
            return hook(docker_conn_id=None, base_url=self.url, tls=tls, timeout=seconds).get_conn()
        except Exception as error:
            raise self._translated(self._reason(tls) or error) from error

    def _reason(self, tls: Any) -> Exception | None:
        """Why the engine cannot be reached, which the hook writes into its log and does not tell."""
        from docker import APIClient

        url = self.url if tls is None else self.url.replace("tcp://", "https://", 1)
        try:
            APIClient(base_url=url, version="auto", tls=tls or False, timeout=SECONDS_TO_LOOK).close()
        except Exception as error:
            return error
        return None

    def _require_socket(self) -> None:
        """Say plainly what the client would wrap into many words."""
        path = self.url.removeprefix("unix://")
        if path == self.url:
            return
        if not os.path.exists(path):
            raise AdapterError(
                f"There is no Docker engine at {self.url}.",
                mend="Start it, or name another in the runtime's options as engine.",
            )
        if not os.access(path, os.R_OK | os.W_OK):
            raise AdapterError(
                f"Airflow's user may not use the Docker engine at {self.url}.",
                mend="Add that user to the socket's group, which is usually called docker.",
            )

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except (AirlockError, Missing, Contradiction, PortTaken):
            raise
        except Exception as error:  # Docker's client passes on those of the libraries that it uses
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> Exception:
        said = str(getattr(error, "explanation", None) or error).strip()
        if not hasattr(error, "explanation"):  # it is no answer of the engine
            return AdapterError(
                f"The Docker engine at {self.url} cannot be reached: {said.removesuffix('.')}.",
                mend="See that it runs, and that Airflow's workers and triggerer can reach it.",
            )
        status = getattr(error, "status_code", None)
        if status == 404:
            return Missing(said)
        if status == 409:
            return Contradiction(said)
        if _PORT_TAKEN.search(said):
            return PortTaken(said)
        if _NO_SPACE in said:
            return AdapterError(
                f"The disk of the Docker engine at {self.url} is full: {said}.",
                mend="'docker system df' on its machine says what takes the space.",
            )
        if found := _NO_SOURCE.search(said):
            return AdapterError(
                f"The machine of the Docker engine at {self.url} has no {found.group(1)}, which a job needs.",
                mend="Mount the same storage there, declare a volume in the runtime's options, or use a URL.",
            )
        return AdapterError(f"The Docker engine at {self.url} refused: {said.removesuffix('.')}.")


def _tls_config(files: TlsFiles) -> Any:
    from docker.tls import TLSConfig  # type: ignore[import-untyped]

    class OwnAuthority(TLSConfig):  # type: ignore[misc]
        """The engine's authority counts, and not that of REQUESTS_CA_BUNDLE, which would come first."""

        def configure_client(self, client: Any) -> None:
            super().configure_client(client)
            client.trust_env = False

    return OwnAuthority(client_cert=(files.certificate, files.key), ca_cert=files.ca, verify=True)


def _hook() -> Any:
    try:
        from airflow.providers.docker.hooks.docker import DockerHook
    except ImportError as error:
        raise AdapterError(
            f"A package that the kind docker needs is missing: {error}.",
            mend="Run: pip install 'airflow-airlock[docker]'",
        ) from error
    return DockerHook
