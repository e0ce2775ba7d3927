"""Keeps the proxy in step with the registry."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from airlock.exceptions import AirlockError, ProxyBusy, RegistryError
from airlock.gateway.proxy import Proxy
from airlock.registry import Registry
from airlock.registry.records import LedgerHead, Route, Routes
from airlock.registry.traffic import HEARTBEAT

log = logging.getLogger(__name__)

INTERVAL = timedelta(milliseconds=200)
"""How often the registry is asked."""


class Gateway:
    """Reads where requests are to go, tells the proxy, and says in the registry what it follows.

    While the registry cannot be reached, requests go on as before. While the proxy is slow to answer or to
    follow, it is told again and again, and the registry is not told that it follows.

    :param name: of this gateway, among others of the same registry.
    """

    def __init__(self, registry: Registry, proxy: Proxy, name: str) -> None:
        self._registry = registry
        self._proxy = proxy
        self._name = name
        self._found = Routes(-1, ())
        self._routes: tuple[Route, ...] = ()
        self._is_so = False  # whether the proxy divides requests by these routes
        self._seen: LedgerHead | None = None
        self._followed = -1
        self._told: Mapping[str, int] = {}
        self._said_at = 0.0
        self._registry_answers = _Complaint("The registry answers again.")
        self._proxy_follows = _Complaint("Envoy follows again.")
        self._proxy_counts = _Complaint("Envoy shows again which requests had no answer.")

    def run(self, is_over: Callable[[], bool]) -> None:
        """Follow the registry until ``is_over``.

        :raises GatewayError: Envoy ended.
        """
        with self._proxy.running():
            while not is_over():
                self._proxy.check()
                with self._registry_answers.unless(RegistryError):
                    self.step()
                time.sleep(INTERVAL.total_seconds())
            try:
                self._registry.traffic.leave(self._name)
            except RegistryError as error:
                log.warning("This gateway is missed for a while: %s", error)

    def step(self) -> None:
        """Look once, and follow.

        :raises RegistryError: it cannot be reached.
        :raises GatewayError: Envoy ended.
        """
        head = self._registry.ledger.head()
        if head != self._seen:  # every change of traffic and of deployments has its row there
            self._found = self._registry.traffic.routes()
            self._seen = head
        with self._proxy_follows.unless(ProxyBusy):
            self._follow(self._found.routes)
            self._proxy.forget()
        follows = self._found.traffic_id if self._is_so else self._followed
        if follows != self._followed or time.monotonic() - self._said_at > HEARTBEAT.total_seconds():
            self._say(follows)

    def _follow(self, routes: tuple[Route, ...]) -> None:
        if self._is_so and routes == self._routes:
            return
        self._is_so = False
        self._proxy.apply(routes)
        for route in routes:
            if route not in self._routes:
                log.info("%s", told(route))
        self._routes, self._is_so = routes, True

    def _say(self, traffic_id: int) -> None:
        unanswered = self._told
        with self._proxy_counts.unless(ProxyBusy):
            unanswered = self._proxy.unanswered()
        more = {name: count - self._told.get(name, 0) for name, count in unanswered.items()}
        self._registry.traffic.follow(self._name, traffic_id, unanswered=more)
        self._told = unanswered
        self._followed, self._said_at = traffic_id, time.monotonic()


class _Complaint:
    """Says when something goes wrong, once, and when it is well again.

    :param over: what is said then.
    """

    def __init__(self, over: str) -> None:
        self._over = over
        self._said = ""

    @contextmanager
    def unless(self, kind: type[AirlockError]) -> Iterator[None]:
        """Take errors of this kind as something that goes wrong for a while."""
        try:
            yield
        except kind as error:
            if str(error) != self._said:
                log.warning("Requests go on as before: %s", error)
            self._said = str(error)
        else:
            if self._said:
                log.warning("%s", self._over)
            self._said = ""


def told(route: Route) -> str:
    """A route in words."""
    where = f"{route.service} in {route.stage}"
    if not route.backends:
        return f"{where}: nothing is online."
    shares = ", ".join(f"{backend.percent} % {backend.snapshot_name}" for backend in route.backends)
    if route.mirror is None:
        return f"{where}: {shares}."
    return f"{where}: {shares}; {route.mirror.percent} % copied to {route.mirror.snapshot_name}."
