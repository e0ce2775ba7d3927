"""The OpenAPI document of a served model, made from its schemas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airlock_host import __version__
from airlock_host.schema import Field, Schema
from airlock_host.serving.v2 import DATATYPES
from airlock_host.snapshot import Deployment, Snapshot
from airlock_host.times import PATTERN

ANSWERS_PATH = "/airlock/answers"

_TYPES: dict[str, dict[str, Any]] = {
    "number": {"type": "number"},
    "integer": {"type": "integer", "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1},
    "boolean": {"type": "boolean"},
    "string": {"type": "string"},
    "timestamp": {"type": "string", "pattern": PATTERN, "examples": ["2026-03-31T12:00:00Z"]},
}

_ERRORS = {
    "400": "The request cannot be read: it is not HTTP, not JSON or CSV, or not of the protocol's shape.",
    "404": "There is nothing at this path.",
    "408": "Head or body of the request did not come in time.",
    "413": "The body is larger than allowed.",
    "415": "The content type is not read here.",
    "422": "A record breaks the input schema; `problems` names record and field.",
    "431": "The request's line and headers are larger than allowed.",
    "500": "The model failed, or its answer breaks its output schema.",
    "503": "The model is still loading, or all connections are at work.",
}
_OF_ALL = ("400", "408", "431", "500", "503")
_OF_SCORING = (*_OF_ALL, "413", "415", "422")

_TEXT = {"type": "string"}
_BYTES = {"type": "string", "format": "binary"}
_ERROR = {"$ref": "#/components/schemas/Error"}
_REQUEST_ID = {
    "name": "X-Request-Id",
    "in": "header",
    "schema": {"type": "string"},
    "description": "Up to 200 visible ASCII characters; comes back with the answer.",
}


def describe(snapshot: Snapshot, deployment: Deployment, *, records_answers: bool = False) -> dict[str, Any]:
    """The document for the given snapshot."""
    model = f"/v2/models/{snapshot.model}"
    record, answer = {"$ref": "#/components/schemas/Record"}, {"$ref": "#/components/schemas/Answer"}
    paths = {
        "/score": {
            "post": _scoring(
                "Score a record, or a list of records",
                {"application/json": _one_or_list(record)},
                {"application/json": _one_or_list(answer)},
            )
        },
        "/invocations": {
            "post": _scoring(
                "Score, as MLflow's server and SageMaker containers do",
                {
                    "application/json": {"$ref": "#/components/schemas/Invocation"},
                    "text/csv": _TEXT,
                    "application/jsonlines": _TEXT,
                },
                {
                    "application/json": _predictions(snapshot.outputs),
                    "text/csv": _TEXT,
                    "application/jsonlines": _TEXT,
                },
            )
        },
        f"{model}/infer": {
            "post": _scoring(
                "Score, by the Open Inference Protocol",
                {
                    "application/json": {"$ref": "#/components/schemas/InferenceRequest"},
                    "application/octet-stream": _BYTES,
                },
                {
                    "application/json": {"$ref": "#/components/schemas/InferenceResponse"},
                    "application/octet-stream": _BYTES,
                },
                [
                    {
                        "name": "Inference-Header-Content-Length",
                        "in": "header",
                        "schema": {"type": "string", "pattern": "^[0-9]{1,20}$"},
                        "description": "Where binary tensors follow the JSON: its length in bytes.",
                    }
                ],
            )
        },
        "/v2": {"get": _plain("The server and the protocol's extensions it knows")},
        model: {"get": _plain("The model's inputs and outputs")},
        f"{model}/ready": {"get": _state("Whether the model is ready", "ready")},
        "/v2/health/live": {"get": _state("Whether the server runs", "live")},
        "/v2/health/ready": {"get": _state("Whether the model is ready", "ready")},
        "/ping": {"get": _state("Whether the model is ready, as SageMaker asks", "status")},
        "/metrics": {
            "get": _plain(
                "Measurements, as Prometheus reads them", {"text/plain": {"schema": {"type": "string"}}}
            )
        },
    }
    schemas = {
        "Record": _record(snapshot.inputs),
        "Answer": _record(snapshot.outputs),
        "Invocation": _invocation(snapshot.inputs, record),
        "InferenceRequest": _inference_request(snapshot.inputs, snapshot.outputs),
        "InferenceResponse": _inference_response(snapshot.outputs),
        "Error": {
            "type": "object",
            "required": ["error", "reason"],
            "properties": {
                "error": {"type": "string", "description": "What is wrong, in words."},
                "reason": {"type": "string", "description": "The same in one word."},
                "problems": {"type": "array", "items": {"$ref": "#/components/schemas/Problem"}},
            },
        },
        "Problem": {
            "type": "object",
            "required": ["record", "field", "problem", "expected"],
            "properties": {
                "record": {"type": "integer", "description": "Position in the request, from 0."},
                "field": {"type": ["string", "null"]},
                "problem": {"type": "string"},
                "expected": {"type": "string"},
            },
        },
    }
    if records_answers:
        paths[ANSWERS_PATH] = {"get": _answers_page()}
        schemas["RecordedAnswers"] = _recorded_answers(snapshot.outputs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{deployment.service or snapshot.model}",
            "version": deployment.snapshot or __version__,
            "description": f"Model {snapshot.model} {deployment.digest}".strip(),
        },
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _record(schema: Schema) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [field.name for field in schema if not field.nullable],
        "properties": {field.name: _value(field) for field in schema},
    }


def _value(field: Field) -> dict[str, Any]:
    described = dict(_TYPES[field.type])
    if field.nullable:
        described["type"] = [described["type"], "null"]
    if field.minimum is not None:
        described["minimum"] = field.minimum
    if field.maximum is not None:
        described["maximum"] = field.maximum
    if field.values is not None:
        values = [*field.values, *([None] if field.nullable else [])]
        return {"type": described["type"], "enum": values}
    return described


def _list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _one_or_list(schema: dict[str, Any]) -> dict[str, Any]:
    return {"oneOf": [schema, _list_of(schema)]}


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(properties) if required is None else required,
        "properties": properties,
    }


def _row(schema: Schema) -> dict[str, Any]:
    """A list with a value for each field, in the schema's order."""
    return {
        "type": "array",
        "prefixItems": [_value(field) for field in schema],
        "minItems": len(schema),
        "maxItems": len(schema),
    }


