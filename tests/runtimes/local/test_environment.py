"""Environments: built once, whole or not at all. The locks here are empty, so no package index is asked."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, strategies
from hypothesis import settings as example_settings

from airlock.runtimes.local.environment import BuildFailed, build, source_digest
from airlock.runtimes.local.folder import EnvironmentPlan
from airlock.runtimes.local.interpreter import find_interpreter, find_uv

from ..waiting import wait_for

_fork = multiprocessing.get_context("fork")


@pytest.fixture
def plan(tmp_path: Path) -> EnvironmentPlan:
    host = tmp_path / "source" / "some_host"
    host.mkdir(parents=True)
    (host / "__init__.py").write_text("ANSWER = 42\n")
    lock = tmp_path / "requirements.lock"
    lock.write_text("# nothing\n")
    return EnvironmentPlan(
        folder=str(tmp_path / "environments" / "abc"),
        lock=str(lock),
        lock_digest=f"sha256:{hashlib.sha256(lock.read_bytes()).hexdigest()}",
        interpreter=str(find_interpreter(">=3.11").path),
        host=str(host),
        host_digest=source_digest(host),
        uv=find_uv(),
    )


def run(command: Sequence[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        raise BuildFailed(ended.stderr)


def build_it(plan: EnvironmentPlan, run: Callable[[Sequence[str]], None] = run) -> list[str]:
    """Build it and return what the builder said."""
    said: list[str] = []
    build(plan, run=run, say=said.append, pause=time.sleep)
    return said


def test_an_environment_holds_the_host_compiled(plan: EnvironmentPlan) -> None:
    assert not plan.is_built()

    said = build_it(plan)

    assert plan.is_built()
    assert said == ["Building the environment abc of 0 packages."]
    program = "import some_host; print(some_host.ANSWER, some_host.__file__, some_host.__cached__)"
    answer, source, compiled = subprocess.run(
        [plan.python, "-I", "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert answer == "42"
    assert Path(source).is_relative_to(plan.folder)
    assert Path(compiled).exists()


def test_an_environment_that_is_there_is_not_built_again(plan: EnvironmentPlan) -> None:
    build_it(plan)

    def refuse(command: Sequence[str]) -> None:
        raise AssertionError(command)

    assert build_it(plan, refuse) == []


def test_two_builders_make_one_environment(plan: EnvironmentPlan, tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    def run_and_note(command: Sequence[str]) -> None:
        with ran.open("a") as notes:
            notes.write(f"{os.getpid()}\n")
        run(command)

    builders = [_fork.Process(target=build_it, args=(plan, run_and_note)) for _ in range(4)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()

    assert [builder.exitcode for builder in builders] == [0] * 4
    assert len(set(ran.read_text().split())) == 1
    assert plan.is_built()


@pytest.mark.parametrize("step", range(1, 5))
def test_a_builder_killed_at_any_step_leaves_nothing_half(plan: EnvironmentPlan, step: int) -> None:
    steps = 0

    def run_until_killed(command: Sequence[str]) -> None:
        nonlocal steps
        run(command)
        steps += 1
        if steps == step:
            os.kill(os.getpid(), 9)

    builder = _fork.Process(target=build_it, args=(plan, run_until_killed))
    builder.start()
    builder.join()
    assert builder.exitcode == -9
    assert not plan.is_built()

    build_it(plan)

    assert plan.is_built()
    assert {path.name for path in Path(plan.folder).parent.iterdir()} == {"abc", "abc.lock"}


def test_whoever_waits_for_another_builder_says_so(plan: EnvironmentPlan, tmp_path: Path) -> None:
    begun, go_on = tmp_path / "begun", tmp_path / "go-on"

    def run_slowly(command: Sequence[str]) -> None:
        begun.touch()
        wait_for(go_on.exists)
        run(command)

    builder = _fork.Process(target=build_it, args=(plan, run_slowly))
    builder.start()
    wait_for(begun.exists)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        go_on.touch()

    build(plan, run=run, say=say, pause=time.sleep)
    builder.join()

    assert said == ["Waiting for the environment abc, which another deployment builds."]
    assert plan.is_built()


def test_an_environment_whose_interpreter_was_removed_is_built_again(plan: EnvironmentPlan) -> None:
    build_it(plan)
    plan.python.unlink()

    build_it(plan)

    assert plan.is_built()


def test_a_changed_lock_is_refused(plan: EnvironmentPlan) -> None:
    Path(plan.lock).write_text("# something else\n")

    with pytest.raises(BuildFailed, match=r"requirements\.lock is not the lock that was recorded"):
        build_it(plan)


def test_a_host_that_changed_since_is_refused(plan: EnvironmentPlan) -> None:
    (Path(plan.host) / "__init__.py").write_text("ANSWER = 43\n")

    with pytest.raises(BuildFailed, match="was changed"):
        build_it(plan)

    assert not plan.is_built()


def test_a_package_without_a_hash_is_refused(plan: EnvironmentPlan) -> None:
    Path(plan.lock).write_text("numpy==2.3.0\n")
    digest = hashlib.sha256(Path(plan.lock).read_bytes()).hexdigest()

    with pytest.raises(BuildFailed, match="hash"):
        build_it(plan._replace(lock_digest=f"sha256:{digest}"))


def test_a_host_that_cannot_be_imported_is_refused(plan: EnvironmentPlan) -> None:
    (Path(plan.host) / "__init__.py").write_text("import what_the_lock_lacks\n")

    with pytest.raises(BuildFailed, match="what_the_lock_lacks"):
        build_it(plan._replace(host_digest=source_digest(Path(plan.host))))


@given(
    files=strategies.dictionaries(
        strategies.from_regex(r"[a-z]{1,4}\.py", fullmatch=True), strategies.binary(max_size=20), min_size=1
    ),
    change=strategies.data(),
)
@example_settings(max_examples=30, deadline=None)
def test_the_digest_of_a_package_is_that_of_its_paths_and_bytes(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], change: strategies.DataObject
) -> None:
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    for folder in (first, second):
        for name, content in files.items():
            (folder / name).write_bytes(content)
    for cache in ("__pycache__", ".mypy_cache"):
        (second / cache).mkdir()
        (second / cache / "x.cache").write_bytes(b"derived")
    assert source_digest(first) == source_digest(second)

    name = change.draw(strategies.sampled_from(sorted(files)))
    if change.draw(strategies.booleans()):
        (second / name).write_bytes(files[name] + b"#")
    else:
        (second / name).rename(second / f"{name}_")

    assert source_digest(first) != source_digest(second)


def test_a_package_that_is_not_there_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        source_digest(tmp_path / "nowhere")
