from typing import Any

import pytest

from airlock import Service, Stage
from airlock.exceptions import SpecError
from airlock.spec import GiB, Resources


def service(**more: Any) -> Service:
    return Service("cc-fraud", "standard", "payments", **more)


@pytest.mark.parametrize("name", ["cc-fraud", "cc_fraud", "a", "2nd", "x" * 63])
def test_a_name_fits_into_urls_and_dag_ids(name: str) -> None:
    assert Service(name, "standard", "payments").service == name


@pytest.mark.parametrize(
    "name", ["CC", "a b", "a/b", "a.score", "-a", "a-", "", "é", "a\n", "x" * 64, 5, None]
)
def test_other_names_are_refused(name: Any) -> None:
    with pytest.raises(SpecError, match=r"service: "):
        Service(name, "standard", "payments")


def test_mode_of_a_stage() -> None:
    """The service's word for the stage, then the stage's own, then the service's word for all stages."""
    for_one_stage = service(mode={"DEV": "batch"})
    for_all_stages = service(mode="batch")

    assert for_one_stage.stage_mode("DEV") == "batch"
    assert for_one_stage.stage_mode(Stage("DEV", mode="online")) == "batch"
    assert for_one_stage.stage_mode("PROD") == "online"
    assert for_one_stage.stage_mode(Stage("PROD", mode="batch")) == "batch"
    assert for_all_stages.stage_mode("PROD") == "batch"
    assert for_all_stages.stage_mode(Stage("PROD", mode="online")) == "online"
    assert service().stage_mode("PROD") == "online"


def test_a_schedule_needs_input_and_output() -> None:
    with pytest.raises(SpecError, match="no input and no output"):
        service(schedule="@daily")
    with pytest.raises(SpecError, match="the service has a schedule, but no output"):
        service(schedule="@daily", input="in/*.csv")

    assert service(schedule="@daily", input="in/*.csv", output="out").schedule == "@daily"


def test_output_is_a_folder() -> None:
    with pytest.raises(SpecError, match="is a pattern"):
        service(output="out/*.parquet")


@pytest.mark.parametrize(
    "place",
    [
        "data/{{ data_interval_start | ds }}/*.csv",
        "/srv/data/in",
        "s3://bucket/{{ ds }}/*.parquet",
        "file:///srv",
        "C:x",
    ],
)
def test_places_are_paths_or_urls(place: str) -> None:
    assert service(input=place).input == place
    assert service(datasets={"holdout": {"path": place, "target": "y"}}).datasets["holdout"].path == place


@pytest.mark.parametrize(
    ("place", "complaint"),
    [
        ("s3:/bucket/in", "is not a whole URL"),
        ("s3://", "is not a whole URL"),
        ("ftp://host/in", "'ftp' is no kind of store"),
        ("s3://key:secret@bucket/in", "holds credentials"),
    ],
)
def test_wrong_places(place: str, complaint: str) -> None:
    for wrong in ({"input": place}, {"output": place}, {"datasets": {"x": {"path": place, "target": "y"}}}):
        with pytest.raises(SpecError, match=complaint) as refused:
            service(**wrong)
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "schedule",
    ["0 6 * * *", "*/15 0-6,12 1,15 jan-jun mon-fri", "5 4 * * sun", "0 0 1 1 7", "@hourly", "@monthly"],
)
def test_good_schedules(schedule: str) -> None:
    assert service(schedule=schedule, input="in", output="out").schedule == schedule


@pytest.mark.parametrize(
    ("schedule", "complaint"),
    [
        ("0 6 * *", "five fields"),
        ("60 6 * * *", "'60' in '60 6 \\* \\* \\*' is not a minute: 0 to 59"),
        ("0 6 0 * *", "not a day of the month"),
        ("0 6 * 13 *", "not a month"),
        ("0 6 * * mo", "not a day of the week"),
        ("0 6-2 * * *", "not a hour"),
        ("0/0 6 * * *", "not a minute"),
        ("², 6 * * *", "not a minute"),
        ("@sometimes", "not a known preset"),
        ("", "empty"),
    ],
)
def test_wrong_schedules(schedule: str, complaint: str) -> None:
    with pytest.raises(SpecError, match=complaint):
        service(schedule=schedule, input="in", output="out")


def test_resources_have_units() -> None:
    assert service(resources=Resources(cpu=0.5, memory=2 * GiB)) == service(
        resources={"cpu": 0.5, "memory": "2GiB"}
    )
    with pytest.raises(SpecError, match="1024 bytes is not between 1MiB and 1024TiB"):
        service(resources={"memory": 1024})


def test_an_unknown_key_suggests_the_nearest() -> None:
    with pytest.raises(SpecError, match=r"unknown key 'shedule'\. Did you mean 'schedule'\?"):
        service(shedule="@daily")


def test_text_holds_no_control_characters() -> None:
    with pytest.raises(SpecError, match="control character"):
        service(description="ring\x07")
    with pytest.raises(SpecError, match="on one line"):
        Service("cc-fraud", "standard", "pay\nments")
    with pytest.raises(SpecError, match="longer than 1000"):
        Service("cc-fraud", "standard", "x" * 1001)

    assert service(description="two\nlines").description == "two\nlines"
