"""What a cluster says when it refuses, as real ones say it."""

from __future__ import annotations

import json

import pytest

from airlock.runtimes.kubernetes.refusals import refused

_PLACE = "the Airflow connection 'k8s'"


def status(code: int, reason: str, message: str) -> str:
    return json.dumps(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "code": code,
            "reason": reason,
            "message": message,
        }
    )


@pytest.mark.parametrize(
    ("code", "reason", "message", "says"),
    [
        (
            403,
            "Forbidden",
            'deployments.apps "dep-1" is forbidden: User "system:serviceaccount:airflow:worker" cannot patch '
            'resource "deployments" in API group "apps" in the namespace "models"',
            "system:serviceaccount:airflow:worker may not patch deployments.apps in the namespace models.",
        ),
        (
            403,
            "Forbidden",
            'namespaces is forbidden: User "ada" cannot create resource "namespaces" in API group "" at the '
            "cluster scope",
            "ada may not create namespaces in the whole cluster.",
        ),
        (
            403,
            "Forbidden",
            'pods "a" is forbidden: exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5',
            "The quota q of the namespace is exceeded: asked for pods=1, in use pods=5, at most pods=5.",
        ),
        (
            401,
            "Unauthorized",
            "Unauthorized",
            f"The cluster does not accept the credentials. Correct {_PLACE}.",
        ),
        (409, "Conflict", "the object has been modified", "the object has been modified."),
        (
            422,
            "Invalid",
            'ConfigMap "dep-1" is invalid: data: Forbidden: field is immutable when `immutable` is set',
            "field is immutable",
        ),
    ],
)
def test_refusals(code: int, reason: str, message: str, says: str) -> None:
    error = refused(code, status(code, reason, message), place=_PLACE)

    assert says in str(error)
    assert (error.status, error.reason) == (code, reason)


@pytest.mark.parametrize("body", [None, "", "<html>Bad Gateway</html>", b"\xff\xfe", "[1]", "{}"])
def test_what_is_no_answer_of_kubernetes(body: str | bytes | None) -> None:
    error = refused(502, body, place=_PLACE)

    assert error.message
    assert len(str(error).splitlines()) == 1
