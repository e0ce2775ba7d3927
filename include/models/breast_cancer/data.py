"""Cell samples of breast tumours: 569 real ones, 30 measures of each, from scikit-learn's own copy.

The data are the Breast Cancer Wisconsin (Diagnostic) set of W. H. Wolberg, W. N. Street and
O. L. Mangasarian (University of Wisconsin, 1995), a copy of which comes with the scikit-learn
package. It was published in the UCI Machine Learning Repository; see there under which licence before
you pass it on. No row of it is kept in this repository.

Three fifths of the samples are learned from, two fifths are held out, and the days to be scored are drawn
from those held out. The values are never changed, so there are no switches for bias or drift here.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
from sklearn.datasets import load_breast_cancer

SEED = 20_260_303
HELD_OUT = 228


def feature_names() -> list[str]:
    """The 30 measures: ten of the cell nuclei, each as mean, standard error and mean of the worst three."""
    return [name.replace(" ", "_") for name in load_breast_cancer().feature_names]


def training_samples() -> pa.Table:
    """The 341 samples to learn from, with the target ``malignant`` (1 is malignant)."""
    return _all_samples().take(_shuffled()[HELD_OUT:])


def held_out_samples() -> pa.Table:
    """The 228 samples that no model learns from, with the target ``malignant``."""
    return _all_samples().take(_shuffled()[:HELD_OUT])


def samples_of(day: date, rows: int) -> pa.Table:
    """What a laboratory sends in a day: held-out samples, drawn with replacement, target unknown."""
    random = np.random.default_rng([SEED, day.toordinal()])
    samples = held_out_samples().drop_columns(["sample_id", "malignant"])
    identifiers = [f"{day:%Y%m%d}-{number:04d}" for number in range(rows)]
    return samples.take(random.integers(0, HELD_OUT, rows)).add_column(0, "sample_id", pa.array(identifiers))


def _all_samples() -> pa.Table:
    bundled = load_breast_cancer()
    columns: dict[str, pa.Array] = {
        "sample_id": pa.array([f"wdbc-{number:03d}" for number in range(len(bundled.target))])
    }
    for name, values in zip(feature_names(), bundled.data.T, strict=True):
        columns[name] = pa.array(values)
    # scikit-learn counts malignant as 0.
    columns["malignant"] = pa.array((bundled.target == 0).astype("int64"))
    return pa.table(columns)


def _shuffled() -> np.ndarray:
    return np.random.default_rng(SEED).permutation(len(load_breast_cancer().target))
