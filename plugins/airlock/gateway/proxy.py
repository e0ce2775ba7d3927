"""Envoy as a process: started once, told of every change while it runs."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from airlock.exceptions import GatewayError, ProxyBusy
from airlock.gateway import configuration
from airlock.registry.records import Backend, Route
from airlock.spec import digest

log = logging.getLogger(__name__)

SECONDS_TO_START = 30.0
SECONDS_TO_FOLLOW = 2.0
"""How long a change is waited for at a time: other services' changes come after it."""

SECONDS_TO_DRAIN = 60.0
"""How long the requests of a deployment that gets no more of them may still take."""

_INTERVAL_SECONDS = 0.02
_SECONDS_TO_ANSWER = 2.0
_ROUTES_VERSION = "http.gateway.rds.services.version_text"
_CLUSTERS_VERSION = "cluster_manager.cds.version_text"
_WARMING = "cluster.{deployment}.warming_state"
_REQUESTS_UNDER_WAY = "http.gateway.downstream_rq_active"
_UNANSWERED = re.compile(
    r"cluster\.(?P<deployment>.+)\.(upstream_cx_destroy_with_active_rq|upstream_rq_retry_limit_exceeded)"
)
"""Connections that ended with a request under way (deployments speak HTTP/1, so it was one), and requests for
which none was to be had."""
_STATISTICS = "|".join(
    f"^{name}$"
    for name in (
        _ROUTES_VERSION,
        _CLUSTERS_VERSION,
        _WARMING.format(deployment="[^.]+"),
        _REQUESTS_UNDER_WAY,
    )
)

Statistics = Mapping[str, str]


