"""How people and programs name a snapshot."""

from __future__ import annotations

import re
from dataclasses import dataclass

from airlock.exceptions import SnapshotError
from airlock.spec.names import NAME_PATTERN

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(rf"(?P<model>{NAME_PATTERN.strip('^$')})(?:@(?P<version>[1-9][0-9]{{0,8}}))?")


@dataclass(frozen=True)
class SnapshotRef:
    """``name@3``, ``sha256:…``, or ``name`` for the model's newest snapshot.

    Either ``digest`` is given, or ``model`` is; ``version`` is ``None`` for the newest.
    """

    model: str | None = None
    version: int | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> SnapshotRef:
        """Read a reference.

        :raises SnapshotError: it has none of the three forms.
        """
        text = text.strip()
        if _DIGEST.fullmatch(text):
            return cls(digest=text)
        if named := _NAME.fullmatch(text):
            version = named["version"]
            return cls(model=named["model"], version=int(version) if version else None)
        raise SnapshotError(
            f"{text!r} does not name a snapshot.",
            mend="Write a model and version (credit-card-fraud@3), a model alone for its newest snapshot, "
            "or sha256: and 64 hexadecimal digits.",
        )

    def __str__(self) -> str:
        if self.digest is not None:
            return self.digest
        return str(self.model) if self.version is None else f"{self.model}@{self.version}"
