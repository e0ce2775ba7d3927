"""Names of images are names that Docker takes."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from airlock.runtimes.images.names import checks_name, environment_name, snapshot_name
from airlock.spec.names import NAME_PATTERN

DIGEST = f"sha256:{'0a' * 32}"

# As github.com/distribution/reference has them.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"(?:[a-z0-9.-]+:[0-9]+/)?{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


@given(st.from_regex(NAME_PATTERN, fullmatch=True))
def test_every_model_has_a_name_that_docker_takes(model: str) -> None:
    for registry in (None, "registry.example:5000", "registry.example:5000/airlock/"):
        name = snapshot_name(model, DIGEST, registry)
        assert _REPOSITORY.fullmatch(name.repository)
        assert _TAG.fullmatch(name.tag)


def test_the_digest_is_in_the_tag() -> None:
    assert str(snapshot_name("risk", DIGEST, "registry.example/a")) == f"registry.example/a/risk:{'0a' * 32}"
    assert str(snapshot_name("risk", DIGEST, None)) == f"airlock/risk:{'0a' * 32}"
    assert snapshot_name("a_b", DIGEST, None).repository == "airlock/a_b"
    assert snapshot_name("a-__b", DIGEST, None).repository == "airlock/a-b"


def test_environments_stay_on_their_engine() -> None:
    assert str(environment_name(DIGEST)) == f"airlock-environment:{'0a' * 16}"
    assert str(checks_name(DIGEST, None)) == f"airlock-checks:{'0a' * 16}"
    assert checks_name(DIGEST, "registry.example").repository == "registry.example/airlock-checks"
