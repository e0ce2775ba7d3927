"""What this user must be allowed to do in a namespace, and what of it is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airlock.runtimes.kubernetes.cluster import (
    AUTOSCALER,
    CONFIG_MAP,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    EVENT,
    INFERENCE_SERVICE,
    INGRESS,
    JOB,
    POD,
    ROUTE,
    SECRET,
    SERVICE,
    Kind,
)
from airlock.runtimes.kubernetes.server import fewest_pods
from airlock.spec import KubernetesOptions

_MAKES = ("get", "create", "patch")


def needed(
    options: KubernetesOptions, modes: Sequence[str], *, has_secrets: bool
) -> list[tuple[str, str, tuple[str, ...]]]:
    """API group, resource and verbs of each permission that a runtime needs."""
    found: list[tuple[Kind, tuple[str, ...]]] = [
        (CONFIG_MAP, (*_MAKES, "list", "delete")),
        (JOB, (*_MAKES, "list", "delete")),
        (POD, ("list",)),
        (EVENT, ("list",)),
    ]
    if has_secrets:
        found.append((SECRET, ("create", "patch")))
    if "online" in modes and options.kserve is not None:
        found.append((INFERENCE_SERVICE, _MAKES))
    elif "online" in modes:
        found += [(DEPLOYMENT, _MAKES), (SERVICE, ("create", "patch"))]
        if fewest_pods(options) > 1:
            found.append((DISRUPTION_BUDGET, ("create", "patch")))
        for part, kind in (
            (options.autoscale, AUTOSCALER),
            (options.ingress, INGRESS),
            (options.route, ROUTE),
        ):
            if part is not None:
                found.append((kind, ("create", "patch")))
    if "online" in modes and options.gateway is not None:
        found.append((ROUTE, (*_MAKES, "delete")))
    resources = [(kind.group, kind.plural, verbs) for kind, verbs in found]
    return [*resources, ("", "pods/log", ("get",))]


def missing(
    rules: Sequence[Mapping[str, Any]], permissions: Sequence[tuple[str, str, tuple[str, ...]]]
) -> Iterator[str]:
    """Each permission that no rule gives, in words: ``create deployments.apps``.

    :param rules: the ``resourceRules`` of a SelfSubjectRulesReview.
    """
    for group, resource, verbs in permissions:
        for verb in verbs:
            if not any(_gives(rule, group, resource, verb) for rule in rules):
                yield f"{verb} {resource}.{group}" if group else f"{verb} {resource}"


def _gives(rule: Mapping[str, Any], group: str, resource: str, verb: str) -> bool:
    if rule.get("resourceNames"):
        return False
    return (
        _has(rule.get("apiGroups"), group)
        and _has(rule.get("verbs"), verb)
        and (
            _has(rule.get("resources"), resource)
            or ("/" in resource and f"*/{resource.partition('/')[2]}" in (rule.get("resources") or []))
        )
    )


def _has(values: Sequence[str] | None, value: str) -> bool:
    return bool(values) and ("*" in (values or ()) or value in (values or ()))
