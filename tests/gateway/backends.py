"""Small servers in place of models, and clients in place of applications."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Model:
    """Answers each request with its name, and remembers what it was asked.

    :ivar asked: path, headers and body of each request.
    """

    def __init__(self, name: str) -> None:
        model = self
        self.name = name
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.answer_delay = threading.Event()
        self.answer_delay.set()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65_536  # head and body in one piece: the kernel would hold the second one back

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                model.asked.append(
                    (self.path, {key.lower(): value for key, value in self.headers.items()}, body)
                )
                model.answer_delay.wait(30)
                answer = model.name.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST  # noqa: N815

            def log_message(self, format: str, *arguments: object) -> None:
                """The test says what matters."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def answering(self) -> Iterator[Model]:
        """Answer requests."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


class NameServer:
    """Says of every name that it is this machine; says nothing at all until ``answers`` is set."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    @contextmanager
    def running(self) -> Iterator[NameServer]:
        """Take queries; one that comes while it is silent is lost."""
        thread = threading.Thread(target=self._serve)
        thread.start()
        try:
            yield self
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", ("127.0.0.1", self.port))
            thread.join()
            self._socket.close()

    def _serve(self) -> None:
        while True:
            query, asking = self._socket.recvfrom(1024)
            if not query:
                return
            if self.answers.is_set():
                self._socket.sendto(_loopback(query), asking)


def _loopback(query: bytes) -> bytes:
    """The answer to a query as RFC 1035 has it: one address of version 4, none of version 6."""
    end_of_question = query.index(b"\0", 12) + 5
    is_version_4 = query[end_of_question - 4 : end_of_question - 2] == b"\0\1"
    address = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton("127.0.0.1")
    head = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_version_4 else b"\0\0") + b"\0\0\0\0"
    return head + query[12:end_of_question] + (address if is_version_4 else b"")


class Load:
    """Clients that ask again and again over connections that they keep.

    :ivar answers: how often which answer came: a status with its body, or what went wrong.
    """

    def __init__(self, port: int, path: str, clients: int = 16, body: str = "{}") -> None:
        self.answers: Counter[str] = Counter()
        self._port = port
        self._path = path
        self._clients = clients
        self._body = body
        self._over = False

    @contextmanager
    def running(self) -> Iterator[Load]:
        """Ask until the block ends, and then until each request has its answer."""
        thread = threading.Thread(target=lambda: asyncio.run(self._all()))
        thread.start()
        try:
            yield self
        finally:
            self._over = True
            thread.join()

    async def _all(self) -> None:
        await asyncio.gather(*(self._client() for _ in range(self._clients)))

    async def _client(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        fields = f"Host: gateway\r\nContent-Type: application/json\r\nContent-Length: {len(self._body)}"
        request = f"POST {self._path} HTTP/1.1\r\n{fields}\r\n\r\n{self._body}".encode()
        while not self._over:
            try:
                writer.write(request)
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                said = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:-2])
                body = (await reader.readexactly(int(said["content-length"]))).decode()
                self.answers[f"{head.split(' ')[1]} {body}"] += 1
            except (asyncio.IncompleteReadError, OSError) as error:
                self.answers[f"failed: {error!r}"] += 1
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.close()
