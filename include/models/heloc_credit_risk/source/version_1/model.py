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
    coefficients = WEIGHTS["coefficients"].items()
    log_odds = WEIGHTS["intercept"] + sum(
        coefficient * applications[name] for name, coefficient in coefficients
    )
    probability = 1 / (1 + np.exp(-log_odds))
    return {
        "default_probability": probability,
        "recommendation": RECOMMENDATIONS[np.digitize(probability, RECOMMENDED_FROM)],
    }
