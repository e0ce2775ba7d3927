"""What is where inside a container: the same in every image, whoever makes it and whatever runs it."""

from __future__ import annotations

MODEL_FOLDER = "/airlock/model"
"""The materialised snapshot."""

HOST_FOLDER = "/airlock/host"
"""Holds the package ``airlock_host``; the image has it on its ``PYTHONPATH``."""

JOB_FOLDER = "/airlock/job"
"""A job's own folder, which it may write to."""

JOB_FILE = f"{JOB_FOLDER}/job.json"
RESULT_FILE = f"{JOB_FOLDER}/result.json"

STREAM_FOLDER = "/airlock/stream"
"""Where a stream is told what to read: in a volume of its own, since credentials are in that file."""

SCRATCH = "/tmp"  # noqa: S108  inside a container, where it is nobody else's
"""May be written by everything, lies in memory, and goes with the container."""

PORT = 8080
"""Where a server listens."""

UID = 10001
GID = 10001
"""Who runs in a container where nothing else is said: nobody in particular, and not root."""

READY = ("python", "-S", "-E", f"{HOST_FOLDER}/airlock_host/ready.py", str(PORT))
"""The command that asks the server inside the same container whether it is ready."""

ENTRY_POINT = ("python", "-m", "airlock_host")
"""The command line of the host; every image has it as its entry point."""
