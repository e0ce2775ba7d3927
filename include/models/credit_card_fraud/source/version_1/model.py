"""Credit card fraud, version 1: a logistic regression on what is unusual about one payment by itself."""

import json
from pathlib import Path

import numpy as np

DECISIONS = np.array(["approve", "review", "decline"])
DECIDED_FROM = [0.05, 0.5]

WEIGHTS = {}


def init(folder: Path) -> None:
    """Called once, before the first score, with the folder of the snapshot."""
    WEIGHTS.update(json.loads((folder / "weights.json").read_text(encoding="utf-8")))


def features(payments: dict[str, np.ndarray]) -> np.ndarray:
    """What the model looks at, shape (payments, 4). Training calls it too."""
    return np.column_stack(
        [
            np.log1p(payments["amount"]),
            np.log1p(payments["distance_km"]),
            payments["abroad"],
            payments["payments_last_24_hours"],
        ]
    )


def score(payments: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Called with many payments at once: for each input field an array with one value a payment."""
    log_odds = features(payments) @ np.array(WEIGHTS["coefficients"]) + WEIGHTS["intercept"]
    probability = 1 / (1 + np.exp(-log_odds))
    return {
        "fraud_probability": probability,
        "decision": DECISIONS[np.digitize(probability, DECIDED_FROM)],
    }
