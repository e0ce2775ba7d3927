"""Whether the server does what it publishes: schemathesis makes good and bad requests from the document."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode

from airlock_host.schema import Schema
from airlock_host.serving.openapi import describe
from airlock_host.snapshot import Deployment, Snapshot
from host.building import GOOD, INPUTS, LOANS, MEANS, OUTPUTS, Entries, build_snapshot
from host.serving.live import LiveHost

Test = Callable[..., None]

OCTETS = "application/octet-stream"
HTTP = httpx.Client(timeout=60)

# JSON of every shape, with the names that mean something here and there.
names = st.sampled_from(
    ["inputs", "outputs", "name", "shape", "datatype", "data", "parameters", "instances", "columns", *GOOD]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6),
).map(lambda value: json.dumps(value).encode())

# A linear model of numbers, some with limits.
LINEAR: Entries = (
    {"name": "income", "type": "number", "min": 0},
    {"name": "share", "type": "number", "min": -1, "max": 1},
    {"name": "debt", "type": "number", "nullable": True},
)
SUM: Entries = ({"name": "sum", "type": "number", "nullable": True},)


@schemathesis.serializer("application/jsonlines")
def as_lines(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Text as it is; what is no text in a bad request, as JSON."""
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def document(inputs: Entries, outputs: Entries) -> dict[str, Any]:
    """What a server of a model publishes."""
    snapshot = Snapshot(Path(), "loans", "python", {}, Schema.read(inputs), Schema.read(outputs))
    return describe(snapshot, Deployment(), records_answers=True)


def requests_for(published: dict[str, Any]) -> Callable[[Test], Test]:
    """Give a test cases for each path of a document: the same ones each time, and not many."""
    generation = {"deterministic": True, "max-examples": 50, "database": "none"}
    config = schemathesis.Config.from_dict({"generation": generation})
    parametrize: Any = schemathesis.openapi.from_dict(published, config=config).parametrize()
    decorate: Callable[[Test], Test] = parametrize
    return decorate


def serving(snapshot: Path, published: dict[str, Any]) -> Iterator[str]:
    """The address of a server; in the end it is well and has seen no fault of its own."""
    host = LiveHost(snapshot, snapshot.with_name("host"), ["--record-answers", "100"], os.environ)
    url = host.ready()
    assert httpx.get(f"{url}/openapi.json").json() == json.loads(json.dumps(published))
    yield url
    assert httpx.get(f"{url}/v2/health/ready").status_code == 200
    assert "Traceback" not in host.log, host.log[host.log.find("Traceback") :]
    host.kill()


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("numbers") / "snapshot"
    build_snapshot(folder, MEANS, inputs=LINEAR, outputs=SUM)
    yield from serving(folder, document(LINEAR, SUM))


@pytest.fixture(scope="module")
def loans(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("loans") / "snapshot"
    build_snapshot(folder, LOANS)
    yield from serving(folder, document(INPUTS, OUTPUTS))


@requests_for(document(LINEAR, SUM))
def test_a_model_of_numbers(case: Case[Any], numbers: str) -> None:
    call(case, numbers, {"income": 3000.0, "share": 0.5, "debt": None})


@requests_for(document(INPUTS, OUTPUTS))
def test_a_model_of_all_types(case: Case[Any], loans: str) -> None:
    call(case, loans, GOOD)


def call(case: Case[Any], url: str, record: Mapping[str, Any]) -> None:
    """Make a request and hold the answer against the document, with all checks there are."""
    if case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE:
        fit_together(case, record)
    case.validate_response(case.call(base_url=url))


def fit_together(case: Case[Any], record: Mapping[str, Any]) -> None:
    """Make a good request what it must be beyond what a JSON schema can say."""
    case.headers.pop("Inference-Header-Content-Length", None)
    body: Any = case.body
    match case.media_type:
        case "text/csv":
            case.body = ",".join("" if value is None else str(value) for value in record.values())
        case "application/jsonlines":
            case.body = f"{json.dumps(record)}\n" * 2
        case "application/octet-stream":
            case.body = json.dumps({"inputs": tensors_of(record)}).encode()
            case.headers["Inference-Header-Content-Length"] = str(len(case.body))
        case "application/json" if case.path.endswith("/infer"):
            for tensor in body["inputs"]:
                tensor["data"] = tensor["data"][:1] or [record[tensor["name"]]]
                tensor["shape"] = [1]
            if "outputs" in body:
                body["outputs"] = list({output["name"]: output for output in body["outputs"]}.values())
        case "application/json" if isinstance(body, dict) and isinstance(body.get("inputs"), dict):
            rows = min(map(len, body["inputs"].values()))
            body["inputs"] = {name: values[:rows] for name, values in body["inputs"].items()}


def tensors_of(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A tensor a field, of one row."""
    return [
        {"name": name, "shape": [1], "datatype": "BYTES", "data": [value]} for name, value in record.items()
    ]


@settings(max_examples=300, derandomize=True, database=None)
@given(
    path=st.sampled_from(["/score", "/invocations", "/v2/models/loans/infer"]),
    kind=st.sampled_from([None, "application/json", "text/csv", "application/jsonlines", OCTETS]),
    length=st.none() | st.text("0123456789", max_size=3),
    body=st.binary(max_size=200) | anything,
)
def test_any_bytes(loans: str, path: str, kind: str | None, length: str | None, body: bytes) -> None:
    """Whatever comes is answered, and an error says what is wrong."""
    given_headers = {"content-type": kind, "inference-header-content-length": length}
    headers = {name: value for name, value in given_headers.items() if value is not None}
    answer = HTTP.post(f"{loans}{path}", content=body, headers=headers)
    assert answer.status_code in (200, 400, 415, 422)
    if answer.status_code != 200:
        assert {"error", "reason"} <= set(answer.json())
