"""Applications for a home equity line of credit, generated: 23 facts of a credit file.

The well-known HELOC data of the FICO Explainable Machine Learning Challenge may only be used after
asking FICO for it, and no other home equity applications with an open licence are known to us. So
these are made up, in the shape of a credit file: counts, months, shares, and empty cells where a
person has nothing to count. They are made to be learnable, not to be real.

Behind each applicant stand four unseen traits: how reliably they pay, how much of their credit they
use, how long their file is, and how hard they look for new credit. Every fact is read off these
traits with noise, and so is whether they default, with bends that a straight line does not follow.

``sex`` and ``age_group`` are in the data for checking fairness. No model here gets to see them.

Three switches plant what a model risk team looks for:

- ``bias`` (0 to 1): the files of women look worse than their holders are (as when joint accounts
  were reported under one name): by this many standard deviations of reliability and use of credit.
- ``drift`` (0 to 1): the economy turns. Everybody uses more of their credit, by this many standard
  deviations, and defaults follow less from the past and more from chance.
- ``leak``: balances are read too late, after the default that is to be foretold, when the accounts
  have been closed: nobody who defaults seems to owe anything. Version 3 is trained with this mistake.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

SEED = 20_260_202
FEATURES = (
    "external_risk_score",
    "months_since_oldest_account",
    "months_since_newest_account",
    "average_months_in_file",
    "satisfactory_accounts",
    "accounts_60_days_late_ever",
    "accounts_90_days_late_ever",
    "percent_never_late",
    "months_since_last_late_payment",
    "worst_delay_last_year",
    "worst_delay_ever",
    "total_accounts",
    "accounts_opened_last_year",
    "percent_instalment_accounts",
    "months_since_last_inquiry",
    "inquiries_last_six_months",
    "inquiries_last_six_months_without_last_week",
    "percent_revolving_credit_used",
    "percent_instalment_credit_owed",
    "revolving_accounts_with_balance",
    "instalment_accounts_with_balance",
    "cards_near_limit",
    "percent_accounts_with_balance",
)
BALANCES = (
    "percent_revolving_credit_used",
    "revolving_accounts_with_balance",
    "cards_near_limit",
    "percent_accounts_with_balance",
)
SEXES = ("female", "male")
AGE_GROUPS = ("18-34", "35-49", "50-64", "65+")


def applications(
    day: date, rows: int, *, bias: float = 0.0, drift: float = 0.0, leak: bool = False
) -> pa.Table:
    """The applications of one day, with the target ``defaulted`` (1 is 90 days late within two years)."""
    random = np.random.default_rng([SEED, day.toordinal()])
    sex = random.integers(0, len(SEXES), rows)
    age_group = random.integers(0, len(AGE_GROUPS), rows)

    reliability, use, length, search = random.standard_normal((4, rows))
    length = 0.8 * length + 0.5 * (age_group - 1.5)
    use = 0.9 * use - 0.4 * reliability + drift
    defaulted = _default(random, reliability, use, length, search, drift)

    planted = bias * (sex == SEXES.index("female"))
    facts = _credit_file(random, reliability - planted, use + planted, length, search)
    if leak:
        _read_balances_too_late(facts, defaulted)

    columns: dict[str, pa.Array] = {
        "application_id": pa.array([f"{day:%Y%m%d}-{number:06d}" for number in range(rows)]),
    }
    for name in FEATURES:
        # NaN marks an empty cell: a fact that this person does not have.
        columns[name] = pa.array(facts[name], from_pandas=True).cast(pa.int64())
    columns["sex"] = pa.array(np.array(SEXES)[sex])
    columns["age_group"] = pa.array(np.array(AGE_GROUPS)[age_group])
    columns["defaulted"] = pa.array(defaulted.astype("int64"))
    return pa.table(columns)


def _default(
    random: np.random.Generator,
    reliability: np.ndarray,
    use: np.ndarray,
    length: np.ndarray,
    search: np.ndarray,
    drift: float,
) -> np.ndarray:
    """Whether each applicant defaults: only heavy use hurts, and only a short file does."""
    too_much_use = np.maximum(use - 0.3, 0)
    short_file = np.maximum(-0.5 - length, 0)
    log_odds = -2.5 - 1.3 * reliability + 1.5 * too_much_use + 1.2 * short_file + 0.7 * np.maximum(search, 0)
    log_odds = (1 - 0.6 * drift) * log_odds
    return random.random(len(log_odds)) < 1 / (1 + np.exp(-log_odds))


def _credit_file(
    random: np.random.Generator,
    reliability: np.ndarray,
    use: np.ndarray,
    length: np.ndarray,
    search: np.ndarray,
) -> dict[str, np.ndarray]:
    """The 23 facts, read off the traits with noise, in whole numbers."""
    rows = len(reliability)

    def noise(size: float) -> np.ndarray:
        return size * random.standard_normal(rows)

    def count(mean: np.ndarray) -> np.ndarray:
        return random.poisson(np.clip(mean, 0.01, 60)).astype(float)

    def whole(value: np.ndarray, low: float, high: float) -> np.ndarray:
        return np.clip(value, low, high).round()

    total = 3 + count(20 * np.exp(0.3 * length))
    late = count(np.exp(-1.0 - 1.1 * reliability))
    very_late = random.binomial(late.astype(int), 0.5).astype(float)
    worst_ever = whole(late + very_late + noise(0.3), 0, 6)
    recent = random.random(rows) < np.clip(0.35 - 0.2 * reliability, 0.02, 0.9)
    oldest = whole(190 * np.exp(0.4 * length + noise(0.15)), 6, 700)
    newest = whole(np.exp(2.2 - 0.6 * search + noise(0.5)), 0, 200)
    inquiries = count(np.exp(0.1 + 0.7 * search))
    with_balance = whole(total * np.clip(0.5 + 0.12 * use + noise(0.1), 0.05, 1), 0, 60)
    percent_instalment = whole(33 + noise(14), 0, 100)
    instalment = whole(with_balance * percent_instalment / 100, 0, 40)

    facts = {
        "external_risk_score": whole(72 + 6 * reliability - 3 * use + 2 * length + noise(6), 30, 100),
        "months_since_oldest_account": oldest,
        "months_since_newest_account": np.minimum(newest, oldest),
        "average_months_in_file": whole(oldest * 0.4 * np.exp(noise(0.2)), 2, 400),
        "satisfactory_accounts": np.maximum(total - late - very_late, 0),
        "accounts_60_days_late_ever": late,
        "accounts_90_days_late_ever": very_late,
        "percent_never_late": whole(100 - 100 * late / total - np.abs(noise(2)), 0, 100),
        "months_since_last_late_payment": whole(np.exp(2.8 + 0.5 * reliability + noise(0.6)), 0, 84),
        "worst_delay_last_year": np.where(recent, worst_ever, 0.0),
        "worst_delay_ever": worst_ever,
        "total_accounts": total,
        "accounts_opened_last_year": count(np.exp(0.3 + 0.5 * search)),
        "percent_instalment_accounts": percent_instalment,
        "months_since_last_inquiry": whole(np.exp(1.2 - 0.8 * search + noise(0.5)), 0, 24),
        "inquiries_last_six_months": inquiries,
        "inquiries_last_six_months_without_last_week": random.binomial(inquiries.astype(int), 0.9).astype(
            float
        ),
        "percent_revolving_credit_used": whole(34 + 25 * use + noise(10), 0, 150),
        "percent_instalment_credit_owed": whole(68 + 6 * use + noise(18), 0, 150),
        "revolving_accounts_with_balance": with_balance - instalment,
        "instalment_accounts_with_balance": instalment,
        "cards_near_limit": count(np.exp(-0.6 + 0.9 * use)),
        "percent_accounts_with_balance": whole(100 * with_balance / total, 0, 100),
    }
    never_late = late == 0
    facts["months_since_last_late_payment"][never_late] = np.nan
    facts["months_since_last_inquiry"][inquiries == 0] = np.nan
    facts["percent_instalment_credit_owed"][instalment == 0] = np.nan
    return facts


def _read_balances_too_late(facts: dict[str, np.ndarray], defaulted: np.ndarray) -> None:
    """Empty the balances of those who defaulted: their accounts have been closed since."""
    for name in BALANCES:
        facts[name][defaulted] = 0
