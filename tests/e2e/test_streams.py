"""A service that answers a topic: versions take over by steps or go back, no record is lost or doubled."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Message, Producer

from airlock.registry import Registry
from airlock.spec import Kafka
from tests.e2e.airflow_client import Airflow
from tests.e2e.project import write_model
from tests.runtimes.brokers import Brokers

SERVICE = "streamed"
KAFKA = Kafka("events", "PROD.numbers", "PROD.products")


class Records:
    """Numbers, written to the input all the while: few, since all answers are read again and again."""

    def __init__(self, servers: str) -> None:
        self.count = 0
        self._producer = Producer({"bootstrap.servers": servers, "linger.ms": 5})
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()
        assert self._producer.flush(30) == 0

    def _write(self) -> None:
        while not self._is_over.is_set():
            self.count += 1
            value = json.dumps({"value": self.count})
            self._producer.produce(KAFKA.input, value, key=f"customer-{self.count % 97}")
            self._producer.poll(0)
            time.sleep(0.025)


@contextmanager
def records(brokers: Brokers) -> Iterator[Records]:
    """Records all the while."""
    writing = Records(brokers.client["bootstrap.servers"])
    writing.start()
    try:
        yield writing
    finally:
        writing.stop()


def snapshot(airflow: Airflow, folder: Path, version: int, *, breaks: bool = False) -> None:
    """A version that multiplies by its number; one that ``breaks`` knows no large even numbers."""
    model = write_model(folder / str(version), model=f"{SERVICE}-model", factor=float(version))
    if breaks:
        code = (model / "model.py").read_text()
        unknown = '(records["value"] > 100) & (records["value"] % 2 == 0)'
        refuses = f'    if ({unknown}).any():\n        raise ValueError("even")\n    return'
        (model / "model.py").write_text(code.replace("    return", refuses))
    airflow.snapshot(model, SERVICE)


def promote(airflow: Airflow, version: int) -> str:
    """Promote a version, and let it into PROD."""
    run_id = airflow.promote(f"{SERVICE}-model@{version}", SERVICE)
    for user in ("rita", "omar"):
        airflow.task_state(SERVICE, run_id, "DEV.gate", "awaiting_input")
        assert airflow.answer_request(user, SERVICE, run_id, "DEV.gate", "Approve").status_code == 200
    return run_id


def by_whom(message: Message) -> str:
    headers = dict(message.headers() or [])
    return str(headers["airlock-stamp"], "utf-8").partition(" ")[0]


def answered(brokers: Brokers) -> Counter[tuple[int, str]]:
    """How often each number was answered, and by which version, or buried."""
    found: Counter[tuple[int, str]] = Counter()
    for message in brokers.read(KAFKA.output):
        version = by_whom(message)
        product = json.loads(message.value() or b"")["product"]
        found[round(product / int(version.rpartition("@")[2])), version] += 1
    for message in brokers.read(KAFKA.dead_letter):
        found[json.loads(message.value() or b"")["value"], f"dead letter of {by_whom(message)}"] += 1
    return found


def versions(brokers: Brokers) -> set[str]:
    return {version for _, version in answered(brokers)}


def test_records_go_to_a_good_version_by_steps_and_back_from_a_bad_one(
    airflow: Airflow, registry: Registry, tmp_path: Path
) -> None:
    brokers = Brokers()
    brokers.make(KAFKA)
    brokers.make(Kafka("events", "DEV.numbers", "DEV.products"))
    connection = {"connection_id": "events", "conn_type": "kafka", "extra": json.dumps(brokers.client)}
    assert airflow.as_user("ada").post("/api/v2/connections", json=connection).status_code == 201
    for version, breaks in ((1, False), (2, False), (3, True)):
        snapshot(airflow, tmp_path, version, breaks=breaks)
    one, two, three = (f"{SERVICE}-model@{version}" for version in (1, 2, 3))

    with records(brokers) as writing:
        assert airflow.outcome(SERVICE, promote(airflow, 1))["outcome"] == "completed"
        airflow.stack.wait_until(lambda: versions(brokers) == {one}, "nobody answers")

        passage = airflow.outcome(SERVICE, promote(airflow, 2))
        assert passage["outcome"] == "completed", passage["reason"]
        [rollout] = registry.rollouts.list(passage["id"], "PROD")
        moves = registry.rollouts.steps(rollout.id)
        assert [step.move for step in moves] == ["advance", "advance", "complete"]
        assert moves[0].evidence["new"]["of"] == "records"
        assert versions(brokers) == {one, two}

        passage = airflow.outcome(SERVICE, promote(airflow, 3))
        assert passage["outcome"] == "rolled_back", passage["reason"]
        assert "records failed" in passage["reason"]
        assert [row["snapshot_name"] for row in airflow.where(SERVICE) if row["stage"] == "PROD"] == [two]
        before = sum(version == two for _, version in answered(brokers))
        airflow.stack.wait_until(
            lambda: sum(version == two for _, version in answered(brokers)) > before, "nobody goes on"
        )

    airflow.stack.wait_until(lambda: len(answered(brokers)) >= writing.count, "records are left unanswered")
    found = answered(brokers)
    numbers = Counter(number for number, _ in found.elements())
    assert numbers == Counter(range(1, writing.count + 1)), "each record is answered once"
    assert {version for _, version in found} == {one, two, three, f"dead letter of {three}"}
    assert all(number % 2 == 0 for number, version in found if version.startswith("dead"))
    assert registry.ledger.verify() == []
