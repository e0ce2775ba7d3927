"""The Open Inference Protocol, version 2, with its binary tensor extension.

A request has one tensor a field, of shape (rows,) or (rows, 1), or a single tensor of shape (rows, fields)
with all fields in the schema's order. An answer has one tensor of shape (rows,) an output.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from airlock_host import __version__
from airlock_host.columns import Array, Columns, null_mask, problems
from airlock_host.exceptions import ENOUGH_PROBLEMS, BadRecords, Problem
from airlock_host.json_rows import read_columns, write_column
from airlock_host.schema import Field, Schema
from airlock_host.serving.messages import JSON, Answer, Refused, Request, Score, read_json
from airlock_host.snapshot import Deployment, Snapshot

BINARY = "application/octet-stream"
HEADER_LENGTH = "inference-header-content-length"

_PLATFORMS = {"python": "python", "mlflow": "mlflow_pyfunc", "onnx": "onnxruntime_onnx"}

_DATATYPES = {
    "number": "FP64",
    "integer": "INT64",
    "boolean": "BOOL",
    "string": "BYTES",
    "timestamp": "BYTES",
}

_DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}

DATATYPES = [*_DTYPES, "BYTES"]

# Which numpy kinds a field takes from a binary tensor.
_KINDS = {"number": "fiu", "integer": "iu", "boolean": "b"}


class V2:
    """The protocol for one snapshot, known by its model's name."""

    def __init__(self, snapshot: Snapshot, deployment: Deployment) -> None:
        self._snapshot = snapshot
        self._deployment = deployment
        version = deployment.snapshot.partition("@")[2]
        self._versions = [name for name in (version, deployment.digest) if name]

    def server(self, path: Mapping[str, str]) -> dict[str, Any]:
        """``GET /v2``."""
        return {"name": "airlock-host", "version": __version__, "extensions": ["binary_tensor_data"]}

    def check_model(self, path: Mapping[str, str]) -> None:
        """Hold the model and version in a path against what is served.

        :raises Refused: 404, naming what is.
        """
        name, version = path["model"], path.get("version")
        if name != self._snapshot.model:
            raise Refused(404, "unknown_model", f"model {name!r} is not here; {self._snapshot.model!r} is")
        if version is not None and version not in self._versions:
            known = " or ".join(self._versions) or "only without a version"
            raise Refused(
                404, "unknown_model", f"model {name!r} is not here in version {version!r}; {known} is"
            )

    def metadata(self, path: Mapping[str, str]) -> dict[str, Any]:
        """``GET /v2/models/{model}``."""
        self.check_model(path)
        return {
            "name": self._snapshot.model,
            "versions": self._versions,
            "platform": _PLATFORMS[self._snapshot.format],
            "inputs": _tensors(self._snapshot.inputs),
            "outputs": _tensors(self._snapshot.outputs),
            "parameters": {
                "snapshot": self._deployment.snapshot,
                "digest": self._deployment.digest,
                "service": self._deployment.service,
                "stage": self._deployment.stage,
            },
        }

    def infer(self, request: Request, score: Score) -> Answer:
        """``POST /v2/models/{model}/infer``."""
        self.check_model(request.path)
        content, binary = _split(request)
        rows = _Inputs(self._snapshot.inputs, content, binary).rows()
        wanted = _wanted_outputs(content, self._snapshot.outputs)
        scored = score(rows)
        header: dict[str, Any] = {"model_name": self._snapshot.model, "outputs": []}
        if self._versions:
            header["model_version"] = self._versions[0]
        if "id" in content:
            header["id"] = content["id"]
        blobs = []
        for field, as_binary in wanted:
            tensor: dict[str, Any] = {
                "name": field.name,
                "shape": [scored.count],
                "datatype": _datatype(field),
            }
            if as_binary:
                blob = _to_binary(field, scored[field.name])
                tensor["parameters"] = {"binary_data_size": len(blob)}
                blobs.append(blob)
            else:
                tensor["data"] = write_column(field, scored[field.name])
            header["outputs"].append(tensor)
        body = orjson.dumps(header)
        if not blobs:
            return Answer(body, scored=scored)
        return Answer(
            b"".join([body, *blobs]), BINARY, headers={HEADER_LENGTH: str(len(body))}, scored=scored
        )


