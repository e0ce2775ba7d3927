"""Credit card fraud, version 2: boosted trees."""

from pathlib import Path

import numpy as np
from boosted_trees import BoostedTrees

DECISIONS = np.array(["approve", "review", "decline"])
DECIDED_FROM = [0.05, 0.5]

trees: BoostedTrees


def init(folder: Path) -> None:
    """Called once, before the first score, with the folder of the snapshot."""
    global trees
    trees = BoostedTrees(folder / "weights.json")


def score(payments: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Called with many payments at once: for each input field an array with one value a payment."""
    probability = trees.probability(payments)
    return {
        "fraud_probability": probability,
        "decision": DECISIONS[np.digitize(probability, DECIDED_FROM)],
    }
