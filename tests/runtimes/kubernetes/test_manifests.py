"""Every object that the adapter can make, against the published schemas of Kubernetes 1.29 to 1.37."""

from __future__ import annotations

import base64
import json
import re
from datetime import timedelta
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airlock.exceptions import AdapterError
from airlock.runtimes.kubernetes import labels as names
from airlock.runtimes.kubernetes.inference_service import CONTAINER
from airlock.runtimes.kubernetes.job import LARGEST_FILE
from airlock.spec import GiB, KubernetesOptions, RuntimeSpec, Volume
from airlock.spec.kubernetes_parts import Autoscale, Ingress, KServe, Requests, Route, Toleration

from .custom_schemas import HTTP_ROUTE, PREDICTOR_EXTENSION
from .made import IMAGE, Made, everything, everything_of_a_stream, job, pod_templates, record, runtime
from .pod_security import broken_rules
from .published import VERSIONS, mistakes

_PLENTY: dict[str, Any] = {
    "cpu": 2.0,
    "memory": 2 * GiB,
    "requests": Requests(cpu=0.25, memory=GiB),
    "replicas": 3,
    "namespace": "models",
    "service_account": "models",
    "pull_secrets": ["registry"],
    "environment": {"AWS_ENDPOINT_URL": "http://minio:9000"},
    "environment_from": ["object-store"],
    "node_selector": {"pool": "models"},
    "tolerations": [Toleration(operator="Exists"), Toleration(key="gpu", value="yes", effect="NoSchedule")],
    "volumes": [Volume("lake", "/srv/lake"), Volume("rules", "/srv/rules", True)],
    "ready_within": timedelta(minutes=3),
    "keep_jobs": timedelta(hours=1),
    "pod_template": {
        "metadata": {"annotations": {"prometheus.io/scrape": "true"}},
        "spec": {
            "priorityClassName": "models",
            "containers": [{"name": "host", "resources": {"limits": {"nvidia.com/gpu": "1"}}}],
        },
    },
}
_WAYS_IN: dict[str, dict[str, Any]] = {
    "nothing": {},
    "plenty": _PLENTY,
    "autoscale": _PLENTY | {"autoscale": Autoscale(5, 2, 60)},
    "ingress": {"ingress": Ingress("{deployment}.example.com")},
    "ingress with tls": {
        "ingress": Ingress(
            "{deployment}.example.com", "nginx", True, "certificate", 8443, {"nginx.example/body-size": "16m"}
        )
    },
    "route": {"route": Route("{deployment}.example.com", "front", "infra", "https", True)},
    "kserve": _PLENTY | {"kserve": KServe()},
    "kserve with a canary": {"kserve": KServe(10), "autoscale": Autoscale(4)},
    "the cluster's user": {"user": None},
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", _WAYS_IN)
def test_every_object_is_valid(way: str, version: str) -> None:
    items = (
        everything(runtime(**_WAYS_IN[way]), for_job=job(input=["/srv/rules/a.csv"], output="/srv/lake/b"))
        if "volumes" in _WAYS_IN[way]
        else everything(runtime(**_WAYS_IN[way]))
    )

    assert [found for item in items for found in _mistakes(item, version)] == []


def test_the_schemas_are_strict() -> None:
    [server] = [item for item in everything(runtime()) if item["kind"] == "Deployment"]
    server["spec"]["template"]["spec"]["containers"][0]["imagee"] = "a"

    assert _mistakes(server, VERSIONS[0]) != []
    assert _mistakes(server, VERSIONS[-1]) != []


_names = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
_texts = st.text("abcXYZ09 ./:-_é", max_size=30)
_lines = st.text("abcXYZ09/.-", min_size=1, max_size=20)
_hosts = st.sampled_from(["{deployment}.example.com", "a-{deployment}.b"])
_options = st.fixed_dictionaries(
    {},
    optional={
        "cpu": st.floats(0.001, 64),
        "memory": st.integers(2**20, 2**40),
        "requests": st.builds(
            Requests, cpu=st.none() | st.floats(0.001, 64), memory=st.none() | st.just(GiB)
        ),
        "replicas": st.integers(1, 5),
        "autoscale": st.none() | st.builds(Autoscale, most=st.integers(3, 9), least=st.integers(1, 3)),
        "service_account": st.none() | _names,
        "pull_secrets": st.lists(_names, max_size=2, unique=True),
        "environment": st.dictionaries(st.sampled_from(["A", "B_1", "OMP_NUM_THREADS"]), _texts, max_size=3),
        "environment_from": st.lists(_names, max_size=2, unique=True),
        "node_selector": st.dictionaries(_lines, _texts, max_size=2),
        "tolerations": st.lists(
            st.builds(
                Toleration,
                key=_lines,
                effect=st.sampled_from(["NoSchedule", "PreferNoSchedule", "NoExecute"]),
            ),
            max_size=2,
        ),
        "user": st.none() | st.integers(1, 2**31 - 1),
        "ready_within": st.builds(timedelta, seconds=st.integers(1, 10**6)),
        "keep_jobs": st.builds(timedelta, seconds=st.integers(1, 10**6)),
        "pod_template": st.sampled_from([{}, _PLENTY["pod_template"]]),
    },
)
_way_in = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {"ingress": st.builds(Ingress, host=_hosts, class_name=st.none() | _names, tls=st.booleans())}
    ),
    st.fixed_dictionaries({"route": st.builds(Route, host=_hosts, gateway=_names, tls=st.booleans())}),
    st.fixed_dictionaries({"kserve": st.builds(KServe, canary_percent=st.none() | st.integers(0, 100))}),
)


