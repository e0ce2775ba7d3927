from pathlib import Path
from textwrap import dedent

import pytest

from airlock import Lifecycle, Service, Stage, checks
from airlock.exceptions import Problem, SpecError
from airlock.spec import Dataset, Limit, load_include, misfits
from tests.spec.writing import GOOD, write_good


def changed(file: str, old: str, new: str) -> dict[str, str]:
    """A good file with one thing changed."""
    text = dedent(GOOD[file])
    assert old in text
    return {file: text.replace(old, new)}


def only_problem(folder: Path) -> Problem:
    with pytest.raises(SpecError) as caught:
        load_include(folder)
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "said"),
    [
        (
            "services/cc-fraud.yaml",
            "lifecycle: standard",
            "lifecycle: standrad",
            2,
            "Did you mean 'standard'?",
        ),
        (
            "services/cc-fraud.yaml",
            "{DEV: batch}",
            "{DVE: batch}",
            4,
            "has no stage 'DVE'. Did you mean 'DEV'?",
        ),
        (
            "services/cc-fraud.yaml",
            "{DEV: batch}",
            "batch",
            4,
            "measures a server, but the service runs as batch",
        ),
        ("services/cc-fraud.yaml", "  holdout:", "  holdout_2:", 6, "needs the dataset 'holdout'"),
        ("services/cc-fraud.yaml", "{{ ds }}/*", "{{ ds }/*", 8, "is no Jinja template: unexpected '}'"),
        ("services/cc-fraud.yaml", "{{ ds }}/*", "{{ " + "(" * 400 + " }}/*", 8, "is no Jinja template"),
        (
            "policies/PROD.yaml",
            "role: model-risk",
            "role: modle-risk",
            3,
            "there is no role 'modle-risk'. Did you mean",
        ),
        (
            "policies/PROD.yaml",
            "count: 2",
            "count: 3",
            3,
            "3 different people are needed as it-operations, but only",
        ),
        ("policies/PROD.yaml", "[smoke]", "[smoke, latency]", 6, "has no latency check before PROD"),
        (
            "policies/roles.yaml",
            "[rita]",
            "[]",
            3,
            "nobody has the role 'model-risk', so nobody could approve",
        ),
        (
            "policies/roles.yaml",
            "[rita]",
            "[omar]",
            3,
            "3 different people are needed as model-risk and it-operations",
        ),
    ],
)
def test_mistakes_across_files(tmp_path: Path, file: str, old: str, new: str, line: int, said: str) -> None:
    write_good(tmp_path, **changed(file, old, new))

    problem = only_problem(tmp_path)
    assert said in str(problem)
    assert problem.line == line


def test_nobody_stands_before_the_first_stage(tmp_path: Path) -> None:
    policy = "stage: DEV\napprovals:\n  - role: model-risk\n"
    write_good(tmp_path, **{"policies/DEV.yaml": policy})

    problem = only_problem(tmp_path)
    assert problem.line == 3
    assert problem.message == "no gate is before DEV, the first stage of life cycle 'standard'"


def test_too_few_people_are_seen_as_an_assignment_and_not_as_a_count(tmp_path: Path) -> None:
    """Five people for five places, but the three who may fill the last three places are two."""
    write_good(
        tmp_path,
        **{
            "policies/PROD.yaml": """
                stage: PROD
                approvals:
                  - {role: a, count: 2}
                  - {role: b, count: 2}
                  - {role: c}
                """,
            "policies/roles.yaml": """
                roles:
                  a: [ann, abe, amy]
                  b: [bob, bea]
                  c: [bea]
                """,
        },
    )

    assert (
        only_problem(tmp_path).message
        == "3 different people are needed as b and c, but only bea, bob could be"
    )


@pytest.mark.parametrize(
    ("files", "file", "line", "said"),
    [
        ({"policies/UAT.yaml": "stage: UAT\n"}, "policies/UAT.yaml", 1, "no life cycle has the stage 'UAT'"),
        (
            changed("runtimes/local.yaml", "[DEV]", "[DEV, SIT]"),
            "runtimes/local.yaml",
            3,
            "has the stage 'SIT'",
        ),
        (
            changed("runtimes/local.yaml", "options:", "modes: [online]\noptions:"),
            "services/cc-fraud.yaml",
            1,
            "no runtime takes 'cc-fraud' in mode batch at stage PROD",  # its scheduled scoring runs there
        ),
        (
            changed("policies/roles.yaml", "  model-risk", "  audit: []\n  model-risk"),
            "policies/roles.yaml",
            2,
            "nobody has the role 'audit'",
        ),
        (
            changed("services/cc-fraud.yaml", "output: data/{{ ds }}/scores", "output: data/scores"),
            "services/cc-fraud.yaml",
            9,
            "the output is the same for each interval",
        ),
    ],
)
def test_warnings(tmp_path: Path, files: dict[str, str], file: str, line: int, said: str) -> None:
    warnings = load_include(write_good(tmp_path, **files)).warnings

    assert [(warning.file, warning.line) for warning in warnings] == [(tmp_path / file, line)]
    assert said in warnings[0].message


def test_a_runtime_for_an_unknown_service_is_a_warning(tmp_path: Path) -> None:
    warnings = load_include(
        write_good(tmp_path, **changed("runtimes/local.yaml", "[cc-fraud]", "[cc-fraud, cc-frued]"))
    ).warnings

    assert [str(warning) for warning in warnings] == [
        f"{tmp_path}/runtimes/local.yaml:9:22: there is no service 'cc-frued'. Did you mean 'cc-fraud'?"
    ]


def test_misfits_of_a_service_that_is_written_in_python() -> None:
    lifecycle = Lifecycle(
        "fast",
        stages=[
            Stage("DEV", [checks.Latency(p99_ms=5)], mode="batch"),
            Stage("PROD", [checks.Performance("holdout", {"r2": Limit(min=0)})]),
        ],
    )
    service = Service("s", "fast", "me", mode={"UAT": "batch"})
    fitting = Service("s", "fast", "me", mode={"DEV": "online"}, datasets={"holdout": Dataset("a.csv", "y")})

    assert [mistake.place for mistake in misfits(service, lifecycle)] == [
        ("mode", "UAT"),
        ("mode", "DEV"),
        ("datasets",),
    ]
    assert misfits(fitting, lifecycle) == []


def with_a_gateway(stages: str) -> dict[str, str]:
    """A runtime whose requests the gateway of a cluster divides."""
    return {
        "runtimes/cluster.yaml": f"""
            runtime: cluster
            kind: kubernetes
            stages: {stages}
            options: {{gateway: {{name: front, host: models.example.com}}}}
            """
    }


STICKY = changed(
    "lifecycles/standard.yaml",
    "  - name: PROD\n",
    "  - name: PROD\n    rollout: {strategy: canary, sticky: {header: X-Customer}}\n",
)


def test_a_gateway_of_a_cluster_cannot_keep_callers_on_one_version(tmp_path: Path) -> None:
    problem = only_problem(write_good(tmp_path, **STICKY, **with_a_gateway("[PROD]")))

    assert problem.file == tmp_path / "lifecycles/standard.yaml"
    assert problem.line == 8
    assert "the gateway of the runtime 'cluster' cannot keep callers on one version" in str(problem)
    assert "run 'airlock gateway'" in str(problem)


def test_a_gateway_at_another_stage_does_not_matter(tmp_path: Path) -> None:
    load_include(write_good(tmp_path, **STICKY, **with_a_gateway("[DEV]")))
    load_include(write_good(tmp_path / "2", **with_a_gateway("[PROD]")))