def _tensors(schema: Schema) -> list[dict[str, Any]]:
    return [{"name": field.name, "datatype": _datatype(field), "shape": [-1]} for field in schema]


def _datatype(field: Field) -> str:
    return _DATATYPES[field.type]


def _split(request: Request) -> tuple[dict[str, Any], memoryview]:
    """The JSON of a request and the bytes of its binary tensors."""
    body = memoryview(request.body)
    length = request.headers.get(HEADER_LENGTH)
    if length is None:
        if request.media_type != JSON:
            raise Refused.content_type(
                request.media_type, [JSON, f"{BINARY} with Inference-Header-Content-Length"]
            )
        head, binary = body, body[:0]
    else:
        if request.media_type not in (BINARY, JSON):
            raise Refused.content_type(request.media_type, [BINARY])
        # More digits than these are beyond what Python turns into a number.
        if not length.isdecimal() or len(length) > 20 or int(length) > len(body):
            raise Refused(
                400,
                "bad_request",
                f"Inference-Header-Content-Length is {length[:40]!r}; it must be the length of the JSON, "
                f"at most the body's {len(body)} bytes",
            )
        head, binary = body[: int(length)], body[int(length) :]
    content = read_json(bytes(head))
    if not isinstance(content, dict) or not isinstance(content.get("inputs"), list) or not content["inputs"]:
        raise Refused(400, "bad_request", "the body must be an object with 'inputs', a list of tensors")
    if not isinstance(content.get("id", ""), str):
        raise Refused(400, "bad_request", "'id' must be a string")
    return content, binary


def _parameters(entry: Mapping[str, Any], of: str) -> Mapping[str, Any]:
    """The parameters of a request, a tensor or an output, which may have none.

    :raises Refused: 400, they are no object.
    """
    parameters = entry.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise Refused(400, "bad_request", f"{of}: 'parameters' must be an object")
    return parameters


class _Inputs:
    """The tensors of one request, taken apart into rows."""

    def __init__(self, schema: Schema, content: Mapping[str, Any], binary: memoryview) -> None:
        self._schema = schema
        self._tensors = [_Tensor.read(tensor) for tensor in content["inputs"]]
        offset = 0
        for tensor in self._tensors:
            offset = tensor.take_binary(binary, offset)
        if offset != len(binary):
            raise Refused(
                400,
                "bad_request",
                f"{len(binary)} bytes follow the JSON, the tensors' binary_data_size add up to {offset}",
            )

    def rows(self) -> Columns:
        """The rows, checked.

        :raises Refused: the tensors as such do not fit together.
        :raises BadRecords: some rows break the schema.
        """
        tensors = self._by_field()
        count = tensors[self._schema.names[0]].shape[0]
        if all(isinstance(tensor.data, list) for tensor in tensors.values()):
            return read_columns({name: tensor.data for name, tensor in tensors.items()}, count, self._schema)
        for field in self._schema:
            tensors[field.name].check_datatype(field)
        # Strings and times, and what came as JSON in the same request, are read value by value.
        lists = {name: tensor.data for name, tensor in tensors.items() if isinstance(tensor.data, list)}
        if lists:
            part = Schema(field for field in self._schema if field.name in lists)
            listed = read_columns(lists, count, part)
            rows = Columns(
                self._schema,
                count,
                lambda field: listed[field.name] if field.name in lists else tensors[field.name].data,
            )
        else:
            rows = Columns(self._schema, count, lambda field: tensors[field.name].data)
        broken = problems(rows, ENOUGH_PROBLEMS)
        if broken:
            raise BadRecords(broken)
        return rows

    def _by_field(self) -> dict[str, _Tensor]:
        names = self._schema.names
        if (
            len(self._tensors) == 1
            and len(self._tensors[0].shape) == 2
            and (
                self._tensors[0].shape[1] == len(names)
                and (len(names) > 1 or self._tensors[0].name not in names)
            )
        ):
            return dict(zip(names, self._tensors[0].columns(), strict=True))
        tensors = {tensor.name: tensor for tensor in self._tensors}
        if set(tensors) != set(names) or len(tensors) != len(self._tensors):
            missing, unknown = set(names) - set(tensors), set(tensors) - set(names)
            found = [
                Problem(0, name, "has no tensor", "one tensor for each field") for name in sorted(missing)
            ]
            found += [
                Problem(0, name, "is not a field of this model", "one of " + ", ".join(names))
                for name in sorted(unknown)
            ]
            if not found:
                raise Refused(400, "bad_request", "two tensors have the same name")
            raise BadRecords(found)
        counts = {name: tensor.rows() for name, tensor in tensors.items()}
        if len(set(counts.values())) > 1:
            raise Refused(400, "bad_request", f"all tensors must have as many rows; found {counts}")
        return tensors