@settings(max_examples=60, deadline=None)
@given(options=_options, way_in=_way_in, version=st.sampled_from(VERSIONS))
def test_whatever_the_options(options: dict[str, Any], way_in: dict[str, Any], version: str) -> None:
    items = everything(runtime(**options, **way_in))

    assert [found for item in items for found in _mistakes(item, version)] == []
    for pod in pod_templates(items):
        assert [*broken_rules(pod["spec"])] == []
    for item in items:
        for key, value in item["metadata"]["labels"].items():
            assert re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?", value), (key, value)
            assert len(value) <= 63


@pytest.mark.parametrize("way", _WAYS_IN)
def test_every_pod_keeps_the_restricted_standard(way: str) -> None:
    spec = runtime(**{key: value for key, value in _WAYS_IN[way].items() if key != "volumes"})

    for pod in pod_templates(everything(spec)):
        assert [*broken_rules(pod["spec"])] == []
        [host] = [found for found in pod["spec"]["containers"] if found["name"] in ("host", CONTAINER)]
        assert host["securityContext"]["readOnlyRootFilesystem"] is True
        assert host["resources"]["limits"].keys() >= {"cpu", "memory"}
        has_account = "service_account" in _WAYS_IN[way]
        assert pod["spec"]["automountServiceAccountToken"] is has_account


def test_the_rules_see_what_breaks_them() -> None:
    bad = {
        "hostNetwork": True,
        "volumes": [{"name": "a", "hostPath": {"path": "/"}}],
        "containers": [{"name": "b", "securityContext": {"privileged": True, "runAsUser": 0}}],
    }

    assert len([*broken_rules(bad)]) == 8


def test_everything_goes_with_the_record() -> None:
    spec = runtime(
        **{key: value for key, value in _PLENTY.items() if key != "volumes"}, autoscale=Autoscale(4, 2)
    )
    items = everything(spec)
    owners = {
        (item["kind"], item["metadata"]["name"]): [
            owner["kind"] for owner in item["metadata"].get("ownerReferences", [])
        ]
        for item in items[:-2]
    }

    assert owners == {
        ("ConfigMap", "dep-1"): [],
        ("Deployment", "dep-1"): ["ConfigMap"],
        ("Service", "dep-1"): ["Deployment"],
        ("PodDisruptionBudget", "dep-1"): ["Deployment"],
        ("HorizontalPodAutoscaler", "dep-1"): ["Deployment"],
        ("Job", "job-1"): ["ConfigMap"],
        ("ConfigMap", "job.job-1"): ["Job"],
    }


def test_a_rollout_never_takes_a_pod_away_first() -> None:
    [server] = [item for item in everything(runtime(replicas=2)) if item["kind"] == "Deployment"]
    spec = server["spec"]

    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert spec["progressDeadlineSeconds"] == 600
    assert spec["template"]["spec"]["topologySpreadConstraints"][0]["labelSelector"] == spec["selector"]
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    [host] = spec["template"]["spec"]["containers"]
    probes = {name: host[name]["httpGet"]["path"] for name in host if name.endswith("Probe")}
    assert probes == {
        "startupProbe": "/v2/health/ready",
        "readinessProbe": "/v2/health/ready",
        "livenessProbe": "/v2/health/live",
    }
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] > 35


@pytest.mark.parametrize("way", ["nothing", "kserve"])
def test_a_server_keeps_its_answers_only_where_it_is_told_to(way: str) -> None:
    def arguments(answers: int) -> list[str]:
        pods = pod_templates(everything(runtime(**_WAYS_IN[way]), record_answers=answers))
        hosts = [pod["spec"]["containers"][0] for pod in pods]
        found, *_ = [host["args"] for host in hosts if host["args"][0] == "serve"]
        return list(found)

    assert "--record-answers" not in arguments(0)
    assert arguments(1000)[-2:] == ["--record-answers", "1000"]


