from pathlib import Path
from typing import Any

import pytest

from airlock.spec.yaml_documents import Document, read_documents


def read(folder: Path, text: str | bytes) -> tuple[list[Document], list[str]]:
    """The documents of a file with this text, and its problems as ``line:column: message. mend``."""
    file = folder / "file.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    documents, problems = read_documents(file)
    return documents, [str(problem).removeprefix(f"{file}:") for problem in problems]


def value(folder: Path, text: str | bytes) -> Any:
    documents, problems = read(folder, text)
    assert problems == []
    assert len(documents) == 1
    return documents[0].value


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("no", "no"),
        ("off", "off"),
        ("True", True),
        ("012", 12),
        ("0x1F", 31),
        ("0o17", 15),
        ("-3", -3),
        ("1e3", 1000.0),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2026-01-31", "2026-01-31"),
        ("-.inf", float("-inf")),
        ("~", None),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("9" * 40, 1e40),
    ],
)
def test_words_mean_what_they_mean_in_yaml_1_2(tmp_path: Path, word: str, meaning: Any) -> None:
    assert value(tmp_path, f"a: {word}") == {"a": meaning}


def test_anchors_and_merges(tmp_path: Path) -> None:
    text = """\
base: &base {x: 1, y: 2}
other: &other {y: 3, z: 4}
one:
  <<: *base
  x: 5
both:
  <<: [*base, *other]
again: *base
"""
    assert value(tmp_path, text) == {
        "base": {"x": 1, "y": 2},
        "other": {"y": 3, "z": 4},
        "one": {"x": 5, "y": 2},
        "both": {"x": 1, "y": 2, "z": 4},
        "again": {"x": 1, "y": 2},
    }


def test_places_have_lines_also_through_merges(tmp_path: Path) -> None:
    text = "# comment\nbase: &base\n  x: 1\nlist:\n  - a\n  - <<: *base\n    y:\n      2\n"
    documents, _ = read(tmp_path, text)

    def line(*place: str | int, about_key: bool = False) -> int:
        return documents[0].text.position(documents[0].index(place, about_key=about_key))[0]

    assert line() == 2
    assert line("list", 0) == 5
    assert line("list", 1, "x") == 3
    assert line("list", 1, "y", about_key=True) == 7
    assert line("list", 1, "y") == 8
    assert line("list", 1, "not there") == 6


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "3:1: the key 'a' is here twice. The first is on line 1: remove one of them."),
        ("a:\n\tb: 1", "2:1: a tab stands where YAML wants spaces. Indent with spaces."),
        ("1: x", "1:1: a key must be text. Put quotes around it."),
        ("? [a]\n: x", "1:3: a key must be text. Put quotes around it."),
        ("a: {{ ds }}", "1:5: a value cannot begin with '{{'. Put quotes around it."),
        ("a: {{ ds }}/x", "1:4: a value cannot begin with '{{'. Put quotes around the value."),
        ("a: @daily", "1:4: a value cannot begin with '@'. Put quotes around the value."),
        ("a: * * * * *", "1:4: a value cannot begin with '*' here. Put quotes around the value."),
        ("a: [1, 2\nb: 3", "1:4: the '[' is not closed, or a ',' is missing in it. Close it."),
        ("a: {b: [", "1:9: a '[' or '{' that was opened before is not closed. Close it."),
        ("a: 'x", "1:4: the quote ' is not closed. Close it."),
        ("a: b: c", "1:5: a ':' stands where no key can be."),
        ("a: 1\n  b: 2", "2:4: a ':' stands where no key can be."),
        ("a: - b", "1:4: a list cannot begin here."),
        ("- a\nb: 1", "2:1: this does not belong here"),
        ("a: *b", "1:4: nothing above is marked &b."),
        ("fast: &fast 1\na: *fats", "2:4: nothing above is marked &fats. Did you mean 'fast'?"),
        ("a: &a [*a]", "1:8: *a stands inside of what it refers to."),
        ("a:\n  <<: 5", "2:7: '<<' takes in mappings only."),
        ("a: !!python/object:os.system x", "1:4: the tag !!python/object:os.system is not understood here."),
        ("a: !!int 5", "1:4: the tag !!int is not understood here. Remove it."),
        ("a: \x07", "1:4: the character U+0007 cannot stand in YAML. Remove it."),
        (b"a: 1\nb: \xff", "2:4: the file is not UTF-8 text. Save it as UTF-8."),
        ("[" * 60 + "]" * 60, "1:51: nested deeper than 50 levels. Write it flatter."),
        ("- " * 100_000, "1:101: nested deeper than 50 levels. Write it flatter."),
    ],
)
def test_mistakes_of_form(tmp_path: Path, text: str | bytes, problem: str) -> None:
    _, problems = read(tmp_path, text)

    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_all_mistakes_before_broken_yaml_are_told(tmp_path: Path) -> None:
    _, problems = read(tmp_path, "a: 1\na: 2\n3: 4\nb: [")

    assert [problem.split(":")[0] for problem in problems] == ["2", "3", "4"]


def test_a_billion_laughs_are_stopped(tmp_path: Path) -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    text += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 20))

    _, problems = read(tmp_path, text)
    assert problems == ["5:55: more than 100000 values, aliases counted. Divide the file."]


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    _, problems = read(tmp_path, b"# " + b"x" * 2_000_000)

    assert problems == ["1:1: the file is larger than 1 MiB. Divide it."]


def test_lines_are_those_of_editors(tmp_path: Path) -> None:
    """Carriage returns count as they do there, and exotic line breaks inside of a text do not."""
    _, problems = read(tmp_path, "\ufeffa: 1\r\nb: 'x\u2028y'\r\na: 2\r\n".encode())

    assert problems == ["3:1: the key 'a' is here twice. The first is on line 1: remove one of them."]


def test_a_mistake_at_the_end_is_on_the_last_line(tmp_path: Path) -> None:
    _, problems = read(tmp_path, "a: {b:\n")

    assert problems[0].startswith("1:")


def test_several_documents(tmp_path: Path) -> None:
    documents, problems = read(tmp_path, "a: 1\n---\n# nothing\n---\na: 2\n")

    assert problems == []
    assert [document.value for document in documents] == [{"a": 1}, None, {"a": 2}]
    assert [document.text.position(document.start)[0] for document in documents] == [1, 4, 5]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    _, problems = read_documents(tmp_path)

    assert [problem.message for problem in problems] == ["the file cannot be read: Is a directory"]