class _Tensor:
    """One input tensor: its data is a list of JSON values or an array, in one dimension."""

    def __init__(self, name: str, shape: Sequence[int], datatype: str, data: Any, size: int | None) -> None:
        self.name = name
        self.shape = tuple(shape)
        self.datatype = datatype
        self.data: Any = data
        self._binary_size = size

    @classmethod
    def read(cls, entry: Any) -> _Tensor:
        """Read what the JSON says of a tensor.

        :raises Refused: 400, it is not a tensor of a known datatype.
        """
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise Refused(400, "bad_request", "each of 'inputs' must be an object with a 'name'")
        name, shape, datatype = entry["name"], entry.get("shape"), entry.get("datatype")
        if not isinstance(shape, list) or not shape or any(type(n) is not int or n < 0 for n in shape):
            raise Refused(400, "bad_request", f"tensor {name!r}: 'shape' must be a list of sizes")
        if not isinstance(datatype, str) or (datatype != "BYTES" and datatype not in _DTYPES):
            known = ", ".join(DATATYPES)
            raise Refused(400, "bad_request", f"tensor {name!r}: datatype {datatype!r} is not one of {known}")
        size = _parameters(entry, f"tensor {name!r}").get("binary_data_size")
        if size is not None and (type(size) is not int or size < 0):
            raise Refused(400, "bad_request", f"tensor {name!r}: binary_data_size must be a size in bytes")
        tensor = cls(name, shape, datatype, entry.get("data"), size)
        if size is None:
            tensor._flatten()
        return tensor

    def take_binary(self, binary: memoryview, offset: int) -> int:
        """Take this tensor's bytes from ``offset`` on, if it is binary, and return where they end."""
        if self._binary_size is None:
            return offset
        end = offset + self._binary_size
        if end > len(binary):
            raise Refused(
                400,
                "bad_request",
                f"tensor {self.name!r}: binary_data_size is {self._binary_size}, "
                f"only {len(binary) - offset} bytes are left",
            )
        part = binary[offset:end]
        if self.datatype == "BYTES":
            self.data = self._strings(part)
        else:
            dtype = _DTYPES[self.datatype]
            if len(part) != math.prod(self.shape) * dtype.itemsize:
                raise Refused(
                    400,
                    "bad_request",
                    f"tensor {self.name!r}: shape {list(self.shape)} of {self.datatype} takes "
                    f"{math.prod(self.shape) * dtype.itemsize} bytes, binary_data_size is {len(part)}",
                )
            self.data = np.frombuffer(part, dtype=dtype)
        return end

    def rows(self) -> int:
        """The number of rows of a tensor that holds one field.

        :raises Refused: 400, it has more than one value a row.
        """
        if math.prod(self.shape[1:]) != 1:
            raise Refused(
                400, "bad_request", f"tensor {self.name!r}: shape {list(self.shape)} has several values a row"
            )
        return self.shape[0]

    def columns(self) -> list[_Tensor]:
        """A tensor of shape (rows, fields) as one tensor a field."""
        count, width = self.shape
        if isinstance(self.data, list):
            data: list[Any] = [self.data[column::width] for column in range(width)]
        else:
            data = list(self.data.reshape(count, width).T)
        return [_Tensor(self.name, (count,), self.datatype, column, None) for column in data]

    def check_datatype(self, field: Field) -> None:
        """Hold a binary tensor's datatype against a field's type.

        :raises Refused: 422, no value of that datatype can be right.
        """
        if isinstance(self.data, list):
            return
        if self.data.dtype.kind not in _KINDS.get(field.type, ""):
            raise BadRecords([Problem(0, field.name, f"is a tensor of {self.datatype}", field.expected)])
        if self.datatype == "UINT64" and field.type == "integer":
            too_large = np.flatnonzero(self.data > np.iinfo(np.int64).max)
            if len(too_large):
                raise BadRecords(
                    [
                        Problem(int(row), field.name, f"is {self.data[row]}", field.expected)
                        for row in too_large
                    ]
                )

    def _flatten(self) -> None:
        data = self.data
        if not isinstance(data, list):
            raise Refused(400, "bad_request", f"tensor {self.name!r}: 'data' must be a list")
        for _ in self.shape[1:]:
            if data and isinstance(data[0], list):
                if not all(isinstance(row, list) for row in data):
                    raise Refused(400, "bad_request", f"tensor {self.name!r}: 'data' mixes lists and values")
                data = [value for row in data for value in row]
        if len(data) != math.prod(self.shape):
            raise Refused(
                400,
                "bad_request",
                f"tensor {self.name!r}: shape {list(self.shape)} holds {math.prod(self.shape)} values, "
                f"'data' has {len(data)}",
            )
        self.data = data

    def _strings(self, part: memoryview) -> list[str]:
        """Elements of BYTES: each its length in 4 bytes, little-endian, and then UTF-8."""
        strings, offset = [], 0
        while offset < len(part):
            start = offset + 4
            end = start + int.from_bytes(part[offset:start], "little")
            if end > len(part):
                raise Refused(400, "bad_request", f"tensor {self.name!r}: a string ends past its bytes")
            try:
                strings.append(str(part[start:end], "utf-8"))
            except UnicodeDecodeError as error:
                raise Refused(400, "bad_request", f"tensor {self.name!r}: not UTF-8: {error}") from None
            offset = end
        if len(strings) != math.prod(self.shape):
            raise Refused(
                400,
                "bad_request",
                f"tensor {self.name!r}: shape {list(self.shape)} holds {math.prod(self.shape)} strings, "
                f"{len(strings)} came",
            )
        return strings


