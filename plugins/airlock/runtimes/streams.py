"""What a worker of a stream is told: the host's stream file, and what a deployment does in its stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airlock.spec import Kafka

Reads = Literal["input", "share", "shadow", "nothing"]
"""``input``: all records, and passes on the share of another version; ``share``: what is passed on to it;
``shadow``: all records, and answers to where nobody takes it for the real answer; ``nothing``: it is warm."""


@dataclass(frozen=True)
class StreamRole:
    """What a deployment reads, which changes while it runs.

    :param share_percent: how many of the keys it passes on, where it reads the input.
    :param shadow_percent: how many of the keys it answers, where it is a shadow.
    """

    reads: Reads
    share_percent: float = 0
    shadow_percent: float = 100


IDLE = StreamRole("nothing")
"""What each deployment begins with: no record is taken before the checks of its stage have passed."""


def group_of(service: str, stage: str) -> str:
    """The consumer group of a service at a stage, whatever version reads for it."""
    return f"{service}.{stage}"


def stream_file(
    kafka: Kafka,
    client: Mapping[str, Any],
    *,
    service: str,
    stage: str,
    deployment: str,
    role: StreamRole,
    avro_schema: Any = None,
) -> dict[str, Any]:
    """The stream file of one deployment. It holds credentials.

    Topics that only a canary or a shadow needs are named where there is one: what is named must be there.

    :param client: properties of librdkafka.
    :param deployment: the deployment's id.
    :param avro_schema: what the schema file of the format ``avro`` says.
    """
    content: dict[str, Any] = {
        "client": dict(client),
        "group": group_of(service, stage),
        "instance": deployment,
        "input": kafka.input,
        "output": kafka.output,
        "dead_letter": kafka.dead_letter,
        "format": kafka.format,
        "batch": {"records": kafka.batch.records, "wait_ms": kafka.batch.wait_ms},
        "max_record_bytes": kafka.max_record_bytes,
        "reads": role.reads,
    }
    if kafka.avro is not None:
        content["avro"] = {"schema": avro_schema}
        if kafka.avro.confluent_id is not None:
            content["avro"]["confluent_id"] = kafka.avro.confluent_id
    if role.reads == "share" or (role.reads == "input" and role.share_percent > 0):
        content["share"] = {"topic": kafka.share, "percent": role.share_percent}
    if role.reads == "shadow":
        content["shadow"] = {
            "output": kafka.shadow,
            "dead_letter": kafka.shadow_dead_letter,
            "percent": role.shadow_percent,
        }
    return content
