"""The example models are what the documentation says: two good versions each, and a third that must fail.

Needs numpy, pyarrow and scikit-learn, which Airlock's own environment does not have.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

np: Any = pytest.importorskip("numpy")
metrics: Any = pytest.importorskip("sklearn.metrics")
build: Any = import_module("build")
make_data: Any = import_module("make_data")
model_folder: Any = import_module("model_folder")
breast_cancer: Any = import_module("breast_cancer.data")
credit_card_fraud: Any = import_module("credit_card_fraud.data")
heloc_credit_risk: Any = import_module("heloc_credit_risk.data")

MODELS = {
    "breast-cancer": ("malignant_probability", "malignant"),
    "credit-card-fraud": ("fraud_probability", "is_fraud"),
    "heloc-credit-risk": ("default_probability", "defaulted"),
}
HOLDOUTS = {
    "breast-cancer": breast_cancer.held_out_samples,
    "credit-card-fraud": lambda **switches: credit_card_fraud.payments(
        make_data.HOLDOUT_DAY, make_data.HOLDOUT_PAYMENT_DAYS, make_data.HOLDOUT_PAYMENTS_PER_DAY, **switches
    ),
    "heloc-credit-risk": lambda **switches: heloc_credit_risk.applications(
        make_data.HOLDOUT_DAY, make_data.HOLDOUT_APPLICATIONS, **switches
    ),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All nine model folders."""
    out = tmp_path_factory.mktemp("models")
    for model, train in build.TRAINING.items():
        for version in build.VERSIONS:
            train(version, out / model / str(version))
    return out


def answers(folders: Path, model: str, version: int, rows: Any) -> dict[str, Any]:
    folder = folders / model / str(version)
    module = model_folder.load_module(folder / "model.py")
    module.init(folder)
    answer: dict[str, Any] = module.score(model_folder.columns(rows))
    return answer


def roc_auc(folders: Path, model: str, version: int, rows: Any) -> float:
    score, target = MODELS[model]
    scored = answers(folders, model, version, rows)[score]
    return float(metrics.roc_auc_score(rows[target].to_numpy(), scored))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("model", "version", "expected"),
    [
        ("breast-cancer", 1, 0.931),
        ("breast-cancer", 2, 0.998),
        ("breast-cancer", 3, 0.425),
        ("credit-card-fraud", 1, 0.915),
        ("credit-card-fraud", 2, 0.962),
        ("heloc-credit-risk", 1, 0.751),
        ("heloc-credit-risk", 2, 0.804),
        ("heloc-credit-risk", 3, 0.595),
    ],
)
def test_each_version_performs_on_the_holdout_as_documented(
    folders: Path, model: str, version: int, expected: float
) -> None:
    assert roc_auc(folders, model, version, HOLDOUTS[model]()) == pytest.approx(expected, abs=0.0006)


def test_the_third_version_of_credit_card_fraud_breaks_the_agreed_output(folders: Path) -> None:
    answer = answers(folders, "credit-card-fraud", 3, HOLDOUTS["credit-card-fraud"]())
    assert answer["fraud_probability"].max() > 1
    assert "block" in answer["decision"]
    assert "block" not in (folders / "credit-card-fraud" / "3" / "model.yaml").read_text()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("version", build.VERSIONS)
def test_golden_records_are_reproduced_except_where_a_version_is_meant_to_fail(
    folders: Path, model: str, version: int
) -> None:
    lines = (folders / model / str(version) / "golden.jsonl").read_text().splitlines()
    golden = [json.loads(line)["output"] for line in lines]
    days = {"breast-cancer": breast_cancer.held_out_samples().slice(0, 10)}
    days["credit-card-fraud"] = build.credit_card_fraud.train.golden_inputs(
        credit_card_fraud.payments(date(2025, 10, 1), 30, 2_000)
    )
    days["heloc-credit-risk"] = heloc_credit_risk.applications(date(2025, 6, 1), 10)
    score = MODELS[model][0]
    scored = answers(folders, model, version, days[model])[score]
    reproduced = np.allclose(scored, [record[score] for record in golden], rtol=1e-6, atol=1e-9)
    assert reproduced == ((model, version) != ("credit-card-fraud", 3))


