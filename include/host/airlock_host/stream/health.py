"""A worker's port: health and metrics, and nothing that changes anything."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from airlock_host.exceptions import HostError
from airlock_host.serving.measurements import CONTENT_TYPE

log = logging.getLogger(__name__)


class HealthServer:
    """Answers from a thread of its own, while the model loads as well."""

    def __init__(self, host: str, port: int, ready: Callable[[], bool], metrics: Callable[[], bytes]) -> None:
        """:param port: 0 takes any free one.

        :raises HostError: the address cannot be bound.
        """

        class Handler(_Handler):
            is_ready = staticmethod(ready)
            metrics_text = staticmethod(metrics)

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        try:
            self._server = Server((host, port), Handler)
        except OSError as error:
            raise HostError(f"cannot listen on {host}:{port}: {error.strerror}") from None
        self.port: int = self._server.server_address[1]
        Thread(target=self._server.serve_forever, args=(0.05,), name="health", daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10.0
    is_ready: Callable[[], bool]
    metrics_text: Callable[[], bytes]

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/v2/health/live":
                self._answer(200, {"live": True})
            case "/v2/health/ready":
                self._health("ready")
            case "/ping":
                self._health("status")
            case "/metrics":
                self._send(200, self.metrics_text(), CONTENT_TYPE)
            case path:
                error = f"there is nothing at {path}; there is /v2/health/ready and /metrics"
                self._answer(404, {"error": error, "reason": "no_such_route"})

    def _health(self, name: str) -> None:
        ready = self.is_ready()
        self._answer(200 if ready else 503, {name: ready})

    def _answer(self, status: int, content: object) -> None:
        self._send(status, json.dumps(content).encode(), "application/json")

    def _send(self, status: int, body: bytes, media_type: str) -> None:
        self.send_response(status)
        self.send_header("content-type", media_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *values: object) -> None:
        """Health is asked for every few seconds; nobody wants to read that."""