def _wanted_outputs(content: Mapping[str, Any], schema: Schema) -> list[tuple[Field, bool]]:
    """The outputs to answer, and for each whether as binary."""
    all_binary = _flag(_parameters(content, "the request"), "binary_data_output", default=False)
    requested = content.get("outputs")
    if requested is None or requested == []:
        return [(field, all_binary) for field in schema]
    if not isinstance(requested, list):
        raise Refused(400, "bad_request", "'outputs' must be a list of objects with a 'name'")
    by_name = {field.name: field for field in schema}
    wanted: list[tuple[Field, bool]] = []
    for entry in requested:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or name not in by_name:
            raise Refused(400, "bad_request", f"output {name!r} is not one of {', '.join(schema.names)}")
        if any(name == field.name for field, _ in wanted):
            raise Refused(400, "bad_request", f"output {name!r} is asked for twice")
        parameters = _parameters(entry, f"output {name!r}")
        wanted.append((by_name[name], _flag(parameters, "binary_data", default=all_binary)))
    return wanted


def _flag(parameters: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """A parameter that is true or false.

    :raises Refused: 400, it is neither.
    """
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise Refused(400, "bad_request", f"the parameter {name!r} must be true or false")
    return value


def _to_binary(field: Field, array: Array) -> bytes:
    """A column as the bytes of its datatype."""
    if field.type in ("string", "timestamp"):
        encoded = [("" if text is None else text).encode() for text in write_column(field, array)]
        return b"".join(len(text).to_bytes(4, "little") + text for text in encoded)
    if field.type != "number" and null_mask(array).any():
        raise Refused(
            422,
            "null_output",
            f"output {field.name!r} holds null, which {_datatype(field)} cannot: ask for JSON",
        )
    return array.astype(_DTYPES[_datatype(field)]).tobytes()