def _predictions(outputs: Schema) -> dict[str, Any]:
    one = _value(outputs.fields[0]) if len(outputs) == 1 else {"$ref": "#/components/schemas/Answer"}
    return _object({"predictions": _list_of(one)})


def _invocation(inputs: Schema, record: dict[str, Any]) -> dict[str, Any]:
    rows = {"anyOf": [_list_of(record), _list_of(_row(inputs))]}
    by_name = {
        "type": "object",
        "additionalProperties": False,
        "required": [field.name for field in inputs if not field.nullable],
        "properties": {field.name: _list_of(_value(field)) for field in inputs},
        "description": "A list for each field, all of one length.",
    }
    split = _object(
        {
            "columns": {
                "const": list(inputs.names),
                "description": "In any order; without it the fields are in this one.",
            },
            "data": _list_of(_row(inputs)),
        },
        ["data"],
    )
    nothing = {"type": ["object", "null"], "maxProperties": 0}
    shapes = {
        "dataframe_split": split,
        "dataframe_records": _list_of(record),
        "instances": rows,
        "inputs": {"anyOf": [rows, by_name]},
    }
    return {
        "oneOf": [
            {
                "type": "object",
                "additionalProperties": False,
                "required": [name],
                "properties": {name: shape, "params": nothing},
            }
            for name, shape in shapes.items()
        ]
    }


