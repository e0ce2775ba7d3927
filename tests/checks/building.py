"""A made-up candidate, fraud@3, its champion fraud@2, and measurements such as hosts give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from airlock.checks import Champion, CheckContext, CheckResult, judge
from airlock.spec import Check, Dataset, Performance

DIGEST = "sha256:" + "3" * 64
MANIFEST: dict[str, Any] = {
    "model": "fraud",
    "input_schema": [
        {"name": "payment", "type": "string", "nullable": False},
        {"name": "amount", "type": "number", "nullable": False, "min": 0},
    ],
    "output_schema": [
        {"name": "payment", "type": "string", "nullable": False},
        {"name": "risk", "type": "number", "nullable": False, "min": 0, "max": 1},
        {"name": "points", "type": "integer", "nullable": False},
    ],
    "files": [{"path": "model.py", "size": 100, "sha256": "aa", "unsafe_format": False}],
    "environment": {"lock_digest": "sha256:" + "1" * 64},
    "format": "python",
    "python": ">=3.11",
    "owner": "payments",
}
CHAMPION = Champion("fraud@2", "sha256:" + "2" * 64, MANIFEST)
GOLDEN = [{"input": {"payment": "p", "amount": 1.0}, "output": {"payment": "p", "risk": 0.5, "points": 3}}]
BATCH = CheckContext(
    snapshot="fraud@3",
    digest=DIGEST,
    manifest=MANIFEST,
    mode="batch",
    scratch=Path("/scratch/dep-1"),
    datasets={"holdout": Dataset(path="/data/holdout.parquet", target="fraud")},
    golden=GOLDEN,
)
ONLINE = replace(BATCH, mode="online", endpoint="http://runtime:8080")
AGAINST_CHAMPION = replace(BATCH, champion=CHAMPION)

SVG = '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="a line"><path d="M 0 0 L 9 9"/></svg>'


def performance(*, champion: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    """What measuring performance gives: 1,000 rows, a ROC AUC of 0.9."""
    return {
        "task": "classification",
        "dataset": {"name": "holdout", "digest": "sha256:" + "d" * 64, "rows": 1000},
        "rows": {"labelled": 1000, "used": 1000, "refused": 0, "duplicates": 0},
        "classes": [700, 300],
        "target_varies": True,
        "order_proven_by": ["payment"],
        "candidate": candidate(),
        "champion": champion,
        "figures": [{"title": "Ranking", "alt": "A line.", "svg": SVG}],
        **changed,
    }


def candidate(**changed: Any) -> dict[str, Any]:
    return {
        "column": "risk",
        "rows": 1000,
        "problems": [],
        "is_probability": True,
        "values": {"roc_auc": 0.9, "precision": 0.6, "log_loss": 0.2},
        "intervals": {"roc_auc": [0.88, 0.92], "precision": [0.5, 0.7], "log_loss": [0.1, 0.3]},
        **changed,
    }


def champion(
    difference: float, interval: list[float], *, name: str = "roc_auc", **changed: Any
) -> dict[str, Any]:
    """The champion, from which the candidate differs by ``difference``."""
    return {
        **candidate(values={name: 0.9 - difference}, intervals={}),
        "snapshot": "fraud@2",
        "differences": {name: difference},
        "difference_intervals": {name: interval},
        **changed,
    }


def judged(check: Check, measured: dict[str, Any], context: CheckContext = BATCH) -> CheckResult:
    """Judge a measurement whose steps all succeeded."""
    steps = {"features": {}, "records": {}, "score": {}, "champion_score": {}, "measure": measured}
    return judge(check, steps, context)


def at_least(value: float, **options: Any) -> Performance:
    return Performance(dataset="holdout", metrics={"roc_auc": {"min": value}}, **options)


def not_worse_by(margin: float, **options: Any) -> Performance:
    return Performance(dataset="holdout", vs_champion={"roc_auc": {"min_delta": -margin}}, **options)


def smoke(**changed: Any) -> dict[str, Any]:
    return {
        "live": {"ok": True, "message": "GET /v2/health/live answered 200"},
        "ready": {"ok": True, "message": "GET /v2/health/ready answered 200"},
        "served": {"snapshot": "fraud@3", "digest": DIGEST},
        "asked": {"golden": 1, "made": 4},
        "answers": {"answered": 5, "valid": 5, "problems": []},
        **changed,
    }


def contract(**changed: Any) -> dict[str, Any]:
    return {
        "served": {"snapshot": "fraud@3", "digest": DIGEST},
        "asked": {"golden": 1, "made": 0},
        "answers": {"answered": 1, "valid": 1, "problems": []},
        "golden": {"compared": 1, "matching": 1, "largest_deviation": 1e-12, "mismatches": []},
        "bad_record": {"field": "payment", "why": "is null", "refused": True, "named": True, "answer": "422"},
        "published": [],
        **changed,
    }


def latency(p99: float | None = 50.0, **changed: Any) -> dict[str, Any]:
    percentiles = {
        name: {
            "value": value,
            "interval": [None if value is None else value * 0.9, None if value is None else value * 1.2],
        }
        for name, value in {"p50_ms": p99 and p99 / 5, "p95_ms": p99 and p99 / 2, "p99_ms": p99}.items()
    }
    return {
        "percentiles": percentiles,
        "answered": 200,
        "failed": 0,
        "errors": {},
        "error_rate": 0.0,
        "error_rate_interval": [0.0, 0.018],
        "warm_up": 20,
        "requests_per_second": 400.0,
        "client_busy": 0.1,
        "different_requests": 50,
        "figures": [],
        **changed,
    }


def metric(result: CheckResult, name: str) -> Any:
    return next(metric for metric in result.metrics if metric.name == name)
