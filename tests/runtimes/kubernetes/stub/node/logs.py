"""Logs of containers: kept with the time of each line, read as the API server reads them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO


def pump(stream: IO[bytes], path: Path) -> threading.Thread:
    """Write what a container prints into a file, each line with its time, until the stream ends."""

    def write() -> None:
        with path.open("ab") as log:
            for line in stream:
                nanoseconds = time.time_ns()
                seconds = datetime.fromtimestamp(nanoseconds // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
                stamp = f"{seconds}.{nanoseconds % 10**9:09d}".rstrip("0").rstrip(".") + "Z "
                log.write(stamp.encode() + line.rstrip(b"\n") + b"\n")
                log.flush()
        stream.close()

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    return thread


def read(path: Path, query: Mapping[str, str]) -> str:
    """What a request for a log gets; whole lines, in the order they came."""
    lines = [*_since(path, query)]
    if query.get("tailLines"):
        count = int(query["tailLines"])
        lines = lines[-count:] if count else []
    with_times = query.get("timestamps") in ("true", "True", "1")
    text = "".join((line if with_times else line.partition(" ")[2]) + "\n" for line in lines)
    limit = query.get("limitBytes")
    return text.encode()[: int(limit)].decode("utf-8", "ignore") if limit else text


def _since(path: Path, query: Mapping[str, str]) -> Iterator[str]:
    begin = 0.0
    if query.get("sinceSeconds"):
        begin = time.time() - int(query["sinceSeconds"])
    elif query.get("sinceTime"):
        # On its way to the node the time loses its fraction of a second.
        begin = float(int(datetime.fromisoformat(query["sinceTime"].replace("Z", "+00:00")).timestamp()))
    if not path.exists():
        return
    with path.open("rb") as log:
        whole = log.read()
    for line in whole[: whole.rfind(b"\n") + 1].decode("utf-8", "replace").split("\n")[:-1]:
        if not begin or _time_of(line) >= begin:
            yield line


def _time_of(line: str) -> float:
    moment, _, fraction = line.partition(" ")[0].rstrip("Z").partition(".")
    seconds = datetime.strptime(moment, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp()
    return seconds + float(f"0.{fraction or 0}")


def last_lines(path: Path, *, lines: int = 80, size: int = 2048) -> str:
    """The end of a log, as a container's termination message holds it."""
    if not path.exists():
        return ""
    text = "\n".join(read(path, {"tailLines": str(lines)}).splitlines())
    return text.encode()[-size:].decode("utf-8", "ignore") + (os.linesep if text else "")
