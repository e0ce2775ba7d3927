from typing import Any

import pytest

from airlock import Service, Stage
from airlock.exceptions import SpecError
from airlock.spec import Avro, Kafka


def kafka(**more: Any) -> Kafka:
    return Kafka(**{"connection": "events", "input": "transactions", "output": "scores", **more})


def service(**more: Any) -> Service:
    return Service("cc-fraud", "standard", "payments", **more)


def test_topics_that_are_not_written_are_called_by_the_others() -> None:
    topics = kafka()

    assert topics.dead_letter == "scores.dead"
    assert topics.share == "transactions.share"
    assert (topics.shadow, topics.shadow_dead_letter) == ("scores.shadow", "scores.shadow.dead")
    assert topics == kafka(dead_letter="scores.dead"), "written or not, it says the same"
    assert topics.digest == kafka(dead_letter="scores.dead").digest


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"input": "a b"}, "'a b' cannot be the name of a topic"),
        ({"input": ".."}, "'..' cannot be the name of a topic"),
        ({"output": "s" * 246}, "cannot be the name of a topic"),
        ({"output": "transactions"}, "'output' and 'input' need the same topic, 'transactions'"),
        ({"dead_letter": "scores"}, "'dead_letter' and 'output' need the same topic, 'scores'"),
        ({"share": "scores.dead"}, "'share' and 'dead_letter' need the same topic, 'scores.dead'"),
        ({"shadow": "scores"}, "'shadow' and 'output' need the same topic, 'scores'"),
        ({"input": "elsewhere.dead", "shadow": "elsewhere"}, "'shadow' and 'input' need the same topic"),
        ({"format": "avro"}, "records of the format avro need a schema"),
        ({"avro": Avro("transactions.avsc")}, "the format is json, not avro"),
        ({"batch": {"records": 0}}, "batch.records"),
        ({"max_record_bytes": 0}, "max_record_bytes"),
    ],
)
def test_mistakes(more: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        kafka(**more)

    assert said in str(caught.value)


def test_what_follows_from_a_mistake_is_not_told() -> None:
    with pytest.raises(SpecError) as caught:
        kafka(output="a b")

    assert str(caught.value).count("a b") == 1
    assert "default" not in str(caught.value)


def test_topics_of_a_stage() -> None:
    everywhere, only_in_prod = service(kafka=kafka()), service(kafka={"PROD": kafka()})

    assert everywhere.stage_kafka("DEV") == kafka()
    assert only_in_prod.stage_kafka("DEV") is None
    assert only_in_prod.stage_kafka(Stage("PROD")) == kafka()
    assert service().stage_kafka("PROD") is None


def test_a_batch_reads_no_topics() -> None:
    topics = service(kafka=kafka(), mode={"DEV": "batch"})

    assert topics.stage_kafka("DEV") is None
    assert topics.stage_kafka("PROD") == kafka()
    assert service(kafka=kafka()).stage_kafka(Stage("PROD", mode="batch")) is None


def test_a_service_without_topics_keeps_the_digest_that_it_always_had() -> None:
    assert "kafka" not in service().model_dump()
    assert service().digest == service(kafka=None).digest != service(kafka=kafka()).digest
