"""What a stream file may say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from airlock_host.exceptions import InputUnusable
from airlock_host.stream.settings import Reading, Reads, Share, StreamSettings, read_settings

RIGHT: dict[str, Any] = {
    "client": {"bootstrap.servers": "kafka:9092"},
    "group": "cc-fraud.PROD",
    "input": "transactions",
    "output": "scores",
    "dead_letter": "scores.dead",
}
SHADOW = {"output": "scores.shadow", "dead_letter": "scores.shadow.dead"}


def read(folder: Path, **keys: Any) -> StreamSettings:
    path = folder / "stream.json"
    path.write_text(json.dumps({**RIGHT, **keys}))
    return read_settings(path)


def test_little_is_enough(tmp_path: Path) -> None:
    settings = read(tmp_path)
    assert (settings.format, settings.records, settings.wait_ms, settings.share) == ("json", 2_000, 20, None)
    assert settings.topics == ("transactions", "scores", "scores.dead")


def test_secrets_are_read_from_files_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hush\n")
    client = {**RIGHT["client"], "sasl.password": {"file": str(tmp_path / "secret")}}
    settings = read(tmp_path, client=client)
    assert settings.client["sasl.password"] == "hush"
    assert "hush" not in repr(settings)


def test_a_share(tmp_path: Path) -> None:
    assert read(tmp_path, share={"topic": "canary", "percent": 5}).share == Share("canary", 5.0)
    assert read(tmp_path, share=None).share is None


def test_what_is_read_says_the_group_and_where_answers_go(tmp_path: Path) -> None:
    keys: dict[str, Any] = {
        "instance": "dep-2",
        "share": {"topic": "transactions.share", "percent": 5},
        "shadow": SHADOW,
    }
    assert {reads: read(tmp_path, reads=reads, **keys).reading for reads in get_args(Reads)} == {
        "input": Reading("cc-fraud.PROD", "transactions", "scores", "scores.dead"),
        "share": Reading("cc-fraud.PROD.share", "transactions.share", "scores", "scores.dead"),
        "shadow": Reading(
            "cc-fraud.PROD.shadow.dep-2", "transactions", "scores.shadow", "scores.shadow.dead", "latest"
        ),
        "nothing": None,
    }


def test_only_who_reads_the_input_forwards_and_only_a_shadow_passes_over(tmp_path: Path) -> None:
    keys: dict[str, Any] = {
        "instance": "dep-2",
        "share": {"topic": "transactions.share", "percent": 5},
        "shadow": {**SHADOW, "percent": 30},
    }
    read_as = {reads: read(tmp_path, reads=reads, **keys) for reads in get_args(Reads)}
    assert [reads for reads, settings in read_as.items() if settings.forwards] == ["input"]
    assert [reads for reads, settings in read_as.items() if settings.answers_percent == 30] == ["shadow"]


def test_topics_that_nobody_uses_yet_need_not_be_there(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"instance": "dep-2", "shadow": SHADOW}
    no_share, share = ({"topic": "transactions.share", "percent": percent} for percent in (0, 5))
    plain = ("transactions", "scores", "scores.dead")
    assert read(tmp_path, share=no_share, **keys).topics == plain
    assert read(tmp_path, share=share, **keys).topics == (*plain, "transactions.share")
    assert read(tmp_path, reads="nothing", share=share, **keys).topics == plain
    assert read(tmp_path, reads="share", share=no_share, **keys).topics == (*plain, "transactions.share")
    assert read(tmp_path, reads="shadow", **keys).topics == (*plain, *SHADOW.values())


@pytest.mark.parametrize(
    ("keys", "mistake"),
    [
        ({"client": {}}, "'client.bootstrap.servers' is missing"),
        ({"client": []}, "'client' must be an object"),
        ({"client": {**RIGHT["client"], "group.id": "x"}}, "'client.group.id' is the worker's own: name the"),
        (
            {"client": {**RIGHT["client"], "acks": 1}},
            "'client.acks' is the worker's own: transactions decide",
        ),
        (
            {"client": {**RIGHT["client"], "ssl.key.pem": None}},
            "'client.ssl.key.pem' must be a string, a number",
        ),
        ({"client": {**RIGHT["client"], "a": {"file": "/nowhere"}}}, "'client.a': /nowhere cannot be read"),
        ({"group": None}, "'group' is missing"),
        ({"group": "ä"}, "'group' is 'ä'; expected 1 to 249 letters"),
        ({"output": "transactions"}, "'output' and 'input' are the same topic, 'transactions'"),
        ({"format": "xml"}, "'format' is 'xml'; expected one of json, avro, arrow"),
        ({"format": "avro"}, "'avro' is missing"),
        ({"avro": {"schema": {}}}, "'avro' is only for the format avro"),
        ({"format": "avro", "avro": {"schema": "x"}}, "'avro.schema' must be the Avro schema of a record"),
        ({"batch": {"records": 0}}, "'batch.records' is 0; expected an integer from 1 to 50000"),
        ({"batch": {"records": True}}, "'batch.records' is True"),
        ({"batch": {"size": 1}}, "'batch.size' is not known here; known are records, wait_ms"),
        (
            {"share": {"topic": "x", "percent": 101}},
            "'share.percent' is 101; expected a number from 0 to 100",
        ),
        ({"share": {"topic": "scores", "percent": 1}}, "'share.topic' and 'output' are the same topic"),
        ({"reads": "all"}, "'reads' is 'all'; expected one of input, share, shadow, nothing"),
        ({"reads": "share"}, "'share' is missing: the worker is to read it"),
        ({"reads": "shadow", "shadow": SHADOW}, "'instance' is missing: it is part of the name"),
        ({"shadow": "x"}, "'shadow' must be an object with dead_letter and output and percent"),
        ({"shadow": {**SHADOW, "percent": -1}}, "'shadow.percent' is -1; expected a number from 0 to 100"),
        (
            {"shadow": {**SHADOW, "output": "scores"}},
            "'shadow.output' and 'output' are the same topic",
        ),
    ],
)
def test_mistakes_are_named(tmp_path: Path, keys: dict[str, Any], mistake: str) -> None:
    with pytest.raises(InputUnusable) as raised:
        read(tmp_path, **keys)
    assert mistake in str(raised.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputUnusable, match=r"has 3 mistakes: .*'tpyo'.*'group'.*'batch.wait_ms'"):
        read(tmp_path, tpyo=1, group=7, batch={"wait_ms": "long"})


@pytest.mark.parametrize(
    ("text", "mistake"), [(None, "cannot be read"), ("{", "is not JSON"), ("[]", "must be an object")]
)
def test_a_file_that_is_none(tmp_path: Path, text: str | None, mistake: str) -> None:
    if text is not None:
        (tmp_path / "stream.json").write_text(text)
    with pytest.raises(InputUnusable, match=mistake):
        read_settings(tmp_path / "stream.json")