def test_an_autoscaler_is_not_contradicted() -> None:
    items = everything(runtime(autoscale=Autoscale(4, 2)))
    [server] = [item for item in items if item["kind"] == "Deployment"]

    assert "replicas" not in server["spec"]
    assert {"HorizontalPodAutoscaler", "PodDisruptionBudget"} <= {item["kind"] for item in items}


def test_a_job_runs_once_and_says_its_result() -> None:
    spec = runtime(keep_jobs=timedelta(hours=2), ready_within=timedelta(minutes=1))
    item, file = everything(spec)[-2:]
    [host] = item["spec"]["template"]["spec"]["containers"]

    assert item["spec"]["backoffLimit"] == 0
    assert item["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    assert item["spec"]["activeDeadlineSeconds"] == 3600 + 60
    assert item["spec"]["ttlSecondsAfterFinished"] == 7200
    assert host["args"] == ["batch", "--job", "/airlock/job/job.json", "--deadline", "3600", "--report"]
    assert '"result": "/airlock/job/result.json"' in file["data"]["job.json"]
    assert "model" not in file["data"]["job.json"]


def test_a_job_with_credentials_has_its_file_in_a_secret() -> None:
    wanted = job(is_secret=True, stream={"client": {"sasl.password": "hush"}})
    item, file = everything(runtime(), for_job=wanted)[-2:]

    assert (file["kind"], file["metadata"]["name"]) == ("Secret", "file.job-1")
    assert not [mistake for version in VERSIONS for mistake in _mistakes(file, version)]
    assert not [mistake for version in VERSIONS for mistake in _mistakes(item, version)]
    [volume] = [each for each in item["spec"]["template"]["spec"]["volumes"] if each["name"] == "job-file"]
    assert volume["secret"] == {"secretName": "file.job-1"}
    assert "hush" not in str(item)
    assert b"hush" in base64.b64decode(file["data"]["job.json"])


def test_a_path_outside_all_volumes_is_refused() -> None:
    with pytest.raises(AdapterError, match=r"/srv/data.*Name a volume claim.*or use a URL"):
        everything(runtime(), for_job=job(input=["/srv/data/a.parquet"]))


def test_only_the_volumes_that_a_job_needs_are_mounted() -> None:
    spec = runtime(volumes=_PLENTY["volumes"])
    item = everything(spec, for_job=job(input=["/srv/rules/a.parquet"]))[-2]
    pod = item["spec"]["template"]["spec"]

    claims = [
        volume["persistentVolumeClaim"] for volume in pod["volumes"] if "persistentVolumeClaim" in volume
    ]
    assert claims == [{"claimName": "rules", "readOnly": True}]


def test_a_job_file_that_no_config_map_holds_is_refused() -> None:
    many = [f"s3://data/{number:060}" for number in range(LARGEST_FILE // 60)]

    with pytest.raises(AdapterError, match="Divide its input"):
        everything(runtime(), for_job=job(input=many))


def test_a_patch_cannot_change_what_runs_or_how_it_is_found() -> None:
    patch = {
        "metadata": {"labels": {"team": "risk", names.DEPLOYMENT: "another"}},
        "spec": {
            "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}}, {"name": "x", "emptyDir": {}}],
            "containers": [
                {"name": "host", "image": "another", "args": ["x"], "env": [{"name": "A", "value": "1"}]},
                {"name": "sidecar", "image": "log-shipper"},
            ],
            "enableServiceLinks": None,
        },
    }
    [server] = [item for item in everything(runtime(pod_template=patch)) if item["kind"] == "Deployment"]
    pod = server["spec"]["template"]
    host, sidecar = pod["spec"]["containers"]

    assert host["image"] == IMAGE
    assert host["args"][0] == "serve"
    assert {"name": "A", "value": "1"} in host["env"]
    assert {"name": "AIRLOCK_STAGE", "value": "PROD"} in host["env"]
    assert sidecar == {"name": "sidecar", "image": "log-shipper"}
    assert pod["metadata"]["labels"][names.DEPLOYMENT] == "dep-1"
    assert pod["metadata"]["labels"]["team"] == "risk"
    assert pod["spec"]["volumes"] == [
        {"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}},
        {"name": "x", "emptyDir": {}},
    ]
    assert "enableServiceLinks" not in pod["spec"]


_STREAM: Made = {"client": {"sasl.password": "a password"}, "input": "transactions", "reads": "nothing"}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", _WAYS_IN)
def test_every_object_of_a_stream_is_valid(way: str, version: str) -> None:
    items = everything_of_a_stream(runtime(**_WAYS_IN[way]), _STREAM)

    assert [found for item in items for found in _mistakes(item, version)] == []
    for pod in pod_templates(items):
        assert [*broken_rules(pod["spec"])] == []


@pytest.mark.parametrize("way", _WAYS_IN)
def test_a_stream_is_one_pod_however_many_servers_are(way: str) -> None:
    items = everything_of_a_stream(runtime(**_WAYS_IN[way]), _STREAM)
    [server] = [item for item in items if item["kind"] == "Deployment"]

    ways_in = {"ingress": ["Ingress"], "ingress with tls": ["Ingress"], "route": ["HTTPRoute"]}.get(way, [])
    assert [item["kind"] for item in items] == ["ConfigMap", "Secret", "Deployment", "Service", *ways_in]
    assert server["spec"]["replicas"] == 1
    assert server["spec"]["strategy"] == {"type": "Recreate"}
    [host] = [one for one in server["spec"]["template"]["spec"]["containers"] if one["name"] == "host"]
    assert host["args"][:3] == ["stream", "--stream", "/airlock/stream/stream.json"]
    assert "lifecycle" not in host


def test_what_a_stream_reads_is_in_its_secret_alone() -> None:
    items = everything_of_a_stream(runtime(), _STREAM)
    [secret] = [item for item in items if item["kind"] == "Secret"]
    [server] = [item for item in items if item["kind"] == "Deployment"]
    pod = server["spec"]["template"]["spec"]

    assert json.loads(base64.b64decode(secret["data"]["stream.json"])) == _STREAM
    assert "a password" not in json.dumps([item for item in items if item is not secret])
    assert [owner["kind"] for owner in secret["metadata"]["ownerReferences"]] == ["ConfigMap"]
    [volume] = [volume for volume in pod["volumes"] if "secret" in volume]
    [host] = pod["containers"]
    [mount] = [mount for mount in host["volumeMounts"] if mount["name"] == volume["name"]]
    assert volume["secret"]["secretName"] == secret["metadata"]["name"]
    # A file that is mounted by itself would never change.
    assert mount == {"name": "stream", "mountPath": "/airlock/stream", "readOnly": True}


def test_those_who_run_in_the_container_may_read_the_file() -> None:
    def mode(**options: Any) -> int:
        [template] = pod_templates(everything_of_a_stream(runtime(**options), _STREAM))
        [volume] = [volume for volume in template["spec"]["volumes"] if "secret" in volume]
        return int(volume["secret"]["defaultMode"])

    assert mode(user=10001) == 0o440, "the pod's group"
    assert mode(user=None) == 0o444, "the file belongs to root, and the user is the image's"


def test_a_stream_is_told_from_a_server() -> None:
    spec = runtime()

    assert record(spec, stream=_STREAM).what == f"sha256:{'1' * 64} (stream)"
    assert record(spec).what == f"sha256:{'1' * 64} (online)"
    assert record(spec, stream=_STREAM).handle(spec)["stream"] is True


def test_whole_values_are_kept_as_annotations() -> None:
    spec = runtime()
    item = record(spec).item["metadata"]

    assert item["annotations"]["airlock/passage"] == "p:2026-11-22/é"
    assert item["annotations"]["airlock/digest"] == f"sha256:{'1' * 64}"
    assert record(spec).handle(spec) == {
        "kind": "kubernetes",
        "runtime": "k8s_prod",
        "name": "dep-1",
        "digest": f"sha256:{'1' * 64}",
        "image": IMAGE,
    }


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._@+=~-]{0,149}", fullmatch=True))
def test_any_name_gives_an_objects_name(name: str) -> None:
    found = names.object_name(name)

    assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", found)
    assert len(found) <= names.LONGEST_NAME
    assert found == name or found.rpartition("-")[2] != ""


@pytest.mark.parametrize("name", ["", "-a", "a/b", "ä", "a" * 151])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(AdapterError, match="cannot be the name"):
        names.object_name(name)


def test_different_names_never_share_an_object() -> None:
    given_names = ["a.b", "a-b", "a_b", "A-b", "a--b", "a" * 60, "a" * 61, "1", "a-1"]

    assert len({names.object_name(name) for name in given_names}) == len(given_names)


def _mistakes(item: Made, version: str) -> list[str]:
    if item["kind"] == "HTTPRoute":
        return [
            error.message for error in jsonschema.Draft202012Validator(HTTP_ROUTE).iter_errors(item["spec"])
        ]
    if item["kind"] == "InferenceService":
        predictor = item["spec"]["predictor"]
        known = PREDICTOR_EXTENSION["properties"]
        extension = {key: value for key, value in predictor.items() if key in known}
        errors = jsonschema.Draft202012Validator(PREDICTOR_EXTENSION).iter_errors(extension)
        pod = {key: value for key, value in predictor.items() if key not in known}
        as_pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": pod}
        return [error.message for error in errors] + mistakes(as_pod, version)
    return mistakes(item, version)


def test_the_options_are_of_the_kind() -> None:
    spec = RuntimeSpec("k8s", "kubernetes", ["DEV"], options=KubernetesOptions(**_PLENTY))

    assert RuntimeSpec.model_validate_json(spec.model_dump_json()) == spec
