"""An image of what this machine has installed: it stands for images that cannot be pulled where tests run.

On top of the tests' base image (Python, without packages) it has pip, a few of Debian's programs, PostgreSQL,
Redis and the image registry, each with the shared libraries that it needs. Its entry point does what
those of the official images do: a command is run as it is given; without one it is a PostgreSQL server where
the variables of one are set, or else an image registry.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import docker  # type: ignore[import-untyped]

TAG = "airlock-test-machine:latest"

_SERVERS = ("docker-registry", "redis-cli", "redis-server")
_FOR_FILES = ("awk", "cat", "chmod", "chown", "grep", "install", "ls", "mkdir", "rm", "wc")
PROGRAMS = (*_SERVERS, *_FOR_FILES, "curl", "id", "setpriv", "wget")

_ZONES = (Path("/usr/share/zoneinfo/GMT"), Path("/usr/share/zoneinfo/UTC"))

_SMALLER_WITHOUT = re.compile(r"llvmjit|/bitcode/|/extension/(?!plpgsql)|/locale/")
"""Parts of PostgreSQL that nobody asks for here."""

_ENTRY_POINT = """#!/bin/sh
set -eu
[ $# -eq 0 ] || exec "$@"
if [ -n "${POSTGRES_USER:-}" ]; then
    export PATH="%(postgres)s/bin:$PATH" PGDATA=/var/lib/postgresql/data
    mkdir -p "$PGDATA" /var/run/postgresql
    chown postgres "$PGDATA" /var/run/postgresql
    as_postgres="setpriv --reuid=999 --clear-groups"
    if [ ! -f "$PGDATA/PG_VERSION" ]; then
        echo "$POSTGRES_PASSWORD" >/var/run/postgresql/password
        chown postgres /var/run/postgresql/password
        $as_postgres initdb --username="$POSTGRES_USER" --pwfile=/var/run/postgresql/password \\
            --auth-local=trust --auth-host=scram-sha-256 --no-sync ${POSTGRES_INITDB_ARGS:-}
        rm /var/run/postgresql/password
        echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
        $as_postgres pg_ctl -D "$PGDATA" -o "-c listen_addresses=''" -w start
        for script in /docker-entrypoint-initdb.d/*.sh; do
            $as_postgres "$script"
        done
        $as_postgres pg_ctl -D "$PGDATA" -m fast -w stop
    fi
    exec $as_postgres postgres -c "listen_addresses=*" -c fsync=off
fi
exec docker-registry serve /etc/docker-registry.yml
"""

_REGISTRY = """version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/registry}, delete: {enabled: true}}
http: {addr: ":5000"}
"""

_USERS = """root:x:0:0:root:/root:/bin/sh
postgres:x:999:999::/var/lib/postgresql:/bin/sh
nobody:x:65534:65534::/nonexistent:/bin/sh
"""
_GROUPS = "root:x:0:\npostgres:x:999:\nnogroup:x:65534:\n"


def make(engine: docker.APIClient, base: str, tag: str = TAG) -> str:
    """Make the image on an engine where the base image is, and return its name.

    :raises FileNotFoundError: a program is missing on this machine.
    """
    with tempfile.TemporaryDirectory(prefix="airlock-machine-image-") as folder:
        context = Path(folder)
        _install_pip(context / "packages")
        with tarfile.open(context / "machine.tar", "w", dereference=True) as archive:
            _fill(archive)
        (context / "Dockerfile").write_text(
            f"FROM {base}\nADD machine.tar /\nCOPY packages /packages\n"
            "ENV PYTHONPATH=/packages PATH=/usr/local/bin:/usr/bin:/usr/sbin:/bin\n"
            'ENTRYPOINT ["/entry-point"]\n'
        )
        _build(engine, folder, tag)
    return tag


def make_python(engine: docker.APIClient, base: str, tag: str) -> None:
    """Make what stands for Python's own image: the base image with time zones, which that one has."""
    with tempfile.TemporaryDirectory(prefix="airlock-python-image-") as folder:
        with tarfile.open(Path(folder, "zones.tar"), "w", dereference=True) as archive:
            for path in _ZONES:
                _add(archive, path)
        Path(folder, "Dockerfile").write_text(f"FROM {base}\nADD zones.tar /\n")
        _build(engine, folder, tag)


def _build(engine: docker.APIClient, folder: str, tag: str) -> None:
    for line in engine.build(path=folder, tag=tag, network_mode="none", rm=True, decode=True):
        if "error" in line:
            raise RuntimeError(line["error"])


def _install_pip(folder: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "pip", "install", "--quiet", "--target", folder, "pip"], check=True)


def _fill(archive: tarfile.TarFile) -> None:
    postgres = max(Path("/usr/lib/postgresql").glob("*"), key=lambda folder: int(folder.name))
    share = Path("/usr/share/postgresql", postgres.name)
    programs = [Path(_which(name)) for name in PROGRAMS]
    servers = [path for path in _files(postgres) if not _SMALLER_WITHOUT.search(str(path))]
    data = [path for path in _files(share) if not _SMALLER_WITHOUT.search(str(path))]
    data += _ZONES
    data += _files(Path("/usr/lib/locale/C.utf8"))
    for path in [*programs, *servers, *data, *_libraries([*programs, *servers])]:
        _add(archive, path)
    for name, text, mode in (
        ("entry-point", _ENTRY_POINT % {"postgres": postgres}, 0o755),
        ("etc/docker-registry.yml", _REGISTRY, 0o644),
        ("etc/group", _GROUPS, 0o644),
        ("etc/passwd", _USERS, 0o644),
    ):
        _add_text(archive, name, text, mode)
    for name in ("usr/bin/psql", "usr/bin/pg_isready"):
        link = tarfile.TarInfo(name)
        link.type, link.linkname = tarfile.SYMTYPE, f"{postgres}/bin/{Path(name).name}"
        archive.addfile(link)


def _which(program: str) -> str:
    found = shutil.which(program, path=f"{os.defpath}:/usr/sbin:/sbin:{os.environ['PATH']}")
    if found is None:
        raise FileNotFoundError(f"This machine has no {program}. Run scripts/prepare-test-machine.")
    return found


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _libraries(binaries: Iterable[Path]) -> set[Path]:
    listed = subprocess.run(
        ["ldd", *(str(path) for path in binaries)], capture_output=True, text=True, check=False
    ).stdout
    return {Path(path) for path in re.findall(r"(?:=>\s+|^\s+)(/\S+) \(0x", listed, re.MULTILINE)}


def _add(archive: tarfile.TarFile, path: Path) -> None:
    entry = archive.gettarinfo(str(path.resolve()), str(path).lstrip("/"))
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    with path.open("rb") as stream:
        archive.addfile(entry, stream)


def _add_text(archive: tarfile.TarFile, name: str, text: str, mode: int) -> None:
    content = text.encode()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
