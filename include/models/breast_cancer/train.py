"""Trains the three versions of ``breast-cancer``.

1. Two measures that a pathologist can read off the slide: mean radius and mean texture.
2. All 30 measures: clearly better.
3. As 2, but the diagnoses were joined to the samples one row too low. It has learned nothing, and
   ``performance`` rejects it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from model_folder import rounded, write_model_folder
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from breast_cancer.data import feature_names, held_out_samples, training_samples

SOURCE = Path(__file__).parent / "source"


def build(version: int, out: Path) -> None:
    """Train a version and write its model folder."""
    features = ["mean_radius", "mean_texture"] if version == 1 else feature_names()
    samples = training_samples()
    measures = np.column_stack([samples[name].to_numpy() for name in features])
    malignant = samples["malignant"].to_numpy()
    if version == 3:
        malignant = np.roll(malignant, 1)

    scaler = StandardScaler().fit(measures)
    # This solver ends close enough to the optimum for the rounded weights to be the same everywhere.
    classifier = LogisticRegression(C=0.3, solver="newton-cholesky", tol=1e-10)
    classifier.fit(scaler.transform(measures), malignant)

    weights = {
        "features": features,
        "mean": rounded(scaler.mean_),
        "scale": rounded(scaler.scale_),
        "coefficients": rounded(classifier.coef_[0]),
        "intercept": rounded(float(classifier.intercept_[0])),
    }
    source = [SOURCE / "model.yaml", SOURCE / "model.py"]
    golden_inputs = held_out_samples().slice(0, 10).select(feature_names())
    write_model_folder(out, source=source, weights=weights, golden_inputs=golden_inputs)
