import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from airlock import Lifecycle, Policy, Service, Stage, checks
from airlock.spec import Approval, Delta, Limit
from airlock.spec.outline import outline
from airlock.spec.render import mermaid, svg
from tests.spec.written_specs import Written, lifecycles, policies

LIFECYCLE = Lifecycle(
    "fast",
    description="Short & <sharp>",
    stages=[
        Stage("DEV", [checks.Smoke(), checks.Contract(name="promises", on_fail="warn")]),
        Stage("PROD", [checks.Latency(p99_ms=200, error_rate=0.01)]),
    ],
)
SERVICE = Service("cc-fraud", "fast", "payments", mode={"DEV": "batch"})
POLICIES = {"PROD": Policy("PROD", [Approval("model-risk", 2), Approval("it-operations")])}
SVG = "{http://www.w3.org/2000/svg}"


def texts(picture: str) -> list[str]:
    """What one can read in a picture."""
    return [element.text or "" for element in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def test_mermaid_text() -> None:
    assert (
        mermaid(LIFECYCLE, SERVICE, POLICIES)
        == """\
flowchart LR
  begin_passage("begin_passage")
  subgraph DEV["DEV · batch"]
    direction TB
    DEV-pick_runtime("pick_runtime")
    DEV-deploy("deploy")
    DEV-check-smoke("check.smoke")
    DEV-check-promises("check.promises<br/>contract<br/>only warns")
    DEV-clear("clear")
    DEV-gate{{"gate<br/>into PROD<br/>2 × model-risk<br/>1 × it-operations<br/>waits 7d at most"}}
    DEV-pick_runtime --> DEV-deploy
    DEV-deploy --> DEV-check-smoke & DEV-check-promises
    DEV-check-smoke & DEV-check-promises --> DEV-clear
    DEV-clear --> DEV-gate
  end
  subgraph PROD["PROD · online"]
    direction TB
    PROD-pick_runtime("pick_runtime")
    PROD-deploy("deploy")
    PROD-check-latency("check.latency<br/>p99 ≤ 200 ms<br/>errors ≤ 1 %")
    PROD-activate("activate<br/>becomes the current version")
    PROD-pick_runtime --> PROD-deploy
    PROD-deploy --> PROD-check-latency
    PROD-check-latency --> PROD-activate
  end
  begin_passage --> DEV
  DEV --> PROD
"""  # noqa: RUF001
    )


def test_the_picture_shows_every_task_and_who_must_approve() -> None:
    assert texts(svg(LIFECYCLE, SERVICE, POLICIES)) == [
        "cc-fraud",
        "life cycle fast · owner payments",
        *("DEV", "batch", "begin_passage", "pick_runtime", "deploy"),
        *("check.smoke", "check.promises", "contract", "only warns", "clear"),
        *("gate", "into PROD", "2 × model-risk", "1 × it-operations", "waits 7d at most"),  # noqa: RUF001
        *("PROD", "online", "pick_runtime", "deploy"),
        *("check.latency", "p99 ≤ 200 ms", "errors ≤ 1 %", "activate", "becomes the current version"),
    ]


def test_a_life_cycle_alone_says_nothing_of_modes_and_approvers() -> None:
    shown = texts(svg(LIFECYCLE))

    assert shown[:2] == ["Life cycle fast", "Short & <sharp>"]
    assert not {"batch", "online", "clear", "asks nobody"} & set(shown)


def test_a_stage_without_a_policy_asks_nobody() -> None:
    assert "asks nobody" in texts(svg(LIFECYCLE, policies={}))


def test_limits_are_told_in_words() -> None:
    performance = checks.Performance(
        "holdout",
        {"roc_auc": Limit(0.85, 0.99), "brier": Limit(max=0.2), "f1": Limit(min=0.5)},
        {"roc_auc": Delta(min_delta=-0.005), "brier": Delta(max_delta=0)},
    )
    (chamber,) = outline(Lifecycle("one", stages=[Stage("UAT", [performance])]))

    assert chamber.checks[0].details == (
        "on holdout",
        "0.85 ≤ roc_auc ≤ 0.99",
        "brier ≤ 0.2",
        "f1 ≥ 0.5",
        "roc_auc vs champion ≥ −0.005",  # noqa: RUF001
        "brier vs champion ≤ 0",
    )


def test_the_picture_follows_light_and_dark() -> None:
    picture = svg(LIFECYCLE)
    styles = picture[picture.index("<style>") : picture.index("</style>")]
    light, dark = styles.split("@media (prefers-color-scheme: dark)")
    used = {name for names in re.findall(r'class="([^"]+)"', picture) for name in names.split()}

    for painted in used - {"detail", "optional"}:
        if re.search(rf"\.{painted}\b[^{{]*{{[^}}]*#", light):
            assert re.search(rf"\.{painted}\b[^{{]*{{[^}}]*#", dark), painted


@given(lifecycles(), st.lists(policies, max_size=3))
def test_any_life_cycle_can_be_drawn(written: Written, written_policies: list[Written]) -> None:
    """The picture is well-formed, and nothing in it lies outside of it."""
    lifecycle = Lifecycle.model_validate(written)
    by_stage = {policy["stage"]: Policy.model_validate(policy) for policy in written_policies}

    root = ElementTree.fromstring(svg(lifecycle, policies=by_stage))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for box in root.iter(f"{SVG}rect"):
        assert 0 <= float(box.get("x", 0)) <= float(box.get("x", 0)) + float(box.attrib["width"]) <= width
        assert 0 <= float(box.get("y", 0)) <= float(box.get("y", 0)) + float(box.attrib["height"]) <= height
    assert mermaid(lifecycle, policies=by_stage).count("subgraph") == len(lifecycle.stages)


def test_boxes_of_a_stage_do_not_overlap() -> None:
    stages = [
        Stage(
            f"S{number}",
            [checks.Smoke(name=f"c{check}") for check in range(number)],
            "batch" if number % 2 else None,
        )
        for number in range(7)
    ]
    root = ElementTree.fromstring(svg(Lifecycle("many", stages=stages), policies=POLICIES))
    boxes = [
        (
            float(box.attrib["x"]),
            float(box.attrib["y"]),
            float(box.attrib["width"]),
            float(box.attrib["height"]),
        )
        for box in root.iter(f"{SVG}rect")
        if "pill" in box.get("class", "").split()
    ]

    for number, (x, y, width, height) in enumerate(boxes):
        for other_x, other_y, other_width, other_height in boxes[:number]:
            apart_sideways = x + width <= other_x or other_x + other_width <= x
            apart_upright = y + height <= other_y or other_y + other_height <= y
            assert apart_sideways or apart_upright
