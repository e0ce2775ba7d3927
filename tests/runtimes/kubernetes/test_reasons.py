"""Why pods do not run, from objects as real clusters show them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.runtimes.kubernetes import reasons

Json = dict[str, Any]

_IMAGE = "registry.example:5000/airlock/fraud@sha256:aa"
_RESOLVE = f'rpc error: code = Unknown desc = failed to resolve reference "{_IMAGE}"'


def pod(
    *,
    waiting: Json | None = None,
    terminated: Json | None = None,
    last: Json | None = None,
    running: bool = False,
    restarts: int = 0,
    phase: str = "Pending",
    conditions: list[Json] | None = None,
    **status: Any,
) -> Json:
    state: Json = {}
    if waiting is not None:
        state = {"waiting": waiting}
    elif terminated is not None:
        state = {"terminated": terminated}
    elif running:
        state = {"running": {"startedAt": "2026-11-22T10:00:00Z"}}
    container = {
        "name": "host",
        "image": _IMAGE,
        "imageID": "",
        "ready": False,
        "restartCount": restarts,
        "started": False,
        "state": state,
        "lastState": {"terminated": last} if last else {},
    }
    limits = {"cpu": "1500m", "memory": "512Mi"}
    return {
        "metadata": {"name": "dep-1-7c9-x2", "uid": "pod-1"},
        "spec": {"nodeName": "node-1", "containers": [{"name": "host", "resources": {"limits": limits}}]},
        "status": {
            "phase": phase,
            "conditions": conditions or [],
            "containerStatuses": [container] if state else [],
            **status,
        },
    }


def waits(reason: str, message: str = "", **more: Any) -> Json:
    return pod(waiting={"reason": reason, "message": message}, **more)


def ended(code: int, reason: str = "Error", **more: Any) -> Json:
    return {"exitCode": code, "reason": reason, "containerID": "containerd://1", **more}


def event(reason: str, message: str, *, uid: str = "pod-1", at: str = "2026-11-22T10:00:00Z") -> Json:
    return {
        "type": "Warning",
        "reason": reason,
        "message": message,
        "involvedObject": {"kind": "Pod", "uid": uid, "name": "dep-1-7c9-x2"},
        "lastTimestamp": at,
    }


@pytest.mark.parametrize(
    ("item", "reason", "is_final", "says"),
    [
        pytest.param(
            waits("ErrImagePull", f"{_RESOLVE}: {_IMAGE}: not found"),
            "ErrImagePull",
            True,
            [_IMAGE, "not found", "images.registry"],
            id="no such image",
        ),
        pytest.param(
            waits(
                "ImagePullBackOff", f'Back-off pulling image "{_IMAGE}": ErrImagePull: {_RESOLVE}: not found'
            ),
            "ImagePullBackOff",
            True,
            ["not found"],
            id="no such image, tried again",
        ),
        pytest.param(
            waits(
                "ErrImagePull", "pull access denied, repository does not exist or may require authorization"
            ),
            "ErrImagePull",
            True,
            ["pull_secrets"],
            id="no login",
        ),
        pytest.param(
            waits("ErrImagePull", f"{_RESOLVE}: 401 Unauthorized"),
            "ErrImagePull",
            True,
            ["401 Unauthorized", "pull_secrets"],
            id="wrong login",
        ),
        pytest.param(
            waits("ImagePullBackOff", f"{_RESOLVE}: dial tcp: lookup registry on 10.0.0.10:53: no such host"),
            "ImagePullBackOff",
            False,
            ["no such host"],
            id="the network may come back",
        ),
        pytest.param(
            waits(
                "ImagePullBackOff", f"{_RESOLVE}: received unexpected HTTP status: 503 Service Unavailable"
            ),
            "ImagePullBackOff",
            False,
            ["503"],
            id="the registry may come back",
        ),
        pytest.param(
            waits("ErrImagePull", "something odd"),
            "ErrImagePull",
            False,
            ["something odd"],
            id="first failure",
        ),
        pytest.param(
            waits("ImagePullBackOff", f'Back-off pulling image "{_IMAGE}"'),
            "ImagePullBackOff",
            True,
            [_IMAGE],
            id="older clusters do not say why",
        ),
        pytest.param(
            waits("InvalidImageName", 'Failed to apply default image tag "A B": invalid reference format'),
            "InvalidImageName",
            True,
            ["invalid reference format"],
            id="bad name",
        ),
        pytest.param(
            waits("ErrImageNeverPull", "Container image is not present with pull policy of Never"),
            "ErrImageNeverPull",
            True,
            ["Never"],
            id="never pulled",
        ),
        pytest.param(
            waits("CrashLoopBackOff", "back-off 10s", last=ended(1), restarts=2),
            "Error",
            True,
            ["exit code 1", "2 times"],
            id="crashes",
        ),
        pytest.param(
            waits("CrashLoopBackOff", "back-off 10s", last=ended(139), restarts=1),
            "Error",
            True,
            ["signal 11"],
            id="crashes by a signal",
        ),
        pytest.param(
            waits("CrashLoopBackOff", "back-off", last=ended(137, "OOMKilled"), restarts=3),
            "OOMKilled",
            True,
            ["512 MiB", "more memory"],
            id="out of memory again and again",
        ),
        pytest.param(
            waits("CrashLoopBackOff", "back-off", last=ended(0, "Completed"), restarts=3),
            "CrashLoopBackOff",
            True,
            ["without an error"],
            id="ends well, but should not",
        ),
        pytest.param(
            pod(terminated=ended(1), phase="Running"),
            "Error",
            False,
            ["exit code 1"],
            id="about to start again",
        ),
        pytest.param(
            pod(running=True, last=ended(137, "OOMKilled"), restarts=1, phase="Running"),
            "OOMKilled",
            False,
            ["512 MiB"],
            id="started again after it ran out of memory",
        ),
        pytest.param(
            waits("CreateContainerConfigError", 'secret "object-store" not found'),
            "CreateContainerConfigError",
            True,
            ['secret "object-store" not found'],
            id="a secret is missing",
        ),
        pytest.param(
            waits("RunContainerError", 'exec: "python": executable file not found in $PATH'),
            "RunContainerError",
            False,
            ["executable file not found"],
            id="cannot be started",
        ),
        pytest.param(
            pod(
                conditions=[
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes.",
                    }
                ]
            ),
            "Unschedulable",
            False,
            ["0/3 nodes are available: 3 Insufficient memory"],
            id="no node",
        ),
        pytest.param(
            pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."),
            "Evicted",
            True,
            ["evicted", "low on resource: memory"],
            id="evicted",
        ),
        pytest.param(
            pod(phase="Failed", reason="OutOfcpu", message="Node didn't have enough resource: cpu"),
            "OutOfcpu",
            True,
            ["no processor to spare"],
            id="refused by the node",
        ),
        pytest.param(
            pod(
                running=True,
                phase="Running",
                conditions=[
                    {
                        "type": "DisruptionTarget",
                        "status": "True",
                        "reason": "DeletionByTaintManager",
                        "message": "Taint manager: deleting due to NoExecute taint",
                    }
                ],
            ),
            "DeletionByTaintManager",
            True,
            ["node was lost"],
            id="its node is given up",
        ),
        pytest.param(
            pod(
                running=True,
                phase="Running",
                conditions=[
                    {"type": "Ready", "status": "False"},
                    {"type": "ContainersReady", "status": "True"},
                ],
            ),
            "NodeLost",
            False,
            ["node-1", "does not answer"],
            id="its node is silent",
        ),
        pytest.param(pod(phase="Unknown"), "NodeLost", False, ["node-1"], id="nobody knows"),
    ],
)
def test_a_pod_that_does_not_run(item: Json, reason: str, is_final: bool, says: list[str]) -> None:
    finding = reasons.of_pod(item)

    assert finding is not None
    assert (finding.reason, finding.is_final) == (reason, is_final), finding
    for text in says:
        assert text in finding.message
    assert "\n" not in finding.message


@pytest.mark.parametrize(
    "item",
    [
        pod(),
        waits("ContainerCreating"),
        waits("PodInitializing"),
        pod(running=True, phase="Running"),
        pod(terminated=ended(0, "Completed"), phase="Succeeded"),
        pod(conditions=[{"type": "PodScheduled", "status": "True"}]),
        {"metadata": {"name": "a", "uid": "b"}},
    ],
)
def test_a_pod_with_which_nothing_is_wrong(item: Json) -> None:
    assert reasons.of_pod(item) is None
    assert reasons.progress_of(item).endswith(".")


@pytest.mark.parametrize(
    ("reason", "message", "says"),
    [
        (
            "FailedMount",
            'MountVolume.SetUp failed for volume "volume-0": persistentvolumeclaim "lake" not found',
            '"lake" not found',
        ),
        ("FailedAttachVolume", "Multi-Attach error for volume", "Multi-Attach"),
        ("FailedCreatePodSandBox", "failed to setup network for sandbox", "sandbox"),
    ],
)
def test_what_only_events_tell_is_told_while_it_waits(reason: str, message: str, says: str) -> None:
    item = waits("ContainerCreating")
    events = [
        event("Scheduled", "Successfully assigned", at="2026-11-22T09:59:00Z"),
        event(reason, message),
        event("FailedMount", "of another pod", uid="pod-2", at="2026-11-22T11:00:00Z"),
    ]

    finding = reasons.of_pod(item, events)

    assert finding is not None
    assert not finding.is_final
    assert says in finding.message
    assert reasons.of_pod(pod(running=True, phase="Running"), events) is None


_QUOTA = (
    'pods "dep-1-7c9-x2" is forbidden: exceeded quota: compute, requested: limits.memory=1Gi, '
    "used: limits.memory=7Gi, limited: limits.memory=7Gi"
)
_POD_SECURITY = (
    'pods "a" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false '
    '(container "sidecar" must set securityContext.allowPrivilegeEscalation=false)'
)
_FORBIDDEN = (
    'pods "a" is forbidden: User "system:serviceaccount:kube-system:replicaset-controller" cannot create '
    'resource "pods" in API group "" in the namespace "models"'
)


@pytest.mark.parametrize(
    ("said", "is_final", "says"),
    [
        (_QUOTA, False, "quota compute of the namespace is exceeded: asked for limits.memory=1Gi"),
        (_POD_SECURITY, True, "Pod Security Standard restricted:latest forbids the pod"),
        (_FORBIDDEN, True, "may not create pods in the namespace models"),
        ('error looking up service account models/x: serviceaccount "x" not found', True, '"x" not found'),
        ('pods "a" is forbidden: maximum memory usage per Container is 1Gi', True, "maximum memory usage"),
        ("Internal error occurred: failed calling webhook: context deadline exceeded", False, "webhook"),
    ],
)
def test_pods_that_cannot_be_made(said: str, is_final: bool, says: str) -> None:
    deployment = {
        "status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": said}]},
    }
    job = {"metadata": {"uid": "job-1"}}
    events = [event("FailedCreate", f"Error creating: {said}", uid="job-1")]

    for finding in (reasons.of_deployment(deployment), reasons.of_job(job, events)):
        assert finding is not None
        assert finding.is_final is is_final
        assert says in finding.message


def test_a_failure_that_is_over_is_not_told() -> None:
    job = {"metadata": {"uid": "job-1"}}
    events = [
        event("FailedCreate", _QUOTA, uid="job-1", at="2026-11-22T10:00:00Z"),
        event("SuccessfulCreate", "Created pod: a", uid="job-1", at="2026-11-22T10:00:05Z"),
    ]
    was = {"status": {"conditions": [{"type": "ReplicaFailure", "status": "False", "message": _QUOTA}]}}

    assert reasons.of_job(job, events) is None
    assert reasons.of_deployment(was) is None
    assert reasons.of_deployment({}) is None


def test_the_newest_event_counts_whichever_clock_it_has() -> None:
    old = event("FailedMount", "old", at="2026-11-22T10:00:00Z")
    series = event("FailedMount", "new") | {
        "lastTimestamp": None,
        "eventTime": "2026-11-22T09:00:00.000000Z",
        "series": {"count": 3, "lastObservedTime": "2026-11-22T12:00:00.000000Z"},
    }

    assert [found["message"] for found in reasons.newest_first([old, series], of=["pod-1"])] == ["new", "old"]


_any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=9), inner, max_size=2),
    max_leaves=5,
)


@given(
    reason=st.sampled_from(
        ["ErrImagePull", "ImagePullBackOff", "CrashLoopBackOff", "CreateContainerError", "SomethingNew", ""]
    ),
    message=st.text(max_size=200),
    code=st.integers(0, 255),
    restarts=st.integers(0, 9),
    phase=st.sampled_from(["Pending", "Running", "Failed", "Unknown"]),
    odd=_any_json,
)
def test_whatever_a_cluster_says_becomes_one_line(
    reason: str, message: str, code: int, restarts: int, phase: str, odd: Any
) -> None:
    item = waits(reason, message, last=ended(code), restarts=restarts, phase=phase)
    item["status"]["somethingNew"] = odd

    finding = reasons.of_pod(item)

    assert finding is None or (finding.message.endswith(".") and len(finding.message.splitlines()) == 1)
