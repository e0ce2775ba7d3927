"""The OpenAPI document of a served model, made from its schemas."""

from __future__ import annotations

from typing import Any

from airlock_host import __version__
from airlock_host.schema import Field, Schema
from airlock_host.snapshot import Deployment, Snapshot

_TYPES: dict[str, dict[str, Any]] = {
    "number": {"type": "number"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "string": {"type": "string"},
    "timestamp": {"type": "string", "format": "date-time"},
}

_ERRORS = {
    "400": "The body cannot be read: broken JSON or CSV, or not of the protocol's shape.",
    "413": "The body is larger than allowed.",
    "415": "The content type is not read here.",
    "422": "A record breaks the input schema; `problems` names record and field.",
    "500": "The model failed, or its answer breaks its output schema.",
    "503": "The model is still loading.",
}


def describe(snapshot: Snapshot, deployment: Deployment) -> dict[str, Any]:
    """The document for the given snapshot."""
    model = f"/v2/models/{snapshot.model}"
    record, answer = {"$ref": "#/components/schemas/Record"}, {"$ref": "#/components/schemas/Answer"}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{deployment.service or snapshot.model}",
            "version": deployment.snapshot or __version__,
            "description": f"Model {snapshot.model} {deployment.digest}".strip(),
        },
        "paths": {
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
                        "text/csv": {"type": "string"},
                        "application/jsonlines": {"type": "string"},
                    },
                    {
                        "application/json": {
                            "type": "object",
                            "required": ["predictions"],
                            "properties": {"predictions": {"type": "array"}},
                        },
                        "text/csv": {"type": "string"},
                        "application/jsonlines": {"type": "string"},
                    },
                )
            },
            f"{model}/infer": {
                "post": _scoring(
                    "Score, by the Open Inference Protocol",
                    {
                        "application/json": {"$ref": "#/components/schemas/InferenceRequest"},
                        "application/octet-stream": {"type": "string", "format": "binary"},
                    },
                    {
                        "application/json": {"$ref": "#/components/schemas/InferenceResponse"},
                        "application/octet-stream": {"type": "string", "format": "binary"},
                    },
                )
            },
            "/v2": {"get": _plain("The server and the protocol's extensions it knows")},
            model: {"get": _plain("The model's inputs and outputs")},
            f"{model}/ready": {"get": _plain("Whether the model is ready", not_ready=True)},
            "/v2/health/live": {"get": _plain("Whether the server runs")},
            "/v2/health/ready": {"get": _plain("Whether the model is ready", not_ready=True)},
            "/ping": {"get": _plain("Whether the model is ready, as SageMaker asks", not_ready=True)},
            "/metrics": {"get": _plain("Measurements, as Prometheus reads them", media_type="text/plain")},
        },
        "components": {
            "schemas": {
                "Record": _record(snapshot.inputs),
                "Answer": _record(snapshot.outputs),
                "Invocation": _invocation(record),
                "InferenceRequest": _inference("inputs", snapshot.inputs),
                "InferenceResponse": _inference("outputs", snapshot.outputs),
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
                    "properties": {
                        "record": {"type": "integer", "description": "Position in the request, from 0."},
                        "field": {"type": ["string", "null"]},
                        "problem": {"type": "string"},
                        "expected": {"type": "string"},
                    },
                },
            }
        },
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
        described["enum"] = [*field.values, *([None] if field.nullable else [])]
    return described


def _one_or_list(schema: dict[str, Any]) -> dict[str, Any]:
    return {"oneOf": [schema, {"type": "array", "items": schema}]}


def _invocation(record: dict[str, Any]) -> dict[str, Any]:
    rows: dict[str, Any] = {"type": "array", "items": {"anyOf": [record, {"type": "array"}]}}
    split = {
        "type": "object",
        "required": ["data"],
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}},
            "data": {"type": "array", "items": {"type": "array"}},
        },
    }
    return {
        "type": "object",
        "properties": {
            "dataframe_split": split,
            "dataframe_records": {"type": "array", "items": record},
            "instances": rows,
            "inputs": {"anyOf": [rows, {"type": "object"}]},
        },
        "minProperties": 1,
        "maxProperties": 1,
    }


def _inference(tensors: str, schema: Schema) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [tensors],
        "properties": {
            "id": {"type": "string"},
            "parameters": {"type": "object"},
            tensors: {
                "type": "array",
                "description": "One a field: " + ", ".join(schema.names),
                "items": {
                    "type": "object",
                    "required": ["name", "shape", "datatype"],
                    "properties": {
                        "name": {"type": "string"},
                        "shape": {"type": "array", "items": {"type": "integer"}},
                        "datatype": {"type": "string"},
                        "parameters": {"type": "object"},
                        "data": {"type": "array"},
                    },
                },
            },
        },
    }


def _scoring(summary: str, request: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": _content(request)},
        "responses": {
            "200": {"description": "The model's answer.", "content": _content(response)},
            **{status: {"description": words, "content": error} for status, words in _ERRORS.items()},
        },
    }


def _content(schemas: dict[str, Any]) -> dict[str, Any]:
    return {media_type: {"schema": schema} for media_type, schema in schemas.items()}


def _plain(summary: str, *, not_ready: bool = False, media_type: str = "application/json") -> dict[str, Any]:
    responses: dict[str, Any] = {"200": {"description": summary, "content": {media_type: {}}}}
    if not_ready:
        responses["503"] = {"description": _ERRORS["503"]}
    return {"summary": summary, "responses": responses}
