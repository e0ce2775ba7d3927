"""A pod's network: a namespace with its own loopback and the pod's address, and the way into it."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

PROGRAM = Path(__file__).with_name("container.py")
"""What holds a pod's network."""

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class PodNetwork:
    """Lives until it is closed; must be made by a thread that lives as long."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._pause = subprocess.Popen(
            [sys.executable, "-I", "-S", str(PROGRAM), "pause", address], stdout=subprocess.PIPE
        )
        assert self._pause.stdout is not None
        if self._pause.stdout.readline() != b"ready\n":
            raise RuntimeError("no network namespace could be made: that needs Linux, as root")

    @property
    def namespace(self) -> str:
        return f"/proc/{self._pause.pid}/ns/net"

    def connect(self, port: int, timeout: float) -> socket.socket:
        """A connection to the pod's address.

        :raises OSError: nobody listens there, or does not answer in time.
        """
        return connect(self.namespace, self.address, port, timeout)

    def close(self) -> None:
        """Take the network away."""
        self._pause.kill()
        self._pause.wait()
        assert self._pause.stdout is not None
        self._pause.stdout.close()


def connect(namespace: str, address: str, port: int, timeout: float) -> socket.socket:
    """A connection made inside a network namespace: a socket stays where it was made.

    :raises OSError: as for any connection, or the namespace is gone.
    """
    made: list[socket.socket | OSError] = []

    def inside() -> None:
        try:
            entry = os.open(namespace, os.O_RDONLY)
            try:
                if _libc.setns(entry, _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            finally:
                os.close(entry)
            made.append(socket.create_connection((address, port), timeout))
        except OSError as error:
            made.append(error)

    # The namespace is the thread's own: this one ends there.
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]
