"""Makes the image of the obedient model as Airlock makes images, for these tests on a cluster.

    python -m tests.e2e.kubernetes.image [--base IMAGE] [--registry REGISTRY] [--save FILE]

The Docker engine is the one of DOCKER_HOST. The image's reference is the last line on standard output.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import docker  # type: ignore[import-untyped]

from airlock.runtimes.images.maker import ImageMaker
from airlock.snapshots.pack import pack, publish
from airlock.snapshots.store import ArtifactStore
from airlock.spec import Images

_PROJECT = Path(__file__).resolve().parents[3]
_HOST_SOURCE = _PROJECT / "include" / "host"
_MODEL = _PROJECT / "tests" / "runtimes" / "obedient_model"
_SECONDS = 600
NAME = "airlock-test/obedient:latest"
"""What the image is called in a saved file."""


def make(client: docker.APIClient, images: Images) -> str:
    """Make the image, and push it where there is a registry.

    :returns: its reference.
    """
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch, "obedient")
        shutil.copytree(_MODEL, model)
        (model / "behaviour.json").write_text("{}", encoding="utf-8")
        requirements = (_HOST_SOURCE / "requirements.txt").read_text(encoding="utf-8").splitlines()
        packed = pack(model, services=[], host_requirements=requirements)
        store = ArtifactStore(str(Path(scratch, "store")))
        publish(packed, store)
        return ImageMaker(client, images, store, _HOST_SOURCE).snapshot_image(packed.manifest)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make it, and say what it is called."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.kubernetes.image")
    parser.add_argument("--base", default=Images().base, help="has a Python (default: %(default)s)")
    parser.add_argument("--registry", help="push it there: registry.example:5000/airlock")
    parser.add_argument("--save", type=Path, help="also write it to a file, for: ctr -n k8s.io images import")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    client = docker.from_env(timeout=_SECONDS).api
    reference = make(client, Images(base=options.base, registry=options.registry))
    if options.save is not None:
        client.tag(reference, NAME)
        with options.save.open("wb") as file:
            for piece in client.get_image(NAME):
                file.write(piece)
        reference = f"docker.io/{NAME}"
    print(reference)


if __name__ == "__main__":
    main()
