from pathlib import Path

import pytest

from airlock.exceptions import SpecError
from airlock.spec import Source, load_include, load_lifecycle, load_service, service_index
from tests.spec.writing import write, write_good


def problems(folder: Path) -> list[str]:
    """What is wrong with an include folder, as ``file:line: message``."""
    with pytest.raises(SpecError) as caught:
        load_include(folder)
    return [
        f"{problem.file.relative_to(folder)}:{problem.line}: {problem.message}"
        for problem in caught.value.problems
    ]


def test_reads_everything_by_name(tmp_path: Path) -> None:
    include = load_include(write_good(tmp_path))

    assert list(include.lifecycles) == ["standard"]
    assert list(include.services) == ["cc-fraud"]
    assert list(include.runtimes) == ["local", "local-prod"]
    assert list(include.policies) == ["PROD"]
    assert include.roles.people("it-operations") == ["omar", "olga"]
    assert include.warnings == []


def test_remembers_where_each_was_written(tmp_path: Path) -> None:
    sources = load_include(write_good(tmp_path)).sources

    assert sources["service", "cc-fraud"] == Source(tmp_path / "services/cc-fraud.yaml", 1)
    assert sources["runtime", "local-prod"] == Source(tmp_path / "runtimes/local.yaml", 6)
    assert sources["policy", "PROD"].line == 1
    assert sources["roles", "roles"] == Source(tmp_path / "policies/roles.yaml", 1)


def test_an_empty_folder_declares_nothing(tmp_path: Path) -> None:
    include = load_include(tmp_path)

    assert (include.lifecycles, include.services, include.runtimes, include.policies) == ({}, {}, {}, {})
    assert include.roles.roles == {}


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="There is no folder"):
        load_include(tmp_path / "inlcude")


def test_every_mistake_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    write_good(
        tmp_path,
        **{
            "lifecycles/standard.yaml": """
                lifecycle: standard
                stages:
                  - name: dev
                    cheks: [smoke]
                  - name: PROD
                    checks:
                      - smok
                      - latency: {p99: 200}
                      - performance: {dataset: holdout, roc_auc: {min: 1.2}}
                  - name: PROD
                """,
            "services/cc-fraud.yaml": """
                service: cc-fraud
                lifecycle: standard
                owner: payments
                owner: fraud
                risk: hihg
                schedule: "0 6 * *"
                """,
            "policies/PROD.yaml": """
                stage: PROD
                approvals:
                \t- role: model-risk
                """,
        },
    )

    assert problems(tmp_path) == [
        "lifecycles/standard.yaml:3: 'dev' cannot be a name here",
        "lifecycles/standard.yaml:4: unknown key 'cheks'",
        "lifecycles/standard.yaml:7: unknown kind 'smok'",
        "lifecycles/standard.yaml:8: the check limits no percentile",
        "lifecycles/standard.yaml:8: unknown key 'p99'",
        "lifecycles/standard.yaml:9: roc_auc is never 1.2",
        "lifecycles/standard.yaml:10: the stage 'PROD' is here twice",
        "policies/PROD.yaml:3: a tab stands where YAML wants spaces",
        "services/cc-fraud.yaml:4: the key 'owner' is here twice",
        "services/cc-fraud.yaml:5: 'hihg' is not one of the choices",
        "services/cc-fraud.yaml:6: '0 6 * *' is not a cron expression of five fields",
    ]


