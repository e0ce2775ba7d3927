"""Figures: small, harmless, the same every time, and understood without being seen."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from airlock_host.measure import figures
from airlock_host.measure.metrics import Classification, Regression

RANDOM = np.random.default_rng(0)
TARGET = (RANDOM.random(5000) < 0.2).astype(float)
SCORE = np.clip(TARGET * 0.3 + RANDOM.random(5000) * 0.7, 0, 1)
OTHER = np.clip(SCORE + RANDOM.normal(0, 0.1, 5000), 0, 1)
TIMES = np.sort(RANDOM.gamma(2, 3, 500))
PERCENTILES = {"p50_ms": {"value": 5.0}, "p95_ms": {"value": 14.0}, "p99_ms": {"value": 20.0}}


def all_figures() -> list[dict[str, str]]:
    return [
        *figures.performance(Classification(0.5), TARGET, SCORE, OTHER),
        *figures.performance(Regression(), SCORE * 100, OTHER * 100, None),
        *figures.latency(TIMES, PERCENTILES),
    ]


DRAWN = all_figures()


@pytest.mark.parametrize("figure", DRAWN, ids=lambda figure: figure["title"])
def test_a_figure_is_small_plain_svg(figure: dict[str, str]) -> None:
    svg = figure["svg"]

    names = {element.tag.split("}")[1] for element in ElementTree.fromstring(svg).iter()}
    assert len(svg) < 40_000
    assert names <= {"svg", "g", "defs", "path", "use", "text", "clipPath", "rect"}
    assert "currentColor" in svg  # readable on dark paper too
    assert not re.search(r"https?://(?!www\.w3\.org/)", svg)


@pytest.mark.parametrize("figure", DRAWN, ids=lambda figure: figure["title"])
def test_a_figure_says_what_it_shows_in_numbers(figure: dict[str, str]) -> None:
    assert re.search(r"\d", figure["alt"])
    assert ElementTree.fromstring(figure["svg"]).get("aria-label") == figure["alt"]


def test_figures_are_the_same_every_time() -> None:
    assert all_figures() == DRAWN


def test_ids_differ_between_figures_of_one_page() -> None:
    ids = [found for figure in DRAWN for found in set(re.findall(r' id="([^"]*)"', figure["svg"]))]

    assert len(ids) == len(set(ids))


def test_too_few_rows_are_not_drawn() -> None:
    assert figures.performance(Classification(0.5), TARGET[:5], SCORE[:5], None) == []
    assert figures.performance(Classification(0.5), np.ones(50), SCORE[:50], None) == []
    assert figures.latency(TIMES[:3], PERCENTILES) == []


def test_a_champion_without_predictions_is_left_out_of_the_drawing() -> None:
    drawn = figures.performance(Classification(0.5), TARGET, SCORE, np.full(5000, np.nan))

    assert len(drawn) == 4
    assert "champion" not in drawn[0]["alt"]
