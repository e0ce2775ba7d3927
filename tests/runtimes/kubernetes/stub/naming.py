"""Names that the cluster makes up."""

from __future__ import annotations

import random

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def random_suffix(length: int = 5) -> str:
    """As Kubernetes makes it: without vowels."""
    return "".join(random.choices(_LETTERS, k=length))
