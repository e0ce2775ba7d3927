"""What engines and registries say, as they were heard, and what is made of it."""

from __future__ import annotations

import pytest

from airlock.runtimes.images.refusals import refusal

HEARD = [
    ("write /var/lib/docker/tmp/x: no space left on device", "disk of the Docker engine is full", True),
    ("exec /usr/bin/python: exec format error", "another kind of processor", True),
    (
        "no matching manifest for linux/arm64/v8 in the manifest list entries",
        "another kind of processor",
        True,
    ),
    ("Get https://r.example/v2/: unauthorized: authentication required", "does not know the login", False),
    ("no basic auth credentials", "does not know the login", False),
    ("denied: requested access to the resource is denied", "does not allow it", False),
    ("http: server gave HTTP response to HTTPS client", "has no TLS", False),
    ("x509: certificate signed by unknown authority", "does not trust the registry", False),
    ("dial tcp: lookup r.example on 127.0.0.53:53: no such host", "cannot reach the registry", False),
    ("dial tcp 127.0.0.1:9: connect: connection refused", "cannot reach the registry", False),
]


@pytest.mark.parametrize(("said", "reason", "of_engine"), HEARD)
def test_reasons_are_told_with_what_was_said(said: str, reason: str, of_engine: bool) -> None:
    error = refusal("The image x cannot be pulled", said)

    assert str(error).startswith("The image x cannot be pulled: ")
    assert reason in str(error)
    assert said in str(error)
    assert error.mend
    assert error.of_engine == of_engine


def test_what_is_not_known_is_passed_on() -> None:
    assert (
        str(refusal("The image x cannot be made", "something\n  new."))
        == "The image x cannot be made: something new."
    )


@pytest.mark.parametrize(
    "said", ["manifest unknown: manifest unknown", "No such image: x", "name unknown: repository"]
)
def test_what_is_missing_is_known_as_missing(said: str) -> None:
    assert refusal("x", said).is_missing
    assert not refusal("x", "unauthorized").is_missing
