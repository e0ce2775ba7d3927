"""Consumer and producer of a worker, and what their errors mean."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airlock_host.exceptions import Fenced, HostError, InputUnusable, KafkaUnusable
from airlock_host.stream.settings import Property, Reading, StreamSettings

try:
    from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
except ImportError:
    raise KafkaUnusable(
        "the mode stream needs confluent-kafka, which is not installed: install airlock-host[kafka]"
    ) from None

if TYPE_CHECKING:
    from confluent_kafka import Message

log = logging.getLogger(__name__)

REACH_SECONDS = 15.0
"""How long brokers may take to answer at the start."""

_PAUSE_SECONDS = 0.2
_ASK_SECONDS = 3.0

_CONSUMER: Mapping[str, Property] = {
    "auto.offset.reset": "earliest",
    "session.timeout.ms": 10_000,
    # What waits in memory: enough for the next micro-batches.
    "queued.max.messages.kbytes": 32_768,
    # How long it stops fetching when that is full. By default a second, in which all of it may be answered.
    "fetch.queue.backoff.ms": 20,
}
_PRODUCER: Mapping[str, Property] = {
    "compression.type": "lz4",
    # While a micro-batch is produced, its first answers are sent.
    "linger.ms": 1,
    # What is delivered is told by the transaction.
    "delivery.report.only.error": True,
    # Java's: so a forwarded record stays with its key's others, whoever wrote them.
    "partitioner": "murmur2_random",
    # How long the partitions of a worker that crashed stay closed to readers of what is committed.
    "transaction.timeout.ms": 15_000,
}
# Of the other kind of client: librdkafka warns of each.
_CONSUMERS_ONLY = ("auto.offset.", "session.", "heartbeat.", "max.poll.", "queued.", "fetch.", "check.crcs")
_PRODUCERS_ONLY = ("compression.", "linger.", "partitioner", "transaction.", "batch.", "queue.", "delivery.")

_REFUSED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError._AUTHENTICATION,
}
_FENCED = {
    KafkaError._FENCED,
    KafkaError.PRODUCER_FENCED,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.FENCED_INSTANCE_ID,
}


class Clients:
    """The clients of a worker, and the last thing that went wrong with a connection.

    The producer lasts as long as the process. A consumer belongs to one group, so there is another for each
    thing that is read.

    :ivar name: of this process among all that wrote for the group, new with each start.
    :ivar consumer: in its group once it subscribes, until it is replaced.
    """

    def __init__(self, settings: StreamSettings) -> None:
        """:raises InputUnusable: librdkafka does not take the properties."""
        self.name = f"{settings.group}.{settings.instance or 'worker'}.{uuid.uuid4().hex[:12]}"
        self.trouble: KafkaError | None = None
        self._settings = settings
        self._common = {"client.id": self.name, "error_cb": self._take_trouble}
        self._observer: Consumer | None = None
        self._observing = threading.Lock()
        transactional_id = f"{settings.group}.{settings.instance}" if settings.instance else self.name
        with _properties_taken():
            self.producer = Producer(
                {
                    **self._common,
                    **_PRODUCER,
                    **_without(settings.client, _CONSUMERS_ONLY),
                    "transactional.id": transactional_id,
                },
                logger=log,
            )
        self.consumer = self._new_consumer(settings.reading)

    def change(self, reading: Reading | None) -> Consumer:
        """Leave the group, and get ready to subscribe to something else."""
        self.consumer.close()
        self.consumer = self._new_consumer(reading)
        return self.consumer

    def _new_consumer(self, reading: Reading | None) -> Consumer:
        own: dict[str, Property] = {"group.id": self._settings.group if reading is None else reading.group}
        if reading is not None and reading.begins is not None:
            own["auto.offset.reset"] = reading.begins
        with _properties_taken():
            return Consumer(
                {
                    **self._common,
                    **_CONSUMER,
                    **_without(self._settings.client, _PRODUCERS_ONLY),
                    **own,
                    "partition.assignment.strategy": "cooperative-sticky",
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "enable.partition.eof": True,
                    "isolation.level": "read_committed",
                },
                logger=log,
            )

    def newest(self, topic: str) -> dict[int, int]:
        """By partition of a topic the offset behind its last record, be it in an open transaction.

        It may be asked from any thread, whatever the consumer does meanwhile.

        :raises KafkaUnusable: the brokers do not tell.
        """
        with self._observing:
            if self._observer is None:
                self._observer = Consumer(
                    {
                        **_without(self._settings.client, _PRODUCERS_ONLY),
                        "client.id": self.name,
                        # Of no meaning, since it never subscribes; librdkafka wants one.
                        "group.id": self._settings.group,
                        "isolation.level": "read_uncommitted",
                    },
                    logger=log,
                )
            observer = self._observer
            try:
                partitions = observer.list_topics(topic, timeout=_ASK_SECONDS).topics[topic].partitions
                return {
                    partition: observer.get_watermark_offsets(
                        TopicPartition(topic, partition), timeout=_ASK_SECONDS
                    )[1]
                    for partition in partitions
                }
            except KafkaException as error:
                raise KafkaUnusable(error.args[0].str()) from None

    def check_topics(self, topics: Iterable[str]) -> None:
        """Make sure that all topics are there.

        :raises KafkaUnusable: one is not, or the brokers cannot be asked.
        """
        deadline = time.monotonic() + REACH_SECONDS
        for topic in topics:
            found = self._describe(topic, deadline)
            if found.error is not None and found.error.code() in _REFUSED:
                raise KafkaUnusable(f"the brokers refuse: topic {topic!r}: {found.error.str()}")
            if found.error is not None or not found.partitions:
                raise KafkaUnusable(
                    f"the topic {topic!r} is not there"
                    f"{f' ({found.error.str()})' if found.error else ''}; create it (a worker never "
                    "does), or mend its name in the stream file"
                )

    def _describe(self, topic: str, deadline: float) -> Any:
        while True:
            try:
                return self.consumer.list_topics(topic, timeout=2.0).topics[topic]
            except KafkaException as error:
                self.consumer.poll(0)  # serves the callback that tells why
                if self.trouble is not None and self.trouble.code() in _REFUSED:
                    raise self.refused(self.trouble) from None
                if time.monotonic() > deadline:
                    why = (self.trouble or error.args[0]).str()
                    raise KafkaUnusable(f"the brokers cannot be reached: {why}") from None

    def begin(self) -> None:
        """Become the one producer of this name; what an earlier one left open is aborted.

        :raises HostError: see :func:`patiently`.
        """
        patiently(lambda: self.producer.init_transactions(REACH_SECONDS), "init_transactions")

    def close(self) -> None:
        """Leave the group."""
        self.consumer.close()

    def refused(self, error: KafkaError) -> HostError:
        """What to tell of an error that stays."""
        return _told(error, "the connection")

    def _take_trouble(self, error: KafkaError) -> None:
        self.trouble = error
        log.warning("brokers: %s", error.str())


@contextmanager
def _properties_taken() -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        raise InputUnusable(
            f"librdkafka does not take the properties in 'client': {error.args[0].str()}"
        ) from None


class Aborted(Exception):
    """The transaction must be aborted, and its records read again."""


def patiently(call: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Make a call of the transactional producer until it succeeds, as its errors demand.

    :raises Aborted: the transaction must be aborted.
    :raises Fenced: another producer has this one's name.
    :raises KafkaUnusable: it cannot succeed, or did not in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            call()
            return
        except KafkaException as raised:
            error: KafkaError = raised.args[0]
            # Asked first: librdkafka says of a fenced producer too that it should abort.
            if error.code() in _FENCED:
                raise _told(error, what) from None
            if error.txn_requires_abort():
                raise Aborted(f"{what}: {error.str()}") from None
            if not error.retriable() or error.fatal() or time.monotonic() > deadline:
                raise _told(error, what) from None
            log.warning("%s is tried again: %s", what, error.str())
            time.sleep(_PAUSE_SECONDS)


def check_message(message: Message) -> bool:
    """Whether a message is a record; errors that pass are logged.

    :raises HostError: an error that stays.
    """
    error = message.error()
    if error is None:
        return True
    if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        raise KafkaUnusable(f"the topic {message.topic()!r} is not there any more: {error.str()}")
    if error.fatal() or error.code() in _REFUSED | _FENCED:
        raise _told(error, "reading")
    log.warning("reading: %s", error.str())
    return False


def _told(error: KafkaError, what: str) -> HostError:
    if error.code() in _FENCED:
        return Fenced(
            f"{what}: another worker took this one's place ({error.str()}). Two that run at once must not "
            "have the same 'instance'"
        )
    if error.code() in _REFUSED:
        return KafkaUnusable(
            f"{what}: the brokers refuse: {error.str()}. Look at the credentials and the user's rights"
        )
    return KafkaUnusable(f"{what}: {error.str()} ({error.name()})")


def _without(client: Mapping[str, Property], prefixes: tuple[str, ...]) -> dict[str, Property]:
    return {name: value for name, value in client.items() if not name.startswith(prefixes)}
