"""Results: through JSON and back, what of them is evidence, and which drawings are let in."""

from __future__ import annotations

import json
import math

import pytest
from pydantic import ValidationError

from airlock.checks import CheckResult, Figure, Metric
from airlock.checks.result import worst
from airlock.spec import canonical_json
from checks.building import AGAINST_CHAMPION, SVG, at_least, champion, judged, performance

RESULT = judged(
    at_least(0.8, vs_champion={"roc_auc": {"min_delta": -0.01}}),
    performance(champion=champion(0.01, [0.0, 0.02])),
    AGAINST_CHAMPION,
)


def test_a_result_survives_json() -> None:
    assert CheckResult.model_validate_json(RESULT.model_dump_json()) == RESULT
    assert CheckResult.model_validate(json.loads(json.dumps(RESULT.model_dump(mode="json")))) == RESULT


def test_evidence_is_all_but_the_time_it_took_and_the_drawings() -> None:
    slower = RESULT.model_copy(update={"seconds": 99.0, "figures": ()})

    assert canonical_json(slower.to_evidence()) == canonical_json(RESULT.to_evidence())
    assert RESULT.to_evidence()["dataset"]["digest"].startswith("sha256:")


@pytest.mark.parametrize(
    "changed", [{"status": "fail"}, {"summary": "x"}, {"metrics": ()}, {"notes": ("x",)}]
)
def test_everything_else_changes_the_evidence(changed: dict[str, object]) -> None:
    assert RESULT.model_copy(update=changed).to_evidence() != RESULT.to_evidence()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_metric_is_a_number_or_missing(value: float) -> None:
    with pytest.raises(ValidationError):
        Metric(name="roc_auc", value=value, status="pass")


def test_the_worst_status_decides() -> None:
    assert worst(["pass", "info", "fail", "inconclusive"]) == "fail"
    assert worst(["pass", "warn", "inconclusive"]) == "inconclusive"
    assert worst(["pass", "warn"]) == "warn"
    assert worst(["info", "not_applicable"]) == "not_applicable"


def svg(inside: str = "", attributes: str = "") -> str:
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f"{attributes}>{inside}</svg>"
    )


@pytest.mark.parametrize(
    "harmless",
    [
        SVG,
        svg('<defs><path id="a" d="M 0 0"/></defs><use xlink:href="#a" x="1"/>'),
        svg('<g clip-path="url(#p)"><text style="font: 9px sans-serif; text-anchor: middle">0.5</text></g>'),
    ],
)
def test_plain_shapes_and_text_are_let_in(harmless: str) -> None:
    assert Figure(title="t", alt="a", svg=harmless).svg == harmless


@pytest.mark.parametrize(
    "harmful",
    [
        svg("<script>alert(1)</script>"),
        svg('<path d="M 0 0" onclick="alert(1)"/>'),
        svg(attributes='onload="alert(1)"'),
        svg('<a href="https://evil.example"><text>approve</text></a>'),
        svg('<use xlink:href="https://evil.example/x.svg#a"/>'),
        svg('<image href="https://evil.example/track.png"/>'),
        svg("<style>@import url(https://evil.example/x.css)</style>"),
        svg('<path d="M 0 0" style="fill: url(https://evil.example/x)"/>'),
        svg(attributes='style="position: fixed; top: 0"'),
        svg('<path d="M 0 0" style="fill: u\\72l(x)"/>'),
        svg('<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"/></foreignObject>'),
        svg('<text><script xmlns="http://www.w3.org/1999/xhtml">alert(1)</script></text>'),
        '<!DOCTYPE svg [<!ENTITY a "aaaa">]>' + svg("<text>&a;</text>"),
        "<?xml-stylesheet href='x'?>" + svg(),
        svg("<!-- hidden -->"),
        '<html xmlns="http://www.w3.org/1999/xhtml"/>',
        "<svg><path></svg>",
        svg('<path d="' + "M 0 0 " * 10_000 + '"/>'),
    ],
)
def test_anything_that_could_do_harm_in_a_page_is_refused(harmful: str) -> None:
    with pytest.raises(ValidationError):
        Figure(title="t", alt="a", svg=harmful)
