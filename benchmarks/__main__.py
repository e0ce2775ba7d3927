"""``make bench``: all benchmarks, one after the other, and ``docs/benchmarks.md`` written from their answers.

::

    python -m benchmarks [--quick] [--out docs/benchmarks.md]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

# Script, its arguments, and its arguments for a quick run.
SCRIPTS: list[tuple[str, list[str], list[str]]] = [
    ("dag_building.py", [], ["--services", "100", "--rounds", "1"]),
    ("pick_runtime.py", [], []),
    ("pick_runtime.py", ["--postgresql"], ["--postgresql"]),
    ("passage.py", ["--rounds", "2"], ["--rounds", "1"]),
    ("host_batch.py", [], ["--quick"]),
    ("host_rest.py", [], ["--quick"]),
    ("stream.py", ["--rounds", "7"], ["--quick"]),
    ("gateway.py", [], ["--quick"]),
    ("servers.py", [], ["--quick"]),
    ("stream_peers.py", [], ["--quick"]),
]


def run(script: str, arguments: list[str]) -> dict[str, Any]:
    """One benchmark's answer: the JSON on its last line."""
    print(f"{script} {' '.join(arguments)}", file=sys.stderr, flush=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, str(FOLDER / script), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=environment,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def machine() -> str:
    """Processor, cores, memory, system: what the numbers were taken on."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = next(
        line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal")
    )
    gibibytes = int(memory.split()[1]) / 2**20
    processor = names[0].partition(": ")[2] if names else platform.machine()
    return (
        f"{os.cpu_count()} cores of {processor}, {gibibytes:.0f} GiB, "
        f"Linux {platform.release().partition('-')[0]}, Python {platform.python_version()}"
    )


SMALL = """
**Small sizes (`--quick`), and a busy machine:** start-up is most of what the rows on batch show.
`make bench` takes the real sizes.
"""


Row = tuple[str, str, str, str, str]


def gateway_rows(answer: dict[str, Any]) -> list[Row]:
    """What the way through the gateway costs: time where nobody else asks, requests where many do."""
    alone, many = (answer[f"connections_{connections}"] for connections in (1, 32))
    rows: list[Row] = [
        (
            f"REST through the gateway, 1 connection, {name}",
            f"{alone['gateway'][f'{name}_ms']:.2f} ms",
            f"the same server asked directly: {alone['bare'][f'{name}_ms']:.2f} ms",
            f"{alone['gateway'][f'added_ms_{name}']:+.2f} ms",
            "",
        )
        for name in ("p50", "p99")
    ]
    rows.append(
        (
            "REST through the gateway, 32 connections",
            f"{many['gateway']['requests_per_second']:,.0f} requests/s",
            f"the same server asked directly: {many['bare']['requests_per_second']:,.0f} requests/s",
            f"{many['gateway']['of_bare']:.2f} x",
            "",
        )
    )
    return rows


def stream_peers_row(answer: dict[str, Any]) -> Row:
    """The host's worker against mlserver's."""
    host, mlserver = answer["host"], answer["mlserver"]
    what = f"Kafka, {answer['records']:,} JSON records of 20 numbers, logistic regression"
    measured = f"{host['records_per_second']:,} records/s"
    against = f"mlserver {mlserver['version']}, which has no transactions"
    if "not_measured" in mlserver:
        return what, measured, f"{against}: not measured, {mlserver['not_measured']}", "", ""
    against += f": {mlserver['records_per_second']:,} records/s"
    return what, measured, against, f"{host['times_mlserver']:.2f} x", ""


_SERVERS_HEAD = """
## Servers for models

One logistic regression of 20 numbers, one process, JSON in each server's own protocol; p50 and p99 with 1
connection, requests/s with 32. `airlock_v2` is asked with the same requests as kserve and mlserver.

| server | 1 row: p50 | p99 | requests/s | 100 rows: p50 | p99 | requests/s | cold start | memory |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def servers_table(answer: dict[str, Any]) -> str:
    """All servers, with the reason where one could not be measured."""
    lines = []
    for name, found in answer["servers"].items():
        cells = [f"{name} {found['version']}"]
        if "not_measured" in found:
            cells += [f"not measured: {found['not_measured']}", *[""] * 7]
            lines.append(f"| {' | '.join(cells)} |")
            continue
        for rows in (1, 100):
            alone, many = (found[f"rows_{rows}_connections_{connections}"] for connections in (1, 32))
            cells += [f"{alone['p50_ms']:.2f} ms", f"{alone['p99_ms']:.2f} ms"]
            cells.append(f"{many['requests_per_second']:,.0f}")
        cells += [f"{found['cold_start_s']:.1f} s", f"{found['memory_mib']} MiB"]
        if found["processes"] > 1:
            cells[-1] += f" in {found['processes']} processes"
        lines.append(f"| {' | '.join(cells)} |")
    return _SERVERS_HEAD + "\n".join(lines)


def page(answers: list[dict[str, Any]], *, quick: bool) -> str:
    """The document."""
    dags, sqlite, postgresql, passage, batch, rest, stream, gateway, servers, stream_peers = answers
    linear, trees = batch["linear"], batch["trees"]
    rows = [
        (
            f"Building the DAGs of {dags['services']:,} services ({dags['tasks_of_each']} tasks each)",
            f"{dags['airlock']:.2f} s",
            "the same operators by hand",
            f"{dags['airlock_of_by_hand']:.2f} x",
            "at most 1.15 x",
        ),
        (
            f"A worker's parse for one task, {dags['services']:,} services present",
            f"{dags['worker_many'] * 1000:.1f} ms",
            "one service present",
            f"{dags['worker_many_of_one']:.2f} x",
            "at most 1.3 x",
        ),
        *(
            (
                f"Four stages of mode `{mode}`, {passage['tasks'][mode]} tasks",
                f"{passage[mode]:.1f} s",
                "as many tasks that do nothing",
                f"{passage[f'{mode}_of_bare']:.2f} x",
                "at most 1.5 x",
            )
            for mode in ("batch", "online")
        ),
        (
            f"Batch, {batch['rows']:,} rows of 20 columns, tree model",
            f"{trees['host_outputs']['scoring_rows_per_second'] / 1e6:.2f} M rows/s",
            "the model in memory",
            f"{trees['host_outputs']['of_in_memory']:.2f}",
            "at least 0.9",
        ),
        (
            "Batch, logistic regression, answers alone",
            f"{linear['host_outputs']['rows_per_second'] / 1e6:.2f} M rows/s",
            "a 20-line script: 3 M rows/s",
            f"{linear['host_outputs']['rows_per_second'] / 3e6:.2f}",
            "",
        ),
        *(
            (
                f"Batch, {name}, all columns written",
                f"{result['host_all']['rows_per_second'] / 1e6:.2f} M rows/s",
                "pandas on the whole file",
                f"{result['host_all']['times_pandas']:.2f} x",
                "",
            )
            for name, result in (("logistic regression", linear), ("tree model", trees))
        ),
        *(
            (
                f"REST, one record, {connections} connection{'s' if connections > 1 else ''}",
                f"{found['host_score']['requests_per_second']:,.0f} requests/s",
                other,
                f"{found['host_score'][key]:.2f} x",
                aim,
            )
            for connections, found in sorted(
                (int(name.removeprefix("connections_")), found)
                for name, found in rest.items()
                if name.startswith("connections_")
            )
            for other, key, aim in (
                ("a bare FastAPI handler calling the same model", "of_fastapi", "at least 0.85"),
                ("`mlflow models serve`", "times_mlflow", "3 x"),
            )
        ),
        *gateway_rows(gateway),
        *(
            (
                f"Kafka, {stream['records']:,} JSON records of 20 numbers, logistic regression",
                f"{stream['host']['records_per_second']:,} records/s",
                other,
                f"{stream['host'][key]:.2f} x",
                aim,
            )
            for other, key, aim in (
                ("a bare loop without a model", "of_bare", "at least 0.85"),
                ("that loop with such a header", "of_bare_headers", ""),
                ("that loop with JSON and the model", "of_bare_scoring", ""),
            )
        ),
        stream_peers_row(stream_peers),
        *(
            (
                f"Picking a runtime among 10,000 ({found['database']})",
                f"{found['ms_among_10000']['pick']:.2f} ms",
                f"the bare SELECT on its index: {found['ms_among_10000']['bare_select']:.2f} ms; among 10",
                f"{found['pick_10000_to_10']:.2f} x",
                "",
            )
            for found in (sqlite, postgresql)
        ),
    ]
    lines = [
        "# Benchmarks",
        "",
        f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}, on {machine()}.",
        "The contestants of a row take turns in one run. Ratios say more than numbers.",
        SMALL if quick else "",
        "| what | measured | against | ratio | aim |",
        "| --- | ---: | --- | ---: | --- |",
        *(f"| {' | '.join(row)} |" for row in rows),
        servers_table(servers),
        "",
        "What each contestant does is said at the top of its script in `benchmarks/`. A passage's stages",
        "start real processes: the host in the model's environment, and one for each check in the checks",
        "environment. Tasks that do nothing are the least that Airflow needs for as many tasks.",
        "On Kafka brokers, clients and model share the machine's cores, of which the bare loop and its",
        "brokers need most alone. The host answers each record exactly once. mlserver begins at the end of",
        "the topic at each start: what comes while it is down gets no answer, and what it works on when it",
        "ends may get none.",
        "",
        "<details><summary>All answers</summary>",
        "",
        "```json",
        *(json.dumps(answer) for answer in answers),
        "```",
        "",
        "</details>",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that everything runs")
    parser.add_argument("--out", type=Path, default=FOLDER.parent / "docs" / "benchmarks.md")
    options = parser.parse_args()
    answers = [run(script, quick if options.quick else full) for script, full, quick in SCRIPTS]
    options.out.write_text(page(answers, quick=options.quick))
    print(options.out.read_text())


if __name__ == "__main__":
    main()
