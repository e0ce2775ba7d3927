"""The environment variables of a host in a container."""

from __future__ import annotations

import math
from collections.abc import Mapping

_THREADS = (
    "OMP_NUM_THREADS",
    "OMP_THREAD_LIMIT",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "ARROW_IO_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
)


def host_variables(
    *,
    labels: Mapping[str, str],
    cpu: float,
    scratch: str,
    environment: Mapping[str, str],
    secrets: Mapping[str, str],
) -> dict[str, str]:
    """All variables that a container gets on top of its image's.

    :param labels: service, stage, snapshot, deployment, digest …: the host stamps them into what
        it answers and writes.
    :param cpu: cores; numeric libraries would start a thread for every core of the machine.
    :param scratch: where the host puts temporary files.
    :param environment: the runtime's ``options.environment``.
    :param secrets: the connection's ``extra.environment``; of two values for one name, this one counts.
    """
    threads = dict.fromkeys(_THREADS, str(max(1, math.ceil(cpu))))
    own = {
        "PYTHONNOUSERSITE": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": scratch,
        "HOME": scratch,
    }
    return {**threads, **own, **environment, **secrets, **_named(labels)}


def _named(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels as the host reads them."""
    return {f"AIRLOCK_{key.upper().replace('-', '_')}": value for key, value in labels.items()}
