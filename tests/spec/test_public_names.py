import subprocess
import sys

import pytest

import airlock


def test_the_public_names_are_there() -> None:
    from airlock import Lifecycle, Policy, Service, Stage, checks, rollouts

    assert Lifecycle("fast", stages=[Stage("DEV", [checks.Smoke()])]).lifecycle == "fast"
    assert Stage("PROD", rollout=rollouts.Canary([5, 100])).moves_traffic_by.kind == "canary"
    assert {"Lifecycle", "Policy", "Service", "Stage", "build_dag", "checks", "rollouts"} <= set(dir(airlock))
    assert (Service.__module__, Policy.__module__) == ("airlock.spec.service", "airlock.spec.policy")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Lifecicle'"):
        _ = airlock.Lifecicle


def test_importing_what_people_write_imports_nothing_heavy() -> None:
    """DAG files are read in many short processes: each would pay."""
    heavy = "{'airflow', 'sqlalchemy', 'httpx', 'jsonschema', 'jinja2', 'fsspec', 'fastapi', 'numpy'}"
    program = f"import sys; import airlock.spec; print(sorted({heavy} & sys.modules.keys()))"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout == "[]\n"
