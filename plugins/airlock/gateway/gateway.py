"""Keeps the proxy in step with the registry."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from airlock.exceptions import RegistryError
from airlock.gateway.proxy import Proxy
from airlock.registry import Registry
from airlock.registry.records import LedgerHead, Route, Routes
from airlock.registry.traffic import HEARTBEAT

log = logging.getLogger(__name__)

INTERVAL = timedelta(milliseconds=200)
"""How often the registry is asked."""


class Gateway:
    """Reads where requests are to go, tells the proxy, and says in the registry what it follows.

    While the registry cannot be reached, requests go on as before.

    :param name: of this gateway, among others of the same registry.
    """

    def __init__(self, registry: Registry, proxy: Proxy, name: str) -> None:
        self._registry = registry
        self._proxy = proxy
        self._name = name
        self._routes: tuple[Route, ...] | None = None
        self._seen: LedgerHead | None = None
        self._followed = -1
        self._told: Mapping[str, int] = {}
        self._said_at = 0.0
        self._is_cut_off = False

    def run(self, is_over: Callable[[], bool]) -> None:
        """Follow the registry until ``is_over``.

        :raises GatewayError: Envoy ended, or refuses what it is told.
        """
        with self._proxy.running():
            while not is_over():
                self._proxy.check()
                try:
                    self.step()
                    if self._is_cut_off:
                        log.warning("The registry answers again.")
                    self._is_cut_off = False
                except RegistryError as error:
                    if not self._is_cut_off:
                        log.warning("Requests go on as before: %s", error)
                    self._is_cut_off = True
                time.sleep(INTERVAL.total_seconds())
            try:
                self._registry.traffic.leave(self._name)
            except RegistryError as error:
                log.warning("This gateway is missed for a while: %s", error)

    def step(self) -> None:
        """Look once, and follow.

        :raises RegistryError: it cannot be reached.
        :raises GatewayError: Envoy ended, or refuses what it is told.
        """
        head = self._registry.ledger.head()
        if head != self._seen:  # every change of traffic and of deployments has its row there
            self._follow(self._registry.traffic.routes())
            self._seen = head
        self._proxy.forget()
        if time.monotonic() - self._said_at > HEARTBEAT.total_seconds():
            self._say(self._followed)

    def _follow(self, found: Routes) -> None:
        if found.routes != self._routes:
            self._proxy.apply(found.routes)
            for route in found.routes:
                if self._routes is None or route not in self._routes:
                    log.info("%s", told(route))
            self._routes = found.routes
        if found.traffic_id != self._followed:
            self._say(found.traffic_id)

    def _say(self, traffic_id: int) -> None:
        unanswered = self._proxy.unanswered()
        more = {name: count - self._told.get(name, 0) for name, count in unanswered.items()}
        self._registry.traffic.follow(self._name, traffic_id, unanswered=more)
        self._told = unanswered
        self._followed, self._said_at = traffic_id, time.monotonic()


def told(route: Route) -> str:
    """A route in words."""
    where = f"{route.service} in {route.stage}"
    if not route.backends:
        return f"{where}: nothing is online."
    shares = ", ".join(f"{backend.percent} % {backend.snapshot_name}" for backend in route.backends)
    if route.mirror is None:
        return f"{where}: {shares}."
    return f"{where}: {shares}; {route.mirror.percent} % copied to {route.mirror.snapshot_name}."
