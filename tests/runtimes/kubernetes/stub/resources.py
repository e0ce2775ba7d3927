"""The kinds of objects that this API server knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class Resource:
    """One kind of objects: where it stands in URLs, and what can be done with it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    subresources: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """As messages name it: ``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


_ALL = [
    Resource("", "v1", "namespaces", "Namespace", False, ("status", "finalize")),
    Resource("", "v1", "nodes", "Node", False, ("status",)),
    Resource("", "v1", "persistentvolumes", "PersistentVolume", False, ("status",)),
    Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True, ("status",)),
    Resource("", "v1", "pods", "Pod", True, ("status", "log", "proxy")),
    Resource("", "v1", "services", "Service", True, ("status", "proxy")),
    Resource("", "v1", "configmaps", "ConfigMap"),
    Resource("", "v1", "secrets", "Secret"),
    Resource("", "v1", "events", "Event"),
    Resource("", "v1", "serviceaccounts", "ServiceAccount", True, ("token",)),
    Resource("", "v1", "resourcequotas", "ResourceQuota", True, ("status",)),
    Resource("", "v1", "limitranges", "LimitRange"),
    Resource("apps", "v1", "deployments", "Deployment", True, ("status", "scale")),
    Resource("apps", "v1", "replicasets", "ReplicaSet", True, ("status", "scale")),
    Resource("batch", "v1", "jobs", "Job", True, ("status",)),
    Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", True, ("status",)),
    Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", True, ("status",)),
    Resource("networking.k8s.io", "v1", "ingresses", "Ingress", True, ("status",)),
    Resource("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute", True, ("status",)),
    Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
    Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
    Resource("coordination.k8s.io", "v1", "leases", "Lease"),
    Resource("rbac.authorization.k8s.io", "v1", "roles", "Role"),
    Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
    Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False),
    Resource("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", False),
    Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False),
    Resource("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", False),
]

RESOURCES = {(resource.group, resource.version, resource.plural): resource for resource in _ALL}
KINDS = {(resource.group, resource.kind): resource for resource in _ALL}
BY_PLURAL = {resource.plural: resource for resource in _ALL}


def of_owner(reference: Object) -> Resource | None:
    """The resource that an owner reference is about."""
    group, _, _ = reference["apiVersion"].rpartition("/")
    return KINDS.get((group, reference["kind"]))
