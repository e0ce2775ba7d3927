"""Where libraries put what they keep between runs, when their usual places cannot be written."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path


def find_room_for_caches(environment: MutableMapping[str, str] = os.environ) -> None:
    """Send the caches of libraries to ``TMPDIR``, where there is one, unless they have room at home.

    In a container home is often missing or read-only: matplotlib warns then at each start, and numba fails.
    A home that can be read stays home, since credentials are looked for there.
    """
    temporary, home = environment.get("TMPDIR"), environment.get("HOME")
    if not temporary:
        return
    if not home or not Path(home).is_dir():
        environment["HOME"] = temporary
    elif not os.access(home, os.W_OK):
        caches = Path(temporary)
        environment.setdefault("XDG_CACHE_HOME", str(caches / "cache"))
        environment.setdefault("MPLCONFIGDIR", str(caches / "matplotlib"))
        environment.setdefault("NUMBA_CACHE_DIR", str(caches / "numba"))
