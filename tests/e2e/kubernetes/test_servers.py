"""Online deployments on a cluster: begun, asked, exchanged, found again, taken away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from airlock.exceptions import Conflict
from airlock.runtimes.base import Endpoint, Handle
from airlock.runtimes.kubernetes.adapter import KubernetesAdapter
from tests.runtimes.contract import in_another_process, killed_after

from .cluster import Cluster, until
from .conftest import Runtime
from .plans import plan
from .waiting import ready, settled


def ask(
    cluster: Cluster, adapter: KubernetesAdapter, handle: Handle, act: str = "", **record: Any
) -> list[dict[str, Any]]:
    [endpoint] = adapter.endpoints(handle)
    return ask_at(cluster, endpoint, act, **record)


def ask_at(cluster: Cluster, endpoint: Endpoint, act: str = "", **record: Any) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = cluster.post_through(
        endpoint, "/score", [{"act": act, "text": "", "amount": 1.0, **record}]
    )
    return answer


def test_a_well_cluster_says_so(runtime: Runtime, namespace: str) -> None:
    health = runtime().check()

    assert health.ok, health.message
    assert namespace in health.message


def test_a_deployment_becomes_ready_answers_and_leaves_nothing(
    cluster: Cluster, runtime: Runtime, runtime_name: str, namespace: str
) -> None:
    adapter = runtime()

    handle = ready(adapter, plan())

    assert ask(cluster, adapter, handle, amount=21.0)[0]["doubled"] == 42.0
    assert {name.partition("/")[0] for name in cluster.of_runtime(namespace, runtime_name)} >= {
        "configmaps",
        "deployments",
        "services",
        "pods",
    }
    adapter.undeploy(handle)
    assert adapter.status(handle).state == "gone"
    assert adapter.list() == []
    until(lambda: cluster.of_runtime(namespace, runtime_name), lambda left: left == [])


def test_pods_run_where_the_restricted_standard_is_enforced(
    cluster: Cluster, runtime: Runtime, namespace: str, image: str
) -> None:
    adapter = runtime()
    container = {"name": "host", "image": image, "securityContext": {"privileged": True}}
    privileged = {"metadata": {"name": "privileged"}, "spec": {"containers": [container]}}

    code, said = cluster.status_of("POST", cluster.path("pods", namespace), privileged, dryRun="All")

    assert code == 403, "the namespace enforces nothing"
    assert "violates PodSecurity" in said
    ready(adapter, plan())


def test_everything_sent_is_accepted_by_a_strict_dry_run(
    cluster: Cluster,
    runtime: Runtime,
    runtime_name: str,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airlock.runtimes.kubernetes import cluster as connection

    sent: list[tuple[str, dict[str, Any]]] = []
    apply: Callable[..., Any] = connection.Cluster.apply

    def noting(self: Any, item: dict[str, Any], kind: Any, where: str) -> Any:
        sent.append((kind.path(where, item["metadata"]["name"]), item))
        return apply(self, item, kind, where)

    monkeypatch.setattr(connection.Cluster, "apply", noting)
    autoscaled = runtime(autoscale={"least": 2, "most": 3}, ingress={"host": "{deployment}.airlock.test"})
    adapter = runtime(replicas=2)
    autoscaled.deploy(plan())
    adapter.deploy(plan())

    for path, item in sent:
        cluster.request(
            "PATCH",
            path,
            item,
            content="application/apply-patch+yaml",
            fieldManager="airlock",
            force="true",
            dryRun="All",
            fieldValidation="Strict",
        )

    made = {name.partition("/")[0] for name in cluster.of_runtime(namespace, runtime_name)}
    assert {"poddisruptionbudgets", "horizontalpodautoscalers", "ingresses"} <= made
    assert {item["kind"] for _, item in sent} >= {
        "Deployment",
        "Service",
        "PodDisruptionBudget",
        "HorizontalPodAutoscaler",
        "Ingress",
    }


def test_a_new_version_takes_over_without_an_unanswered_request(
    cluster: Cluster, runtime: Runtime, namespace: str
) -> None:
    before, after = runtime(environment={"ROUND": "1"}), runtime(environment={"ROUND": "2"})
    deployment = plan()
    handle = ready(before, deployment)
    [endpoint] = before.endpoints(handle)
    unanswered: list[Exception] = []
    answered: list[float] = []
    is_over = threading.Event()

    def keep_asking() -> None:
        while not is_over.is_set():
            try:
                answered.append(ask_at(cluster, endpoint, amount=2.0)[0]["doubled"])
            except Exception as error:
                unanswered.append(error)

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        assert after.deploy(deployment) == handle

        def rounds() -> list[str]:
            pods = cluster.find("pods", namespace, **{"airlock/deployment": handle["name"]})
            return [
                variable["value"]
                for pod in pods
                for variable in pod["spec"]["containers"][0]["env"]
                if variable["name"] == "ROUND"
            ]

        until(rounds, lambda found: found == ["2"])
        assert settled(after, handle).state == "ready"
    finally:
        is_over.set()
        asking.join()

    assert unanswered == []
    assert set(answered) == {4.0}


def test_two_deployments_serve_beside_each_other(cluster: Cluster, runtime: Runtime) -> None:
    adapter = runtime()
    first = ready(adapter, plan())

    second = ready(adapter, plan(text=b"def score(rows): return rows\n"))
    adapter.undeploy(first)

    assert ask(cluster, adapter, second, amount=3.0)[0]["doubled"] == 6.0
    assert [*adapter.list()] == [second]


def test_another_digest_under_the_same_name_is_a_conflict(runtime: Runtime) -> None:
    adapter = runtime()
    first = plan(mode="batch")
    adapter.deploy(first)

    with pytest.raises(Conflict, match=first.name):
        adapter.deploy(plan(mode="batch", name=first.name, text=b"def score(rows): return rows\n"))


def test_a_deployment_is_found_again_after_its_caller_was_killed(
    cluster: Cluster, runtime: Runtime, namespace: str
) -> None:
    deployment = plan()
    for milliseconds in (50, 200, 400, 800):
        killed_after(milliseconds / 1000, lambda: runtime().deploy(deployment))

    handle = ready(runtime(), deployment)

    assert [*runtime().list()] == [handle]
    assert len(cluster.find("deployments", namespace, **{"airlock/deployment": handle["name"]})) == 1
    assert ask(cluster, runtime(), handle)[0]["doubled"] == 2.0


def test_callers_at_the_same_time_make_one_deployment(runtime: Runtime) -> None:
    deployment = plan()
    callers = [in_another_process(lambda: runtime().deploy(deployment)) for _ in range(4)]
    for caller in callers:
        caller.join()

    handle = ready(runtime(), deployment)

    assert [caller.exitcode for caller in callers] == [0] * 4
    assert [*runtime().list()] == [handle]


def test_what_others_set_stays(cluster: Cluster, runtime: Runtime, namespace: str) -> None:
    adapter = runtime(autoscale={"least": 1, "most": 3})
    deployment = plan()
    handle = ready(adapter, deployment)
    [found] = cluster.find("deployments", namespace, **{"airlock/deployment": handle["name"]})
    path = cluster.path("deployments", namespace, found["metadata"]["name"])
    change = {"metadata": {"annotations": {"example.test/somebody": "was here"}}, "spec": {"replicas": 2}}
    cluster.request("PATCH", path, change, content="application/merge-patch+json", fieldManager="somebody")

    adapter.deploy(deployment)

    after = cluster.request("GET", path)
    assert after["metadata"]["annotations"]["example.test/somebody"] == "was here"
    assert after["spec"]["replicas"] == 2


def test_everything_goes_with_the_record(
    cluster: Cluster, runtime: Runtime, runtime_name: str, namespace: str
) -> None:
    adapter = runtime(replicas=2)
    handle = ready(adapter, plan())
    roles = {"airlock/role": "deployment", "airlock/deployment": handle["name"]}
    [record] = cluster.find("configmaps", namespace, **roles)

    cluster.request("DELETE", cluster.path("configmaps", namespace, record["metadata"]["name"]))

    until(lambda: cluster.of_runtime(namespace, runtime_name), lambda left: left == [])
    assert adapter.status(handle).state == "gone"


def test_a_log_is_followed(cluster: Cluster, runtime: Runtime) -> None:
    adapter = runtime()
    handle = ready(adapter, plan())
    before = adapter.follow(handle)
    ask(cluster, adapter, handle, "print", text="one line of the model")

    found = until(
        lambda: adapter.follow(handle, before.position),
        lambda log: any("one line of the model" in line for line in log.lines),
    )

    after = adapter.follow(handle, found.position)
    assert not any("one line of the model" in line for line in (*before.lines, *after.lines))
    assert "one line of the model" in adapter.logs(handle)
