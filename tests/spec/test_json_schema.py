import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from airlock.spec.json_schema import schemas
from airlock.spec.yaml_documents import read_documents
from tests.spec.kinds import MODELS
from tests.spec.written_specs import Written, kinds_and_specs, mutations

INCLUDE = Path(__file__).parents[2] / "include"

VALIDATORS = {kind: jsonschema.Draft7Validator(schema) for kind, schema in schemas().items()}
_KINDS_BY_FOLDER = {
    "lifecycles": "lifecycle",
    "services": "service",
    "runtimes": "runtime",
    "policies": "policy",
}

SHIPPED = [
    *(
        (_KINDS_BY_FOLDER[file.parent.name], file)
        for file in INCLUDE.glob("*/*.yaml")
        if file.name != "roles.yaml"
    ),
    ("roles", INCLUDE / "policies/roles.yaml"),
    *(("model", file) for file in (INCLUDE / "models").rglob("model.yaml")),
]


def accepts(kind: str, written: Any) -> bool:
    """Whether the loader takes the data."""
    try:
        MODELS[kind].model_validate(written)
    except ValueError:
        return False
    return True


def test_each_kind_of_file_has_a_schema() -> None:
    assert schemas().keys() == MODELS.keys()
    for schema in schemas().values():
        jsonschema.Draft7Validator.check_schema(schema)


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_the_shipped_schemas_are_up_to_date(kind: str) -> None:
    """If this fails: ``airlock schema write include/schemas``."""
    shipped = json.loads((INCLUDE / f"schemas/{kind}.json").read_text(encoding="utf-8"))

    assert shipped == schemas()[kind]


@pytest.mark.parametrize(("kind", "file"), SHIPPED, ids=lambda value: getattr(value, "name", value))
def test_accepts_the_shipped_examples(kind: str, file: Path) -> None:
    documents, problems = read_documents(file)

    assert problems == []
    for document in documents:
        assert [error.message for error in VALIDATORS[kind].iter_errors(document.value)] == []


@given(kinds_and_specs())
def test_accepts_every_good_file(kind_and_spec: tuple[str, Written]) -> None:
    kind, written = kind_and_spec

    assert accepts(kind, written)
    assert [error.message for error in VALIDATORS[kind].iter_errors(written)] == []