@pytest.mark.parametrize(
    ("model", "version", "weights", "golden"),
    [
        ("breast-cancer", 1, "f1cc7dc47f0b", "a64751972a12"),
        ("breast-cancer", 2, "5c799e41595f", "7c2e9c62aa7e"),
        ("breast-cancer", 3, "7a7bae1fe2ac", "eac1f7e8c596"),
        ("credit-card-fraud", 1, "346b68391d97", "c3060d5806e7"),
        ("credit-card-fraud", 2, "534e54ebcda6", "a34cf7bf8397"),
        ("heloc-credit-risk", 1, "5dd5ca4bc65a", "4fa301d64a3a"),
        ("heloc-credit-risk", 2, "5f3556526122", "b454840388b1"),
        ("heloc-credit-risk", 3, "ffc7c40e3ca1", "ecc566224541"),
    ],
)
def test_the_bytes_are_the_same_on_every_machine(
    folders: Path, model: str, version: int, weights: str, golden: str
) -> None:
    """Digests as they were found on another day. New versions of numpy or scikit-learn may change them."""
    folder = folders / model / str(version)
    assert sha256(folder / "weights.json").startswith(weights)
    assert sha256(folder / "golden.jsonl").startswith(golden)


@pytest.mark.parametrize("model", MODELS)
def test_building_a_version_again_gives_the_same_bytes(folders: Path, model: str, tmp_path: Path) -> None:
    build.TRAINING[model](2, tmp_path / "again")
    first, again = (
        {file.name: sha256(file) for file in folder.iterdir()}
        for folder in (folders / model / "2", tmp_path / "again")
    )
    assert again == first
    assert set(first) >= {"model.yaml", "model.py", "weights.json", "golden.jsonl", "requirements.lock"}


def test_one_payment_in_a_hundred_to_five_hundred_is_fraud_and_the_oldest_comes_first() -> None:
    payments = HOLDOUTS["credit-card-fraud"]()
    assert 0.002 <= payments["is_fraud"].to_numpy().mean() <= 0.01
    times = payments["transaction_time"].to_numpy()
    assert (times[1:] >= times[:-1]).all()


def test_a_day_does_not_depend_on_the_days_asked_for_with_it() -> None:
    two_days = credit_card_fraud.payments(date(2026, 3, 1), 2, 100)
    second_day = credit_card_fraud.payments(date(2026, 3, 2), 1, 100)
    assert two_days.slice(100).equals(second_day)


def test_applications_have_the_23_facts_and_empty_cells_only_where_the_schema_allows_them() -> None:
    applications = HOLDOUTS["heloc-credit-risk"]()
    assert len(heloc_credit_risk.FEATURES) == 23
    with_empty_cells = [name for name in applications.column_names if applications[name].null_count]
    schema = (model_folder.ENVIRONMENT.parent / "heloc_credit_risk/source/model.yaml").read_text()
    assert with_empty_cells == re.findall(r"name: (\w+), .*nullable: true", schema)


@pytest.mark.parametrize("model", ["credit-card-fraud", "heloc-credit-risk"])
def test_drift_makes_a_good_model_worse(folders: Path, model: str) -> None:
    before = roc_auc(folders, model, 2, HOLDOUTS[model]())
    after = roc_auc(folders, model, 2, HOLDOUTS[model](drift=1.0))
    assert after < before - 0.05


def test_bias_makes_a_good_model_offer_credit_to_fewer_women(folders: Path) -> None:
    def offered(bias: float, sex: str) -> float:
        rows = HOLDOUTS["heloc-credit-risk"](bias=bias)
        chosen = np.array(rows["sex"].to_pylist()) == sex
        recommended = answers(folders, "heloc-credit-risk", 2, rows)["recommendation"]
        return float((recommended[chosen] == "offer").mean())

    assert offered(0.0, "female") / offered(0.0, "male") > 0.9
    assert offered(1.0, "female") / offered(1.0, "male") < 0.6


def test_bias_makes_a_good_model_doubt_more_payments_of_the_old(folders: Path) -> None:
    def doubted(bias: float, age: str) -> float:
        rows = HOLDOUTS["credit-card-fraud"](bias=bias)
        chosen = np.array(rows["customer_age"].to_pylist()) == age
        decided = answers(folders, "credit-card-fraud", 2, rows)["decision"]
        return float((decided[chosen] != "approve").mean())

    assert doubted(0.5, "65+") > 3 * doubted(0.5, "35-64")
    assert doubted(0.0, "65+") < 1.5 * doubted(0.0, "35-64")


def test_a_day_is_written_in_parts_that_are_the_same_each_time(tmp_path: Path) -> None:
    day = date(2026, 1, 1)
    rows = breast_cancer.samples_of(day, make_data.SAMPLES_PER_DAY)
    written = []
    for parts in (4, 3, 4):
        make_data.write_day(tmp_path, day, rows, parts)
        files = sorted((tmp_path / "incoming" / "2026-01-01").iterdir())
        assert len(files) == parts
        written.append([sha256(file) for file in files])
    assert written[0] == written[2]
