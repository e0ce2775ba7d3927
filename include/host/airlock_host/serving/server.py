"""The process that serves: sockets, loading, signals, the end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import cast

import uvicorn

from airlock_host.exceptions import HostError
from airlock_host.models import Model, load
from airlock_host.serving.app import Application
from airlock_host.serving.connections import KEEP_ALIVE_SECONDS, Connections, Limits
from airlock_host.snapshot import Deployment, Snapshot
from airlock_host.warm_up import warm_up

log = logging.getLogger(__name__)

# What a process keeps open besides connections: its libraries, the model's files.
_OTHER_FILES = 256


@dataclass(frozen=True)
class ServeOptions:
    """How to serve.

    :param port: 0 takes any free one.
    :param port_file: where the bound port is written, whole or not at all, as soon as it is bound.
    :param threads: how many calls of the model may run at once; more than 1 only if its code allows it.
    :param drain_seconds: how long requests may go on after SIGTERM.
    :param record_answers: how many answers are kept to be compared; 0 for none.
    """

    model: Path
    host: str
    port: int
    port_file: Path | None
    limits: Limits
    threads: int
    drain_seconds: int
    record_answers: int = 0


def serve(options: ServeOptions) -> None:
    """Listen, load the model, and answer until SIGTERM or SIGINT, then finish what was begun.

    The server is live as soon as it listens, and ready once the model is loaded and has scored a record.

    :raises HostError: the address cannot be bound, or the model does not load.
    """
    snapshot = Snapshot.open(options.model)
    limits = replace(options.limits, connections=_possible_connections(options.limits.connections))
    application = Application(
        snapshot,
        Deployment.from_environment(),
        limits,
        threads=options.threads,
        record_answers=options.record_answers,
    )
    connections = Connections(limits, application.measurements.refused, application.headers)
    listener = _bind(options.host, options.port)
    if options.port_file is not None:
        _write_whole(options.port_file, f"{listener.getsockname()[1]}\n")
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_run(application, connections, listener, options.drain_seconds))
    if application.dispatcher.busy:
        log.error("the model was still at work %s seconds after the end was asked for", options.drain_seconds)
        # An ordinary end would wait for its thread, for ever perhaps.
        os._exit(1)


class _Server(uvicorn.Server):
    """Leaves signals to :func:`_run`: uvicorn would raise them once more at its end, and not exit with 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _run(
    application: Application, connections: Connections, listener: socket.socket, drain_seconds: int
) -> None:
    server = _Server(
        uvicorn.Config(
            application.asgi,
            access_log=False,
            http=cast("type[asyncio.Protocol]", connections.make),
            lifespan="off",
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=drain_seconds,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.handle_exit, number, None)
    loaded: asyncio.Future[Model] = loop.create_future()

    def take_model(done: asyncio.Future[Model]) -> None:
        if done.exception() is None:
            application.model = done.result()
            log.info("ready: %s answers", application.snapshot.model)
        else:
            server.should_exit = True

    loaded.add_done_callback(take_model)
    # A daemon thread: SIGTERM must end the process also while a model takes minutes to load.
    Thread(target=_load, args=(application.snapshot, loaded, loop), name="load", daemon=True).start()
    host, port = listener.getsockname()[:2]
    log.info("listening on http://%s:%s, loading %s", host, port, application.snapshot.model)
    watch = loop.create_task(connections.watch())
    await server.serve(sockets=[listener])
    watch.cancel()
    if loaded.done():
        loaded.result()


def _load(snapshot: Snapshot, loaded: asyncio.Future[Model], loop: asyncio.AbstractEventLoop) -> None:
    """Load the model and make it warm, and tell the event loop how that ended."""
    try:
        model = load(snapshot)
        warm_up(model)
        # What the libraries and the model hold stays: the collector need not walk it again and again.
        gc.collect()
        gc.freeze()
    except BaseException as error:
        loop.call_soon_threadsafe(loaded.set_exception, error)
    else:
        loop.call_soon_threadsafe(loaded.set_result, model)


def _bind(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise HostError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    # Connections wait here from now on, so that who reads the port file finds someone there.
    listener.listen(2048)
    return listener


def _possible_connections(wanted: int) -> int:
    """As many connections as wanted, or as few as the system lets this process have."""
    if sys.platform == "win32":
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < needed:
            log.warning("the system allows %d open files, so %d connections", soft, soft - _OTHER_FILES)
            return soft - _OTHER_FILES
    return wanted


def _write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader finds all of it or none."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text, encoding="ascii")
    unfinished.replace(path)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop
