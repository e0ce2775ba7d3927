"""The process that streams: its port, loading, signals, the end."""

from __future__ import annotations

import logging
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

from airlock_host.jobs import write_whole
from airlock_host.scoring_processes import spare_the_collector
from airlock_host.snapshot import Deployment, Snapshot
from airlock_host.stream.brokers import Clients
from airlock_host.stream.ends import TopicEnd
from airlock_host.stream.health import HealthServer
from airlock_host.stream.measurements import StreamMeasurements
from airlock_host.stream.scorer import Scorer
from airlock_host.stream.settings import read_settings
from airlock_host.stream.stream_file import StreamFile
from airlock_host.stream.worker import Worker

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StreamOptions:
    """How to stream.

    :param stream: the stream file.
    :param port: 0 takes any free one.
    :param port_file: where the bound port is written, whole or not at all, as soon as it is bound.
    :param drain_seconds: how long the micro-batch in hand may take after SIGTERM.
    """

    model: Path
    stream: Path
    host: str
    port: int
    port_file: Path | None
    drain_seconds: int


def stream(options: StreamOptions) -> None:
    """Load the model, read what the stream file says until SIGTERM or SIGINT, and leave the group then.

    :raises HostError: the stream file, the model or the brokers cannot be used.
    """
    settings = read_settings(options.stream)
    stream_file = StreamFile(options.stream, settings)
    snapshot, deployment = Snapshot.open(options.model), Deployment.from_environment()
    measurements = StreamMeasurements(deployment, snapshot.outputs)
    workers: list[Worker] = []
    health = HealthServer(
        options.host,
        options.port,
        lambda: any(worker.ready for worker in workers),
        measurements.text,
    )
    if options.port_file is not None:
        write_whole(options.port_file, f"{health.port}\n".encode())
    log.info("listening on http://%s:%s, loading %s", options.host, health.port, snapshot.model)
    with Scorer(options.model, settings) as scorer:
        clients = Clients(settings)
        clients.check_topics(settings.topics)
        scorer.loaded()
        clients.begin()
        spare_the_collector()
        end = TopicEnd(clients.newest)
        measurements.watch(end)
        worker = Worker(settings, clients, scorer, deployment, measurements, stream_file, end)
        _stop_on_signals(worker, scorer, options.drain_seconds)
        workers.append(worker)
        worker.run()
    log.info("the group is left")


def _stop_on_signals(worker: Worker, scorer: Scorer, drain_seconds: int) -> None:
    """Have SIGTERM and SIGINT end the worker, and the process where the model does not come to an end."""

    def give_up() -> None:
        if worker.at_work:
            log.error("the model was still at work %s seconds after the end was asked for", drain_seconds)
            scorer.kill()
            logging.shutdown()
            os._exit(1)

    def stop(*_: object) -> None:
        worker.stop()
        timer = threading.Timer(drain_seconds, give_up)
        timer.daemon = True
        timer.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
