"""The boosted trees of credit card fraud: they know the card's habits, the hour and the shop."""

import json
from pathlib import Path

import numpy as np

RISKY_MERCHANTS = ("travel", "electronics", "online_services")
SECONDS_A_DAY = 24 * 60 * 60


def features(payments: dict[str, np.ndarray]) -> np.ndarray:
    """What the trees look at, shape (payments, 11). Training calls it too."""
    second_of_day = payments["transaction_time"].astype("datetime64[s]").astype(np.int64) % SECONDS_A_DAY
    return np.column_stack(
        [
            payments["amount"],
            payments["amount"] / payments["usual_amount"],
            payments["distance_km"],
            payments["abroad"],
            payments["payments_last_24_hours"],
            second_of_day // 3600,
            payments["entry_mode"] == "online",
            payments["entry_mode"] == "magnetic_stripe",
            *(payments["merchant_category"] == merchant for merchant in RISKY_MERCHANTS),
        ]
    ).astype(np.float64)


class BoostedTrees:
    """Trees as arrays of shape (trees, nodes): plain numbers, no library of the training needed."""

    def __init__(self, weights_file: Path) -> None:
        """Read what training wrote. A leaf leads to itself on both sides."""
        weights = json.loads(weights_file.read_text(encoding="utf-8"))
        self.depth: int = weights["depth"]
        self.intercept: float = weights["intercept"]
        self.feature = np.array(weights["feature"])
        self.threshold = np.array(weights["threshold"])
        self.left = np.array(weights["left"])
        self.right = np.array(weights["right"])
        self.value = np.array(weights["value"])

    def probability(self, payments: dict[str, np.ndarray]) -> np.ndarray:
        """Walk all payments through all trees at once, one level at a time."""
        rows = features(payments)
        tree = np.arange(len(self.feature))
        node = np.zeros((len(rows), len(tree)), dtype=np.int64)
        for _ in range(self.depth):
            value = np.take_along_axis(rows, self.feature[tree, node], axis=1)
            goes_left = value <= self.threshold[tree, node]
            node = np.where(goes_left, self.left[tree, node], self.right[tree, node])
        log_odds = self.intercept + self.value[tree, node].sum(axis=1)
        return 1 / (1 + np.exp(-log_odds))
