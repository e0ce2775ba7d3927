from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from airlock import Lifecycle, Service, Stage, checks, rollouts
from airlock.exceptions import SpecError
from airlock.spec import Kafka, Sticky, load_include, misfits
from tests.spec.writing import GOOD, write_good


def topics(**more: Any) -> Kafka:
    return Kafka(**{"connection": "events", "input": "transactions", "output": "scores", **more})


def service(**more: Any) -> Service:
    return Service("cc-fraud", "fast", "payments", **more)


def lifecycle(*stages: Stage) -> Lifecycle:
    return Lifecycle("fast", stages=list(stages))


def said(service: Service, lifecycle: Lifecycle) -> list[str]:
    return [str(mistake) for mistake in misfits(service, lifecycle)]


def test_topics_fit_where_one_stage_runs_online() -> None:
    stages = lifecycle(Stage("DEV", mode="batch"), Stage("PROD", rollout=rollouts.Canary([5, 100])))

    assert said(service(kafka=topics()), stages) == []
    assert said(service(kafka={"PROD": topics()}), stages) == []


def test_something_must_read_the_topics() -> None:
    [mistake] = said(service(kafka=topics(), mode="batch"), lifecycle(Stage("DEV")))

    assert mistake.startswith("kafka: no stage of life cycle 'fast' runs online")


def test_stages_that_read_no_topics() -> None:
    written = {"DEV": topics(), "PRDO": topics(output="elsewhere")}

    found = said(service(kafka=written), lifecycle(Stage("DEV", mode="batch"), Stage("PROD")))

    assert found == [
        "kafka.DEV: the service runs as batch at stage DEV, where nothing reads topics. "
        "Leave the stage out, or run it online.",
        "kafka.PRDO: the life cycle 'fast' has no stage 'PRDO'. Did you mean 'PROD'?",
    ]


def test_what_sends_requests_does_not_fit() -> None:
    stage = Stage(
        "PROD",
        [checks.Smoke(), checks.Contract(), checks.Latency(p99_ms=5)],
        rollout=rollouts.Canary([5, 100], sticky=Sticky("X-Customer")),
    )

    [latency, sticky] = said(service(kafka=topics()), lifecycle(stage))

    assert "the check 'latency' of stage PROD in life cycle 'fast' sends requests" in latency
    assert "goes by a header, but the service reads topics there" in sticky


def test_two_stages_do_not_write_to_one_topic() -> None:
    stages = lifecycle(Stage("UAT"), Stage("PROD"))
    apart = {"UAT": topics(output="uat", share="uat.share"), "PROD": topics()}
    on_two_clusters = {"UAT": topics(connection="test-events"), "PROD": topics()}

    [mistake] = said(service(kafka=topics()), stages)
    [share] = said(service(kafka={**apart, "UAT": topics(output="uat")}), stages)

    assert "the stages UAT and PROD would both write to the topic 'scores' (output)" in mistake
    assert "both write to the topic 'transactions.share' (share)" in share
    assert said(service(kafka=apart), stages) == []
    assert said(service(kafka=on_two_clusters), stages) == []


WITH_TOPICS = dedent(GOOD["services/cc-fraud.yaml"]).replace(
    "mode: {DEV: batch}",
    "mode: {DEV: batch}\nkafka:\n  connection: events\n  input: transactions\n  output: scores",
)
WITHOUT_LATENCY = dedent(GOOD["lifecycles/standard.yaml"]).replace("      - latency: {p99_ms: 200}\n", "")


def files(**services: str) -> dict[str, str]:
    return {
        "lifecycles/standard.yaml": WITHOUT_LATENCY,
        "services/cc-fraud.yaml": WITH_TOPICS,
        **{f"services/{name}.yaml": text for name, text in services.items()},
    }


def test_topics_in_a_file(tmp_path: Path) -> None:
    write_good(tmp_path, **files())

    found = load_include(tmp_path).services["cc-fraud"].stage_kafka("PROD")

    assert found is not None
    assert found.input == "transactions"


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("input: transactions", "inptu: transactions", 7, "unknown key 'inptu'. Did you mean 'input'?"),
        ("output: scores", "output: a b", 8, "'a b' cannot be the name of a topic"),
        ("output: scores", "output: transactions", 8, "'output' and 'input' need the same topic"),
        ("output: scores", "output: scores\n  format: avro", 6, "records of the format avro need a schema"),
        ("  connection: events\n", "", 6, "the key 'connection' is missing"),
    ],
)
def test_mistakes_have_a_line(tmp_path: Path, old: str, new: str, line: int, expected: str) -> None:
    write_good(tmp_path, **files() | {"services/cc-fraud.yaml": WITH_TOPICS.replace(old, new, 1)})

    with pytest.raises(SpecError) as caught:
        load_include(tmp_path)

    assert (line, True) in [(problem.line, expected in str(problem)) for problem in caught.value.problems]


def test_services_may_read_one_topic_but_not_share_what_is_their_own(tmp_path: Path) -> None:
    disputes = WITH_TOPICS.replace("service: cc-fraud", "service: disputes").replace(
        "scores\n", "disputed\n", 1
    )
    write_good(tmp_path, **files(disputes=disputes))

    with pytest.raises(SpecError) as caught:
        load_include(tmp_path)

    [problem] = caught.value.problems
    assert problem.message == "'disputes' writes to the topic 'transactions.share', too, as its 'share'"
    apart = disputes.replace("output: disputed", "output: disputed\n  share: disputed.share")
    write_good(tmp_path, **files(disputes=apart))
    assert set(load_include(tmp_path).services) == {"cc-fraud", "disputes"}