class Proxy:
    """One Envoy, which divides requests as it is told and loses none when that changes.

    :param envoy: the program.
    :param folder: its own: what it is told stays there, and is in force again when it is started anew.
    :param inside: ask deployments where they answer inside their runtime's network.
    """

    def __init__(self, envoy: Path, folder: Path, *, address: str, port: int, inside: bool = False) -> None:
        self._envoy = envoy
        self._folder = folder
        self._address = address
        self._port = port
        self._inside = inside
        self._process: subprocess.Popen[bytes] | None = None
        self._routes: tuple[Route, ...] = ()
        self._wanted: tuple[Route, ...] = ()
        self._left: dict[str, tuple[Backend, float]] = {}
        self._admin = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(folder / configuration.ADMIN)),
            base_url="http://envoy",
            timeout=_SECONDS_TO_ANSWER,
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run Envoy; what it was told last is in force at once.

        :raises GatewayError: it does not start.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._end_predecessor()
        for name in (configuration.CLUSTERS, configuration.ROUTES):
            if not (self._folder / name).exists():
                resources = configuration.route_table([]) if name == configuration.ROUTES else []
                self._write(name, resources)
        document = configuration.bootstrap(self._folder, self._address, self._port)
        (self._folder / "bootstrap.json").write_text(json.dumps(document))
        command = [str(self._envoy), "-c", str(self._folder / "bootstrap.json")]
        command += ["--disable-hot-restart", "--log-level", "warning"]
        self._process = subprocess.Popen(command)
        try:
            self._wait_for_start()
            yield
        finally:
            self._stop()

    def check(self) -> None:
        """See that Envoy runs.

        :raises GatewayError: it has ended.
        """
        if self._process is not None and self._process.poll() is not None:
            raise GatewayError(f"Envoy ended with the code {self._process.returncode}; its log says why.")

    def apply(self, routes: Sequence[Route]) -> None:
        """Divide requests like this from now on. Returns once it is so.

        Deployments are made known first, then get requests; those that get none any more are forgotten once
        their last requests must have been answered. A route to a deployment whose name is not known yet
        stays as it was, and the others do not wait for it.

        :raises ProxyBusy: not all of it is so yet. Said again, it goes on.
        :raises GatewayError: Envoy has ended.
        """
        self._wanted, wanted = tuple(routes), _backends(routes)
        version = self._write(configuration.CLUSTERS, self._clusters())
        is_taken = self._wait(lambda said: _is(said, _CLUSTERS_VERSION, version) and not _late(said, wanted))
        late = {} if is_taken else _late(self._statistics(), wanted)
        possible = tuple(
            self._former(route) if late.keys() & _backends([route]) else route for route in routes
        )
        self._tell(configuration.ROUTES, configuration.route_table(possible), _ROUTES_VERSION)
        self._leave(possible)
        if late:
            names = ", ".join(f"{each.snapshot_name} at {each.url}" for each in late.values())
            raise ProxyBusy(f"Envoy does not know yet where {names} is.", mend="Look at the name server.")
        if not is_taken:
            raise self._not_taken(configuration.CLUSTERS)

    def forget(self) -> None:
        """Forget deployments that have been left for long enough.

        :raises ProxyBusy: Envoy does not follow yet; later it will.
        """
        due = [name for name, (_, until) in self._left.items() if until < time.monotonic()]
        if due:
            self._left = {name: left for name, left in self._left.items() if name not in due}
            self._tell(configuration.CLUSTERS, self._clusters(), _CLUSTERS_VERSION)

    def unanswered(self) -> Mapping[str, int]:
        """How many requests deployments have left without an answer since Envoy was started.

        They took too long for the gateway or for who asked, which they count themselves, too, or they broke
        down over them or could not be reached, which they cannot.

        :raises ProxyBusy: Envoy does not say.
        """
        counts: Counter[str] = Counter()
        for name, value in self._statistics(_UNANSWERED.pattern).items():
            if (found := _UNANSWERED.fullmatch(name)) and int(value):
                counts[found["deployment"]] += int(value)
        return counts

    def _former(self, route: Route) -> Route:
        """The route in force for the same service and stage, or this one where there is none."""
        for other in self._routes:
            if (other.service, other.stage) == (route.service, route.stage):
                return other
        return route

    def _leave(self, routes: tuple[Route, ...]) -> None:
        """Take routes as those in force: what only others led to gets its last requests now."""
        before, self._routes = _backends(self._routes), routes
        now, until = _backends(routes), time.monotonic() + SECONDS_TO_DRAIN
        left = {name: (backend, until) for name, backend in before.items()}
        self._left = {name: each for name, each in {**self._left, **left}.items() if name not in now}

    def _clusters(self) -> list[configuration.Document]:
        left = {name: backend for name, (backend, _) in self._left.items()}
        known = {**left, **_backends(self._routes), **_backends(self._wanted)}
        return configuration.clusters(known.values(), inside=self._inside)

    def _tell(self, name: str, resources: Sequence[configuration.Document], statistic: str) -> None:
        version = self._write(name, resources)
        if not self._wait(lambda said: _is(said, statistic, version)):
            raise self._not_taken(name)

    def _not_taken(self, name: str) -> ProxyBusy:
        return ProxyBusy(f"Envoy does not take {self._folder / name} yet.", mend="Its log may say why.")

    def _wait(self, is_so: Callable[[Statistics], bool]) -> bool:
        """Whether Envoy's statistics come to say something within :data:`SECONDS_TO_FOLLOW`."""
        deadline = time.monotonic() + SECONDS_TO_FOLLOW
        while not is_so(self._statistics()):
            self.check()
            if time.monotonic() > deadline:
                return False
            time.sleep(_INTERVAL_SECONDS)
        return True

    def _write(self, name: str, resources: Sequence[configuration.Document]) -> str:
        version = digest(list(resources)).removeprefix("sha256:")[:16]
        unfinished = self._folder / f".{name}"
        unfinished.write_text(configuration.discovery(version, resources))
        unfinished.replace(self._folder / name)  # Envoy looks when a file is moved here
        return version

    def _statistics(self, names: str = _STATISTICS) -> Statistics:
        try:
            answer = self._admin.get("/stats", params={"filter": names}).raise_for_status()
        except httpx.HTTPError as error:
            self.check()
            raise ProxyBusy(f"Envoy does not show its statistics: {error}.") from None
        lines = (line.partition(": ") for line in answer.text.splitlines())
        return {name: value for name, _, value in lines}

    def _wait_for_start(self) -> None:
        deadline = time.monotonic() + SECONDS_TO_START
        while True:
            self.check()
            try:
                if self._admin.get("/ready").status_code == httpx.codes.OK:
                    return
            except httpx.HTTPError:
                pass  # it does not listen yet
            if time.monotonic() > deadline:
                log.warning("Envoy is not ready yet: it may wait for names that nobody tells it.")
                return
            time.sleep(_INTERVAL_SECONDS)

    def _end_predecessor(self) -> None:
        """End an Envoy of this folder whose gateway was killed: it would keep the port."""
        deadline = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < deadline:
            try:
                self._admin.post("/quitquitquit")
            except httpx.HTTPError:
                return  # nobody is there
            time.sleep(_INTERVAL_SECONDS)
        raise GatewayError(f"Another Envoy of {self._folder} does not end.")

    def _stop(self) -> None:
        """End Envoy once requests under way are answered."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        deadline = time.monotonic() + SECONDS_TO_DRAIN
        try:
            self._admin.post("/drain_listeners", params={"graceful": ""})
            while self._statistics().get(_REQUESTS_UNDER_WAY) != "0" and time.monotonic() < deadline:
                time.sleep(_INTERVAL_SECONDS)
        except (httpx.HTTPError, GatewayError) as error:
            log.warning("Envoy is ended without waiting for requests: %s", error)
        process.terminate()
        try:
            process.wait(timeout=SECONDS_TO_START)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _backends(routes: Sequence[Route]) -> dict[str, Backend]:
    return {
        backend.deployment_id: backend
        for route in routes
        for backend in (*route.backends, *([route.mirror] if route.mirror else []))
    }


def _is(said: Statistics, statistic: str, version: str) -> bool:
    return said.get(statistic) == f'"{version}"'


def _late(said: Statistics, wanted: Mapping[str, Backend]) -> dict[str, Backend]:
    """The deployments that Envoy cannot ask yet, because it does not know what their names stand for."""
    return {name: each for name, each in wanted.items() if said.get(_WARMING.format(deployment=name)) != "0"}
