import pytest

from airlock import Lifecycle, Stage, checks
from airlock.exceptions import SpecError
from airlock.spec import Limit


def test_is_natural_to_write_in_python() -> None:
    fast = Lifecycle("fast", stages=[Stage("DEV", checks=[checks.Smoke()]), Stage("PROD")])

    assert fast.lifecycle == "fast"
    assert [stage.name for stage in fast.stages] == ["DEV", "PROD"]
    assert fast.stages[0].checks == [checks.Smoke(records=5)]


def test_is_the_same_in_yaml_and_python() -> None:
    written = {
        "lifecycle": "fast",
        "stages": [
            {"name": "DEV", "checks": ["smoke", {"latency": {"p99_ms": 200}}]},
            {"name": "PROD", "checks": [{"performance": {"dataset": "holdout", "roc_auc": {"min": 0.85}}}]},
        ],
    }
    performance = checks.Performance(dataset="holdout", metrics={"roc_auc": Limit(min=0.85)})
    built = Lifecycle(
        "fast",
        stages=[
            Stage("DEV", checks=[checks.Smoke(), checks.Latency(p99_ms=200)]),
            Stage("PROD", checks=[performance]),
        ],
    )

    assert Lifecycle.model_validate(written) == built
    assert Lifecycle.model_validate(written).digest == built.digest


def test_survives_being_written_as_json() -> None:
    lifecycle = Lifecycle(
        "fast", stages=[Stage("DEV", [checks.Contract(), checks.Latency(p50_ms=3)], "online")]
    )

    assert Lifecycle.model_validate(lifecycle.model_dump(mode="json")) == lifecycle


def test_knows_what_comes_before_and_after_a_stage() -> None:
    lifecycle = Lifecycle("three", stages=[Stage("DEV"), Stage("UAT"), Stage("PROD")])

    assert lifecycle.stage("UAT") == Stage("UAT")
    assert [stage.name for stage in lifecycle.before("PROD")] == ["DEV", "UAT"]
    assert lifecycle.before("DEV") == []
    assert lifecycle.after("DEV") == Stage("UAT")
    assert lifecycle.after("PROD") is None
    with pytest.raises(KeyError):
        lifecycle.stage("SIT")


def test_all_mistakes_of_a_construction_are_told_together() -> None:
    with pytest.raises(SpecError) as caught:
        Lifecycle("Fast one", stages=[Stage("DEV"), Stage("DEV")])

    assert str(caught.value) == (
        "Lifecycle: lifecycle: 'Fast one' cannot be a name here. Write up to 63 lower-case letters, digits, "
        "'-' and '_', with a letter or digit at both ends, for example 'fast-one'.; "
        "stages.1: the stage 'DEV' is here twice. Rename one of them: a snapshot passes each stage once."
    )


@pytest.mark.parametrize("name", ["dev", "1ST", "DEV-1", "", "DÉV", "DEV\n", "X" * 33])
def test_a_stage_is_named_in_capitals(name: str) -> None:
    with pytest.raises(SpecError, match="cannot be a name here"):
        Stage(name)


@pytest.mark.parametrize("name", ["DEV", "PRE_PROD", "S1", "X" * 32])
def test_a_good_stage_name(name: str) -> None:
    assert Stage(name).name == name


def test_checks_of_a_stage_have_different_names() -> None:
    with pytest.raises(SpecError, match="the check 'smoke' is here twice"):
        Stage("DEV", checks=[checks.Smoke(), checks.Smoke(records=100)])

    stage = Stage("DEV", checks=[checks.Smoke(), checks.Smoke(name="many", records=100)])
    assert [check.name for check in stage.checks] == ["smoke", "many"]


def test_a_check_may_not_take_the_name_of_another_kind_that_is_there() -> None:
    with pytest.raises(SpecError, match="the check 'smoke' is here twice"):
        Stage("DEV", checks=[checks.Smoke(), checks.Contract(name="smoke")])


def test_needs_a_stage() -> None:
    with pytest.raises(SpecError, match="the list is empty"):
        Lifecycle("empty", stages=[])


def test_cannot_be_changed_afterwards() -> None:
    stage = Stage("DEV")
    with pytest.raises(ValueError, match="frozen"):
        stage.name = "PROD"


def test_values_by_position_are_counted() -> None:
    with pytest.raises(TypeError, match="at most"):
        Stage("DEV", [], None, "when_replaced", "more")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="more than one value for name"):
        Stage("DEV", name="PROD")  # type: ignore[misc]
