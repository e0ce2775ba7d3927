"""Stands in for ``airlock_host`` where an image has none: one module, any Python from 3.11 on, no packages.

It is put into pods as ``airlock_host.py`` and obeys the same acts as ``tests/runtimes/obedient_model``:
``serve`` answers health and scores, ``batch`` and ``check`` do a job, end with the host's exit codes and
print the result in the host's frames. Inputs are CSV files at ``file://`` addresses.
"""

from __future__ import annotations

import argparse
import base64
import csv
import json
import os
import signal
import sys
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn

_ERROR, _INVALID_DATA, _TIMEOUT, _CANCELLED, _TERMINATED = 1, 2, 124, 130, 143
_FRAME = 4_000
_COLUMNS = ("act", "text", "amount")


class InputUnusable(Exception):
    """The caller's data cannot be used."""


def main() -> NoReturn:
    """Do what the command line says, and exit."""
    parser = argparse.ArgumentParser(prog="airlock-host")
    commands = parser.add_subparsers(dest="command", required=True)
    server = commands.add_parser("serve")
    server.add_argument("--model")
    server.add_argument("--host", default="127.0.0.1")
    server.add_argument("--port", type=int, default=8080)
    server.add_argument("--drain-seconds", type=int, default=30)
    for name in ("batch", "check"):
        job = commands.add_parser(name)
        job.add_argument("--job", type=Path, required=True)
        job.add_argument("--deadline", type=float)
        job.add_argument("--report", action="store_true")
    options = parser.parse_args()
    if options.command == "serve":
        serve(options.host, options.port)
    else:
        Job(options).run()


def score(record: dict[str, Any]) -> float:
    """Double the amount, after doing what the record asks for."""
    act, text, amount = record["act"], record["text"], float(record["amount"])
    if act == "print":
        print(text, flush=True)
    elif act == "fail":
        raise ValueError(text)
    elif act == "exit":
        os._exit(int(amount))
    elif act == "sleep":
        time.sleep(amount)
    elif act == "allocate":
        bytearray(b"\1") * (int(amount) << 20)
    return 2 * amount


class Job:
    """One job, from its file to its exit code."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._command = options.command
        self._report = options.report
        self._job = json.loads(options.job.read_text(encoding="utf-8"))
        self._output = os.dup(1)
        if self._report:  # what the model prints is no part of the result
            os.dup2(2, 1)
        signal.signal(signal.SIGINT, lambda *_: self._end({}, "Interrupted", "interrupted", _CANCELLED))
        signal.signal(signal.SIGTERM, lambda *_: self._end({}, "Interrupted", "interrupted", _TERMINATED))
        if options.deadline:
            late = f"the job took longer than its {options.deadline:g} s"
            timer = threading.Timer(
                options.deadline, lambda: self._end({}, "DeadlineExceeded", late, _TIMEOUT)
            )
            timer.daemon = True
            timer.start()

    def run(self) -> NoReturn:
        """Do it."""
        try:
            result = self._made() if self._command == "check" else self._scored()
        except InputUnusable as error:
            self._end({}, "InputUnusable", str(error), _INVALID_DATA)
        except Exception as error:
            self._end({}, "ModelError", f"the model failed: {error!r}", _ERROR)
        self._end(result, "", "", 0)

    def _scored(self) -> dict[str, Any]:
        rows = []
        for place in self._job["input"]:
            path = Path(place.removeprefix("file://"))
            with path.open(newline="", encoding="utf-8") as stream:
                reader = csv.DictReader(stream)
                for column in _COLUMNS:
                    if column not in (reader.fieldnames or ()):
                        raise InputUnusable(f"{path.name} has no column {column!r}, which the model takes")
                rows += [*reader]
        answers = [score(row) for row in rows]
        folder = Path(self._job["output"].removeprefix("file://"))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "part-00000.csv").write_text("\n".join(map(str, answers)), encoding="utf-8")
        files = [{"path": f"{self._job['output']}/part-00000.csv", "rows": len(answers)}]
        return {"rows_in": len(rows), "rows_out": len(answers), "rows_rejected": 0, "files": files}

    def _made(self) -> dict[str, Any]:
        return {"made": int(self._job.get("count") or 0)}

    def _end(self, result: dict[str, Any], kind: str, message: str, code: int) -> NoReturn:
        if code:
            result = {"error": {"type": kind, "message": message}}
            print(f"airlock-host: {message}", file=sys.stderr, flush=True)
        text = json.dumps(result).encode()
        Path(self._job["result"]).write_bytes(text)
        if self._report:
            data = base64.b64encode(zlib.compress(text)).decode("ascii")
            pieces = [data[begin : begin + _FRAME] for begin in range(0, len(data), _FRAME)]
            for number, piece in enumerate(pieces, 1):
                os.write(self._output, f"airlock-result {number}/{len(pieces)} {piece}\n".encode("ascii"))
        os._exit(code)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        known = {"/v2/health/ready": "{}", "/v2/health/live": "{}", "/metrics": "airlock_host_ready 1\n"}
        text = known.get(self.path)
        self._answer(200 if text is not None else 404, text or "{}")

    def do_POST(self) -> None:
        records = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)))
        try:
            answers = [{"doubled": score(record)} for record in records]
        except ValueError as error:
            self._answer(500, json.dumps({"error": str(error)}))
            return
        self._answer(200, json.dumps(answers))

    def _answer(self, code: int, text: str) -> None:
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """The log is for what records ask to be printed."""


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # begun requests are answered before the process ends
    request_queue_size = 128


def serve(host: str, port: int) -> NoReturn:
    """Answer requests until SIGTERM."""
    server = _Server((host, port), _Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"listening on {host}:{port}", flush=True)
    server.serve_forever()
    sys.exit(0)


if __name__ == "__main__":
    main()
