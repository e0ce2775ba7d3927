"""Who Airlock is to an image registry."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class RegistryLogin:
    """A login at the registry where images of snapshots are kept."""

    username: str
    password: str = field(repr=False)

    def document(self) -> dict[str, str]:
        """As the Docker engine wants it."""
        return {"username": self.username, "password": self.password}