def _inference_request(inputs: Schema, outputs: Schema) -> dict[str, Any]:
    shape = {
        "type": "array",
        "items": {"type": "integer", "minimum": 0},
        "minItems": 1,
        "maxItems": 2,
        "description": "[rows] or [rows, 1]",
    }
    tensors = [
        _object(
            {
                "name": {"const": field.name},
                "shape": shape,
                "datatype": {"enum": DATATYPES},
                "data": _list_of(_value(field)),
            }
        )
        for field in inputs
    ]
    flag = {"type": "boolean"}
    wanted = _object(
        {"name": {"enum": list(outputs.names)}, "parameters": _object({"binary_data": flag}, [])}, ["name"]
    )
    return _object(
        {
            "id": {"type": "string"},
            "parameters": _object({"binary_data_output": flag}, []),
            "inputs": {
                "type": "array",
                "description": "One tensor a field, in any order; or one of shape [rows, fields] with all.",
                "prefixItems": tensors,
                "minItems": len(tensors),
                "maxItems": len(tensors),
            },
            "outputs": {**_list_of(wanted), "description": "Each once; without it all are answered."},
        },
        ["inputs"],
    )


def _inference_response(outputs: Schema) -> dict[str, Any]:
    tensor = _object(
        {
            "name": {"enum": list(outputs.names)},
            "shape": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 1},
            "datatype": {"enum": DATATYPES},
            "data": {"type": "array"},
            "parameters": {"type": "object"},
        },
        ["name", "shape", "datatype"],
    )
    return _object(
        {"model_name": _TEXT, "model_version": _TEXT, "id": _TEXT, "outputs": _list_of(tensor)},
        ["model_name", "outputs"],
    )


def _recorded_answers(outputs: Schema) -> dict[str, Any]:
    columns = {field.name: _list_of(_value(field)) for field in outputs}
    number = {"type": "integer", "minimum": 0}
    answer = _object(
        {
            "sequence": number,
            "id": _TEXT,
            "endpoint": _TEXT,
            "status": number,
            "rows": number,
            "columns": {"anyOf": [_object(columns), {"type": "null"}]},
        }
    )
    return _object(
        {"started": {"type": "number"}, "answers": _list_of(answer), "next": number, "lost": number}
    )


def _answers_page() -> dict[str, Any]:
    def number(name: str, least: int, most: int, default: int) -> dict[str, Any]:
        schema = {"type": "integer", "minimum": least, "maximum": most, "default": default}
        return {"name": name, "in": "query", "schema": schema}

    page = {"application/json": {"schema": {"$ref": "#/components/schemas/RecordedAnswers"}}}
    described = _plain("Answers to the last requests that had an X-Request-Id", page)
    return described | {"parameters": [number("after", 0, 2**53, 0), number("limit", 1, 10_000, 1000)]}


def _scoring(
    summary: str,
    request: dict[str, Any],
    response: dict[str, Any],
    parameters: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    return {
        "summary": summary,
        "parameters": [_REQUEST_ID, *parameters],
        "requestBody": {"required": True, "content": _content(request)},
        "responses": {
            "200": {"description": "The model's answer.", "content": _content(response)},
            **_errors(_OF_SCORING),
        },
    }


def _content(schemas: dict[str, Any]) -> dict[str, Any]:
    return {media_type: {"schema": schema} for media_type, schema in schemas.items()}


def _errors(statuses: Sequence[str]) -> dict[str, Any]:
    content = _content({"application/json": _ERROR})
    return {status: {"description": _ERRORS[status], "content": content} for status in statuses}


def _plain(summary: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
    content = content or _content({"application/json": {"type": "object"}})
    return {
        "summary": summary,
        "responses": {"200": {"description": summary, "content": content}, **_errors(_OF_ALL)},
    }


def _state(summary: str, name: str) -> dict[str, Any]:
    content = _content({"application/json": _object({name: {"type": "boolean"}})})
    described = _plain(summary, content)
    not_yet = _content({"application/json": {"anyOf": [_object({name: {"const": False}}), _ERROR]}})
    described["responses"]["503"] = {"description": _ERRORS["503"], "content": not_yet}
    return described
