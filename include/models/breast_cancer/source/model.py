"""Sorts cell samples of breast tumours: a logistic regression of scikit-learn, its numbers kept as JSON."""

import json
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

URGENT_FROM = 0.3

FEATURES = []
PIPELINE = make_pipeline(StandardScaler(), LogisticRegression())


def init(folder: Path) -> None:
    """Called once, before the first score, with the folder of the snapshot."""
    weights = json.loads((folder / "weights.json").read_text(encoding="utf-8"))
    FEATURES[:] = weights["features"]
    # Not unpickled: opening a pickle runs code. The learned numbers are all that is needed.
    scaler, classifier = PIPELINE[0], PIPELINE[1]
    scaler.mean_ = np.array(weights["mean"])
    scaler.scale_ = np.array(weights["scale"])
    classifier.classes_ = np.array([0, 1])
    classifier.coef_ = np.array([weights["coefficients"]])
    classifier.intercept_ = np.array([weights["intercept"]])


def score(samples: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Called with many samples at once: for each input field an array with one value a sample."""
    measures = np.column_stack([samples[name] for name in FEATURES])
    probability = PIPELINE.predict_proba(measures)[:, 1]
    return {
        "malignant_probability": probability,
        "triage": np.where(probability >= URGENT_FROM, "urgent", "routine"),
    }
