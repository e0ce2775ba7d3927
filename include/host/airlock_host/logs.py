"""How all processes of the host log."""

from __future__ import annotations

import logging
import sys


def log_to_standard_error() -> None:
    """From now on, what happens is told on standard error, a line each."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
