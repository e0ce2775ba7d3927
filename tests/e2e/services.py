"""Every service that the end-to-end tests use, named after what it shows."""

from __future__ import annotations

from tests.e2e.project import LAB, LIVE, Project

SCORED_INPUT = "data/{service}/in/{{{{ data_interval_start | ds }}}}/*.parquet"
SCORED_OUTPUT = "data/{service}/out/{{{{ data_interval_start | ds }}}}"

KILL_POINTS = ("pick_runtime", "deploy", "check", "clear")


def declare_services(project: Project) -> None:
    """Write all services before Airflow starts, so that no test waits for the DAG processor."""
    project.lifecycle("edited", stages=[{"name": "LAB"}, {"name": "LIVE"}])
    project.lifecycle(
        "guarded-twice", stages=[{"name": "LAB", "checks": ["smoke"]}, {"name": "LIVE"}, {"name": "PROD"}]
    )
    project.lifecycle("nowhere", stages=[{"name": "NOWHERE"}])
    project.lifecycle("narrow", stages=[{"name": "NARROW", "checks": ["smoke"]}, {"name": "LIVE"}])

    project.service("four-stages-online", "full")
    project.service("four-stages-batch", "full-batch", mode="batch")
    project.service("unknown-snapshot", "open", mode="batch")
    project.service("newest-by-default", "open", mode="batch")

    for name in ("marked-by-hand", "bytes-changed", "four-eyes", "two-places", "rejected"):
        project.service(name, mode="batch")
    project.service("evidence-changed", "guarded-twice", mode="batch")
    project.lifecycle("contract", stages=[{"name": "LAB", "checks": ["contract"]}, {"name": "LIVE"}])
    project.service("failing-check", "contract", mode="batch")
    project.service("cleaned", mode="batch")
    project.service("answered-in-browser", mode="online")
    project.service("behind-the-gateway", "open", mode="online")
    project.service("rolled-back", "open", mode="online")

    for point in KILL_POINTS:
        project.service(f"killed-in-{point.replace('_', '-')}", "open", mode="batch")
    project.service("killed-in-deploy-online", "open", mode="online")

    project.service("twice-at-once", mode="batch")
    project.service("superseded", mode="batch", on_newer="supersede")
    project.service("queued", mode="batch", on_newer="queue")

    project.service("no-runtime", "nowhere", mode="batch")
    project.service("narrow", "narrow", mode="batch")

    project.service("edited", "edited", mode="batch")

    watched = {"guard": [{"error_rate": {"max_increase": 0.2}}], "least_requests": 30, "drain": "5s"}
    canary = {"strategy": "canary", "steps": [20, 60, 100], "bake": "8s", **watched}
    project.lifecycle("canary", stages=[{"name": "FIRST", "rollout": canary}])
    project.service("canary", "canary")
    hesitant = {**canary, "steps": [20, 100], "bake": "3s", "least_requests": 1_000_000, "extend": 0}
    project.lifecycle("hesitant", stages=[{"name": LAB}, {"name": LIVE, "rollout": hesitant}])
    project.service("hesitant", "hesitant")

    streamed = {**canary, "guard": [{"error_rate": {"max_increase": 0.2}}]}
    stages = [{"name": "DEV", "checks": ["smoke", "contract"]}, {"name": "PROD", "rollout": streamed}]
    project.lifecycle("streamed", stages=stages)
    topics = {
        stage: {"connection": "events", "input": f"{stage}.numbers", "output": f"{stage}.products"}
        for stage in ("DEV", "PROD")
    }
    project.service("streamed", "streamed", kafka=topics)

    for name in ("scored", "scored-killed"):
        project.service(
            name,
            "open",
            mode="batch",
            schedule="0 2 * * *",
            input=SCORED_INPUT.format(service=name),
            output=SCORED_OUTPUT.format(service=name),
            partitions=3,
        )
