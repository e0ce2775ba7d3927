"""Home equity credit risk, version 1: a logistic regression on four facts of the credit file."""

import json
from pathlib import Path

import numpy as np

RECOMMENDATIONS = np.array(["offer", "refer", "decline"])
RECOMMENDED_FROM = [0.2, 0.5]

WEIGHTS = {}


def init(folder: Path) -> None:
    """Called once, before the first score, with the folder of the snapshot."""
    WEIGHTS.update(json.loads((folder / "weights.json").read_text(encoding="utf-8")))


def score(applications: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Called with many applications at once: for each input field an array with one value an application."""
    log_odds = np.full(len(applications["application_id"]), WEIGHTS["intercept"])
    for name, coefficient in WEIGHTS["coefficients"].items():
        log_odds += coefficient * applications[name]
    probability = 1 / (1 + np.exp(-log_odds))
    return {
        "application_id": applications["application_id"],
        "default_probability": probability,
        "recommendation": RECOMMENDATIONS[np.digitize(probability, RECOMMENDED_FROM)],
    }
