"""Trains the three versions of ``heloc-credit-risk``.

1. A logistic regression on four facts of the credit file.
2. A scorecard of all 23: each fact is cut into bands, an empty cell is a band of its own, and a
   logistic regression finds the points of each band. Clearly better.
3. As 2, but learned from balances that were read after the default (see ``leak`` in ``data.py``).
   It looks perfect on its own training data; ``performance`` rejects it.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from model_folder import columns, load_module, rounded, write_model_folder
from sklearn.linear_model import LogisticRegression

from heloc_credit_risk.data import FEATURES, applications

SOURCE = Path(__file__).parent / "source"
LEARNED_DAY, LEARNED_APPLICATIONS = date(2025, 6, 1), 20_000
FEATURES_OF_VERSION_1 = (
    "months_since_oldest_account",
    "percent_never_late",
    "total_accounts",
    "percent_revolving_credit_used",
)
BANDS = 8


def build(version: int, out: Path) -> None:
    """Train a version and write its model folder."""
    learned_from = applications(LEARNED_DAY, LEARNED_APPLICATIONS, leak=version == 3)
    model_file = SOURCE / ("version_1" if version == 1 else "version_2") / "model.py"
    weights = regression(learned_from) if version == 1 else scorecard(learned_from, model_file)
    golden_inputs = applications(LEARNED_DAY, 10).select(FEATURES)
    write_model_folder(
        out, source=[SOURCE / "model.yaml", model_file], weights=weights, golden_inputs=golden_inputs
    )


def regression(learned_from: pa.Table) -> dict[str, Any]:
    """The coefficients of version 1."""
    facts = columns(learned_from)
    fitted = fit(np.column_stack([facts[name] for name in FEATURES_OF_VERSION_1]), facts["defaulted"])
    return {
        "coefficients": dict(zip(FEATURES_OF_VERSION_1, rounded(fitted.coef_[0]), strict=True)),
        "intercept": rounded(float(fitted.intercept_[0])),
    }


def scorecard(learned_from: pa.Table, model_file: Path) -> dict[str, Any]:
    """The bands of each fact and the points of each band."""
    band = load_module(model_file).band
    facts = columns(learned_from)
    shares = np.linspace(0, 1, BANDS + 1)[1:-1]
    edges = {name: np.unique(np.nanquantile(facts[name], shares)).tolist() for name in FEATURES}
    # One column for each band of each fact: 1 where the applicant is in it.
    in_band = [np.eye(len(edges[name]) + 2)[band(facts[name], edges[name])] for name in FEATURES]
    fitted = fit(np.hstack(in_band), facts["defaulted"])

    last = np.cumsum([block.shape[1] for block in in_band])
    points = np.split(fitted.coef_[0], last[:-1])
    return {
        "facts": {
            name: {"edges": edges[name], "points": rounded(points_of_fact)}
            for name, points_of_fact in zip(FEATURES, points, strict=True)
        },
        "intercept": rounded(float(fitted.intercept_[0])),
    }


def fit(rows: np.ndarray, defaulted: np.ndarray) -> LogisticRegression:
    """A logistic regression, so close to its optimum that its rounded weights are the same everywhere."""
    return LogisticRegression(C=0.1, solver="newton-cholesky", tol=1e-10).fit(rows, defaulted)
