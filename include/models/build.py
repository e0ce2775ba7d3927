"""Trains the example models and writes their model folders, with the same bytes every time.

    python include/models/build.py --out data/models
    python include/models/build.py --out data/models --model credit-card-fraud --version 2

Needs numpy, pyarrow and scikit-learn. Then:

    airlock snapshot create data/models/credit-card-fraud/1 --service cc-fraud
"""

from __future__ import annotations

import argparse
from pathlib import Path

import breast_cancer.train
import credit_card_fraud.train
import heloc_credit_risk.train

TRAINING = {
    "breast-cancer": breast_cancer.train.build,
    "credit-card-fraud": credit_card_fraud.train.build,
    "heloc-credit-risk": heloc_credit_risk.train.build,
}
VERSIONS = (1, 2, 3)


def main() -> None:
    """Read the command line and build what it asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write to: <out>/<model>/<version>")
    parser.add_argument("--model", choices=TRAINING, help="only this one (default: all three)")
    parser.add_argument("--version", type=int, choices=VERSIONS, help="only this one (default: all three)")
    asked = parser.parse_args()
    for model in [asked.model] if asked.model else TRAINING:
        for version in [asked.version] if asked.version else VERSIONS:
            folder = asked.out / model / str(version)
            TRAINING[model](version, folder)
            print(folder)


if __name__ == "__main__":
    main()
