"""Mistakes about topics that show only beside a service's life cycle, and beside other services."""

from __future__ import annotations

from collections.abc import Iterator

from airlock.spec.checks import Latency
from airlock.spec.declared import Declarations
from airlock.spec.kafka import Kafka
from airlock.spec.lifecycle import Lifecycle, Stage
from airlock.spec.mistakes import Mistake, Place, did_you_mean
from airlock.spec.rollout import Canary
from airlock.spec.service import Service

_FOR_ONE_ALONE = ("share", "shadow")
"""Topics that are a service's own at a stage: what another one wrote there would be answered, or compared."""

Topics = dict[str, Kafka]
"""The topics of each stage that reads some."""


def topic_misfits(service: Service, lifecycle: Lifecycle) -> Iterator[Mistake]:
    """What keeps a service from reading its topics in a life cycle. The places are those in the service."""
    if service.kafka is None:
        return
    if isinstance(service.kafka, dict):
        yield from _wrong_stages(service, service.kafka, lifecycle)
    topics = _topics(service, lifecycle)
    if not topics and not isinstance(service.kafka, dict):
        message = f"no stage of life cycle {lifecycle.lifecycle!r} runs online, so nothing would read topics"
        yield Mistake(("kafka",), message, "Run a stage online, or remove 'kafka'.", about_key=True)
    for stage in lifecycle.stages:
        if stage.name in topics:
            yield from _stage_misfits(service, lifecycle, stage)
    yield from _clashes_between_stages(service, topics)


def topic_clashes(service: Service, declarations: Declarations) -> Iterator[Mistake]:
    """Where a service would read what another one writes for its own canaries or shadows."""
    own = _written(service, declarations)
    for name, declared in declarations.services.items():
        if name <= service.service:  # each pair is told once
            continue
        theirs = {
            (kafka.connection, topic): key
            for _, kafka in _written(declared.spec, declarations)
            for topic, key in kafka.written.items()
        }
        for stage, kafka in own:
            for topic, key in kafka.written.items():
                other = theirs.get((kafka.connection, topic))
                if other is not None and (key in _FOR_ONE_ALONE or other in _FOR_ONE_ALONE):
                    message = f"{name!r} writes to the topic {topic!r}, too, as its {other!r}"
                    mend = f"Write another topic as {key!r} here or as {other!r} there."
                    yield Mistake(_place(service, stage), message, mend)


def _written(service: Service, declarations: Declarations) -> list[tuple[str, Kafka]]:
    lifecycle = declarations.lifecycles.get(service.lifecycle)
    return [] if lifecycle is None else list(_topics(service, lifecycle.spec).items())


def _topics(service: Service, lifecycle: Lifecycle) -> Topics:
    found = {stage.name: service.stage_kafka(stage) for stage in lifecycle.stages}
    return {name: kafka for name, kafka in found.items() if kafka is not None}


def _wrong_stages(service: Service, written: Topics, lifecycle: Lifecycle) -> Iterator[Mistake]:
    stages = {stage.name: stage for stage in lifecycle.stages}
    for name in written:
        if name not in stages:
            message = f"the life cycle {lifecycle.lifecycle!r} has no stage {name!r}"
            yield Mistake(("kafka", name), message, did_you_mean(name, stages), about_key=True)
        elif service.stage_mode(stages[name]) == "batch":
            message = f"the service runs as batch at stage {name}, where nothing reads topics"
            mend = "Leave the stage out, or run it online."
            yield Mistake(("kafka", name), message, mend, about_key=True)


def _stage_misfits(service: Service, lifecycle: Lifecycle, stage: Stage) -> Iterator[Mistake]:
    where = f"of stage {stage.name} in life cycle {lifecycle.lifecycle!r}"
    for check in stage.checks:
        if isinstance(check, Latency):
            message = f"the check {check.name!r} {where} sends requests, but the service reads topics there"
            yield Mistake(
                _place(service, stage.name), message, "Take a life cycle without it.", about_key=True
            )
    if isinstance(stage.rollout, Canary) and stage.rollout.sticky is not None:
        message = f"the rollout {where} goes by a header, but the service reads topics there"
        mend = "Take a life cycle without 'sticky': records with the same key go to the same version anyway."
        yield Mistake(_place(service, stage.name), message, mend, about_key=True)


def _clashes_between_stages(service: Service, topics: Topics) -> Iterator[Mistake]:
    """Two stages that write to one topic: each record would be answered twice there."""
    seen: dict[tuple[str, str], str] = {}
    for stage, kafka in topics.items():
        for topic, key in kafka.written.items():
            first = seen.setdefault((kafka.connection, topic), stage)
            if first != stage:
                message = f"the stages {first} and {stage} would both write to the topic {topic!r} ({key})"
                mend = f"Give each its own: 'kafka: {{{first}: {{…}}, {stage}: {{…}}}}'."
                yield Mistake(_place(service, stage), message, mend, about_key=True)
                break


def _place(service: Service, stage: str) -> Place:
    return ("kafka", stage) if isinstance(service.kafka, dict) else ("kafka",)
