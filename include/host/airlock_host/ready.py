"""Health check of a container: exits with 0 where the host on loopback is ready, otherwise says why not.

``python -S -E …/airlock_host/ready.py PORT``. It runs every few seconds beside the model, so it is a file on
its own that loads next to nothing.
"""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # the package's folder, whose modules would stand in for Python's own

import socket

_SECONDS = 5.0
_REQUEST = b"GET /v2/health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def why_not(port: int) -> str | None:
    """Why the host on this port of loopback is not ready; ``None`` where it is."""
    try:
        with socket.create_connection(("127.0.0.1", port), _SECONDS) as connection:
            connection.sendall(_REQUEST)
            answer = b""
            while b"\r\n" not in answer and (piece := connection.recv(1024)):
                answer += piece
    except TimeoutError:
        return f"port {port} did not answer within {_SECONDS:.0f} s"
    except OSError as error:
        return f"port {port}: {error.strerror or error}"
    words = answer.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/"):
        return f"port {port} answered something that is not HTTP"
    if words[1] != b"200":
        return f"/v2/health/ready on port {port} answered {words[1].decode('ascii', 'replace')}"
    return None


def main() -> int:
    """Check the port that the command line names."""
    if len(sys.argv) != 2 or not sys.argv[1].isdecimal() or not 0 < int(sys.argv[1]) < 65_536:
        print("usage: ready.py PORT")
        return 1
    reason = why_not(int(sys.argv[1]))
    if reason is not None:
        print(f"not ready: {reason}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
