from datetime import timedelta
from typing import Any

import pytest

from airlock import Policy
from airlock.exceptions import SpecError
from airlock.spec import Approval, Roles


def test_asks_nobody_unless_said_otherwise() -> None:
    policy = Policy("DEV")

    assert (policy.approvals, policy.evidence) == ([], [])
    assert policy.separation_of_duties
    assert policy.expires == timedelta(days=7)


def test_is_the_same_in_yaml_and_python() -> None:
    written = {"stage": "PROD", "approvals": [{"role": "model-risk", "count": 2}], "expires": "36h"}

    built = Policy("PROD", [Approval("model-risk", 2)], expires=timedelta(days=1.5))
    assert Policy.model_validate(written) == built
    assert built.model_dump(mode="json")["expires"] == "36h"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"approvals": [{"role": "a"}, {"role": "a"}]}, "Use 'count' to ask for more people of a role."),
        ({"approvals": [{"count": 2}]}, "the key 'role' is missing"),
        ({"approvals": ["model-risk"]}, "'model-risk' is not a mapping"),
        ({"approvals": [{"role": "a", "count": 0}]}, "greater than or equal to 1"),
        ({"separation_of_duties": "yes"}, "Write true or false"),
        ({"expires": "soon"}, "'soon' is not a length of time"),
        ({"expires": 7}, "7 is not a length of time"),
        ({"expires": "0d"}, "more than none"),
        ({"evidence": ["smok"]}, "Did you mean 'smoke'?"),
        ({"evidence": ["smoke", "smoke"]}, "here twice"),
    ],
)
def test_mistakes(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        Policy(**({"stage": "PROD"} | change))

    assert complaint in str(caught.value)


def test_roles_tell_who_is_who() -> None:
    roles = Roles({"model-risk": ["rita"], "it-operations": ["omar", "rita"]})

    assert roles.people("it-operations") == ["omar", "rita"]
    assert roles.people("audit") == []
    assert roles.of("rita") == ["it-operations", "model-risk"]
    assert roles.of("nobody") == []


def test_a_person_is_named_once_a_role() -> None:
    with pytest.raises(SpecError, match="the person 'rita' is here twice"):
        Roles({"model-risk": ["rita", "rita"]})
