"""How images are made: one Dockerfile for environments, one for what stands on them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from airlock.runtimes.containers.layout import (
    ENTRY_POINT,
    GID,
    HOST_FOLDER,
    JOB_FOLDER,
    MODEL_FOLDER,
    PORT,
    UID,
)

# Folders of the build context.
PACKAGES = "packages"
HOST = "host"
JOB = "writable"
"""A folder with the folder of a job in it: what is copied keeps its mode."""
MODEL = "model"

# Some packages hold files for other versions of Python, so what does not compile is no mistake. Official
# images come without the bytecode of the standard library, which a read-only container cannot write either.
_COMPILE = "; ".join(
    [
        "import compileall, py_compile, sys",
        "mode = py_compile.PycInvalidationMode.UNCHECKED_HASH",
        "compileall.compile_dir(sys.argv[1], quiet=2, workers=0, invalidation_mode=mode)",
    ]
)

_HOME = "/airlock"
_IMPORT = "import airlock_host.cli"

_SERVE = ("serve", "--model", MODEL_FOLDER, "--host", "0.0.0.0", "--port", str(PORT))  # noqa: S104  in a container


def environment(base: str, *, library_folder: str, packages_folder: str, labels: Mapping[str, str]) -> str:
    """The recipe of an image with packages; the layers below them are shared by all environments."""
    return _lines(
        f"FROM {base}",
        "USER 0",
        _run("python", "-c", _COMPILE, library_folder),
        f"COPY {json.dumps([f'{PACKAGES}/', f'{packages_folder}/'])}",
        _run("python", "-c", _COMPILE, packages_folder),
        _label(labels),
    )


def snapshot(base: str, *, python_path: str = "", labels: Mapping[str, str]) -> str:
    """The recipe of an image with host and model; all but the model is shared by the snapshots on one base.

    :param python_path: what the base image has on its ``PYTHONPATH``.
    """
    return _lines(
        *_with_host(base, python_path, _SERVE),
        f"COPY {MODEL}/ {MODEL_FOLDER}/",
        *_as_nobody(),
        _label(labels),
    )


def checks(base: str, *, labels: Mapping[str, str]) -> str:
    """The recipe of an image that measures models and holds none."""
    return _lines(*_with_host(base, "", ("--help",)), *_as_nobody(), _label(labels))


def _with_host(base: str, python_path: str, command: tuple[str, ...]) -> list[str]:
    path = f"{HOST_FOLDER}:{python_path}" if python_path else HOST_FOLDER
    return [
        f"FROM {base}",
        "USER 0",
        f"COPY {HOST}/ {HOST_FOLDER}/",
        _run("python", "-c", _COMPILE, HOST_FOLDER),
        f"COPY {JOB}/ {JOB_FOLDER.rpartition('/')[0]}/",
        f"ENV PYTHONPATH={json.dumps(path)} PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1",
        _run("python", "-c", _IMPORT),
        f"WORKDIR {_HOME}",
        f"EXPOSE {PORT}",
        f"ENTRYPOINT {json.dumps(list(ENTRY_POINT))}",
        f"CMD {json.dumps(list(command))}",
    ]


def _as_nobody() -> list[str]:
    return [f"USER {UID}:{GID}"]


def _run(*command: str) -> str:
    return f"RUN {json.dumps(list(command))}"


def _label(labels: Mapping[str, str]) -> str:
    pairs = (f"{json.dumps(name)}={json.dumps(value)}" for name, value in sorted(labels.items()))
    return f"LABEL {' '.join(pairs)}"


def _lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"


STEPS = (
    environment("", library_folder="", packages_folder="", labels={}),
    snapshot("", labels={}),
    checks("", labels={}),
)
"""The recipes without what differs: images that were made by others are made anew."""
