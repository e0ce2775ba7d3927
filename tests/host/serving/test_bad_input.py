"""What clients should not do, done to a server that runs: each has its answer, and the server goes on."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from host.building import GOOD, build_snapshot
from host.serving.live import LiveHost, wait_for
from host.serving.raw import connection_to, exchange, is_closed, read_answer, request

MAX_BODY = 200_000
MAX_CONNECTIONS = 100
JSON = {"content-type": "application/json"}
INFER = "/v2/models/loans/infer"

# A connection a request: the server may close one that is kept.
HTTP = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), timeout=30)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHost]:
    folder = tmp_path_factory.mktemp("bad-input")
    options = [
        *("--max-body", str(MAX_BODY)),
        *("--read-seconds", "1"),
        *("--max-connections", str(MAX_CONNECTIONS)),
    ]
    host = LiveHost(build_snapshot(folder / "snapshot"), folder / "host", options, os.environ)
    host.ready()
    yield host
    host.kill()


@pytest.fixture
def url(host: LiveHost) -> Iterator[str]:
    """Its address; after each test it is well, scores a good record and has seen no fault of its own."""
    address = host.url
    yield address
    assert HTTP.get(f"{address}/v2/health/ready").status_code == 200
    assert HTTP.post(f"{address}/score", json=GOOD).json()["decision"] == "yes"
    assert "Traceback" not in host.log, host.log[host.log.find("Traceback") :]


def refusals(url: str, reason: str) -> float:
    """How often the server refused for a reason, as it measures it."""
    for line in HTTP.get(f"{url}/metrics").text.splitlines():
        if line.startswith("airlock_errors_total{") and f'reason="{reason}"' in line:
            return float(line.split()[-1])
    return 0.0


def changed(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def tensors(**changes: Any) -> dict[str, Any]:
    """A request with a tensor a field; the first one, the income, is changed."""
    kinds = {"age": "INT64", "purpose": "BYTES", "owner": "BOOL", "applied": "BYTES"}
    inputs = [
        {"name": name, "shape": [1], "datatype": kinds.get(name, "FP64"), "data": [value]}
        for name, value in GOOD.items()
    ]
    return {"inputs": [{**inputs[0], **changes}, *inputs[1:]]}


@pytest.mark.parametrize(
    ("body", "status", "reason", "message"),
    [
        pytest.param(b"", 400, "bad_json", "the body is not JSON", id="nothing"),
        pytest.param(b"{", 400, "bad_json", "line 1 column 2", id="broken"),
        pytest.param(changed() + b"x", 400, "bad_json", "the body is not JSON", id="more-after-it"),
        pytest.param(changed(income=float("nan")), 400, "bad_json", "no NaN and no Infinity", id="nan"),
        pytest.param(changed(income=float("inf")), 400, "bad_json", "no NaN and no Infinity", id="infinity"),
        pytest.param(b'{"purpose": "\xff"}', 400, "bad_json", "UTF-8", id="broken-utf-8"),
        pytest.param(b'{"purpose": "\\ud800"}', 400, "bad_json", "surrogate", id="half-a-surrogate"),
        pytest.param(b"\xef\xbb\xbf" + changed(), 400, "bad_json", "the body is not JSON", id="mark"),
        pytest.param(b"[" * 100_000, 400, "bad_json", "depth limit", id="deep-lists"),
        pytest.param(b'{"a":' * 30_000, 400, "bad_json", "depth limit", id="deep-objects"),
        pytest.param(b"7", 400, "bad_request", "a record (an object) or a list of records", id="a-number"),
        pytest.param(b"[7]", 422, "bad_record", "record 0 is 7; expected an object", id="list-of-number"),
        pytest.param(changed(colour=1), 422, "bad_record", "'colour' is not a field", id="unknown-field"),
        pytest.param(b"{}", 422, "bad_record", "field 'income' is missing", id="missing-field"),
        pytest.param(changed(age="40"), 422, "bad_record", "field 'age' is the string", id="wrong-type"),
        pytest.param(changed(age=[[40]]), 422, "bad_record", "field 'age' is a list", id="nested"),
        pytest.param(changed(age=None), 422, "bad_record", "field 'age' is null", id="null"),
        pytest.param(changed(age=17), 422, "bad_record", "'age' is 17; expected", id="below-limit"),
        pytest.param(changed(age=2**80), 422, "bad_record", "field 'age' is 1.2", id="beyond-64-bit"),
        pytest.param(
            changed(income=1).replace(b": 1,", b": 1e999,"), 400, "bad_json", "number", id="beyond-double"
        ),
        pytest.param(changed(purpose="boat"), 422, "bad_record", "one of", id="not-among-values"),
        pytest.param(changed(applied="0000-13-41"), 422, "bad_record", "a time as in RFC 3339", id="no-day"),
    ],
)
def test_bad_json(url: str, body: bytes, status: int, reason: str, message: str) -> None:
    answer = HTTP.post(f"{url}/score", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert message in answer.json()["error"]


def test_of_a_key_that_comes_twice_the_last_value_counts(url: str) -> None:
    twice = changed().replace(b"{", b'{"age": 17, ', 1)
    assert HTTP.post(f"{url}/score", content=twice, headers=JSON).status_code == 200


def test_an_answer_repeats_no_more_of_a_request_than_helps(url: str) -> None:
    answer = HTTP.post(f"{url}/score", content=changed(**{"x" * 100_000: 1}), headers=JSON)
    assert answer.json()["reason"] == "bad_record"
    assert len(answer.content) < 2_000


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (tensors() | {"parameters": []}, 400, "the request: 'parameters' must be an object"),
        (tensors() | {"parameters": {"binary_data_output": 1}}, 400, "must be true or false"),
        (tensors(parameters="x"), 400, "tensor 'income': 'parameters' must be an object"),
        (tensors(datatype=["FP64"]), 400, "datatype ['FP64'] is not one of"),
        (tensors(shape=[2**70]), 400, "'shape' must be a list of sizes"),
        (tensors(shape=[10**18]), 400, "holds 1000000000000000000 values, 'data' has 1"),
        (tensors(name="nothing"), 422, "field 'income' has no tensor"),
        (tensors() | {"outputs": 5}, 400, "'outputs' must be a list"),
        (tensors() | {"outputs": [[]]}, 400, "output None is not one of score, decision"),
        (tensors() | {"outputs": [{"name": ["score"]}]}, 400, "output ['score'] is not one of"),
        (tensors() | {"outputs": [{"name": "score", "parameters": 1}]}, 400, "must be an object"),
        (tensors() | {"outputs": [{"name": "score"}] * 2}, 400, "output 'score' is asked for twice"),
        (tensors() | {"id": {"a": 1}}, 400, "'id' must be a string"),
    ],
)
def test_tensors_of_another_shape(url: str, content: Any, status: int, message: str) -> None:
    answer = HTTP.post(f"{url}{INFER}", json=content)
    assert answer.status_code == status, answer.text
    assert message in answer.json()["error"]


@pytest.mark.parametrize(
    ("value", "problem"), [(float("nan"), "is null"), (float("inf"), "is inf"), (-1.0, "is -1.0")]
)
def test_binary_numbers_that_are_none(url: str, value: float, problem: str) -> None:
    content = tensors(parameters={"binary_data_size": 8})
    del content["inputs"][0]["data"]
    head = json.dumps(content).encode()
    headers = {
        "content-type": "application/octet-stream",
        "inference-header-content-length": str(len(head)),
    }
    answer = HTTP.post(f"{url}{INFER}", content=head + struct.pack("<d", value), headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (422, "bad_record")
    assert answer.json()["error"].startswith(f"record 0: field 'income' {problem}")


@pytest.mark.parametrize("length", ["-1", "1e3", "9" * 5000, ""])
def test_a_length_of_the_json_that_is_none(url: str, length: str) -> None:
    headers = {"content-type": "application/octet-stream", "inference-header-content-length": length}
    answer = HTTP.post(f"{url}{INFER}", json=tensors(), headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (400, "bad_request")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/score", "text/csv"),
        ("/score", "application/json2"),
        ("/invocations", "application/octet-stream"),
        (INFER, "text/plain"),
        (INFER, "x" * 10_000),
    ],
)
def test_another_content_type(url: str, path: str, kind: str) -> None:
    answer = HTTP.post(f"{url}{path}", content=changed(), headers={"content-type": kind})
    assert (answer.status_code, answer.json()["reason"]) == (415, "content_type")
    assert len(answer.content) < 2_000


def test_without_a_content_type_it_is_json(url: str) -> None:
    assert HTTP.post(f"{url}/score", content=changed()).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/score", 405),
        ("PUT", "/score", 405),
        ("POST", "/metrics", 405),
        ("BREW", "/score", 400),
        ("GET", "/nowhere", 404),
        ("GET", "/", 404),
        ("POST", "/score/", 404),
        ("GET", "/v2/models/../../etc/passwd", 404),
        ("GET", "/%00%ff", 404),
        ("GET", "/airlock/answers", 404),
    ],
)
def test_another_method_or_path(url: str, method: str, path: str, status: int) -> None:
    answer = exchange(url, request(method=method, path=path))
    assert answer.status == status
    assert answer.content["reason"] == ("bad_http" if status == 400 else "no_such_route")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large(url: str, chunked: bool) -> None:
    """It is read to its end, or to the end of the time for it, so that the client sees the answer."""
    body = b"x" * (MAX_BODY + 1)
    content = iter([body[:MAX_BODY], body[MAX_BODY:]]) if chunked else body
    answer = HTTP.post(f"{url}/score", content=content, headers=JSON)
    assert (answer.status_code, answer.json()["reason"]) == (413, "too_large")
    assert f"{MAX_BODY} bytes" in answer.json()["error"]


def test_a_body_that_is_announced_as_too_large_is_not_waited_for(url: str) -> None:
    with connection_to(url) as connection:
        connection.sendall(request(b"{", "expect: 100-continue", length=10**12))
        assert read_answer(connection).content["reason"] == "too_large"
        assert is_closed(connection)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="tls"),
        pytest.param(b"hello\r\n\r\n", id="words"),
        pytest.param(b"\x00" * 1000, id="zeros"),
        pytest.param(b"GET /ping HTTP/9.9\r\n\r\n", id="version"),
        pytest.param(b"GET /\xff HTTP/1.1\r\n\r\n", id="path"),
        pytest.param(b"CONNECT a:1 HTTP/1.1\r\n\r\n", id="proxy"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="http-2"),
        pytest.param(request(b"{}", "content-length: 5"), id="two-lengths"),
        pytest.param(request(b"{}", "transfer-encoding: chunked"), id="length-and-chunks"),
        pytest.param(request(b"{}", length=-1), id="negative-length"),
        pytest.param(request(b"{}", length=10**30), id="length-beyond-64-bit"),
        pytest.param(request(b"{}", "a\x00b: c"), id="header-name"),
        pytest.param(request(b"{}", "a: b\x00c"), id="header-value"),
        pytest.param(
            b"POST /score HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n", id="chunk-size"
        ),
    ],
)
def test_what_is_not_http(url: str, sent: bytes) -> None:
    before = refusals(url, "bad_http")
    with connection_to(url) as connection:
        connection.sendall(sent)
        answer = read_answer(connection)
        assert (answer.status, answer.content["reason"]) == (400, "bad_http")
        assert is_closed(connection)
    assert refusals(url, "bad_http") == before + 1


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(request(b"", "x: " + "y" * 100_000), id="one-header"),
        pytest.param(request(b"", *(f"x{number}: y" for number in range(20_000))), id="many-headers"),
        pytest.param(request(path="/" + "x" * 100_000), id="path"),
        pytest.param(b"GET /" + b"x" * 1_000_000, id="no-end"),
    ],
)
def test_a_head_that_is_too_large(url: str, sent: bytes) -> None:
    answer = exchange(url, sent)
    assert (answer.status, answer.content["reason"]) == (431, "head_too_large")


def test_a_head_of_some_size_is_taken(url: str) -> None:
    assert exchange(url, request(changed(), "x: " + "y" * 60_000)).status == 200


def test_an_upgrade_is_not_followed(url: str) -> None:
    upgrade = ("connection: upgrade", "upgrade: h2c")
    answer = exchange(url, request(changed(), *upgrade))
    assert (answer.status, answer.content["reason"]) == (400, "bad_http")
    assert "leave out the header Upgrade" in answer.content["error"]
    assert exchange(url, request(b"", *upgrade, method="GET", path="/ping")).status == 200


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(b"POST /sc", id="request-line"),
        pytest.param(request(b"", length=5)[:-2], id="headers"),
    ],
)
@pytest.mark.parametrize("trickles", [False, True], ids=["stops", "trickles"])
def test_a_head_that_comes_too_slowly(url: str, begun: bytes, trickles: bool) -> None:
    with connection_to(url) as connection:
        connection.sendall(begun)
        while trickles and not readable(connection, 0.1):
            connection.sendall(b"x")
        answer = read_answer(connection)
        assert (answer.status, answer.content["reason"]) == (408, "too_slow")
        assert "the head of the request did not come within 1 seconds" in answer.content["error"]
        assert is_closed(connection)


@pytest.mark.parametrize("trickles", [False, True], ids=["stops", "trickles"])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_body_that_comes_too_slowly(url: str, chunked: bool, trickles: bool) -> None:
    head = request(length=1000)
    if chunked:
        head = head.replace(b"content-length: 1000", b"transfer-encoding: chunked")
    with connection_to(url) as connection:
        connection.sendall(head)
        while trickles and not readable(connection, 0.1):
            connection.sendall(b"1\r\n \r\n" if chunked else b" ")
        answer = read_answer(connection)
        assert (answer.status, answer.content["reason"]) == (408, "too_slow")
        assert answer.headers["connection"] == "close"
        assert "the body of the request did not come within 1 seconds" in answer.content["error"]
        assert is_closed(connection)


def test_a_connection_on_which_nothing_comes_is_closed(url: str) -> None:
    with connection_to(url) as connection:
        assert is_closed(connection)


def test_a_client_that_does_not_fetch_its_answers_is_left(url: str) -> None:
    """Its answers fill what the system keeps for it, and then what the server does."""
    body = json.dumps([GOOD] * 1500).encode()
    with connection_to(url) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(0.2)
        with pytest.raises(OSError):  # noqa: PT011  reset, or a pipe without an end, as it happens
            send_for_ever(connection, request(body))


def test_requests_that_come_at_once_are_answered_one_after_the_other(url: str) -> None:
    with connection_to(url) as connection:
        connection.sendall(b"".join([request(changed()), request(b"{"), request(changed(age=1))] * 20))
        assert [read_answer(connection).status for _ in range(60)] == [200, 400, 422] * 20


def test_rubbish_after_a_request_does_not_take_its_answer(url: str) -> None:
    with connection_to(url) as connection:
        connection.sendall(request(changed()))
        assert read_answer(connection).status == 200
        connection.sendall(b"\x00\x01")
        assert read_answer(connection).status == 400


@pytest.mark.parametrize("sent", [b"", b"POST", request(length=1000), request(b"{", length=1000)])
def test_clients_that_leave_in_the_middle(url: str, sent: bytes) -> None:
    for _ in range(50):
        with connection_to(url) as connection:
            connection.sendall(sent)


def test_clients_that_leave_before_their_answer(url: str) -> None:
    for _ in range(50):
        with connection_to(url) as connection:
            connection.sendall(request(changed()))


def test_among_many_idle_connections_there_is_room_for_one_at_work(url: str) -> None:
    with ExitStack() as stack:
        for number in range(5 * MAX_CONNECTIONS):
            stack.enter_context(connection_to(url))
            if number % 100 == 0:
                assert HTTP.post(f"{url}/score", json=GOOD).status_code == 200


def test_where_all_connections_are_at_work_another_one_is_refused(url: str) -> None:
    def refused() -> bool:
        with ExitStack() as stack:
            for _ in range(MAX_CONNECTIONS):
                stack.enter_context(connection_to(url)).sendall(request(b"{", length=100))
            time.sleep(0.1)  # in which the server sees them, unless the machine is busy
            answer = exchange(url, request(changed()))
        return answer.status == 503 and answer.content["reason"] == "too_many_connections"

    wait_for(refused, "a refusal")
    wait_for(lambda: HTTP.get(f"{url}/ping").status_code == 200, "room")


def readable(connection: socket.socket, seconds: float) -> bool:
    """Whether something comes within so long."""
    connection.settimeout(seconds)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False
    finally:
        connection.settimeout(30)


def send_for_ever(connection: socket.socket, data: bytes) -> None:
    """Send the same again and again, until the server closes."""
    while True:
        try:
            connection.sendall(data)
        except TimeoutError:
            continue
