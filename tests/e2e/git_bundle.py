"""A second DAG bundle: a git repository with one service, as the docs recommend for production."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from tests.e2e.project import Project


class GitBundle:
    """A repository that Airflow reads by commit."""

    def __init__(self, folder: Path) -> None:
        self.service = "from-git"
        self.project = Project(folder)
        self.project.lifecycle("from-git", stages=[{"name": "LAB"}, {"name": "LIVE"}])
        self.project.service(self.service, "from-git", mode="batch")
        self._git("init", "--quiet", "--initial-branch", "main")
        self._commit("A service")

    def edit(self, **lifecycle: Any) -> None:
        """Change the life cycle in a new commit."""
        self.project.lifecycle("from-git", **lifecycle)
        self._commit("Edit the life cycle")

    def version(self) -> str:
        """The commit at the tip."""
        return self._git("rev-parse", "HEAD").strip()

    def _commit(self, message: str) -> None:
        self._git("add", "--all")
        self._git(
            "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "--quiet", "-m", message
        )

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.project.folder, check=True, capture_output=True, text=True
        )
        return done.stdout
