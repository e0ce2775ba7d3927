"""The loop: consume a micro-batch, score it, and commit offsets and output as one transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from airlock_host.exceptions import KafkaUnusable
from airlock_host.snapshot import Deployment
from airlock_host.stream.brokers import Aborted, Clients, check_message, patiently
from airlock_host.stream.ends import TopicEnd
from airlock_host.stream.measurements import StreamMeasurements
from airlock_host.stream.outcomes import Outcome, Poison
from airlock_host.stream.scorer import Scorer
from airlock_host.stream.settings import Reading, Share, StreamSettings
from airlock_host.stream.shares import holds
from airlock_host.stream.stamps import STAMP, all_but_the_offset
from airlock_host.stream.stream_file import StreamFile

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message

log = logging.getLogger(__name__)

_IDLE_SECONDS = 0.2
_LOOK_SECONDS = 1.0
_MOST_ABORTS = 10

Headers = list[tuple[str, str | bytes | None]]
Partition = tuple[str, int]


@dataclass(slots=True)
class _Batch:
    """A micro-batch that the model has, or had.

    :param messages: all of its records.
    :param own: those that are answered here.
    :param forwarded: those that go to the share's topic. A shadow passes over some that are neither.
    :param after: by partition the offset behind its last record.
    :param begun: when it was read.
    :param outcome: what becomes of ``own``, once the model is done.
    """

    messages: list[Message]
    own: list[Message]
    forwarded: list[Message]
    share: Share | None
    after: dict[Partition, int]
    begun: float
    outcome: Outcome | None = None


class Worker:
    """Answers the records that its file names until it is told to stop.

    While one micro-batch is written and committed, the model has the next one. Before partitions change hands
    what is in hand is committed, and what was read behind it is forgotten; while a slow model keeps a
    micro-batch waiting, the partitions are paused and a rebalance waits for it.

    What it reads may change while it runs: what is in hand is committed then, its group is left, and the
    other one is joined.
    """

    def __init__(
        self,
        settings: StreamSettings,
        clients: Clients,
        scorer: Scorer,
        deployment: Deployment,
        measurements: StreamMeasurements,
        stream_file: StreamFile,
        end: TopicEnd,
    ) -> None:
        self._settings = settings
        self._reading: Reading | None = None
        self._joined = False
        self._clients = clients
        self._scorer = scorer
        self._measurements = measurements
        self._stream_file = stream_file
        self._end = end
        self._deployment = deployment
        self._stopping = False
        self._transactions = 0
        self._aborts = 0
        self._looked = 0.0
        self._positions: dict[Partition, int] = {}
        self._ends: dict[Partition, int] = {}
        self._revoked: set[Partition] = set()
        self._first: dict[Partition, int] = {}
        self._held: list[Message] = []
        self._in_hand: _Batch | None = None

    @property
    def ready(self) -> bool:
        """Whether it is a member of the group of what it reads, or reads nothing."""
        return self._joined or self._settings.reading is None

    @property
    def at_work(self) -> bool:
        """Whether a micro-batch is in hand, or the model still has one that was given up."""
        return self._in_hand is not None or self._scorer.busy

    def stop(self) -> None:
        """End after the micro-batch in hand."""
        self._stopping = True

    def run(self) -> None:
        """Answer records until :meth:`stop`, then leave the group.

        :raises HostError: it cannot go on.
        """
        try:
            self._subscribe()
            while not self._stopping:
                self._look_around()
                if self._reading is None:
                    time.sleep(_IDLE_SECONDS)
                    continue
                messages = self._read()
                self._await_model()
                messages = self._without_revoked(messages)
                following = self._begin(messages) if messages else None
                self._finish()
                if following is not None:
                    self._take(following)
            self._settle()
        finally:
            self._joined = False
            self._in_hand = None
            self._clients.close()

    def _subscribe(self) -> None:
        """Begin to read what the settings say."""
        self._reading = self._settings.reading
        if self._reading is None:
            log.info("%s reads nothing", self._clients.name)
        else:
            log.info("%s reads %s for %s", self._clients.name, self._reading.topic, self._reading.group)
            self._clients.consumer.subscribe(
                [self._reading.topic],
                on_assign=self._assigned,
                on_revoke=self._taken,
                on_lost=self._lost,
            )
        self._tell()

    def _leave(self) -> None:
        """Commit what is in hand, and leave the group; nothing is left of what was read there."""
        self._settle()
        self._joined = False
        self._clients.change(self._settings.reading)
        self._end.forget()
        for gone in (self._positions, self._ends, self._first, self._revoked, self._held):
            gone.clear()
        self._measurements.lag({})

    def _tell(self) -> None:
        settings = self._settings
        self._measurements.in_force(settings.reads, settings.forwards, right=self._stream_file.right)

    def _read(self) -> list[Message]:
        """The next micro-batch; nothing where none begins within the idle time."""
        consumer = self._clients.consumer
        self._revoked.clear()
        messages, self._held = self._held, []
        if not messages:
            idle = self._in_hand is None
            if idle and self._reading is not None:
                ends = {partition: end for (_, partition), end in self._ends.items()}
                self._end.note(self._settings.reads, self._reading.topic, ends)
            first = consumer.poll(_IDLE_SECONDS if idle else 0)
            if first is None:
                return []
            messages.append(first)
        more = self._settings.records - len(messages)
        if more > 0:
            messages += consumer.consume(more, self._settings.wait_ms / 1000)
        return [message for message in messages if message.error() is None or self._is_record(message)]

    def _is_record(self, message: Message) -> bool:
        """Whether a message with an error is a record all the same; the end of a partition is noted."""
        error = message.error()
        if error is not None and error.code() == KafkaError._PARTITION_EOF:
            self._ends[_partition(message)] = _offset(message)
            return False
        return check_message(message)

    def _without_revoked(self, messages: list[Message]) -> list[Message]:
        """Leave out records of partitions that changed hands since they were read."""
        if not self._revoked:
            return messages
        for partition in self._revoked:
            self._ends.pop(partition, None)
        left_out = {_partition(message) for message in messages} & self._revoked
        self._rewind(left_out)
        self._revoked.clear()
        return [message for message in messages if _partition(message) not in left_out]

    def _take(self, following: _Batch) -> None:
        """Take the next micro-batch in hand, unless it was read behind something that comes again."""
        if self._revoked:
            self._rewind(following.after.keys())
        else:
            self._in_hand = following

    def _settle(self) -> None:
        """Commit the micro-batch in hand, when the model is done with it."""
        if self._in_hand is not None:
            self._await_model()
            self._finish()

    def _begin(self, messages: list[Message]) -> _Batch:
        """Give the model its records."""
        share, percent = self._settings.forwards, self._settings.answers_percent
        own = messages
        forwarded: list[Message] = []
        if share is not None:
            own = []
            limit = self._settings.max_record_bytes
            for message in messages:
                # One that is too large would be refused there as well.
                is_forwarded = _is_held(message, share.percent) and len(message) <= limit
                (forwarded if is_forwarded else own).append(message)
        elif percent < 100:
            own = [message for message in messages if _is_held(message, percent)]
        self._scorer.begin([message.value() for message in own])
        assert self._reading is not None
        topic = self._reading.topic
        # Of keys that come again a dict keeps the last value.
        last: dict[int, int] = {message.partition(): message.offset() for message in messages}  # type: ignore[misc]
        if not self._first.keys() >= {(topic, partition) for partition in last}:
            for message in messages:
                self._first.setdefault(_partition(message), _offset(message))
        after = {(topic, partition): offset + 1 for partition, offset in last.items()}
        return _Batch(messages, own, forwarded, share, after, time.perf_counter())

    def _await_model(self) -> None:
        """Wait until the model is done with what it has, if it has something."""
        if not self._scorer.busy:
            return
        if not self._scorer.done(_LOOK_SECONDS):
            self._wait_paused()
        # A rebalance may have been there first.
        if self._scorer.busy:
            outcome = self._scorer.outcome()
            # Nothing is in hand where it was given up meanwhile.
            if self._in_hand is not None:
                self._in_hand.outcome = outcome

    def _wait_paused(self) -> None:
        """Stay in the group while a micro-batch takes long, without reading on."""
        consumer = self._clients.consumer
        consumer.pause(consumer.assignment())
        self._measurements.paused(True)
        try:
            while self._scorer.busy and not self._scorer.done(_IDLE_SECONDS):
                message = consumer.poll(0)
                if message is not None and self._is_record(message):
                    # Of a partition that came meanwhile.
                    self._held.append(message)
                    consumer.pause(consumer.assignment())
        finally:
            consumer.resume(consumer.assignment())
            self._measurements.paused(False)

    def _finish(self) -> None:
        """Commit what is in hand, unless a rebalance made that happen already."""
        if self._in_hand is not None:
            outcome = self._in_hand.outcome or self._scorer.outcome()
            self._commit(self._in_hand, outcome)
            self._in_hand = None

    def _commit(self, batch: _Batch, outcome: Outcome) -> None:
        """Write what became of a micro-batch, and its offsets, in one transaction; or nothing at all."""
        producer, consumer = self._clients.producer, self._clients.consumer
        self._transactions += 1
        try:
            patiently(producer.begin_transaction, "begin_transaction")
            unforwarded = self._produce(batch, outcome)
            offsets = [TopicPartition(*partition, offset) for partition, offset in batch.after.items()]
            group = consumer.consumer_group_metadata()
            # The answers first, so that offsets never move on without them, whatever a broker makes of it.
            if producer.flush(60.0):
                raise Aborted("the answers could not be delivered within 60 s")
            patiently(lambda: producer.send_offsets_to_transaction(offsets, group, 30.0), "sending offsets")
            patiently(lambda: producer.commit_transaction(60.0), "committing")
        except Aborted as error:
            self._abort(error, batch.after.keys())
            return
        self._aborts = 0
        self._positions.update(batch.after)
        self._measurements.batch(len(batch.messages), time.perf_counter() - batch.begun)
        self._measurements.answered(
            len(batch.own) - len(outcome.poisons), len(batch.forwarded) - len(unforwarded), outcome.scored
        )
        for poison in (*outcome.poisons.values(), *unforwarded):
            self._measurements.dead_letter(poison.reason)

    def _abort(self, error: Aborted, partitions: Collection[Partition]) -> None:
        """Give the transaction up and read its records again, those of partitions that are still here."""
        self._aborts += 1
        self._measurements.aborted()
        log.warning("a transaction is aborted: %s", error)
        try:
            patiently(lambda: self._clients.producer.abort_transaction(30.0), "aborting")
        except Aborted as again:
            raise KafkaUnusable(f"a transaction can neither be committed nor aborted: {again}") from None
        if self._aborts >= _MOST_ABORTS:
            raise KafkaUnusable(f"{self._aborts} transactions in a row had to be aborted: {error}")
        time.sleep(min(5.0, 0.1 * 2**self._aborts))
        # What was read behind it comes again as well.
        self._revoked.update(partitions)
        self._rewind(partitions)

    def _rewind(self, partitions: Collection[Partition]) -> None:
        """Read on behind what is committed, in those of the partitions that are still here."""
        consumer = self._clients.consumer
        self._end.forget()
        self._held = [message for message in self._held if _partition(message) not in partitions]
        for partition in partitions:
            self._ends.pop(partition, None)
        here = {(one.topic, one.partition) for one in consumer.assignment()}
        again = [TopicPartition(*partition) for partition in partitions if partition in here]
        if not again:
            return
        try:
            for committed in consumer.committed(again, 30.0):
                partition = (committed.topic, committed.partition)
                offset = committed.offset if committed.offset >= 0 else self._first.get(partition)
                if offset is not None:
                    consumer.seek(TopicPartition(*partition, offset))
        except KafkaException as error:
            raise KafkaUnusable(f"reading again: {error.args[0].str()}") from None

    def _produce(self, batch: _Batch, outcome: Outcome) -> list[Poison]:
        """Write what became of a micro-batch.

        :returns: why records that should have been forwarded were not.
        """
        assert self._reading is not None
        output = self._reading.output
        transaction = f"{self._clients.name}/{self._transactions}"
        stamps = {
            partition: all_but_the_offset(self._deployment, transaction, topic, partition)
            for topic, partition in batch.after
        }
        produce = self._clients.producer.produce
        for position, (message, answer) in enumerate(zip(batch.own, outcome.answers, strict=True)):
            headers: Headers = [(STAMP, f"{stamps[message.partition()]}{message.offset()}")]  # type: ignore[index]
            if answer is None:
                self._bury(message, headers, outcome.poisons[position])
                continue
            try:
                produce(output, answer, message.key(), headers=headers)
            except BufferError:
                self._produce_patiently(output, answer, message.key(), headers=headers)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                    raise Aborted(error.args[0].str()) from None
                outcome.poisons[position] = Poison(
                    "answer_too_large", f"the answer has {len(answer)} bytes: {error.args[0].str()}"
                )
                self._bury(message, headers, outcome.poisons[position])
        unforwarded = []
        for message in batch.forwarded:
            assert batch.share is not None
            try:
                self._produce_patiently(
                    batch.share.topic,
                    message.value(),
                    message.key(),
                    headers=_headers(message),
                    timestamp=_timestamp(message),
                )
            except _TooLarge as error:
                poison = Poison("too_large", f"the record cannot be forwarded: {error}")
                stamp = f"{stamps[_partition(message)[1]]}{_offset(message)}"
                self._bury(message, [(STAMP, stamp)], poison)
                unforwarded.append(poison)
        return unforwarded

    def _bury(self, message: Message, headers: Headers, poison: Poison) -> None:
        """Write a dead letter: the record as it came, and why."""
        why = [
            ("airlock-reason", poison.reason.encode()),
            ("airlock-message", poison.message[:2_000].encode()),
        ]
        origin = [*_headers(message), *headers, *why]
        assert self._reading is not None
        topic = self._reading.dead_letter
        try:
            self._produce_patiently(
                topic, message.value(), message.key(), headers=origin, timestamp=_timestamp(message)
            )
        except _TooLarge:
            # Larger than a producer may send: where it came from tells where to find it.
            origin.append(("airlock-value", b"left out: too large"))
            self._produce_patiently(topic, None, message.key(), headers=origin, timestamp=_timestamp(message))

    def _produce_patiently(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        *,
        headers: Headers | None,
        timestamp: int = 0,
    ) -> None:
        """Produce, waiting while the producer's queue is full."""
        producer = self._clients.producer
        while True:
            try:
                producer.produce(topic, value, key, headers=headers, timestamp=timestamp)
                return
            except BufferError:
                producer.poll(_IDLE_SECONDS)
            except KafkaException as error:
                if error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    raise _TooLarge(error.args[0].str()) from None
                raise Aborted(error.args[0].str()) from None

    def _look_around(self) -> None:
        """Once a second: has the file changed, how far behind are we."""
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        if self._stream_file.changed():
            self._take_settings(self._stream_file.read())
        if self._reading is None:
            return
        consumer = self._clients.consumer
        if not self._joined and consumer.memberid():
            # A member may have no partition, and no callback then.
            self._joined = True
        lags = {}
        for one in consumer.assignment():
            _, high = consumer.get_watermark_offsets(one, cached=True)
            at = self._positions.get((one.topic, one.partition))
            if at is not None and high >= 0:
                lags[one.partition] = max(0, high - at)
        self._measurements.lag(lags)

    def _take_settings(self, settings: StreamSettings | None) -> None:
        """Do from now on what the file says, unless it is wrong."""
        if settings is not None and settings != self._settings:
            try:
                self._clients.check_topics(set(settings.topics) - set(self._settings.topics))
            except KafkaUnusable as error:
                self._stream_file.right = False
                log.error("what is in force stays so: %s", error)
            else:
                self._change(settings)
        self._tell()

    def _change(self, settings: StreamSettings) -> None:
        if settings.forwards != self._settings.forwards:
            share = settings.forwards
            log.info("share: %s", f"{share.percent:g} % to {share.topic}" if share else "none")
        self._settings = settings
        if settings.reading != self._reading:
            self._leave()
            self._subscribe()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        log.info("partitions taken: %s", _listed(partitions))
        self._joined = True

    def _taken(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Finish what is in hand, before another worker reads on."""
        log.info("partitions given: %s", _listed(partitions))
        self._finish()
        self._forget(partitions)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Another worker reads on already: a transaction of this one is refused."""
        log.warning("partitions lost: %s", _listed(partitions))
        # Committed later, in a new generation of the group, it would be answered twice.
        self._in_hand = None
        self._forget(partitions)

    def _forget(self, partitions: Iterable[TopicPartition]) -> None:
        gone = {(one.topic, one.partition) for one in partitions}
        self._end.forget()
        self._revoked |= gone
        self._held = [message for message in self._held if _partition(message) not in gone]
        for partition in gone:
            self._positions.pop(partition, None)
            self._ends.pop(partition, None)
            self._first.pop(partition, None)


class _TooLarge(Aborted):
    """The producer takes no record of this size."""


def _is_held(message: Message, percent: float) -> bool:
    return holds(percent, message.key(), *_partition(message), _offset(message))


def _partition(message: Message) -> Partition:
    return message.topic(), message.partition()  # type: ignore[return-value]


def _offset(message: Message) -> int:
    return message.offset()  # type: ignore[return-value]


def _timestamp(message: Message) -> int:
    """The record's time; 0, which means now, where it has none."""
    return max(0, message.timestamp()[1])


def _headers(message: Message) -> Headers:
    return message.headers() or []  # type: ignore[return-value]


def _listed(partitions: Iterable[TopicPartition]) -> str:
    return ", ".join(str(one.partition) for one in partitions) or "none"
