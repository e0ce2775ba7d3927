"""Has the workers of a stream read what the registry's traffic says, one change after the other.

Before each change the workers are asked what they do: whoever was killed in between, the next one does what
is missing. Where traffic is directed anew meanwhile, the newest direction counts.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, get_args

from airlock.exceptions import AdapterError, CheckError, DeploymentFailed
from airlock.orchestration.configuration import load_settings
from airlock.orchestration.stream_moves import Drain, InForce, Take, next_move, reader_of, roles
from airlock.orchestration.streams import is_worker, stream_content
from airlock.orchestration.version_server import ask_server
from airlock.rollouts import Reading, read
from airlock.runtimes.streams import IDLE, Reads, StreamRole
from airlock.spec import Kafka, Stage

if TYPE_CHECKING:
    from airlock.orchestration.configuration import Settings
    from airlock.registry import Registry
    from airlock.registry.records import DeploymentRecord, Traffic
    from airlock.runtimes.base import Adapter, Handle, Status

log = logging.getLogger(__name__)

PATIENCE = timedelta(minutes=3)
"""How long a worker may take to do what its file says: Kubernetes alone takes up to two minutes to show it,
and a micro-batch is finished first. And how long a worker may stand still over what was passed on to it."""

_SECONDS_TO_COME_BACK = 10.0
"""A worker that does not answer may just be starting again."""

_SECONDS_TO_REFUSE = 5.0
"""After this time a worker that takes its file for wrong means the new one."""

_INTERVAL_SECONDS = 0.25


def follow(registry: Registry, service: str, stage: str, *, ending: Collection[str] = ()) -> None:
    """Return once every worker of a service at a stage reads what it is to read now.

    :param ending: ids of deployments that are taken away next: one that does not stop reading is taken off
        its runtime here. It may be broken, which is why others take its place.
    :raises DeploymentFailed: a worker does not do what it is told, or is gone.
    :raises AdapterError: a runtime cannot be reached.
    """
    if not any(is_worker(deployment) for deployment in _ready(registry, service, stage)):
        return
    kafka = registry.catalog.service(service).stage_kafka(Stage(stage, mode="online"))
    if kafka is None:
        log.warning("%s reads no topics in %s any more: its workers stay as they are.", service, stage)
        return
    _Workers(load_settings(), registry, kafka, service, stage, ending).follow()


def _ready(registry: Registry, service: str, stage: str) -> list[DeploymentRecord]:
    live = registry.deployments.live(service, stage, "online")
    return [deployment for deployment in live if deployment.state == "ready"]


@dataclass(frozen=True)
class _Said:
    """What a worker shows.

    :param takes_its_file: the file was right when the worker looked at it last.
    :param records: it has read so far.
    """

    role: StreamRole
    at_end: bool
    takes_its_file: bool
    records: float


class _Gone(Exception):
    """The runtime says that a worker is gone, or has failed: nobody need wait for it."""

    def __init__(self, status: Status) -> None:
        super().__init__(f"it is {status.state}. {status.message}".strip())


@dataclass
class _Workers:
    """The workers of one service at one stage.

    :param drained: who has answered all that was passed on, since workers last changed.
    :param told: who is gone, and reads nothing if it is started again.
    """

    settings: Settings
    registry: Registry
    kafka: Kafka
    service: str
    stage: str
    ending: Collection[str]
    drained: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)

    def follow(self) -> None:
        """Make one move after the other until there is none."""
        while (traffic := self._traffic()) is not None:
            workers = {
                deployment.id: deployment
                for deployment in _ready(self.registry, self.service, self.stage)
                if is_worker(deployment)
            }
            wanted = roles(traffic, workers)
            said, gone = self._ask(workers, wanted)
            match next_move(wanted, said, passed_on=self._may_be_passed_on()):
                case Take(name, role):
                    self.drained.clear()
                    self._let(workers[name], role, traffic)
                case Drain(name):
                    self._drain(workers[name], traffic)
                case None:
                    self._refuse_a_missing_reader(reader_of(wanted), workers, said, gone)
                    return

    def _traffic(self) -> Traffic | None:
        return self.registry.traffic.current(self.service, self.stage)

    def _may_be_passed_on(self) -> bool:
        """Whether two versions ever shared the records: then some may lie there still."""
        return any(
            sum(1 for percent in traffic.shares.values() if percent) > 1
            for traffic in self.registry.traffic.history(self.service, self.stage)
        )

    def _is_overtaken(self, traffic: Traffic) -> bool:
        newest = self._traffic()
        return newest is None or newest.id != traffic.id

    # --- to ask

    def _ask(
        self, workers: Mapping[str, DeploymentRecord], wanted: Mapping[str, StreamRole]
    ) -> tuple[dict[str, InForce | None], dict[str, _Gone]]:
        """What each worker that lives says, and why the others are gone."""
        said: dict[str, InForce | None] = {}
        gone: dict[str, _Gone] = {}
        for name, worker in workers.items():
            try:
                found = self._patiently(worker)
            except _Gone as error:
                gone[name] = error
                if wanted[name] == IDLE and name not in self.told:
                    self._leave_word(worker)
            else:
                said[name] = None if found is None else InForce(found.role, at_end=name in self.drained)
        return said, gone

    def _patiently(self, worker: DeploymentRecord) -> _Said | None:
        """What a worker says; ``None`` if it does not, though its runtime says that it is there.

        :raises _Gone: it is not.
        """
        deadline = time.monotonic() + _SECONDS_TO_COME_BACK
        while True:
            self._refuse_gone(worker)  # first, because its address may be another worker's by now
            try:
                return _ask(worker)
            except CheckError as error:
                if time.monotonic() > deadline:
                    log.warning("%s", error)
                    return None
            time.sleep(_INTERVAL_SECONDS)

    def _refuse_gone(self, worker: DeploymentRecord) -> None:
        """:raises _Gone: its runtime says so."""
        adapter, handle = self._place(worker)
        status = adapter.status(handle)
        if status.state in ("failed", "gone"):
            raise _Gone(status)

    def _place(self, worker: DeploymentRecord) -> tuple[Adapter, Handle]:
        spec = self.registry.catalog.runtime(worker.runtime).spec
        return self.settings.adapter(spec), worker.handle or {"name": worker.id}

    # --- to change

    def _let(self, worker: DeploymentRecord, role: StreamRole, traffic: Traffic) -> None:
        """Let a worker take a role; returns once it says so, is gone, or is to do something else by now.

        :raises DeploymentFailed: it does not.
        """
        adapter, handle = self._place(worker)
        if self._is_overtaken(traffic):
            return
        log.info("%s (%s): %s", worker.snapshot_name, worker.id, _words(role))
        adapter.stream(handle, self._content(worker, role))
        begun, problem = time.monotonic(), "It has not said anything since."
        while not self._is_overtaken(traffic):
            waited = time.monotonic() - begun
            try:
                said = _ask(worker)
                if InForce(said.role).is_as(role):
                    return
                problem = f"It says: {_words(said.role)}."
                if not said.takes_its_file and waited > _SECONDS_TO_REFUSE:
                    raise DeploymentFailed(
                        f"{worker.snapshot_name} ({worker.id}) refuses to {_words(role)}. "
                        f"Its log ends with:\n{adapter.logs(handle, lines=3)}"
                    )
            except CheckError as error:
                problem = str(error)
                try:
                    self._refuse_gone(worker)
                except _Gone:
                    return
            if waited > PATIENCE.total_seconds():
                self._give_up(worker, role, problem)
                return
            time.sleep(_INTERVAL_SECONDS)

    def _give_up(self, worker: DeploymentRecord, role: StreamRole, problem: str) -> None:
        """Take a worker that does not stop off its runtime, where that comes next.

        :raises DeploymentFailed: it was not to be taken away.
        """
        told = f"{worker.snapshot_name} ({worker.id}) was told {PATIENCE.total_seconds():.0f} s ago to "
        told += f"{_words(role)}, and does not. {problem}"
        if role != IDLE or worker.id not in self.ending:
            raise DeploymentFailed(told, mend="Look at its log; undeploy it if it hangs, then try again.")
        log.warning("%s It is taken off its runtime.", told)
        adapter, handle = self._place(worker)
        adapter.undeploy(handle)

    def _leave_word(self, worker: DeploymentRecord) -> None:
        """Let a worker that is gone read nothing, should its runtime start it again."""
        self.told.add(worker.id)
        adapter, handle = self._place(worker)
        try:
            adapter.stream(handle, self._content(worker, IDLE))
        except AdapterError as error:  # what is gone for good has no file any more
            log.debug("%s: %s", worker.id, error)

    def _content(self, worker: DeploymentRecord, role: StreamRole) -> dict[str, Any]:
        return stream_content(
            self.settings,
            self.kafka,
            service=self.service,
            stage=self.stage,
            deployment=worker.id,
            role=role,
        )

    def _drain(self, worker: DeploymentRecord, traffic: Traffic) -> None:
        """Wait until a worker has answered all that was passed on; as long as it gets on.

        :raises DeploymentFailed: it stands still.
        """
        log.info("%s (%s) answers what was passed on.", worker.snapshot_name, worker.id)
        moved, records = time.monotonic(), -1.0
        while not self._is_overtaken(traffic):
            now = time.monotonic()
            try:
                said = _ask(worker)
            except CheckError:
                try:
                    self._refuse_gone(worker)
                except _Gone:
                    return
            else:
                if said.role.reads != "share":
                    return
                if said.at_end:
                    self.drained.add(worker.id)
                    return
                if said.records != records:
                    moved, records = now, said.records
            if now - moved > PATIENCE.total_seconds():
                raise DeploymentFailed(
                    f"{worker.snapshot_name} ({worker.id}) was waited for to answer everything in "
                    f"{self.kafka.share}, and has not read a record for {PATIENCE.total_seconds():.0f} s.",
                    mend="Look at its log.",
                )
            time.sleep(_INTERVAL_SECONDS)

    def _refuse_a_missing_reader(
        self,
        reader: str | None,
        workers: Mapping[str, DeploymentRecord],
        said: Mapping[str, InForce | None],
        gone: Mapping[str, _Gone],
    ) -> None:
        """:raises DeploymentFailed: who is to read the input is gone, or does not say what it reads."""
        if reader is None or said.get(reader) is not None:
            return
        told = f"{workers[reader].snapshot_name} ({reader}) is to read {self.kafka.input} for "
        told += f"{self.service} in {self.stage}, but "
        if reader in gone:
            raise DeploymentFailed(f"{told}{gone[reader]}", mend="Promote a version, or roll back to one.")
        raise DeploymentFailed(
            f"{told}does not say what it reads.",
            mend="Look at its log, and whether the brokers can be reached.",
        )


def _ask(worker: DeploymentRecord) -> _Said:
    """What a worker shows at ``/metrics``.

    :raises CheckError: it does not answer, or shows nothing about what it reads.
    """
    return _said(read(ask_server(worker, "/metrics").text, datetime.now(UTC)))


def _said(reading: Reading) -> _Said:
    gauges: dict[str, float] = {}
    reads: Reads | None = None
    for (name, labels), value in reading.samples.items():
        if name == "airlock_stream_reads" and value:
            reads = next((known for known in get_args(Reads) if known == dict(labels).get("reads")), None)
        gauges[name] = gauges.get(name, 0.0) + value
    if reads is None:
        raise CheckError("The worker does not show yet what it reads.")
    return _Said(
        role=StreamRole(reads, share_percent=gauges.get("airlock_stream_share_percent", 0.0)),
        at_end=bool(gauges.get("airlock_stream_at_end")),
        takes_its_file=bool(gauges.get("airlock_stream_file_right", 1.0)),
        records=gauges.get("airlock_stream_records_in_total", 0.0),
    )


def _words(role: StreamRole) -> str:
    """What a worker is told, to end a sentence with."""
    match role.reads:
        case "input" if role.share_percent:
            return f"read the input and pass on {role.share_percent:g} %"
        case "input":
            return "read the input"
        case "share":
            return "read what is passed on"
        case "shadow":
            return f"answer {role.shadow_percent:g} % beside the version in use"
    return "read nothing"
