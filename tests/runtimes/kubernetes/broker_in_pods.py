"""A port of this machine that pods find at their own loopback: their networks have no way out."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from contextlib import suppress

import psutil  # type: ignore[import-untyped]

from .stub.node.network import PROGRAM

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class BrokerInPods:
    """Until it is closed, each pod that begins gets the port.

    :param port: of loopback, here and there.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_closed = threading.Event()
        self._listeners: dict[int, socket.socket] = {}
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()

    def close(self) -> None:
        """Take the port away."""
        self._is_closed.set()
        self._watch.join()
        for listener in self._listeners.values():
            listener.close()

    def _look(self) -> None:
        while not self._is_closed.wait(0.05):
            for process in psutil.process_iter():
                with suppress(psutil.Error, OSError):
                    if process.pid not in self._listeners and _holds_a_pods_network(process):
                        self._listeners[process.pid] = _listen(process.pid, self._port)
                        accepts = threading.Thread(
                            target=self._accept, args=[self._listeners[process.pid]], daemon=True
                        )
                        accepts.start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                inside, _ = listener.accept()
                outside = socket.create_connection(("127.0.0.1", self._port))
                for source, target in ((inside, outside), (outside, inside)):
                    threading.Thread(target=_pass_on, args=[source, target], daemon=True).start()


def _holds_a_pods_network(process: psutil.Process) -> bool:
    arguments = process.cmdline()
    return str(PROGRAM) in arguments and "pause" in arguments


def _listen(pid: int, port: int) -> socket.socket:
    """A socket that listens in the network of a process, and stays there."""
    made: list[socket.socket | OSError] = []

    def inside() -> None:
        try:
            with open(f"/proc/{pid}/ns/net", "rb") as entry:
                if _libc.setns(entry.fileno(), _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            made.append(socket.create_server(("127.0.0.1", port)))
        except OSError as error:
            made.append(error)

    # The network is the thread's own: this one ends there.
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
