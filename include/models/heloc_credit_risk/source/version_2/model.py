"""Home equity credit risk, version 2: a scorecard. Each fact falls in a band, each band has its points."""

import json
from pathlib import Path

import numpy as np

RECOMMENDATIONS = np.array(["offer", "refer", "decline"])
RECOMMENDED_FROM = [0.2, 0.5]

CARD = {}


def init(folder: Path) -> None:
    """Called once, before the first score, with the folder of the snapshot."""
    CARD.update(json.loads((folder / "weights.json").read_text(encoding="utf-8")))


def band(values: np.ndarray, edges: list[float]) -> np.ndarray:
    """The number of the band each value falls in; an empty cell (NaN) has the last one to itself.

    Training calls it too.

    :param edges: the least value of each band but the first, ascending.
    """
    return np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right"))


def score(applications: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Called with many applications at once: for each input field an array with one value an application."""
    log_odds = CARD["intercept"]
    for name, fact in CARD["facts"].items():
        log_odds = log_odds + np.array(fact["points"])[band(applications[name], fact["edges"])]
    probability = 1 / (1 + np.exp(-log_odds))
    return {
        "default_probability": probability,
        "recommendation": RECOMMENDATIONS[np.digitize(probability, RECOMMENDED_FROM)],
    }
