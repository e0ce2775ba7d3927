"""Credit card fraud, version 3: the trees of version 2, with an output that nobody agreed to.

Somebody found percent easier to read and "block" clearer than "decline". Whoever asks the service
would take every payment for fraud: the check ``contract`` is there to stop this.
"""

from pathlib import Path

import numpy as np
from boosted_trees import BoostedTrees

DECISIONS = np.array(["approve", "review", "block"])
DECIDED_FROM = [5, 50]

trees: BoostedTrees


def init(folder: Path) -> None:
    """Called once, before the first score, with the folder of the snapshot."""
    global trees
    trees = BoostedTrees(folder / "weights.json")


def score(payments: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Called with many payments at once: for each input field an array with one value a payment."""
    percent = 100 * trees.probability(payments)
    return {
        "fraud_probability": percent,
        "decision": DECISIONS[np.digitize(percent, DECIDED_FROM)],
    }
