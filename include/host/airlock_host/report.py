"""A job's result on standard output, for who can read a container's log but none of its files.

In frames, since logs cut long lines and mix in others: ``airlock-result 1/2 DATA``, where the DATA of all
lines, joined and decoded from base64, is the result as JSON, compressed by zlib. The last whole set counts.
"""

from __future__ import annotations

import base64
import os
import sys
import zlib

# With the words before it less than 4,096 bytes, which a pipe takes whole.
_CHARACTERS = 4_000


class Report:
    """Takes standard output for itself: what the model prints goes to standard error from now on."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._output = os.dup(1)
        os.dup2(2, 1)

    def send(self, result: bytes) -> None:
        """Write a result.

        :raises OSError: nobody reads it.
        """
        for frame in frames(result):
            waiting = frame.encode("ascii")
            while waiting:
                waiting = waiting[os.write(self._output, waiting) :]

    def close(self) -> None:
        """Give standard output back."""
        sys.stdout.flush()
        os.dup2(self._output, 1)
        os.close(self._output)


def frames(result: bytes) -> list[str]:
    """The lines that carry a result."""
    data = base64.b64encode(zlib.compress(result, 9)).decode("ascii")
    pieces = [data[begin : begin + _CHARACTERS] for begin in range(0, len(data), _CHARACTERS)]
    return [f"airlock-result {number}/{len(pieces)} {piece}\n" for number, piece in enumerate(pieces, 1)]
