"""What Airflow's user must be allowed: what the adapter asks for is what the documentation's role gives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from airlock.runtimes.kubernetes.permissions import missing, needed
from airlock.spec import KubernetesOptions
from airlock.spec.kubernetes_parts import Autoscale, Ingress, KServe, Route, StableGateway

_PAGE = Path(__file__).resolve().parents[3] / "docs" / "run-on-kubernetes.md"
_ALL = [
    KubernetesOptions(replicas=3, ingress=Ingress("{deployment}.a")),
    KubernetesOptions(autoscale=Autoscale(4, 2), route=Route("{deployment}.a", "front")),
    KubernetesOptions(kserve=KServe(10)),
    KubernetesOptions(kserve=KServe(), gateway=StableGateway("front", "models.example.com")),
]


def documented_role() -> list[dict[str, Any]]:
    blocks = re.findall(r"```yaml\n(.*?)```", _PAGE.read_text(encoding="utf-8"), re.DOTALL)
    [role] = [block for block in map(yaml.safe_load, blocks) if block.get("kind") == "Role"]
    rules: list[dict[str, Any]] = role["rules"]
    return rules


@pytest.mark.parametrize("options", _ALL)
def test_the_documented_role_is_enough(options: KubernetesOptions) -> None:
    permissions = needed(options, ["batch", "online"], has_secrets=True)

    assert [*missing(documented_role(), permissions)] == []


def test_the_documented_role_is_the_smallest() -> None:
    asked = {
        (group, resource, verb)
        for options in _ALL
        for group, resource, verbs in needed(options, ["batch", "online"], has_secrets=True)
        for verb in verbs
    }
    given = {
        (group, resource, verb)
        for rule in documented_role()
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if not resource.endswith("/finalizers")
    }

    assert given == asked


def test_what_is_missing_is_named() -> None:
    rules = [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["*"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["*"], "resourceNames": ["one"]},
    ]

    found = [*missing(rules, needed(KubernetesOptions(), ["online"], has_secrets=False))]

    assert found == [
        "create configmaps",
        "patch configmaps",
        "delete configmaps",
        "create deployments.apps",
        "patch deployments.apps",
        "create services",
        "patch services",
    ]


def test_who_may_everything_lacks_nothing() -> None:
    everything = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]

    assert [*missing(everything, needed(_ALL[0], ["batch", "online"], has_secrets=True))] == []


def test_a_runtime_for_batch_alone_needs_no_deployments() -> None:
    resources = {resource for _, resource, _ in needed(_ALL[0], ["batch"], has_secrets=False)}

    assert resources == {"configmaps", "jobs", "pods", "events", "pods/log"}
