"""The variables of a host in a container."""

from __future__ import annotations

from airlock.runtimes.containers.variables import host_variables


def test_labels_threads_and_what_the_runtime_says() -> None:
    variables = host_variables(
        labels={"service": "cc-fraud", "some-label": "x"},
        cpu=1.5,
        scratch="/airlock/job/tmp",
        environment={"REGION": "eu", "TOKEN": "from the options"},
        secrets={"TOKEN": "from the connection"},
    )

    assert variables["AIRLOCK_SERVICE"] == "cc-fraud"
    assert variables["AIRLOCK_SOME_LABEL"] == "x"
    assert variables["OMP_NUM_THREADS"] == "2"
    assert variables["TMPDIR"] == "/airlock/job/tmp"
    assert (variables["REGION"], variables["TOKEN"]) == ("eu", "from the connection")


def test_nobody_takes_the_place_of_a_label() -> None:
    variables = host_variables(
        labels={"snapshot": "a@1"}, cpu=1, scratch="/tmp", environment={"AIRLOCK_SNAPSHOT": "b@9"}, secrets={}
    )

    assert variables["AIRLOCK_SNAPSHOT"] == "a@1"
