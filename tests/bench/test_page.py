"""What the page of benchmarks says of servers, also of those that could not be measured."""

from __future__ import annotations

from typing import Any

from benchmarks.__main__ import gateway_rows, servers_table, stream_peers_row


def run(requests: float, p50: float = 1.0, p99: float = 2.0) -> dict[str, float]:
    return {"requests_per_second": requests, "p50_ms": p50, "p99_ms": p99}


def server(processes: int) -> dict[str, Any]:
    return {
        "version": "1.2",
        "cold_start_s": 1.94,
        "memory_mib": 197,
        "processes": processes,
        "rows_1_connections_1": run(900, 1.25, 2.5),
        "rows_1_connections_32": run(1_234),
        "rows_100_connections_1": run(300, 3.5, 4.5),
        "rows_100_connections_32": run(400),
    }


def test_each_server_has_a_line() -> None:
    lines = servers_table({"servers": {"one": server(1), "several": server(5)}}).splitlines()
    numbers = "1.25 ms | 2.50 ms | 1,234 | 3.50 ms | 4.50 ms | 400 | 1.9 s"
    assert lines[-2:] == [
        f"| one 1.2 | {numbers} | 197 MiB |",
        f"| several 1.2 | {numbers} | 197 MiB in 5 processes |",
    ]


def test_a_server_that_was_not_measured_has_its_reason_and_no_numbers() -> None:
    found = {"version": "1.2", "not_measured": "cannot be installed: no wheel"}
    *_, head, _, line = servers_table({"servers": {"missing": found}}).splitlines()
    assert line.startswith("| missing 1.2 | not measured: cannot be installed: no wheel | ")
    assert line.count("|") == head.count("|")
    host = {"records_per_second": 16_000}
    row = stream_peers_row({"records": 20_000, "host": host, "mlserver": found})
    assert row[1:3] == (
        "16,000 records/s",
        "mlserver 1.2, which has no transactions: not measured, cannot be installed: no wheel",
    )


def test_the_gateway_is_held_against_the_server_behind_it() -> None:
    through = {**run(800, 1.5, 3.25), "of_bare": 0.8, "added_ms_p50": 0.5, "added_ms_p99": 1.25}
    both = {"bare": run(1_000), "gateway": through}
    rows = gateway_rows({"connections_1": both, "connections_32": both})
    assert [row[1:4] for row in rows] == [
        ("1.50 ms", "the same server asked directly: 1.00 ms", "+0.50 ms"),
        ("3.25 ms", "the same server asked directly: 2.00 ms", "+1.25 ms"),
        ("800 requests/s", "the same server asked directly: 1,000 requests/s", "0.80 x"),
    ]