@given(kinds_and_specs().flatmap(lambda pair: st.tuples(st.just(pair[0]), mutations(pair[1]))))
def test_accepts_whatever_the_loader_accepts(kind_and_data: tuple[str, Any]) -> None:
    kind, written = kind_and_data
    if accepts(kind, written):
        assert [error.message for error in VALIDATORS[kind].iter_errors(written)] == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("lifecycle", "{lifecycle: fast}"),
        ("lifecycle", "{lifecycle: Fast, stages: [{name: DEV}]}"),
        ("lifecycle", "{lifecycle: fast, stages: []}"),
        ("lifecycle", "{lifecycle: fast, stages: [{name: dev}]}"),
        ("lifecycle", "{lifecycle: fast, stages: [{name: DEV, cheks: []}]}"),
        ("lifecycle", "{lifecycle: fast, stages: [{name: DEV, checks: smoke}]}"),
        ("service", "{service: a, lifecycle: b}"),
        ("service", "{service: a.b, lifecycle: b, owner: c}"),
        ("service", "{service: a, lifecycle: b, owner: ' '}"),
        ("service", "{service: a, lifecycle: b, owner: c, mode: onlin}"),
        ("service", "{service: a, lifecycle: b, owner: c, mode: {dev: online}}"),
        ("service", "{service: a, lifecycle: b, owner: c, kafka: {connection: d, input: e}}"),
        ("service", "{service: a, lifecycle: b, owner: c, kafka: {connection: d, input: e, output: 'f g'}}"),
        (
            "service",
            "{service: a, lifecycle: b, owner: c, kafka: {dev: {connection: d, input: e, output: f}}}",
        ),
        ("service", "{service: a, lifecycle: b, owner: c, datasets: {holdout: {path: x}}}"),
        ("service", "{service: a, lifecycle: b, owner: c, resources: {memory: 1024}}"),
        ("service", "{service: a, lifecycle: b, owner: c, resources: {memory: 1Gi}}"),
        ("service", "{service: a, lifecycle: b, owner: c, schedule: '@daily'}"),
        ("service", "{service: a, lifecycle: b, owner: c, schedule: 0 6 * *, input: a, output: b}"),
        ("service", "{service: a, lifecycle: b, owner: c, schedule: '@often', input: a, output: b}"),
        ("runtime", "{runtime: a, kind: local}"),
        ("runtime", "{runtime: a, kind: spark, stages: [DEV]}"),
        ("runtime", "{runtime: a, kind: local, stages: [DEV, DEV]}"),
        ("runtime", "{runtime: a, kind: local, stages: [DEV], services: ['**']}"),
        ("runtime", "{runtime: a, kind: local, stages: [DEV], capacity: 1.5}"),
        ("runtime", "{runtime: a, kind: local, stages: [DEV], options: {gpu: 1}}"),
        ("policy", "{stage: PROD, approvals: [model-risk]}"),
        ("policy", "{stage: PROD, expires: 7}"),
        ("policy", "{stage: PROD, expires: soon}"),
        ("policy", "{stage: PROD, evidence: [smok]}"),
        ("policy", "{stage: PROD, separation_of_duties: 1}"),
        ("roles", "{roles: {Model Risk: [rita]}}"),
        ("roles", "{roles: {model-risk: rita}}"),
        ("roles", "{roles: {model-risk: [rita, rita]}}"),
        ("model", "{model: a}"),
        ("model", "{model: a, owner: b, format: pickle}"),
        ("model", "{model: a, owner: b, python: 3.11}"),
        ("model", "{model: a, owner: b, input: [{name: x}]}"),
        ("model", "{model: a, owner: b, input: [{name: x, type: float}]}"),
        ("model", "{model: a, owner: b, source: ../model.py}"),
        ("model", "{model: a, owner: b, golden: /golden.jsonl}"),
    ],
)
def test_refuses_what_the_loader_refuses(kind: str, text: str) -> None:
    written = yaml.safe_load(text)

    assert not accepts(kind, written)
    assert not VALIDATORS[kind].is_valid(written)


@pytest.mark.parametrize(
    "check",
    [
        "smok",
        "latency",
        "{latency: }",
        "{latency: {}}",
        "{latency: {p99_ms: fast}}",
        "{smoke: {}, contract: {}}",
        "{smoke: {records: 0}}",
        "{smoke: {name: My check}}",
        "performance",
        "{performance: {dataset: a}}",
        "{performance: {dataset: a, roc: {min: 0}}}",
        "{performance: {dataset: a, f1: {min: 2}}}",
        "{performance: {dataset: a, f1: {max: 1}}}",
        "{performance: {dataset: a, mae: {min: 1}}}",
        "{performance: {dataset: a, metrics: {x: {}}}}",
        "{performance: {dataset: a, vs_champion: {f1: {max_delta: 1}}}}",
    ],
)
def test_refuses_checks_that_the_loader_refuses(check: str) -> None:
    written = {"lifecycle": "fast", "stages": [{"name": "DEV", "checks": [yaml.safe_load(check)]}]}

    assert not accepts("lifecycle", written)
    assert not VALIDATORS["lifecycle"].is_valid(written)


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_every_key_is_described(kind: str) -> None:
    """So that editors can say what a key means while one writes it."""
    schema = schemas()[kind]
    undescribed = [
        f"{name}.{key}"
        for name, part in [(kind, schema), *schema.get("$defs", {}).items()]
        if name not in ("Check", "Limits", "Deltas")
        for key, value in part.get("properties", {}).items()
        if "description" not in value and "$ref" not in value
    ]

    assert undescribed == []
