"""The command line: ``serve``, ``stream``, ``batch``, ``check``. Each imports what it needs when it runs."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from airlock_host import __version__
from airlock_host.caches import find_room_for_caches
from airlock_host.exceptions import Fenced, HostError, InputUnusable
from airlock_host.logs import log_to_standard_error
from airlock_host.processors import limit_threads, processors

# Exit codes.
BROKEN = 1
USERS_DATA = 2
FENCED = 3
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a sub-command and exit: 0, 1 (the model or the host is broken) or 2 (the caller's data is).

    A worker of a stream ends with 3 where another took its place. A job may also end with 124, 130 or 143
    (:mod:`airlock_host.ending`). The last line on standard error says why.
    """
    options = _parser().parse_args(arguments)
    log_to_standard_error()
    find_room_for_caches()
    try:
        code: int = options.run(options)
    except HostError as error:
        sys.stdout.flush()
        print(f"airlock-host: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
        code = _code_of(error)
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)


def _code_of(error: HostError) -> int:
    match error:
        case InputUnusable():
            return USERS_DATA
        case Fenced():
            return FENCED
        case _:
            return BROKEN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="airlock-host", description="Run one model of an Airlock snapshot.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="answer requests over REST")
    serve.set_defaults(run=_serve)
    serve.add_argument(
        "--max-body", type=int, default=16 * 2**20, help="largest request in bytes (default: %(default)s)"
    )
    serve.add_argument(
        "--threads",
        type=int,
        default=1,
        help="calls of the model that may run at once; more than 1 only if its code allows it",
    )

    stream = commands.add_parser("stream", help="answer the records of a Kafka topic")
    stream.set_defaults(run=_stream)
    stream.add_argument("--stream", type=Path, required=True, help="topics and brokers, a JSON file")

    for persistent, what in ((serve, "begun requests"), (stream, "the micro-batch in hand")):
        persistent.add_argument(
            "--model", type=Path, required=True, help="folder of the materialised snapshot"
        )
        persistent.add_argument(
            "--host", default="127.0.0.1", help="address to listen on (default: %(default)s)"
        )
        persistent.add_argument(
            "--port", type=int, default=8080, help="0 takes any free one (default: %(default)s)"
        )
        persistent.add_argument("--port-file", type=Path, help="file to write the bound port to")
        persistent.add_argument(
            "--drain-seconds",
            type=int,
            default=30,
            help=f"how long {what} may go on after SIGTERM (default: %(default)s)",
        )

    serve.add_argument(
        "--read-seconds",
        type=_seconds,
        default=30.0,
        help="how long a request's head may take to come, then its body (default: %(default)g)",
    )
    serve.add_argument(
        "--max-connections",
        type=int,
        default=4096,
        help="connections open at once (default: %(default)s)",
    )
    serve.add_argument(
        "--record-answers",
        type=int,
        default=0,
        metavar="N",
        help="keep the last N answers to requests with an X-Request-Id, for /airlock/answers",
    )

    for name, run, what in (("batch", _batch, "score files"), ("check", _check, "measure a model")):
        job = commands.add_parser(name, help=what)
        job.set_defaults(run=run)
        job.add_argument("--job", type=Path, required=True, help="the job, a JSON file")
        job.add_argument(
            "--deadline",
            type=_seconds,
            metavar="SECONDS",
            help="end the job when it takes longer, with exit code 124",
        )
        job.add_argument(
            "--report",
            action="store_true",
            help="print the result on standard output too, in lines of a form of their own",
        )
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds


def _serve(options: argparse.Namespace) -> int:
    # Until the server takes signals itself: the first process of a container is not ended by one otherwise.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Requests are small: a team of threads for each would cost more than it saves.
    limit_threads(1)
    from airlock_host.serving.connections import Limits
    from airlock_host.serving.server import ServeOptions, serve

    serve(
        ServeOptions(
            model=options.model,
            host=options.host,
            port=options.port,
            port_file=options.port_file,
            limits=Limits(
                body=options.max_body,
                read_seconds=options.read_seconds,
                connections=options.max_connections,
            ),
            threads=options.threads,
            drain_seconds=options.drain_seconds,
            record_answers=options.record_answers,
        )
    )
    return 0


def _stream(options: argparse.Namespace) -> int:
    # As in serve.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Micro-batches are small.
    limit_threads(1)
    from airlock_host.stream.run import StreamOptions, stream

    stream(
        StreamOptions(
            model=options.model,
            stream=options.stream,
            host=options.host,
            port=options.port,
            port_file=options.port_file,
            drain_seconds=options.drain_seconds,
        )
    )
    return 0


def _batch(options: argparse.Namespace) -> int:
    from airlock_host.jobs import run_job

    return run_job(options.job, _score, deadline=options.deadline, report=options.report)


def _score(job: dict[str, Any]) -> dict[str, Any]:
    processes = job.get("processes")
    limit_threads(processes if isinstance(processes, int) else processors())
    from airlock_host.batch.stored import run_stored

    return run_stored(job)


def _check(options: argparse.Namespace) -> int:
    from airlock_host.jobs import run_job

    return run_job(options.job, _measure, deadline=options.deadline, report=options.report)


def _measure(job: dict[str, Any]) -> dict[str, Any]:
    from airlock_host.measure.stored import run_stored

    return run_stored(job)
