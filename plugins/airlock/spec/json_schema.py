"""JSON Schema of every kind of file, for editors that complete and check while one writes.

A schema accepts whatever the loader accepts. It cannot see what takes more than one value to tell (``min`` is
above ``max``, two stages have one name): the loader alone refuses that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

import pydantic

from airlock.spec.base import Spec
from airlock.spec.checks import Check, Contract, Latency, Performance, Smoke
from airlock.spec.guards import (
    AnswersGuard,
    ErrorRateGuard,
    Guard,
    LatencyGuard,
    MetricGuard,
    ScoreDistributionGuard,
)
from airlock.spec.kinded import Kinded
from airlock.spec.lifecycle import Lifecycle
from airlock.spec.metrics import METRICS
from airlock.spec.model import ModelDescription
from airlock.spec.policy import Policy, Roles
from airlock.spec.rollout import BlueGreen, Canary, Direct, Rollout, Shadow
from airlock.spec.runtime import RuntimeSpec
from airlock.spec.runtime_options import OPTIONS
from airlock.spec.service import Service

Schema = dict[str, Any]

_DRAFT = "http://json-schema.org/draft-07/schema#"  # the newest that all editors understand

_MODELS: dict[str, type[Spec]] = {
    "lifecycle": Lifecycle,
    "service": Service,
    "runtime": RuntimeSpec,
    "policy": Policy,
    "roles": Roles,
    "model": ModelDescription,
}
_CHECKS: dict[str, type[Check]] = {check.kind: check for check in (Smoke, Contract, Performance, Latency)}
_GUARDS: dict[str, type[Guard]] = {
    guard.kind: guard for guard in (ErrorRateGuard, LatencyGuard, ScoreDistributionGuard, MetricGuard)
}
_GUARDS_OF_A_SHADOW: dict[str, type[Guard]] = {**_GUARDS, AnswersGuard.kind: AnswersGuard}
_ROLLOUTS: tuple[type[Rollout], ...] = (Direct, BlueGreen, Canary, Shadow)


def schemas() -> dict[str, Schema]:
    """The JSON Schema of each kind of file: lifecycle, service, runtime, policy, roles and model."""
    return {kind: _schema(kind, model) for kind, model in _MODELS.items()}


def _schema(kind: str, model: type[Spec]) -> Schema:
    schema = model.model_json_schema()
    definitions: dict[str, Schema] = schema.get("$defs", {})
    if model is Lifecycle:
        _put_checks_as_written(definitions)
        _put_rollouts_as_written(definitions)
    if model is RuntimeSpec:
        _put_options_of_each_kind(schema)
    _tidy(schema)
    return {"$schema": _DRAFT, "title": f"Airlock {kind}", **schema} | (
        {"dependencies": {"schedule": ["input", "output"]}} if model is Service else {}
    )


def _put_options_of_each_kind(schema: Schema) -> None:
    """Which options a runtime has depends on its kind."""
    definitions = schema.setdefault("$defs", {})
    for options in OPTIONS.values():
        own = options.model_json_schema()
        definitions |= own.pop("$defs", {})
        definitions[options.__name__] = own
    schema["properties"]["options"] = {"description": "What only this kind understands."}
    schema["allOf"] = [
        {
            "if": {"properties": {"kind": {"const": kind}}},
            "then": {"properties": {"options": {"$ref": f"#/$defs/{options.__name__}"}}},
        }
        for kind, options in OPTIONS.items()
    ]


def _put_checks_as_written(definitions: dict[str, Schema]) -> None:
    """Replace the list of check models by the forms that people write: ``smoke`` or ``{latency: {…}}``."""
    definitions["Check"] = _one_of_kinds(_CHECKS, definitions)
    definitions["Stage"]["properties"]["checks"]["items"] = {"$ref": "#/$defs/Check"}
    definitions["Latency"]["anyOf"] = [{"required": [limit]} for limit in ("p50_ms", "p95_ms", "p99_ms")]
    _limit_performance(definitions)


def _put_rollouts_as_written(definitions: dict[str, Schema]) -> None:
    """A rollout is its strategy, or a mapping with it; a guard is its kind, or one kind with options."""
    definitions["Guard"] = _one_of_kinds(_GUARDS, definitions)
    definitions["GuardOfAShadow"] = _one_of_kinds(_GUARDS_OF_A_SHADOW, definitions)
    definitions["MetricGuard"]["anyOf"] = [
        {"required": [limit]} for limit in ("max", "max_increase", "max_ratio")
    ]
    for rollout in _ROLLOUTS:
        written = definitions[rollout.__name__]
        written["required"] = ["strategy"]
        del written["properties"]["strategy"]["default"]  # it is how a rollout is known
        if "guard" in written["properties"]:
            guard = "GuardOfAShadow" if rollout is Shadow else "Guard"
            written["properties"]["guard"]["items"] = {"$ref": f"#/$defs/{guard}"}
    definitions["Rollout"] = {
        "anyOf": [
            {"enum": [rollout.kind for rollout in _ROLLOUTS]},
            *({"$ref": f"#/$defs/{rollout.__name__}"} for rollout in _ROLLOUTS),
        ]
    }
    of_stage = definitions["Stage"]["properties"]["rollout"]
    of_stage["anyOf"] = [{"$ref": "#/$defs/Rollout"}, {"type": "null"}]


def _one_of_kinds(models: Mapping[str, type[Kinded]], definitions: dict[str, Schema]) -> Schema:
    """An item of a list as people write it: its kind alone where no option is needed, or with options."""
    forms: Schema = {}
    without_options = []
    for kind, model in models.items():
        definitions[model.__name__]["properties"]["name"].pop("default", None)  # it is the kind
        forms[kind] = {"$ref": f"#/$defs/{model.__name__}"}
        if _works_without_options(model):
            forms[kind] = {"anyOf": [forms[kind], {"type": "null"}]}
            without_options.append(kind)
    one_item = {**_closed(forms), "minProperties": 1, "maxProperties": 1}
    return {"anyOf": [{"enum": without_options}, one_item]}


def _works_without_options(model: type[Kinded]) -> bool:
    try:
        model.model_validate({})
    except pydantic.ValidationError:
        return False
    return True


def _limit_performance(definitions: dict[str, Schema]) -> None:
    """Name the metrics with their possible limits, beside the options and below ``metrics``."""
    performance = definitions["Performance"]
    options = performance["properties"]
    del definitions["Limit"], definitions["Delta"]
    definitions["Limits"] = _closed({name: _limit(name) for name in METRICS})
    definitions["Deltas"] = _closed({name: _delta(name) for name in METRICS})
    options["metrics"] = {"$ref": "#/$defs/Limits"}
    options["vs_champion"] = {"$ref": "#/$defs/Deltas"}
    for name in METRICS:
        options[name] = {"$ref": f"#/$defs/Limits/properties/{name}"}
    performance["anyOf"] = [{"required": [key]} for key in ("metrics", "vs_champion", *METRICS)]


def _limit(name: str) -> Schema:
    needed, other = ("min", "max") if METRICS[name].higher_is_better else ("max", "min")
    least, greatest = METRICS[name].range
    number: Schema = {"type": "number"}
    if isfinite(least):
        number["minimum"] = least
    if isfinite(greatest):
        number["maximum"] = greatest
    limit = _closed({needed: number, other: number | {"type": ["number", "null"]}})
    return {**limit, "required": [needed], "description": f"{_better(name)}; needs {needed}."}


def _delta(name: str) -> Schema:
    needed, other = (
        ("min_delta", "max_delta") if METRICS[name].higher_is_better else ("max_delta", "min_delta")
    )
    least, greatest = METRICS[name].range
    number: Schema = {"type": "number"}
    if isfinite(greatest - least):
        number |= {"minimum": least - greatest, "maximum": greatest - least}
    delta = _closed({needed: number, other: {"type": "null"}})
    return {**delta, "required": [needed], "description": f"{_better(name)}; needs {needed}."}


def _better(name: str) -> str:
    way = "higher" if METRICS[name].higher_is_better else "lower"
    return f"A metric of {METRICS[name].task}, {way} is better"


def _closed(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _tidy(schema: Any) -> None:
    """Drop what pydantic adds for itself, close mappings of named things, describe in Markdown."""
    if isinstance(schema, list):
        for item in schema:
            _tidy(item)
    if not isinstance(schema, dict):
        return
    if isinstance(schema.get("title"), str):
        del schema["title"]
    if isinstance(schema.get("description"), str):
        text = re.sub(r"(?<!\n)\n(?!\n)", " ", schema["description"])
        schema["description"] = text.replace("``", "`")
    if "patternProperties" in schema:
        schema["additionalProperties"] = False
    for value in schema.values():
        _tidy(value)
