"""Writes the data that the example services are checked with and score: Parquet files, the same every time.

    python include/models/make_data.py --out data --from 2026-01-01 --days 3

For each service a ``holdout.parquet`` (with the target: the checks measure performance on it) and, for
those that score in batch, ``incoming/<day>/part-<n>.parquet`` (without it). Needs numpy, pyarrow and
scikit-learn.
"""

from __future__ import annotations

import argparse
from datetime import date, timedelta
from pathlib import Path

import breast_cancer.data
import credit_card_fraud.data
import heloc_credit_risk.data
import pyarrow as pa
import pyarrow.parquet as pq

HOLDOUT_DAY = date(2025, 12, 1)
"""After the days that the models learn from."""

HOLDOUT_APPLICATIONS = 4_000
HOLDOUT_PAYMENTS_PER_DAY = 2_000
HOLDOUT_PAYMENT_DAYS = 10
SAMPLES_PER_DAY = 48


def main() -> None:
    """Read the command line and write everything that it asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to write to; one folder in it for each service"
    )
    parser.add_argument("--from", dest="first_day", type=date.fromisoformat, default=date(2026, 1, 1))
    parser.add_argument(
        "--days", type=int, default=3, help="how many days of input for batch scoring (default: 3)"
    )
    parser.add_argument(
        "--rows", type=int, default=20_000, help="applications in each of these days (default: 20000)"
    )
    parser.add_argument("--parts", type=int, default=4, help="files in which each day comes (default: 4)")
    parser.add_argument(
        "--bias", type=float, default=0.0, help="0 to 1: disfavour a protected group by this much"
    )
    parser.add_argument(
        "--drift", type=float, default=0.0, help="0 to 1: move away from the training data by this much"
    )
    asked = parser.parse_args()

    write_holdouts(asked.out, bias=asked.bias, drift=asked.drift)
    for number in range(asked.days):
        day = asked.first_day + timedelta(days=number)
        applications = heloc_credit_risk.data.applications(
            day, asked.rows, bias=asked.bias, drift=asked.drift
        )
        write_day(asked.out / "heloc-credit-line", day, applications.drop_columns("defaulted"), asked.parts)
        samples = breast_cancer.data.samples_of(day, SAMPLES_PER_DAY)
        write_day(asked.out / "tumour-triage", day, samples, asked.parts)


def write_holdouts(out: Path, *, bias: float, drift: float) -> None:
    """Write the rows that no model learned from, with the target, once for each service."""
    holdouts = {
        "tumour-triage": breast_cancer.data.held_out_samples(),
        "cc-fraud": credit_card_fraud.data.payments(
            HOLDOUT_DAY, HOLDOUT_PAYMENT_DAYS, HOLDOUT_PAYMENTS_PER_DAY, bias=bias, drift=drift
        ),
        "heloc-credit-line": heloc_credit_risk.data.applications(
            HOLDOUT_DAY, HOLDOUT_APPLICATIONS, bias=bias, drift=drift
        ),
    }
    for service, rows in holdouts.items():
        write(out / service / "holdout.parquet", rows)


def write_day(service_folder: Path, day: date, rows: pa.Table, parts: int) -> None:
    """Write a day's rows in several files, so that they can be scored side by side."""
    folder = service_folder / "incoming" / day.isoformat()
    for left_over in folder.glob("part-*.parquet"):
        left_over.unlink()
    for part in range(parts):
        begin, end = (part * len(rows) // parts, (part + 1) * len(rows) // parts)
        write(folder / f"part-{part}.parquet", rows.slice(begin, end - begin))


def write(path: Path, rows: pa.Table) -> None:
    """Write one Parquet file and say so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path, compression="zstd")
    print(f"{path}  {len(rows):,} rows")


if __name__ == "__main__":
    main()
