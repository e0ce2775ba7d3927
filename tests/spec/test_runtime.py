from typing import Any

import pytest

from airlock.exceptions import SpecError
from airlock.spec import DockerOptions, GiB, LocalOptions, RuntimeSpec


def test_takes_any_service_in_both_modes_unless_said_otherwise() -> None:
    runtime = RuntimeSpec("local", "local", ["DEV", "SIT"])

    assert (runtime.services, runtime.modes, runtime.capacity) == (["*"], ["batch", "online"], 1)
    assert runtime.options == LocalOptions(cpu=None, memory=None)


def test_options_belong_to_the_kind() -> None:
    runtime = RuntimeSpec("local", "local", ["DEV"], options=LocalOptions(cpu=2, memory=GiB))

    assert runtime.model_dump(mode="json")["options"] == {"cpu": 2.0, "memory": "1GiB", "environment": {}}


def test_options_are_those_of_the_kind() -> None:
    runtime = RuntimeSpec("docker-dev", "docker", ["DEV"], options=DockerOptions(engine="tcp://engine:2376"))

    assert RuntimeSpec.model_validate_json(runtime.model_dump_json()) == runtime
    assert RuntimeSpec("docker-dev", "docker", ["DEV"]).options == DockerOptions()
    with pytest.raises(SpecError, match="unknown key 'engine'"):
        RuntimeSpec(runtime="a", kind="local", stages=["DEV"], options={"engine": "tcp://engine:2376"})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"kind": "locl"}, "Did you mean 'local'?"),
        ({"kind": "spark"}, "Write 'local', 'docker' or 'kubernetes'."),
        ({"stages": []}, "the list is empty"),
        ({"stages": ["DEV", "DEV"]}, "the stage 'DEV' is here twice"),
        ({"services": ["cc fraud"]}, "'cc-fraud'"),
        ({"services": ["*", "*"]}, "here twice"),
        ({"modes": ["onlin"]}, "Did you mean 'online'?"),
        ({"capacity": 0}, "greater than or equal to 1"),
        ({"capacity": 1.5}, "1.5 is not a whole number"),
        ({"options": {"gpu": 1}}, "unknown key 'gpu'"),
        ({"options": {"memory": "lots"}}, "'lots' is not an amount of memory"),
        ({"options": 3}, "3 is not a mapping"),
        ({"kind": "docker", "options": {"engin": "unix:///run/docker.sock"}}, "Did you mean 'engine'?"),
        ({"kind": "docker", "options": {"engine": "localhost:2375"}}, "is no address of a Docker engine"),
        ({"kind": "docker", "options": {"publish": {"ports": "9000"}}}, "is not a range of ports"),
        (
            {"kind": "docker", "options": {"volumes": [{"volume": "a", "folder": "b"}]}},
            "not an absolute path",
        ),
    ],
)
def test_mistakes(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        RuntimeSpec(**({"runtime": "local", "kind": "local", "stages": ["DEV"]} | change))

    assert complaint in str(caught.value)
