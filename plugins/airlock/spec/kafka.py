"""Topics: where the records come from that a service answers, and where the answers go."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import pydantic

from airlock.spec.base import Spec
from airlock.spec.mistakes import shown
from airlock.spec.names import Line
from airlock.spec.refusal import refusal

TOPIC_PATTERN = r"^[A-Za-z0-9._-]{1,249}$"


def _check_topic(topic: str) -> str:
    if re.fullmatch(TOPIC_PATTERN, topic) is None or topic in (".", ".."):
        mend = "Write up to 249 letters, digits, '.', '_' and '-'."
        raise refusal(f"{shown(topic)} cannot be the name of a topic", mend)
    return topic


Topic = Annotated[
    str,
    pydantic.AfterValidator(_check_topic),
    pydantic.WithJsonSchema({"type": "string", "pattern": TOPIC_PATTERN}),
]
"""The name of a topic."""


class Avro(Spec):
    """How records of the format ``avro`` are written."""

    schema_file: Line
    """The file with the Avro schema of a record, as JSON: a path from the project folder (with ``include/``)
    on, or an absolute path."""
    confluent_id: int | None = pydantic.Field(default=None, ge=0, lt=2**32)
    """Where each value begins with Confluent's magic byte and the id of a schema: that id."""


class MicroBatch(Spec):
    """How many records are scored at once."""

    records: int = pydantic.Field(default=2_000, ge=1, le=50_000)
    """The most records of a micro-batch."""
    wait_ms: int = pydantic.Field(default=20, ge=0, le=10_000)
    """How long a micro-batch waits for more than its first record, in milliseconds."""


def _behind(key: str, ending: str) -> Any:
    """A topic that is called by another one where it is not written."""
    return pydantic.Field(default_factory=lambda said: f"{said[key]}.{ending}", validate_default=True)


class Kafka(Spec):
    """The topics of a service, which must be there. Who answers their records is a worker, not a server."""

    connection: Line
    """The Airflow connection of type Kafka: its extra holds the properties of librdkafka, with
    ``bootstrap.servers`` among them."""
    input: Topic
    """The topic with the records to answer."""
    output: Topic
    """The topic of the answers."""
    dead_letter: Topic = _behind("output", "dead")
    """The topic of records that cannot be answered; ``<output>.dead`` by default."""
    share: Topic = _behind("input", "share")
    """The topic over which a canary gets its share of the records; ``<input>.share`` by default."""
    shadow: Topic = _behind("output", "shadow")
    """The topic of a shadow's answers; ``<output>.shadow`` by default. What a shadow cannot answer goes to
    the topic of this name with ``.dead`` behind it."""
    format: Literal["json", "avro", "arrow"] = "json"
    """What a value is: a JSON object, an Avro record, or an Arrow stream of many rows."""
    avro: Avro | None = pydantic.Field(default=None, validate_default=True)
    """For the format ``avro``: the schema."""
    batch: MicroBatch = MicroBatch()
    """How many records are scored at once."""
    max_record_bytes: int = pydantic.Field(default=1_000_000, ge=1, le=2**30)
    """A greater value goes to the dead letters unread."""

    @property
    def shadow_dead_letter(self) -> str:
        """The topic of the records that a shadow cannot answer."""
        return f"{self.shadow}.dead"

    @property
    def written(self) -> dict[str, str]:
        """What each topic that is written to is for, by its name."""
        return {
            self.output: "output",
            self.dead_letter: "dead_letter",
            self.share: "share",
            self.shadow: "shadow",
            self.shadow_dead_letter: "shadow",
        }

    @pydantic.field_validator("output", "dead_letter", "share", "shadow")
    @classmethod
    def _is_another_topic(cls, topic: str, info: pydantic.ValidationInfo) -> str:
        """A worker that read what it writes would never come to an end."""
        own = [topic]
        if info.field_name == "shadow":
            own.append(_check_topic(f"{topic}.dead"))
        for key in ("input", "output", "dead_letter", "share"):
            if (other := info.data.get(key)) in own:
                raise refusal(
                    f"{info.field_name!r} and {key!r} need the same topic, {other!r}",
                    "Give each a topic of its own.",
                )
        return topic

    @pydantic.field_validator("avro")
    @classmethod
    def _fits_the_format(cls, avro: Avro | None, info: pydantic.ValidationInfo) -> Avro | None:
        if "format" not in info.data:
            return avro
        if avro is None and info.data["format"] == "avro":
            raise refusal("records of the format avro need a schema", "Add 'avro: {schema_file: …}'.")
        if avro is not None and info.data["format"] != "avro":
            raise refusal(
                f"the format is {info.data['format']}, not avro", "Write 'format: avro', or remove it."
            )
        return avro
