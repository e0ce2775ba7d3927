"""The environment that models run in: none of Airflow's, which holds passwords and tokens."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from airlock.exceptions import AdapterError
from airlock.spec import RuntimeSpec

_PASSED_ON = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC",
    "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
    "CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS",
})  # fmt: skip
_PASSED_ON_PREFIXES = ("LC_", "NVIDIA_", "UV_", "XDG_")


def variables_of(spec: RuntimeSpec) -> dict[str, str]:
    """What every process of a runtime gets: of this process what is named here, and what the runtime says.

    Of two values for one name, that of the connection counts, then that of the runtime's options.

    :raises AdapterError: Airflow does not know the connection, or what it says is no variable.
    """
    passed_on = {
        name: value
        for name, value in os.environ.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    return {**passed_on, **spec.options.environment, **_secrets(spec.connection)}


def _secrets(connection_id: str | None) -> dict[str, str]:
    """Secret variables: the connection's extra, under ``environment``."""
    if connection_id is None:
        return {}
    found = _connection(connection_id).extra_dejson.get("environment", {})
    if not isinstance(found, Mapping):
        raise AdapterError(
            f"In the extra of the connection {connection_id!r}, 'environment' is no object.",
            mend='Write {"environment": {"NAME": "value"}}.',
        )
    return {str(name): str(value) for name, value in found.items()}


def _connection(connection_id: str) -> Any:
    from airflow.sdk import BaseHook

    try:
        return BaseHook.get_connection(connection_id)
    except Exception as error:  # each secrets backend raises its own
        raise AdapterError(
            f"Airflow has no connection {connection_id!r}: {error}",
            mend="Add it in Airflow under Admin > Connections, or name another in the runtime's file.",
        ) from error
