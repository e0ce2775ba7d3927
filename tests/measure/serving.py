"""A small endpoint that answers as it is told, for checks that ask one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any]


@dataclass
class Behaviour:
    """How the endpoint answers.

    :param score: from the sent records to (status, content).
    :param pages: status and content of other pages.
    """

    score: Callable[[list[dict[str, Any]]], Answer]
    pages: dict[str, Answer] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    chunked: bool = False
    asked: list[int] = field(default_factory=list)


@contextmanager
def endpoint(behaviour: Behaviour) -> Iterator[str]:
    """Serve on loopback; the base address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one packet an answer, as real servers send it
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._send(*behaviour.pages.get(self.path, (404, {"error": "no such page"})))

        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
            records = sent if isinstance(sent, list) else [sent]
            behaviour.asked.append(len(records))
            status, content = behaviour.score(records)
            single = isinstance(sent, dict) and isinstance(content, list)
            self._send(status, content[0] if single else content)

        def _send(self, status: int, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            for name, value in behaviour.headers.items():
                self.send_header(name, value)
            if behaviour.chunked:
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                self.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")
            else:
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
