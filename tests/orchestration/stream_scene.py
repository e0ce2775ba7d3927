"""A rollout of a stream: workers that do what their files say, on a runtime that writes those files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airlock.registry.records import JsonObject
from airlock.runtimes.base import Handle, Job, JobHandle, JobStatus, LogLines, no_stream
from airlock.spec import BlueGreen, Canary, Kafka, Service, Shadow
from tests.listed_runtime import ListedRuntime
from tests.orchestration.rollout_scene import SERVICE, Scene, Version, scene
from tests.rollouts.building import stream_metrics

KAFKA = Kafka("kafka_default", "transactions", "scores")
CLIENT = {"bootstrap.servers": "kafka:9092", "sasl.password": "hush"}


class Worker(Version):
    """Reads what its file says, and has always answered everything; ``obeys`` says whether it looks at it.

    :ivar takes_its_file: whether the file is right, as it finds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.file: Mapping[str, Any] = {"reads": "nothing"}
        self.obeys = True
        self.takes_its_file = True
        self.answered = 0
        self.dead: dict[str, int] = {}

    @property
    def endpoints(self) -> list[JsonObject]:
        return [{"kind": "kafka", "url": "kafka://transactions"}, {"kind": "metrics", "url": self.url}]

    @property
    def reads(self) -> str:
        return str(self.file["reads"])

    @property
    def shown(self) -> str:
        return stream_metrics(
            self.answered,
            self.dead,
            reads=self.reads,
            share_percent=self.file.get("share", {}).get("percent", 0) if self.reads == "input" else 0,
            file_right=self.takes_its_file,
        )

    def answer(self, requests: int, errors: int = 0, milliseconds: float = 3.0) -> None:
        self.answered += requests - errors
        self.dead["model_failed"] = self.dead.get("model_failed", 0) + errors


class StreamRuntime(ListedRuntime):
    """Writes stream files, and remembers who was told what.

    :ivar before: called before a file is written.
    :ivar compared: what a job that compares answers finds; ``None`` while it runs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.workers: dict[str, tuple[str, Worker]] = {}
        self.told: list[str] = []
        self.before: Callable[[], None] = lambda: None
        self.submitted: list[Job] = []
        self.compared: JobStatus = JobStatus("running")

    def stream(self, handle: Handle, content: Mapping[str, Any]) -> None:
        name, worker = self.workers[handle["name"]]
        if handle["name"] not in self.deployments:
            raise no_stream(name, "r")
        self.before()
        share = content.get("share", {}).get("percent", 0)
        self.told.append(f"{name}: {content['reads']}{f' {share:g}' if share else ''}")
        if worker.obeys and worker.takes_its_file:
            worker.file = content
        for topic in ("input", "share"):
            readers = [each for name, (_, each) in self.workers.items() if name in self.deployments]
            assert sum(each.reads == topic for each in readers) <= 1, f"two read {topic} at once"

    def logs(self, handle: Handle | JobHandle, *, lines: int = 50) -> str:
        return "the topic 'transactions.share' is not there"

    def submit(self, job: Job) -> JobHandle:
        if job.name not in self.jobs:
            self.submitted.append(job)
            self.jobs.append(job.name)
        return {"name": job.name}

    def job_status(self, handle: JobHandle) -> JobStatus:
        return self.compared

    def follow(self, handle: JobHandle, position: str | None = None) -> LogLines:
        return LogLines([], "")

    def fail(self, name: str) -> None:
        """A worker's process ends, and nothing starts it again."""
        self.deployments.remove(name)


@contextmanager
def stream_scene(
    rollout: BlueGreen | Canary | Shadow,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    service: Service | None = None,
) -> Iterator[tuple[Scene, StreamRuntime]]:
    """Version 1 reads the input in PROD; version 2 is warm beside it."""
    runtime = StreamRuntime()
    monkeypatch.setattr("airlock.orchestration.streams.client_properties", lambda connection: CLIENT)
    monkeypatch.setattr("airlock.orchestration.stream_traffic._INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr("airlock.orchestration.stream_traffic._SECONDS_TO_COME_BACK", 0.1)
    monkeypatch.setattr("airlock.orchestration.stream_traffic._SECONDS_TO_REFUSE", 0.1)
    monkeypatch.setattr("airlock.orchestration.stream_traffic.PATIENCE", timedelta(seconds=0.5))
    service = service or SERVICE.model_copy(update={"kafka": KAFKA})
    with scene(rollout, folder, monkeypatch, service=service, version=Worker, on_runtime=runtime) as found:
        new, current = found.new, found.current
        assert isinstance(new, Worker)
        assert isinstance(current, Worker)
        current.file = {"reads": "input"}
        runtime.workers = {
            found.new_deployment.id: ("new", new),
            found.current_deployment.id: ("current", current),
        }
        yield found, runtime
