"""What a check may know of the snapshot, its deployment, the champion and the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airlock.spec import Dataset, Mode


@dataclass(frozen=True)
class Champion:
    """The snapshot that serves now, which the candidate is compared with.

    :param name: for example ``credit-card-fraud@2``.
    :param digest: of its manifest.
    :param manifest: as plain JSON.
    """

    name: str
    digest: str
    manifest: Mapping[str, Any]


@dataclass(frozen=True)
class CheckContext:
    """The facts that one check is planned and judged with.

    :param snapshot: the candidate's name, for example ``credit-card-fraud@3``.
    :param digest: of the candidate's manifest.
    :param manifest: the candidate's manifest as plain JSON.
    :param mode: how the candidate is deployed.
    :param scratch: a folder, or a URL, that every step of this check sees, on the runtime's side.
    :param endpoint: base address of the candidate's REST endpoint; ``None`` in mode ``batch``.
    :param champion: ``None`` when the service has no version in use yet.
    :param datasets: the service's data sets by name, their paths as the runtime finds them.
    :param golden: the candidate's golden records, see :func:`airlock.checks.read_golden`.
    """

    snapshot: str
    digest: str
    manifest: Mapping[str, Any]
    mode: Mode
    scratch: Path | str
    endpoint: str | None = None
    champion: Champion | None = None
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    golden: Sequence[Mapping[str, Any]] = ()
