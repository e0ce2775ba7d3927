"""What a picture of a life cycle shows: the tasks of each stage, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from airlock.spec.checks import Check, Latency, Limit, Performance
from airlock.spec.duration import format_duration
from airlock.spec.kafka import Kafka
from airlock.spec.lifecycle import Lifecycle, Stage
from airlock.spec.names import Mode
from airlock.spec.policy import Policy
from airlock.spec.rollout import Canary, Guarded, Rollout, Shadow, SideBySide
from airlock.spec.service import Service


@dataclass(frozen=True)
class Task:
    """One task of a stage.

    :param name: its id within the stage's task group, like ``check.smoke``.
    :param details: what it demands, a short line each.
    :param optional: its failure stops nothing.
    """

    name: str
    details: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True)
class Chamber:
    """A stage: its tasks in the order they run, the checks in parallel.

    :param mode: how snapshots run here, where it is known.
    :param deploy: the task that deploys, and which topics are read and written then.
    :param rollout: how traffic moves, ``None`` where it moves all at once.
    :param end: ``gate``, or ``activate`` at the last stage.
    :param asks_people: whether the gate waits for people; ``None`` where no policies are given.
    """

    stage: str
    mode: Mode | None
    deploy: Task
    checks: tuple[Task, ...]
    clears: bool
    rollout: Task | None
    end: Task
    asks_people: bool | None


def outline(
    lifecycle: Lifecycle, service: Service | None = None, policies: Mapping[str, Policy] | None = None
) -> list[Chamber]:
    """The stages of a life cycle as they run for a service.

    Without a service, a stage that does not say its mode is shown as online, and without a word about it.
    """
    chambers = []
    for stage in lifecycle.stages:
        mode = service.stage_mode(stage) if service is not None else stage.mode
        following = lifecycle.after(stage.name)
        policy = None
        if following is not None and policies is not None:
            policy = policies.get(following.name, Policy(following.name))
        chambers.append(
            Chamber(
                stage=stage.name,
                mode=mode,
                deploy=_deploy(None if service is None else service.stage_kafka(stage)),
                checks=tuple(_check(check) for check in stage.checks),
                clears=mode == "batch",
                rollout=None if mode == "batch" else _rollout(stage.moves_traffic_by),
                end=_end(following, policy),
                asks_people=None if policy is None else bool(policy.approvals),
            )
        )
    return chambers


def _deploy(kafka: Kafka | None) -> Task:
    return Task("deploy", () if kafka is None else (f"reads {kafka.input}", f"writes {kafka.output}"))


def _end(following: Stage | None, policy: Policy | None) -> Task:
    if following is None:
        return Task("activate", ("becomes the current version",))
    entered = f"into {following.name}"
    if policy is None:
        return Task("gate", (entered,))
    if not policy.approvals:
        return Task("gate", (entered, "asks nobody"))
    people = (f"{approval.count} × {approval.role}" for approval in policy.approvals)  # noqa: RUF001
    return Task("gate", (entered, *people, f"waits {format_duration(policy.expires)} at most"))


def _rollout(rollout: Rollout) -> Task | None:
    return Task("rollout", rollout_words(rollout)) if isinstance(rollout, SideBySide) else None


def rollout_words(rollout: Rollout) -> tuple[str, ...]:
    """What a rollout does, a short line each."""
    details = [rollout.kind.replace("_", "-")]
    if isinstance(rollout, Canary):
        details.append(" → ".join(f"{percent}" for percent in rollout.steps) + " %")
        details.append(f"{format_duration(rollout.bake)} a step")
    if isinstance(rollout, Shadow):
        details.append(f"{rollout.percent} % copied for {format_duration(rollout.duration)}")
    if isinstance(rollout, Guarded):
        details.append("watches " + ", ".join(guard.name for guard in rollout.guard))
    if isinstance(rollout, SideBySide):
        details.append(f"drains {format_duration(rollout.drain)}")
    return tuple(details)


def _check(check: Check) -> Task:
    details: list[str] = [] if check.name == check.kind else [check.kind]
    if isinstance(check, Performance):
        details.append(f"on {check.dataset}")
        for name, limit in check.metrics.items():
            details.append(_limit(name, limit))
        for name, delta in check.vs_champion.items():
            details.append(_limit(f"{name} vs champion", Limit(delta.min_delta, delta.max_delta)))
    if isinstance(check, Latency):
        limits = {"p50": check.p50_ms, "p95": check.p95_ms, "p99": check.p99_ms}
        details += [f"{name} ≤ {_number(limit)} ms" for name, limit in limits.items() if limit is not None]
        if check.error_rate > 0:
            details.append(f"errors ≤ {_number(100 * check.error_rate)} %")
    if check.on_fail == "warn":
        details.append("only warns")
    return Task(f"check.{check.name}", tuple(details), optional=check.on_fail == "warn")


def _limit(name: str, limit: Limit) -> str:
    if limit.min is None or limit.max is None:
        return f"{name} ≤ {_number(limit.max)}" if limit.min is None else f"{name} ≥ {_number(limit.min)}"
    return f"{_number(limit.min)} ≤ {name} ≤ {_number(limit.max)}"


def _number(value: float | None) -> str:
    return f"{value:g}".replace("-", "−")  # noqa: RUF001  the minus sign, as wide as a plus
