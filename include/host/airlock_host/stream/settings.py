"""The stream file: what to read, where to write, and how to reach the brokers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from airlock_host.exceptions import InputUnusable

Format = Literal["json", "avro", "arrow"]
Reads = Literal["input", "share", "shadow", "nothing"]
Property = str | int | float | bool

_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")

# Properties of librdkafka that the guarantees rest on, and who sets them.
_OWNED = {
    **dict.fromkeys(("group.id", "group.protocol"), "name the group as 'group'"),
    "group.instance.id": "a worker leaves its group when it ends, which a static member does not",
    **dict.fromkeys(
        (
            "enable.auto.commit",
            "auto.commit.enable",
            "auto.commit.interval.ms",
            "enable.auto.offset.store",
            "offset.store.method",
        ),
        "offsets are committed with the answers, in one transaction",
    ),
    "isolation.level": "the worker reads only what is committed",
    "transactional.id": "name the worker as 'instance'",
    **dict.fromkeys(
        (
            "enable.idempotence",
            "acks",
            "request.required.acks",
            "max.in.flight",
            "max.in.flight.requests.per.connection",
            "enable.gapless.guarantee",
        ),
        "transactions decide it",
    ),
    "partition.assignment.strategy": "all workers of a group have the same, cooperative-sticky",
    "enable.partition.eof": "the worker asks for it: it tells where a topic ends",
    "allow.auto.create.topics": "topics are made by those who own them",
}


@dataclass(frozen=True)
class Share:
    """The part of the keys that another version answers.

    :param topic: where the records of those keys go.
    :param percent: how many of the keys, from 0 to 100.
    """

    topic: str
    percent: float


@dataclass(frozen=True)
class Shadow:
    """Where a worker that answers beside another writes.

    :param output: the topic of its answers.
    :param dead_letter: the topic of what it cannot answer.
    :param percent: how many of the keys it answers, from 0 to 100; it passes over the others.
    """

    output: str
    dead_letter: str
    percent: float = 100.0


@dataclass(frozen=True)
class Reading:
    """What a worker reads, and where its answers go.

    :param begins: where a group without offsets begins to read; ``None`` leaves it to ``client``.
    """

    group: str
    topic: str
    output: str
    dead_letter: str
    begins: Literal["latest"] | None = None


@dataclass(frozen=True)
class Avro:
    """How records of format ``avro`` are written.

    :param schema: the writer's schema, as JSON.
    :param confluent_id: where values begin with Confluent's magic byte and a schema id: that id.
    """

    schema: Any
    confluent_id: int | None = None


@dataclass(frozen=True)
class StreamSettings:
    """What a stream file says.

    :param client: properties of librdkafka, secrets read from their files.
    :param group: the consumer group: one for each service and stage.
    :param instance: a name that this worker keeps when it is started again: what it left open when it crashed
        is then ended at once, not after the transaction's timeout. Two at a time must not have the same.
    :param records: the most records of a micro-batch.
    :param wait_ms: how long a micro-batch waits for more than its first record.
    :param max_record_bytes: a greater value is a dead letter unread.
    :param reads: what the worker does; this, ``share`` and ``shadow`` may change while it runs.
    """

    client: Mapping[str, Property] = field(repr=False)
    group: str
    input: str
    output: str
    dead_letter: str
    format: Format = "json"
    avro: Avro | None = None
    instance: str | None = None
    records: int = 2_000
    wait_ms: int = 20
    max_record_bytes: int = 1_000_000
    reads: Reads = "input"
    share: Share | None = None
    shadow: Shadow | None = None

    @property
    def reading(self) -> Reading | None:
        """What is read now; nothing where the worker is only kept warm."""
        match self.reads:
            case "input":
                return Reading(self.group, self.input, self.output, self.dead_letter)
            case "share":
                assert self.share is not None
                return Reading(f"{self.group}.share", self.share.topic, self.output, self.dead_letter)
            case "shadow":
                assert self.shadow is not None
                group = f"{self.group}.shadow.{self.instance}"
                return Reading(group, self.input, self.shadow.output, self.shadow.dead_letter, "latest")
            case "nothing":
                return None

    @property
    def forwards(self) -> Share | None:
        """The share whose records are passed on now."""
        return self.share if self.reads == "input" else None

    @property
    def answers_percent(self) -> float:
        """How many of the keys are answered now, of the records that are not passed on."""
        return self.shadow.percent if self.reads == "shadow" and self.shadow is not None else 100.0

    @property
    def topics(self) -> tuple[str, ...]:
        """All topics that are needed now, each once: what nobody reads or writes yet need not be there."""
        needed = [self.input, self.output, self.dead_letter]
        if self.reading is not None:
            needed += [self.reading.topic, self.reading.output, self.reading.dead_letter]
        if self.forwards is not None and self.forwards.percent > 0:
            needed.append(self.forwards.topic)
        return tuple(dict.fromkeys(needed))


def read_settings(path: Path) -> StreamSettings:
    """Read a stream file.

    :raises InputUnusable: it cannot be read, or is not right; the message lists every mistake.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputUnusable(f"the stream file {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputUnusable(f"the stream file {path} is not JSON: {error}") from None
    return settings_of(content, f"the stream file {path}")


def settings_of(content: Any, what: str) -> StreamSettings:
    """Understand what a stream file says.

    :param what: what the content is called, to begin a sentence with.
    :raises InputUnusable: it is not right; the message lists every mistake.
    """
    if not isinstance(content, dict):
        raise InputUnusable(f"{what} must be an object")
    reader = _Reader(content)
    settings = reader.settings()
    if reader.mistakes:
        count = len(reader.mistakes)
        raise InputUnusable(
            f"{what} has {count} mistake{'s' if count > 1 else ''}: " + "; ".join(reader.mistakes)
        )
    return settings


class _Reader:
    """Reads one file's content and gathers what is wrong with it."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content
        self.mistakes: list[str] = []

    def settings(self) -> StreamSettings:
        """The settings; without meaning where there are mistakes."""
        known = {
            *("client", "group", "instance", "input", "output", "dead_letter", "format", "avro"),
            *("batch", "max_record_bytes", "reads", "share", "shadow"),
        }
        self._unknown(self._content, known, "")
        batch = self._object("batch", {"records", "wait_ms"})
        settings = StreamSettings(
            client=self._client(),
            group=self._name(self._content, "group"),
            instance=self._name(self._content, "instance") if "instance" in self._content else None,
            input=self._name(self._content, "input"),
            output=self._name(self._content, "output"),
            dead_letter=self._name(self._content, "dead_letter"),
            format=self._format(),
            avro=self._avro(),
            records=self._number(batch, "records", "batch.records", 2_000, 1, 50_000),
            wait_ms=self._number(batch, "wait_ms", "batch.wait_ms", 20, 0, 10_000),
            max_record_bytes=self._number(
                self._content, "max_record_bytes", "max_record_bytes", 1_000_000, 1, 2**30
            ),
            reads=self._reads(),
            share=self._share(),
            shadow=self._shadow(),
        )
        self._check_apart(settings)
        return settings

    def _check_apart(self, settings: StreamSettings) -> None:
        """A worker that read what it writes would never come to an end."""
        places = {"input": settings.input, "output": settings.output, "dead_letter": settings.dead_letter}
        if settings.share is not None:
            places["share.topic"] = settings.share.topic
        if settings.shadow is not None:
            places["shadow.output"] = settings.shadow.output
            places["shadow.dead_letter"] = settings.shadow.dead_letter
        seen: dict[str, str] = {}
        for place, topic in places.items():
            if topic and topic in seen:
                self.mistakes.append(f"{place!r} and {seen[topic]!r} are the same topic, {topic!r}")
            seen[topic] = place

    def _unknown(self, content: Mapping[str, Any], known: set[str], prefix: str) -> None:
        self.mistakes.extend(
            f"{prefix + name!r} is not known here; known are {', '.join(sorted(known))}"
            for name in content
            if name not in known
        )

    def _object(self, name: str, known: set[str]) -> Mapping[str, Any]:
        value = self._content.get(name, {})
        if not isinstance(value, dict):
            self.mistakes.append(f"{name!r} must be an object with {' and '.join(sorted(known))}")
            return {}
        self._unknown(value, known, f"{name}.")
        return value

    def _name(self, content: Mapping[str, Any], name: str, shown: str | None = None) -> str:
        value = content.get(name)
        shown = shown or name
        if value is None:
            self.mistakes.append(f"{shown!r} is missing")
        elif not isinstance(value, str) or not _NAME.fullmatch(value) or value in (".", ".."):
            self.mistakes.append(
                f"{shown!r} is {value!r}; expected 1 to 249 letters, digits, '.', '_' or '-'"
            )
        else:
            return value
        return ""

    def _number(
        self, content: Mapping[str, Any], name: str, shown: str, default: int, low: int, high: int
    ) -> int:
        value = content.get(name, default)
        if type(value) is not int or not low <= value <= high:
            self.mistakes.append(f"{shown!r} is {value!r}; expected an integer from {low} to {high}")
            return default
        return value

    def _format(self) -> Format:
        value = self._content.get("format", "json")
        if value not in get_args(Format):
            self.mistakes.append(f"'format' is {value!r}; expected one of {', '.join(get_args(Format))}")
            return "json"
        return cast("Format", value)

    def _avro(self) -> Avro | None:
        wanted = self._content.get("format") == "avro"
        if "avro" not in self._content:
            if wanted:
                self.mistakes.append("'avro' is missing: records of format avro need avro.schema")
            return None
        if not wanted:
            self.mistakes.append("'avro' is only for the format avro")
        content = self._object("avro", {"schema", "confluent_id"})
        if not isinstance(content.get("schema"), dict):
            self.mistakes.append("'avro.schema' must be the Avro schema of a record, an object")
        number = content.get("confluent_id")
        if number is not None and (type(number) is not int or not 0 <= number < 2**32):
            self.mistakes.append(f"'avro.confluent_id' is {number!r}; expected the id of a schema")
            number = None
        return Avro(content.get("schema"), number)

    def _reads(self) -> Reads:
        value = self._content.get("reads", "input")
        if value not in get_args(Reads):
            self.mistakes.append(f"'reads' is {value!r}; expected one of {', '.join(get_args(Reads))}")
            return "input"
        if value in ("share", "shadow") and self._content.get(value) is None:
            self.mistakes.append(f"{value!r} is missing: the worker is to read it")
        if value == "shadow" and "instance" not in self._content:
            self.mistakes.append("'instance' is missing: it is part of the name of a shadow's group")
        return cast("Reads", value)

    def _share(self) -> Share | None:
        if self._content.get("share") is None:
            return None
        content = self._object("share", {"topic", "percent"})
        return Share(
            self._name(content, "topic", "share.topic"),
            self._percent(content.get("percent"), "share.percent"),
        )

    def _shadow(self) -> Shadow | None:
        if self._content.get("shadow") is None:
            return None
        content = self._object("shadow", {"output", "dead_letter", "percent"})
        return Shadow(
            self._name(content, "output", "shadow.output"),
            self._name(content, "dead_letter", "shadow.dead_letter"),
            self._percent(content.get("percent", 100), "shadow.percent"),
        )

    def _percent(self, value: Any, shown: str) -> float:
        if type(value) not in (int, float) or not 0 <= value <= 100:
            self.mistakes.append(f"{shown!r} is {value!r}; expected a number from 0 to 100")
            return 0.0
        return float(value)

    def _client(self) -> dict[str, Property]:
        content = self._content.get("client")
        if not isinstance(content, dict):
            self.mistakes.append(
                "'client' must be an object of properties of librdkafka, such as bootstrap.servers"
            )
            return {}
        properties: dict[str, Property] = {}
        for name, value in content.items():
            if name in _OWNED:
                self.mistakes.append(f"'client.{name}' is the worker's own: {_OWNED[name]}")
            elif isinstance(value, str | int | float):
                properties[name] = value
            elif isinstance(value, dict) and value.keys() == {"file"} and isinstance(value["file"], str):
                properties[name] = self._secret(name, value["file"])
            else:
                self.mistakes.append(
                    f"'client.{name}' must be a string, a number, true or false, or {{\"file\": PATH}}"
                )
        if not content.get("bootstrap.servers"):
            self.mistakes.append("'client.bootstrap.servers' is missing: the brokers, as host:port")
        return properties

    def _secret(self, name: str, path: str) -> str:
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            self.mistakes.append(f"'client.{name}': {path} cannot be read: {error.strerror}")
        except ValueError:
            self.mistakes.append(f"'client.{name}': {path} is not text in UTF-8")
        return ""
