"""What the few lines in ``dags/`` call: all services' DAGs, one mistake never taking another's away."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

from airflow.sdk import DAG, get_parsing_context

from airlock.exceptions import SpecError
from airlock.orchestration.builder import build_dag
from airlock.orchestration.notifying import Notifiers
from airlock.orchestration.scoring import SCORING_SUFFIX, build_scoring_dag
from airlock.spec import Lifecycle, Service, load_lifecycle, load_service, service_index

Shard = tuple[int, int]
"""The ``n``-th of ``m`` shards, counted from 1."""

ReadLifecycle = Callable[[str], Lifecycle]
"""Gives the life cycle of a name."""


def lifecycle_dags(include: Path, shard: Shard = (1, 1), *, on_rollback: Notifiers = ()) -> dict[str, DAG]:
    """DAGs of the services under ``include``, by id.

    A service whose files have mistakes is left out here and reported by :func:`raise_mistakes`.
    When a worker parses the file for one task, only that task's DAG is built.

    :param on_rollback: called whenever a rollout of any of the services has gone back.
    """
    build = partial(_lifecycle_dag, on_rollback=on_rollback)
    return dict(_built(include, shard, suffix="", build=build))


def scoring_dags(include: Path, shard: Shard = (1, 1)) -> dict[str, DAG]:
    """The scheduled batch scoring DAGs, ``<service>.score``, of the services that have a schedule."""
    return dict(_built(include, shard, suffix=SCORING_SUFFIX, build=_scoring_dag))


def raise_mistakes(include: Path) -> None:
    """Show every mistake under ``include`` as one import error in Airflow's UI.

    It stands in a DAG file of its own because Airflow takes all DAGs of a file with an import error away.

    :raises SpecError: each mistake with file, line and how to mend it.
    """
    if get_parsing_context().dag_id is not None:
        return
    mistakes = []
    lifecycle_named = _reader(include)
    for path in service_index(include).values():
        try:
            service = load_service(path)
            _lifecycle_dag(service, lifecycle_named)
            _scoring_dag(service, lifecycle_named)
        except SpecError as error:
            mistakes.append(str(error))
    if mistakes:
        raise SpecError("\n".join(["These services have no DAG:", *mistakes]))


def _built(
    include: Path, shard: Shard, *, suffix: str, build: Callable[[Service, ReadLifecycle], DAG | None]
) -> Iterator[tuple[str, DAG]]:
    lifecycle_named = _reader(include)
    for name, path in _services(include, suffix).items():
        if not in_shard(name, shard):
            continue
        try:
            dag = build(load_service(path), lifecycle_named)
        except SpecError:
            continue  # raise_mistakes reports it
        if dag is not None:
            yield dag.dag_id, dag


def _services(include: Path, suffix: str) -> dict[str, Path]:
    """All services; when a worker parses for one task, only that task's, without a directory scan."""
    wanted = get_parsing_context().dag_id
    if wanted is None:
        return service_index(include)
    name = wanted.removesuffix(suffix)
    path = include / "services" / f"{name}.yaml"
    return {name: path} if wanted == name + suffix and path.is_file() else {}


def _reader(include: Path) -> ReadLifecycle:
    """Reads life cycles by name, each file once however many services share it."""
    return cache(partial(load_lifecycle, include))


def _lifecycle_dag(service: Service, lifecycle_named: ReadLifecycle, on_rollback: Notifiers = ()) -> DAG:
    return build_dag(service, lifecycle_named(service.lifecycle), on_rollback=on_rollback)


def _scoring_dag(service: Service, lifecycle_named: ReadLifecycle) -> DAG | None:
    if service.schedule is None:
        return None
    return build_scoring_dag(service, lifecycle_named(service.lifecycle))


@cache
def build_first_dag() -> None:
    """Build a DAG that nobody runs: the first one of a process takes it three times as long as the next.

    Airflow looks for its providers then. Whatever is forked from this process finds that done.
    """
    lifecycle = {"lifecycle": "first", "stages": [{"name": "ONE", "checks": ["smoke"]}, {"name": "TWO"}]}
    service = {"service": "first", "lifecycle": "first", "owner": "airlock", "mode": "batch"}
    build_dag(Service.model_validate(service), Lifecycle.model_validate(lifecycle))


def in_shard(service: str, shard: Shard) -> bool:
    """Whether a service belongs to a shard: by its name alone, so that adding one moves no other."""
    position, count = shard
    return int.from_bytes(hashlib.sha256(service.encode()).digest()[:8], "big") % count == position - 1
