"""Card payments, generated: time-ordered, about one in 120 is fraud.

No card payments with an open licence are known to us, so these are made up. They are made to be
learnable, not to be real: nothing measured on them says anything about fraud in the world.

Four kinds of payment are drawn. Honest payments follow the card's habits, and one in twelve does
not (holidays, a new television). Of the fraudulent ones, some are made with a stolen card (far away,
many in a day), some with a stolen card number (online, at night, far above the card's usual amount),
and some look honest in every way: no model finds those.

Two switches plant what a model risk team looks for:

- ``bias`` (0 to 1): this share of the honest payments of customers aged 65 and over gets the looks
  of a stolen card. A model then refuses more of their payments, for nothing that they did.
- ``drift`` (0 to 1): this share of the frauds moves to the kind that looks honest, and all amounts
  rise by as much again. A model that learned on earlier data finds fewer frauds.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa

SEED = 20_260_101
FRAUD_RATE = 1 / 120
MERCHANT_CATEGORIES = ("groceries", "fuel", "restaurant", "travel", "electronics", "online_services")
ENTRY_MODES = ("chip", "contactless", "magnetic_stripe", "online")
CUSTOMER_AGES = ("18-34", "35-64", "65+")

HONEST, UNUSUAL, STOLEN_CARD, STOLEN_NUMBER = range(4)

# How each kind of payment looks, in the order of the four kinds above.
AMOUNT_EXCESS = np.array([0.0, 0.8, 0.4, 1.6])  # log of amount over the card's usual amount
NIGHT_SHARE = np.array([0.05, 0.15, 0.25, 0.5])  # paid between midnight and six
LOG_DISTANCE = np.array([1.5, 3.5, 4.5, 2.0])  # log of km from the last payment
PAYMENTS_BEFORE = np.array([1.2, 2.5, 5.0, 3.0])  # mean number in the 24 hours before
ABROAD_SHARE = np.array([0.03, 0.25, 0.4, 0.2])
ENTRY_MODE_SHARES = np.array(  # columns as in ENTRY_MODES
    [
        [0.30, 0.45, 0.01, 0.24],
        [0.35, 0.30, 0.05, 0.30],
        [0.20, 0.45, 0.30, 0.05],
        [0.00, 0.00, 0.00, 1.00],
    ]
)
MERCHANT_SHARES = np.array(  # columns as in MERCHANT_CATEGORIES
    [
        [0.40, 0.15, 0.20, 0.05, 0.05, 0.15],
        [0.15, 0.10, 0.15, 0.30, 0.20, 0.10],
        [0.20, 0.20, 0.05, 0.15, 0.35, 0.05],
        [0.05, 0.00, 0.05, 0.25, 0.35, 0.30],
    ]
)


def payments(
    first_day: date, days: int, rows_per_day: int, *, bias: float = 0.0, drift: float = 0.0
) -> pa.Table:
    """The payments of some days, oldest first, with the target ``is_fraud`` (1 is fraud).

    A day's payments are the same whichever other days are asked for.
    """
    every_day = [first_day + timedelta(days=number) for number in range(days)]
    return pa.concat_tables([_payments_of(day, rows_per_day, bias, drift) for day in every_day])


def _payments_of(day: date, rows: int, bias: float, drift: float) -> pa.Table:
    random = np.random.default_rng([SEED, day.toordinal()])
    is_fraud = random.random(rows) < FRAUD_RATE
    customer_age = _choose(random, np.broadcast_to([0.3, 0.5, 0.2], (rows, 3)))
    kind = _kinds(random, is_fraud, CUSTOMER_AGES.index("65+") == customer_age, bias, drift)

    usual_amount = random.lognormal(3.4, 0.7, rows)
    amount = usual_amount * random.lognormal(AMOUNT_EXCESS[kind], 0.6) * (1 + drift)
    at_night = random.random(rows) < NIGHT_SHARE[kind]
    hour = np.where(at_night, random.integers(0, 6, rows), random.integers(6, 24, rows))
    second_of_day = hour * 3600 + random.integers(0, 3600, rows)
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()

    payments_of_day = pa.table(
        {
            "transaction_time": pa.array(
                (midnight + second_of_day).astype("int64"), pa.timestamp("s", "UTC")
            ),
            "amount": amount.round(2),
            "usual_amount": usual_amount.round(2),
            "merchant_category": np.array(MERCHANT_CATEGORIES)[_choose(random, MERCHANT_SHARES[kind])],
            "entry_mode": np.array(ENTRY_MODES)[_choose(random, ENTRY_MODE_SHARES[kind])],
            "abroad": random.random(rows) < ABROAD_SHARE[kind],
            "distance_km": random.lognormal(LOG_DISTANCE[kind], 1.0).round(1),
            "payments_last_24_hours": random.poisson(PAYMENTS_BEFORE[kind]),
            "card_age_days": random.integers(1, 2000, rows),
            "customer_age": np.array(CUSTOMER_AGES)[customer_age],
            "is_fraud": is_fraud.astype("int64"),
        }
    ).sort_by("transaction_time")
    identifiers = [f"{day:%Y%m%d}-{number:06d}" for number in range(rows)]
    return payments_of_day.add_column(0, "transaction_id", pa.array(identifiers))


def _kinds(
    random: np.random.Generator, is_fraud: np.ndarray, is_old: np.ndarray, bias: float, drift: float
) -> np.ndarray:
    """Which of the four kinds each payment is of."""
    unusual, hidden, mistaken, moved = random.random((4, len(is_fraud)))
    honest_kind = np.where(unusual < 1 / 12, UNUSUAL, HONEST)
    honest_kind = np.where(is_old & (mistaken < bias), STOLEN_CARD, honest_kind)
    fraud_kind = np.select([hidden < 0.04, hidden < 0.5], [HONEST, STOLEN_CARD], STOLEN_NUMBER)
    fraud_kind = np.where(moved < drift, HONEST, fraud_kind)
    return np.where(is_fraud, fraud_kind, honest_kind)


def _choose(random: np.random.Generator, shares: np.ndarray) -> np.ndarray:
    """For each row of shares, which sum to one, the number of the column that was drawn."""
    return (random.random((len(shares), 1)) > shares.cumsum(axis=1)[:, :-1]).sum(axis=1)
