"""What a Kubernetes runtime's options may say."""

from typing import Any

import jsonschema
import pytest

from airlock.exceptions import SpecError
from airlock.spec import KubernetesOptions, RuntimeSpec
from airlock.spec.json_schema import schemas
from airlock.spec.kubernetes_parts import KServe


def runtime(options: dict[str, Any]) -> RuntimeSpec:
    return RuntimeSpec(runtime="k8s", kind="kubernetes", stages=["DEV"], options=options)


def test_nothing_must_be_said() -> None:
    options = KubernetesOptions()

    assert (options.namespace, options.replicas, options.user) == (None, 1, 10001)
    assert options.ready_within.total_seconds() == 600


@pytest.mark.parametrize(
    "options",
    [
        {"namespace": "models", "context": "prod", "replicas": 3},
        {"autoscale": {"least": 2, "most": 5, "cpu_percent": 60}, "replicas": 2},
        {"ingress": {"host": "{deployment}.models.example.com", "tls": True, "tls_secret": "a"}},
        {"route": {"host": "a-{deployment}.example.com", "gateway": "front"}},
        {"kserve": {"canary_percent": 0}},
        {"gateway": {"name": "front", "host": "models.example.com"}},
        {
            "gateway": {"name": "front", "namespace": "infra", "host": "a", "listener": "https", "tls": True},
            "kserve": {},
        },
        {"tolerations": [{"operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoExecute"}]},
        {"user": None, "keep_jobs": "2h", "requests": {"cpu": 0.5, "memory": "256MiB"}},
        {"pod_template": {"metadata": {"annotations": {"a": "b"}}, "spec": {"hostAliases": None}}},
        {"pull_secrets": ["a"], "environment_from": ["b"], "node_selector": {"a.example/b": ""}},
    ],
)
def test_what_may_be_said_is_read_back(options: dict[str, Any]) -> None:
    said = runtime(options)

    jsonschema.validate(
        {"runtime": "k8s", "kind": "kubernetes", "stages": ["DEV"], "options": options}, schemas()["runtime"]
    )
    assert RuntimeSpec.model_validate_json(said.model_dump_json()) == said


def test_each_option_counts_for_the_digest() -> None:
    assert runtime({"kserve": {}}).digest != runtime({}).digest
    assert runtime({"kserve": {}}).options == KubernetesOptions(kserve=KServe())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"namespace": "my_models"}, "cannot be a name in Kubernetes"),
        ({"replicas": 0}, "greater than or equal to 1"),
        ({"autoscale": {"most": 1, "least": 2}}, "most (1) is less than least (2)"),
        ({"autoscale": {"least": 2}}, "most"),
        ({"ingress": {"host": "models.example.com"}}, "the same for every deployment"),
        ({"gateway": {"name": "front"}}, "host"),
        ({"gateway": {"name": "front", "host": "{deployment}.example.com"}}, "is not a host name"),
        ({"gateway": {"name": "front", "host": "10.0.0.1"}}, "is not a host name"),
        ({"gateway": {"name": "front", "host": "a..b"}}, "is not a host name"),
        (
            {"gateway": {"name": "front", "host": "a"}, "kserve": {"canary_percent": 5}},
            "both the gateway and KServe's canary_percent",
        ),
        ({"ingress": {"host": "{service}.{deployment}.example.com"}}, "is not a host name"),
        ({"ingress": {"host": "http://{deployment}"}}, "is not a host name"),
        (
            {"ingress": {"host": "{deployment}.a"}, "route": {"host": "{deployment}.a", "gateway": "b"}},
            "there is both ingress and route",
        ),
        ({"kserve": {}, "ingress": {"host": "{deployment}.a"}}, "there is both ingress and kserve"),
        ({"kserve": {"canary_percent": 101}}, "less than or equal to 100"),
        ({"tolerations": [{"operator": "Exists", "value": "a"}]}, "has a value"),
        ({"tolerations": [{"effect": "NoSchedule"}]}, "tolerates everything"),
        ({"pull_secrets": ["a", "a"]}, "here twice"),
        ({"pod_template": {"containers": []}}, "a pod template has no 'containers'"),
        ({"pod_template": {"spec": []}}, "spec of the pod template is not a mapping"),
        ({"user": 0}, "greater than or equal to 1"),
        ({"replica": 1}, "Did you mean 'replicas'?"),
    ],
)
def test_mistakes(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        runtime(options)

    assert complaint in str(caught.value)
