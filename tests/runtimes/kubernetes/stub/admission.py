"""What stands between a request and the store: validity, the namespace's life, pod security and quota."""

from __future__ import annotations

from .answers import forbidden, not_found
from .pod_security import violations
from .quota import refusal
from .resources import BY_PLURAL, Object, Resource
from .store import Store
from .validation import validate

_ENFORCE = "pod-security.kubernetes.io/enforce"


def check(store: Store, resource: Resource, document: Object, before: Object | None) -> None:
    """:raises Refusal: the object may not be stored."""
    validate(resource, document, before)
    if before is not None or not resource.namespaced:
        return
    name = document["metadata"]["name"]
    namespace = store.find("namespaces", "", document["metadata"]["namespace"])
    if namespace is None:
        raise not_found(BY_PLURAL["namespaces"], document["metadata"]["namespace"])
    if namespace["metadata"].get("deletionTimestamp"):
        raise forbidden(
            resource,
            name,
            f"unable to create new content in namespace {namespace['metadata']['name']} "
            "because it is being terminated",
        )
    if resource.plural == "pods":
        _check_pod(store, resource, document, namespace)
    where = namespace["metadata"]["name"]
    over = refusal(resource, document, store.all("resourcequotas", where), store.all(resource, where))
    if over is not None:
        raise forbidden(resource, name, over)


def _check_pod(store: Store, resource: Resource, document: Object, namespace: Object) -> None:
    name, where = document["metadata"]["name"], namespace["metadata"]["name"]
    account = document["spec"]["serviceAccountName"]
    if store.find("serviceaccounts", where, account) is None:
        raise forbidden(
            resource,
            name,
            f'error looking up service account {where}/{account}: serviceaccount "{account}" not found',
        )
    level = (namespace["metadata"].get("labels") or {}).get(_ENFORCE, "privileged")
    if level == "restricted":
        found = [*violations(document["spec"])]
        if found:
            raise forbidden(resource, name, f'violates PodSecurity "{level}:latest": {", ".join(found)}')
