"""The values for Airflow's chart, as far as they can be held against what is here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from airlock.provider_info import get_provider_info
from airlock.runtimes.kubernetes.permissions import missing, needed
from airlock.spec import KubernetesOptions

HELM = Path(__file__).parents[2] / "deploy" / "helm"
TEXT = (HELM / "values.yaml").read_text()
VALUES: dict[str, Any] = yaml.safe_load(TEXT)
OPTIONS = get_provider_info()["config"]["airlock"]["options"].keys()
ACCESS: list[dict[str, Any]] = list(yaml.safe_load_all((HELM / "runtime-access.yaml").read_text()))


def test_every_option_of_airlock_exists() -> None:
    assert VALUES["config"]["airlock"].keys() <= OPTIONS
    variables = re.findall(r"AIRFLOW__AIRLOCK__(\w+)", TEXT)
    assert variables
    assert {name.lower() for name in variables} <= OPTIONS


def test_nothing_secret_is_in_the_values() -> None:
    assert not re.search(r"(?i)password:|://[^ …]+:[^ /…]+@", re.sub(r"#.*", "", TEXT))
    assert VALUES["createUserJob"] == {"enabled": False}  # the chart's own has a default password
    assert VALUES["postgresql"] == {"enabled": False}  # so has this
    assert VALUES["fernetKeySecretName"]
    assert VALUES["jwtSecretName"]


def test_the_accounts_of_the_values_may_do_what_kubernetes_runtimes_do() -> None:
    role, binding = ACCESS
    ways_in: list[dict[str, Any]] = [
        {"replicas": 2, "autoscale": {"most": 4}},
        {"ingress": {"host": "{deployment}.models.example.org"}},
        {"route": {"host": "{deployment}.models.example.org", "gateway": "models"}},
        {"kserve": {}},
    ]
    for ways in ways_in:
        each = KubernetesOptions.model_validate(ways)
        wanted = needed(each, ["batch", "online"], has_secrets=True)
        assert list(missing(role["rules"], wanted)) == []
    accounts = {VALUES[part]["serviceAccount"]["name"] for part in ("workers", "triggerer", "apiServer")}
    assert {subject["name"] for subject in binding["subjects"]} == accounts
