"""The Open Inference Protocol, version 2."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from host.building import GOOD, INPUTS, MEAN, NUMBERS

INFER = "/v2/models/loans/infer"
DATATYPES = {"number": "FP64", "integer": "INT64", "string": "BYTES", "boolean": "BOOL", "timestamp": "BYTES"}
POOR = {**GOOD, "income": 0.0, "debt": 1e5}
RECORDS = (GOOD, POOR)


def tensors(records: Sequence[Mapping[str, Any]] = RECORDS) -> list[dict[str, Any]]:
    return [
        {
            "name": entry["name"],
            "shape": [len(records)],
            "datatype": DATATYPES[entry["type"]],
            "data": [record[entry["name"]] for record in records],
        }
        for entry in INPUTS
    ]


def binary(header: dict[str, Any], *blobs: bytes) -> dict[str, Any]:
    """The body and headers of a request with binary tensors."""
    text = json.dumps(header).encode()
    return {
        "content": b"".join([text, *blobs]),
        "headers": {
            "content-type": "application/octet-stream",
            "inference-header-content-length": str(len(text)),
        },
    }


def strings(*values: str) -> bytes:
    encoded = [value.encode() for value in values]
    return b"".join(len(value).to_bytes(4, "little") + value for value in encoded)


@pytest.fixture
def means(serving: Callable[..., TestClient]) -> TestClient:
    return serving("def score(rows):\n    return rows.mean(axis=1)\n", inputs=NUMBERS, outputs=MEAN)


def test_the_server_says_what_it_can(loans: TestClient) -> None:
    assert loans.get("/v2").json()["extensions"] == ["binary_tensor_data"]


@pytest.mark.parametrize("path", ["/v2/models/loans", "/v2/models/loans/versions/3"])
def test_the_model_says_what_it_takes(loans: TestClient, path: str) -> None:
    described = loans.get(path).json()
    assert (described["name"], described["platform"], described["versions"]) == (
        "loans",
        "python",
        ["3", "sha256:abc"],
    )
    assert {"name": "age", "datatype": "INT64", "shape": [-1]} in described["inputs"]
    assert described["outputs"][1] == {"name": "decision", "datatype": "BYTES", "shape": [-1]}
    assert described["parameters"]["snapshot"] == "loans@3"


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/other",
        "/v2/models/other/ready",
        "/v2/models/loans/versions/2",
        "/v2/models/loans/versions/2/ready",
    ],
)
def test_an_unknown_model_is_404(loans: TestClient, path: str) -> None:
    answer = loans.get(path)
    assert (answer.status_code, answer.json()["reason"]) == (404, "unknown_model")
    assert "'loans'" in answer.json()["error"]


def test_an_unknown_model_is_not_asked_to_infer(loans: TestClient) -> None:
    assert loans.post("/v2/models/other/infer", json={"inputs": tensors()}).status_code == 404


@pytest.mark.parametrize("path", [INFER, "/v2/models/loans/versions/3/infer"])
def test_a_tensor_a_field(loans: TestClient, path: str) -> None:
    answer = loans.post(path, json={"id": "42", "inputs": tensors()})
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert (content["id"], content["model_name"], content["model_version"]) == ("42", "loans", "3")
    score, decision = content["outputs"]
    assert (score["name"], score["datatype"], score["shape"]) == ("score", "FP64", [2])
    assert decision["data"] == ["yes", "no"]


def test_columns_of_one_value_and_other_widths_of_number(loans: TestClient) -> None:
    inputs = tensors()
    for tensor in inputs:
        tensor["shape"] = [2, 1]
        tensor["data"] = [[value] for value in tensor["data"]]
        tensor["datatype"] = {"FP64": "FP32", "INT64": "UINT8"}.get(tensor["datatype"], tensor["datatype"])
    assert loans.post(INFER, json={"inputs": inputs}).json()["outputs"][1]["data"] == ["yes", "no"]


def test_one_matrix_of_all_fields(means: TestClient) -> None:
    matrix = np.arange(40.0).reshape(2, 20)
    for data in (matrix.tolist(), matrix.ravel().tolist()):
        tensor = {"name": "rows", "shape": [2, 20], "datatype": "FP64", "data": data}
        assert means.post(INFER, json={"inputs": [tensor]}).json()["outputs"][0]["data"] == [9.5, 29.5]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "u1", "i8"])
def test_a_binary_matrix_in_and_a_binary_tensor_out(means: TestClient, dtype: str) -> None:
    matrix = np.arange(40).reshape(2, 20).astype(dtype)
    names = {"f2": "FP16", "f4": "FP32", "f8": "FP64", "u1": "UINT8", "i8": "INT64"}
    tensor = {
        "name": "rows",
        "shape": [2, 20],
        "datatype": names[dtype],
        "parameters": {"binary_data_size": matrix.nbytes},
    }
    header = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    answer = means.post(INFER, **binary(header, matrix.tobytes()))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    length = int(answer.headers["inference-header-content-length"])
    [output] = json.loads(answer.content[:length])["outputs"]
    assert output == {
        "name": "mean",
        "shape": [2],
        "datatype": "FP64",
        "parameters": {"binary_data_size": 16},
    }
    assert np.frombuffer(answer.content[length:]).tolist() == [9.5, 29.5]


def test_binary_and_json_tensors_in_one_request(loans: TestClient) -> None:
    """Numbers, truths and strings as binary, and the rest as JSON; one output of each kind."""
    inputs, blobs = tensors(), []
    as_bytes = {
        "income": np.array([3000.0, 0.0]).tobytes(),
        "age": np.array([40, 40], dtype="i2").tobytes(),
        "purpose": strings("car", "house"),
        "owner": np.array([True, False]).tobytes(),
        "debt": np.array([np.nan, 1e5]).tobytes(),
    }
    for tensor in inputs:
        if tensor["name"] in as_bytes:
            del tensor["data"]
            tensor["parameters"] = {"binary_data_size": len(as_bytes[tensor["name"]])}
            blobs.append(as_bytes[tensor["name"]])
        if tensor["name"] == "age":
            tensor["datatype"] = "INT16"
    outputs = [{"name": "decision", "parameters": {"binary_data": True}}, {"name": "score"}]
    answer = loans.post(INFER, **binary({"inputs": inputs, "outputs": outputs}, *blobs))
    assert answer.status_code == 200, answer.text
    length = int(answer.headers["inference-header-content-length"])
    decision, score = json.loads(answer.content[:length])["outputs"]
    assert answer.content[length:] == strings("yes", "no")
    assert decision["parameters"]["binary_data_size"] == len(strings("yes", "no"))
    assert score["data"][0] > 0.5 > score["data"][1]


def test_only_the_outputs_that_are_asked_for(loans: TestClient) -> None:
    answer = loans.post(INFER, json={"inputs": tensors(), "outputs": [{"name": "decision"}]})
    assert [output["name"] for output in answer.json()["outputs"]] == ["decision"]
    wrong = loans.post(INFER, json={"inputs": tensors(), "outputs": [{"name": "other"}]})
    assert (wrong.status_code, wrong.json()["error"]) == (400, "output 'other' is not one of score, decision")


@pytest.mark.parametrize(
    ("field", "data", "problem"),
    [
        ("age", [40, 3], "record 1: field 'age' is 3"),
        ("age", [40, "x"], "record 1: field 'age' is the string \"x\""),
        ("income", [None, 1], "record 0: field 'income' is null"),
        ("purpose", ["car", "boat"], "record 1: field 'purpose' is 'boat'"),
    ],
)
def test_a_bad_value_is_422(loans: TestClient, field: str, data: list[Any], problem: str) -> None:
    inputs = tensors()
    for tensor in inputs:
        if tensor["name"] == field:
            tensor["data"] = data
    answer = loans.post(INFER, json={"inputs": inputs})
    assert (answer.status_code, answer.json()["reason"]) == (422, "bad_record")
    assert answer.json()["error"].startswith(problem)


@pytest.mark.parametrize(
    ("value", "problem"), [(np.nan, "is null"), (np.inf, "is inf"), (-np.inf, "is -inf")]
)
def test_a_bad_binary_value_is_422(means: TestClient, value: float, problem: str) -> None:
    matrix = np.ones((3, 20))
    matrix[2, 5] = value
    tensor = {
        "name": "rows",
        "shape": [3, 20],
        "datatype": "FP64",
        "parameters": {"binary_data_size": matrix.nbytes},
    }
    answer = means.post(INFER, **binary({"inputs": [tensor]}, matrix.tobytes()))
    assert answer.status_code == 422
    assert answer.json()["problems"] == [
        {"record": 2, "field": "x05", "problem": problem, "expected": "a finite number"}
    ]


def with_binary(loans: TestClient, field: str, datatype: str, blob: bytes) -> Any:
    """Ask with one field as a binary tensor."""
    inputs = tensors()
    for tensor in inputs:
        if tensor["name"] == field:
            del tensor["data"]
            tensor["datatype"] = datatype
            tensor["parameters"] = {"binary_data_size": len(blob)}
    return loans.post(INFER, **binary({"inputs": inputs}, blob))


@pytest.mark.parametrize(
    ("field", "datatype", "blob", "problem"),
    [
        ("age", "FP64", np.array([40.0, 41.0]).tobytes(), "is a tensor of FP64"),
        ("age", "UINT64", np.array([40, 2**63], dtype="u8").tobytes(), "is 9223372036854775808"),
        ("owner", "INT8", b"\x01\x00", "is a tensor of INT8"),
        ("purpose", "INT8", b"\x01\x00", "is a tensor of INT8"),
        ("income", "BYTES", strings("1", "2"), 'is the string "1"'),
        ("applied", "BYTES", strings("2026-01-01", "never"), 'is the string "never"'),
    ],
)
def test_a_binary_tensor_of_another_type_is_422(
    loans: TestClient, field: str, datatype: str, blob: bytes, problem: str
) -> None:
    answer = with_binary(loans, field, datatype, blob)
    assert answer.status_code == 422, answer.text
    assert problem in answer.json()["error"]
    assert answer.json()["problems"][0]["field"] == field


@pytest.mark.parametrize(
    ("blob", "reason"),
    [
        (b"\x01", "a string ends past its bytes"),
        (strings("car"), "holds 2 strings, 1 came"),
        (b"\x05\x00\x00\x00ab", "a string ends past its bytes"),
        (strings("car")[:-1] + b"\xff" + strings("car"), "not UTF-8"),
    ],
)
def test_broken_binary_strings_are_400(loans: TestClient, blob: bytes, reason: str) -> None:
    answer = with_binary(loans, "purpose", "BYTES", blob)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]


def changed(**changes: Any) -> dict[str, Any]:
    """A request whose tensor for the age is changed."""
    return {"inputs": [{**tensor, **(changes if tensor["name"] == "age" else {})} for tensor in tensors()]}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ([], "an object with 'inputs'"),
        ({}, "an object with 'inputs'"),
        ({"inputs": []}, "an object with 'inputs'"),
        ({"inputs": [1]}, "each of 'inputs' must be an object with a 'name'"),
        (changed(shape="2"), "'shape' must be a list of sizes"),
        (changed(shape=[-1]), "'shape' must be a list of sizes"),
        (changed(datatype="FP8"), "datatype 'FP8' is not one of BOOL, "),
        (changed(data=None), "'data' must be a list"),
        (changed(data=[1, 2, 3]), "shape [2] holds 2 values, 'data' has 3"),
        (changed(shape=[2, 2], data=[[1, 2], 3]), "mixes lists and values"),
        (changed(shape=[2, 2], data=[1, 2, 3, 4]), "shape [2, 2] has several values a row"),
        (changed(shape=[1], data=[40]), "all tensors must have as many rows"),
        ({"inputs": tensors() + tensors()}, "two tensors have the same name"),
        (changed(parameters={"binary_data_size": 16}), "only 0 bytes are left"),
        (changed(parameters={"binary_data_size": "a"}), "must be a size in bytes"),
    ],
)
def test_tensors_that_do_not_fit_are_400(loans: TestClient, body: Any, reason: str) -> None:
    answer = loans.post(INFER, json=body)
    assert answer.status_code == 400, answer.text
    assert reason in answer.json()["error"]


def test_missing_and_unknown_tensors_are_named(loans: TestClient) -> None:
    answer = loans.post(INFER, json=changed(name="years"))
    assert answer.status_code == 422
    assert [(one["field"], one["problem"]) for one in answer.json()["problems"]] == [
        ("age", "has no tensor"),
        ("years", "is not a field of this model"),
    ]


@pytest.mark.parametrize(
    ("length", "reason"),
    [("abc", "must be the length of the JSON"), ("99999", "must be the length of the JSON")],
)
def test_a_wrong_header_length_is_400(loans: TestClient, length: str, reason: str) -> None:
    request = binary({"inputs": tensors()})
    request["headers"]["inference-header-content-length"] = length
    answer = loans.post(INFER, **request)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]


def test_bytes_that_no_tensor_claims_are_400(loans: TestClient) -> None:
    answer = loans.post(INFER, **binary({"inputs": tensors()}, b"1234"))
    assert answer.status_code == 400
    assert "4 bytes follow the JSON" in answer.json()["error"]


def test_a_binary_tensor_of_another_size_is_400(means: TestClient) -> None:
    tensor = {"name": "rows", "shape": [2, 20], "datatype": "FP64", "parameters": {"binary_data_size": 8}}
    answer = means.post(INFER, **binary({"inputs": [tensor]}, b"12345678"))
    assert answer.status_code == 400
    assert "takes 320 bytes, binary_data_size is 8" in answer.json()["error"]


def test_octets_without_the_header_are_415(loans: TestClient) -> None:
    answer = loans.post(INFER, content=b"{}", headers={"content-type": "application/octet-stream"})
    assert answer.status_code == 415


def test_null_answers(serving: Callable[..., TestClient]) -> None:
    """JSON says null; an INT64 cannot."""
    client = serving(
        "def score(rows):\n    return {'n': [None], 'x': [None]}\n",
        outputs=(
            {"name": "n", "type": "integer", "nullable": True},
            {"name": "x", "type": "number", "nullable": True},
        ),
    )
    body = {"inputs": tensors([GOOD])}
    assert [output["data"] for output in client.post(INFER, json=body).json()["outputs"]] == [[None], [None]]
    answer = client.post(INFER, json={**body, "parameters": {"binary_data_output": True}})
    assert (answer.status_code, answer.json()["reason"]) == (422, "null_output")
