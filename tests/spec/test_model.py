from pathlib import Path

import pytest

from airlock.exceptions import SpecError
from airlock.spec import Field, load_model
from tests.spec.writing import write


def test_only_the_name_and_the_owner_are_needed(tmp_path: Path) -> None:
    write(tmp_path, {"model.yaml": "model: credit-card-fraud\nowner: payments\n"})

    model = load_model(tmp_path)
    assert model == load_model(tmp_path / "model.yaml")
    assert (model.format, model.source, model.requirements) == (None, "model.py", "requirements.txt")
    assert (model.modes, model.python) == (["online", "batch"], ">=3.11,<3.14")


def test_schemas_are_lists_of_fields(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "model.yaml": """
                model: credit-card-fraud
                owner: payments
                input:
                  - {name: amount, type: number, min: 0}
                output:
                  - {name: score, type: number, min: 0, max: 1}
                golden: golden.jsonl
                """
        },
    )

    model = load_model(tmp_path)
    assert model.input == [Field("amount", "number", min=0)]
    assert model.output == [Field("score", "number", min=0, max=1)]


@pytest.mark.parametrize(
    "name",
    [
        "risk",
        "library/python",
        "python:3.12",
        "registry.example:5000/a/b-c__d.e",
        "localhost/x:V1",
        "10.0.0.1:80/x",
    ],
)
def test_a_model_may_have_an_image_of_its_own(tmp_path: Path, name: str) -> None:
    image = f"{name}@sha256:{'0a' * 32}"
    write(tmp_path, {"model.yaml": f"model: credit-card-fraud\nowner: payments\nimage: {image}\n"})

    assert load_model(tmp_path).image == image


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("source: ../model.py", "leaves the model's folder"),
        ("requirements: /etc/passwd", "leaves the model's folder"),
        ("golden: a\\b", "leaves the model's folder"),
        ("python: three", "'three' is not a range of Python versions"),
        ("python: 3.11", "3.11 is not text"),
        ("image: python:3.12", "without its digest, so it may be another one tomorrow. Write name@sha256:"),
        ("image: risk@sha256:abc", "'risk@sha256:abc' is no image with a digest"),
        (f"image: Risk@sha256:{'0' * 64}", "is no image with a digest"),
        ("format: onxx", "Did you mean 'onnx'?"),
        ("input: [{name: a, type: number}, {name: a, type: string}]", "the field 'a' is here twice"),
        ("inptu: []", "Did you mean 'input'?"),
    ],
)
def test_mistakes_have_lines(tmp_path: Path, line: str, complaint: str) -> None:
    write(tmp_path, {"model.yaml": f"model: credit-card-fraud\nowner: payments\n{line}\n"})

    with pytest.raises(SpecError) as caught:
        load_model(tmp_path)
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [
        (tmp_path / "model.yaml", 3)
    ]
    assert complaint in str(caught.value)


def test_a_folder_without_the_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"model\.yaml:1:1: the file cannot be read: No such file"):
        load_model(tmp_path)
