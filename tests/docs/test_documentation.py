"""The documentation shows commands, files and links that exist."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
import yaml
from typer.core import TyperGroup

from airlock.cli.app import app
from airlock.spec import Service, load_lifecycle, misfits
from airlock.spec.load import load_include
from tests.docs.console_blocks import (
    PAGES,
    PROJECT,
    Block,
    Command,
    CommandFailed,
    blocks,
    commands,
    files,
    run_command,
)

EVERY_PAGE = sorted(
    str(path.relative_to(PROJECT))
    for path in (
        PROJECT / "README.md",
        *(PROJECT / "docs").rglob("*.md"),
        PROJECT / "include" / "models" / "README.md",
    )
)
EVERY_BLOCK = [block for page in EVERY_PAGE for block in blocks(page)]
EVERY_COMMAND = [command for page in PAGES for command in commands(page)]
PEOPLE = {"ada", "dana", "rita", "omar"}


def place(block: Block) -> str:
    return f"{block.page}:{block.line}"


def in_language(language: str) -> list[Block]:
    return [block for block in EVERY_BLOCK if block.language == language]


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=lambda command: f"{command.place}: {command.line}")
def test_commands_and_their_options_exist(command: Command) -> None:
    program, *words = shlex.split(command.line)
    assert program in ("airlock", "airflow", "curl", "ls")
    if program == "airlock":
        options_exist(words)


@pytest.mark.parametrize("block", in_language("sh"), ids=place)
def test_what_is_for_other_machines_names_commands_that_exist(block: Block) -> None:
    for line in block.body.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if "airlock" in words and "pg_dump" not in words:
            options_exist(words[words.index("airlock") + 1 :])


def options_exist(words: list[str]) -> None:
    """Hold the words behind ``airlock`` against the command line tool."""
    words = words[: words.index("|")] if "|" in words else [*words]
    found: Any = typer.main.get_command(app)
    while isinstance(found, TyperGroup):
        name = words.pop(0)
        assert name in found.commands
        found = found.commands[name]
    options = {name for parameter in found.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_commands_belong_to_people_of_the_demo() -> None:
    assert {command.person for command in EVERY_COMMAND} == PEOPLE


def test_every_page_with_commands_is_run() -> None:
    assert {block.page for block in in_language("console")} == set(PAGES)


@pytest.mark.parametrize("block", in_language("python"), ids=place)
def test_python_is_valid(block: Block) -> None:
    compile(block.body, place(block), "exec")


@pytest.mark.parametrize("block", in_language("yaml"), ids=place)
def test_yaml_fits_the_schema_it_names(block: Block) -> None:
    document = yaml.safe_load(block.body)
    if named := re.match(r"# yaml-language-server: \$schema=\.\./schemas/(\w+)\.json\n", block.body):
        schema = json.loads((PROJECT / "include" / "schemas" / f"{named[1]}.json").read_text())
        jsonschema.validate(document, schema)


def test_the_files_of_the_first_model_are_valid_beside_what_ships(tmp_path: Path) -> None:
    shutil.copytree(
        PROJECT / "include", tmp_path / "include", ignore=shutil.ignore_patterns("models", "host")
    )
    for name, body in files("README.md").items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(body)
    assert "house-price" in load_include(tmp_path / "include").services


def test_the_service_with_topics_passes_the_standard_life_cycle() -> None:
    [written] = [block for block in blocks("docs/score-a-stream.md") if block.language == "yaml"]
    service = Service.model_validate(yaml.safe_load(written.body))

    assert misfits(service, load_lifecycle(PROJECT / "include", service.lifecycle)) == []
    assert [stage for stage in ("DEV", "SIT", "UAT", "PROD") if service.stage_kafka(stage)] == ["UAT", "PROD"]


def links() -> Iterator[tuple[str, str]]:
    for page in EVERY_PAGE:
        text = (PROJECT / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)|src=\"([^\"]+)\"", text):
            if not "".join(target).startswith("http"):
                yield page, "".join(target)


@pytest.mark.parametrize(("page", "target"), list(links()))
def test_links_lead_somewhere(page: str, target: str) -> None:
    assert ((PROJECT / page).parent / target).exists()


def test_decisions_are_numbered_without_gaps_and_have_their_three_parts() -> None:
    records = sorted((PROJECT / "docs" / "decisions").glob("[0-9]*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        headings = re.findall(r"^## (.+)$", record.read_text(encoding="utf-8"), re.MULTILINE)
        assert headings == ["Context", "Choice", "Consequences"], record.name


def test_a_command_that_goes_on_failing_is_named_with_what_it_printed() -> None:
    line = f"{sys.executable} -c \"print('no such gate'); raise SystemExit(1)\""
    with pytest.raises(CommandFailed, match=r"docs/approve.md:7: rita\$ .*no such gate"):
        run_command(Command("docs/approve.md:7", "rita", line), {}, patience=0)


def test_a_command_that_fails_at_first_is_tried_again(tmp_path: Path) -> None:
    line = f"ls {tmp_path}/first_try || (mkdir {tmp_path}/first_try; exit 1)"
    run_command(Command("docs/approve.md:7", "rita", line), {"PATH": "/usr/bin:/bin"}, patience=30)
    assert (tmp_path / "first_try").exists()
