"""A base image made of this machine's own Python: it is ``python:3.12-slim`` where no image can be pulled.

``python -m tests.base_image --engine unix:///var/run/docker.sock --tag airlock-test-base:latest`` makes it.
It holds the Python that runs this, without what is installed for it, the shared libraries that wheels expect
of any Linux, a shell, and a user 10001.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import ssl
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import docker  # type: ignore[import-untyped]

TAG = "airlock-test-base:latest"

_MINOR = f"python{sys.version_info.major}.{sys.version_info.minor}"

# What a Debian's Python knows of is looked for in Debian's places; any other Python runs wherever it is put.
_PREFIX = "/usr" if sys.base_prefix == "/usr" else "/usr/local"

_LEFT_OUT = {
    "dist-packages",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "site-packages",
    "test",
    "tests",
    "tkinter",
    "turtledemo",
}

_LIBRARIES = re.compile(
    r"(ld-linux.*|lib(c|m|dl|rt|util|mvec|pthread|resolv|gcc_s|stdc\+\+|nss_(files|dns|compat)))\.so\.[0-9]+"
)
"""What wheels for Linux may expect of every system."""

_WHERE_LIBRARIES_ARE_FOUND = ("/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/")

_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nairlock:x:10001:10001::/tmp:/bin/sh\n",
    "etc/group": "root:x:0:\nairlock:x:10001:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}

_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"


def make(engine: docker.APIClient, tag: str = TAG) -> str:
    """Make the image on an engine, and return its id."""
    repository, _, version = tag.partition(":")
    with tempfile.NamedTemporaryFile(prefix="airlock-base-image-") as file:
        with tarfile.open(fileobj=file, mode="w", dereference=True) as archive:
            _fill(archive)
        file.flush()
        engine.import_image_from_file(
            file.name,
            repository=repository,
            tag=version or "latest",
            changes=[
                "ENV PATH=/usr/local/bin:/usr/bin:/bin",
                "ENV LD_LIBRARY_PATH=/usr/local/lib",
                "ENV LANG=C.UTF-8",
                f"ENV SSL_CERT_FILE=/{_CERTIFICATES}",
                'CMD ["python"]',
            ],
        )
    return str(engine.inspect_image(tag)["Id"])


def _fill(archive: tarfile.TarFile) -> None:
    for folder, mode in (("tmp", 0o1777), ("root", 0o700), ("proc", 0o755), ("sys", 0o755), ("dev", 0o755)):
        entry = tarfile.TarInfo(folder)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        archive.addfile(entry)
    for path, text in _FILES.items():
        _add_bytes(archive, path, text.encode())
    certificates = ssl.get_default_verify_paths().cafile or f"/{_CERTIFICATES}"
    if Path(certificates).exists():
        _add_bytes(archive, _CERTIFICATES, Path(certificates).read_bytes())
    binaries = [Path("/bin/sh"), *_add_python(archive)]
    _add(archive, Path("/bin/sh").resolve(), "bin/sh")
    for library in sorted(_libraries_of(binaries)):
        known = library.startswith(_WHERE_LIBRARIES_ARE_FOUND)
        _add(archive, Path(library).resolve(), library if known else f"/usr/local/lib/{Path(library).name}")


def _add_python(archive: tarfile.TarFile) -> Iterator[Path]:
    """Put Python into the archive; gives every binary that needs libraries."""
    program = Path(sys.base_prefix, "bin", _MINOR)
    _add(archive, program.resolve(), f"{_PREFIX}/bin/{_MINOR}")
    for name in ("python", "python3"):
        link = tarfile.TarInfo(f"{_PREFIX}/bin/{name}".lstrip("/"))
        link.type, link.linkname = tarfile.SYMTYPE, _MINOR
        archive.addfile(link)
    yield program
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    for folder, folders, files in os.walk(library):
        folders[:] = sorted(
            name for name in folders if name not in _LEFT_OUT and not name.startswith("config-")
        )
        for name in sorted(files):
            path = Path(folder, name)
            if name.endswith(".a") or re.search(r"\.opt-[0-9]\.pyc$", name) or name.startswith("_tkinter"):
                continue
            _add(archive, path.resolve(), f"{_PREFIX}/lib/{_MINOR}/{path.relative_to(library)}")
            if name.endswith(".so"):
                yield path


def _libraries_of(binaries: Iterable[Path]) -> set[str]:
    """Where the shared libraries are which binaries need, with those that wheels need besides."""
    listed = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    machine = os.uname().machine.replace("_", "-")
    found: dict[str, str] = {}
    for line in listed.splitlines():
        entry = re.match(r"\s*(\S+) \(([^)]*)\) => (\S+)", line)
        is_own = entry and ("libc6," in entry[2] or entry[2] == "libc6" or machine in entry[2])
        if entry and is_own and "x32" not in entry[2] and _LIBRARIES.fullmatch(entry[1]):
            found.setdefault(entry[1], entry[3])
    needed = set(found.values())
    names = set(found)
    report = subprocess.run(
        ["ldd", *(str(path) for path in [*binaries, *needed])], capture_output=True, text=True, check=False
    ).stdout
    for path in re.findall(r"(?:=>\s+|^\s+)(/\S+) \(0x", report, re.MULTILINE):
        if Path(path).name not in names or Path(path).name.startswith("ld-"):  # the loader has a fixed place
            names.add(Path(path).name)
            needed.add(path)
    return needed


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    entry = archive.gettarinfo(str(path), name.lstrip("/"))
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    with path.open("rb") as stream:
        archive.addfile(entry, stream)


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    archive.addfile(entry, io.BytesIO(content))


def main() -> None:
    """Make the image, as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m tests.base_image", description=__doc__)
    parser.add_argument("--engine", default="unix:///var/run/docker.sock", help="the Docker engine")
    parser.add_argument("--tag", default=TAG, help=f"name of the image (default {TAG})")
    arguments = parser.parse_args()
    print(make(docker.APIClient(base_url=arguments.engine, version="auto", timeout=300), arguments.tag))


if __name__ == "__main__":
    main()