def test_the_message_shows_where_and_how_to_mend(tmp_path: Path) -> None:
    write(tmp_path, {"runtimes/local.yaml": "runtime: local\nkind: local\nstages: [DEV]\ncapactiy: 2\n"})

    with pytest.raises(SpecError) as caught:
        load_include(tmp_path)
    assert str(caught.value) == (
        "1 mistake in 1 file:\n"
        f"  {tmp_path}/runtimes/local.yaml:4:1: unknown key 'capactiy'. Did you mean 'capacity'?"
    )


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"services/a.yaml": ""}, "services/a.yaml:1: the file is empty"),
        ({"services/a.yaml": "# only a comment\n"}, "services/a.yaml:1: the file is empty"),
        ({"policies/roles.yaml": "---\n---\n"}, "policies/roles.yaml:1: the file is empty"),
        ({"services/a.yaml": "- a\n"}, "services/a.yaml:1: a list is not a mapping"),
        ({"services/a.yaml": "hello\n"}, "services/a.yaml:1: 'hello' is not a mapping"),
        ({"policies/DEV.yml": "stage: DEV\n"}, "policies/DEV.yml:1: the file ends with .yml"),
        ({"policies/DEV.YAML": "stage: DEV\n"}, "policies/DEV.YAML:1: the file ends with .YAML"),
        (
            {"policies/UAT.yaml": "stage: DEV\n"},
            "policies/UAT.yaml:1: the policy 'DEV' is in a file called UAT.yaml",
        ),
        (
            {"policies/DEV.yaml": "stage: DEV\n---\nstage: DEV\n"},
            "policies/DEV.yaml:3: a second document; a policy file holds one",
        ),
        (
            {"runtimes/more.yaml": "# twice\nruntime: local\nkind: local\nstages: [DEV]\n"},
            "runtimes/more.yaml:2: the runtime 'local' is in runtimes/local.yaml:1 already",
        ),
        (
            {"runtimes/one.yaml": "---\n".join(["runtime: x\nkind: local\nstages: [DEV]\n"] * 2)},
            "runtimes/one.yaml:5: the runtime 'x' is in runtimes/one.yaml:1 already",
        ),
    ],
)
def test_files_that_are_wrong_as_a_whole(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    write(write_good(tmp_path), files)

    assert expected in [problem.replace(f"{tmp_path}/", "") for problem in problems(tmp_path)]


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    write_good(tmp_path, **{"services/README.md": "# Services", "services/.draft.yaml": "a: ["})

    assert list(load_include(tmp_path).services) == ["cc-fraud"]


def test_a_reference_to_something_broken_is_no_second_mistake(tmp_path: Path) -> None:
    write_good(
        tmp_path,
        **{
            "lifecycles/standard.yaml": "lifecycle: standard\nstages: []\n",
            "policies/roles.yaml": "rolse: {}",
        },
    )

    assert problems(tmp_path) == [
        "lifecycles/standard.yaml:2: the list is empty",
        "policies/roles.yaml:1: unknown key 'rolse'",
    ]


def test_a_wrong_file_name_hides_no_other_mistake(tmp_path: Path) -> None:
    service = "service: b\nlifecycle: nowhere\nowner: me\n"
    write_good(tmp_path, **{"services/a.yaml": service})

    assert problems(tmp_path) == [
        "services/a.yaml:1: the service 'b' is in a file called a.yaml",
        "services/a.yaml:2: there is no life cycle 'nowhere'",
    ]


class TestReadingForDags:
    """DAG files read one service at a time, so that one mistake does not take another's DAG away."""

    def test_the_index_opens_no_file(self, tmp_path: Path) -> None:
        write(tmp_path, {"services/b.yaml": "broken: [", "services/a.yaml": "", "services/notes.txt": ""})

        assert service_index(tmp_path) == {
            "a": tmp_path / "services/a.yaml",
            "b": tmp_path / "services/b.yaml",
        }
        assert service_index(tmp_path / "nowhere") == {}

    def test_a_stray_file_hides_no_good_one(self, tmp_path: Path) -> None:
        write(tmp_path, {"services/a.yaml": "", "services/a.yml": "", "services/b.YAML": ""})

        assert service_index(tmp_path) == {
            "a": tmp_path / "services/a.yaml",
            "b": tmp_path / "services/b.YAML",
        }

    def test_one_service_and_its_life_cycle(self, tmp_path: Path) -> None:
        write_good(tmp_path)

        service = load_service(service_index(tmp_path)["cc-fraud"])
        assert service == load_include(tmp_path).services["cc-fraud"]
        assert load_lifecycle(tmp_path, service.lifecycle) == load_include(tmp_path).lifecycles["standard"]

    def test_a_broken_service_is_told_with_lines(self, tmp_path: Path) -> None:
        write(tmp_path, {"services/a.yaml": "service: b\nlifecycle: standard\n"})

        with pytest.raises(SpecError) as caught:
            load_service(tmp_path / "services/a.yaml")
        assert [(problem.line, problem.message) for problem in caught.value.problems] == [
            (1, "the key 'owner' is missing"),
            (1, "the service 'b' is in a file called a.yaml"),
        ]

    @pytest.mark.parametrize("name", ["standrad", "../lifecycles/standard", "", "a\0b", "x" * 300])
    def test_a_life_cycle_that_is_not_there(self, tmp_path: Path, name: str) -> None:
        write_good(tmp_path)

        with pytest.raises(SpecError, match="There is no life cycle"):
            load_lifecycle(tmp_path, name)

    def test_the_nearest_life_cycle_is_suggested(self, tmp_path: Path) -> None:
        write_good(tmp_path)

        with pytest.raises(SpecError, match=r"Did you mean 'standard'\?"):
            load_lifecycle(tmp_path, "standrad")
