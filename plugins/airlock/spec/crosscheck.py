"""Mistakes that show only when several files are read together."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from airlock.spec.checks import Latency, Performance
from airlock.spec.declared import Declarations, Declared
from airlock.spec.lifecycle import Lifecycle
from airlock.spec.mistakes import Mistake, did_you_mean
from airlock.spec.names import Mode
from airlock.spec.policy import Approval, Policy
from airlock.spec.rollout import Canary, Guarded, Shadow
from airlock.spec.runtime import RuntimeSpec
from airlock.spec.runtime_options import KubernetesOptions
from airlock.spec.service import Service
from airlock.spec.topic_crosscheck import topic_clashes, topic_misfits

Finding = tuple[Declared[Any], Mistake]


def misfits(service: Service, lifecycle: Lifecycle) -> list[Mistake]:
    """What keeps a service from passing a life cycle: unknown stages, missing datasets, impossible checks.

    The places are those in the service.
    """
    found = []
    stages = [stage.name for stage in lifecycle.stages]
    if isinstance(service.mode, dict):
        for stage_name in service.mode:
            if stage_name not in stages:
                message = f"the life cycle {lifecycle.lifecycle!r} has no stage {stage_name!r}"
                mend = did_you_mean(stage_name, stages)
                found.append(Mistake(("mode", stage_name), message, mend, about_key=True))
    for stage in lifecycle.stages:
        mode = service.stage_mode(stage)
        if stage.moves_traffic_by.kind != "direct" and mode == "batch":
            which = f"the rollout of stage {stage.name} in life cycle {lifecycle.lifecycle!r}"
            message = f"{which} moves requests, but the service runs as batch there"
            mend = "Take another life cycle, or run the stage online."
            found.append(Mistake(("mode", stage.name), message, mend))
        for check in stage.checks:
            which = f"the check {check.name!r} of stage {stage.name} in life cycle {lifecycle.lifecycle!r}"
            if isinstance(check, Performance) and check.dataset not in service.datasets:
                message = f"{which} needs the dataset {check.dataset!r}, which the service does not have"
                mend = f"Add it: 'datasets: {{{check.dataset}: {{path: …, target: …}}}}'."
                found.append(Mistake(("datasets",), message, mend))
            if isinstance(check, Latency) and mode == "batch":
                message = f"{which} measures a server, but the service runs as batch there"
                mend = "Take another life cycle, or run the stage online."
                found.append(Mistake(("mode", stage.name), message, mend))
    return [*found, *topic_misfits(service, lifecycle)]


def errors(declarations: Declarations) -> Iterator[Finding]:
    """What cannot work."""
    for service in declarations.services.values():
        yield from ((service, mistake) for mistake in _service_errors(service.spec, declarations))
    for policy in declarations.policies.values():
        for mistake in (
            *_approval_errors(policy.spec, declarations),
            *_entry_errors(policy.spec, declarations),
        ):
            yield policy, mistake
    for lifecycle in declarations.lifecycles.values():
        for mistake in (
            *_question_errors(lifecycle.spec, declarations),
            *_sticky_errors(lifecycle.spec, declarations),
        ):
            yield lifecycle, mistake


def warnings(declarations: Declarations) -> Iterator[Finding]:
    """What works, but is probably not what was meant. Asked only where there are no errors."""
    stages = {stage.name for lifecycle in declarations.lifecycles.values() for stage in lifecycle.spec.stages}
    for policy in declarations.policies.values():
        if policy.spec.stage not in stages:
            message = f"no life cycle has the stage {policy.spec.stage!r}"
            yield policy, Mistake(("stage",), message, did_you_mean(policy.spec.stage, stages))
    for runtime in declarations.runtimes.values():
        yield from ((runtime, mistake) for mistake in _runtime_warnings(runtime.spec, stages, declarations))
    if declarations.roles is not None:
        for role, people in declarations.roles.spec.roles.items():
            if not people:
                yield (
                    declarations.roles,
                    Mistake(("roles", role), f"nobody has the role {role!r}", "Name people."),
                )
    for service in declarations.services.values():
        yield from ((service, mistake) for mistake in _service_warnings(service.spec, declarations))
    for lifecycle in declarations.lifecycles.values():
        yield from ((lifecycle, mistake) for mistake in _rollout_warnings(lifecycle.spec, declarations))


def _runtime_warnings(
    runtime: RuntimeSpec, stages: set[str], declarations: Declarations
) -> Iterator[Mistake]:
    for index, stage in enumerate(runtime.stages):
        if stage not in stages:
            message = f"no life cycle has the stage {stage!r}"
            yield Mistake(("stages", index), message, did_you_mean(stage, stages))
    for index, tag in enumerate(runtime.services):
        if tag not in ("*", *declarations.services):
            mend = did_you_mean(tag, declarations.services)
            yield Mistake(("services", index), f"there is no service {tag!r}", mend)


def _service_errors(service: Service, declarations: Declarations) -> Iterator[Mistake]:
    lifecycle = declarations.lifecycles.get(service.lifecycle)
    if lifecycle is not None:
        yield from misfits(service, lifecycle.spec)
        yield from topic_clashes(service, declarations)
    elif ("lifecycle", service.lifecycle) not in declarations.broken:
        message = f"there is no life cycle {service.lifecycle!r}"
        yield Mistake(("lifecycle",), message, did_you_mean(service.lifecycle, declarations.lifecycles))
    for key, value in (("input", service.input), ("output", service.output)):
        if value is not None and (mistake := _template_mistake(value)) is not None:
            yield Mistake(
                (key,), f"{value!r} is no Jinja template: {mistake}", "See Airflow's templates reference."
            )


def _question_errors(lifecycle: Lifecycle, declarations: Declarations) -> Iterator[Mistake]:
    """Rollouts that ask a person, at stages whose policy names nobody."""
    for index, stage in enumerate(lifecycle.stages):
        if not isinstance(stage.rollout, Shadow) or not stage.rollout.ask:
            continue
        policy = declarations.policies.get(stage.name)
        if ("policy", stage.name) in declarations.broken or (policy and policy.spec.approvals):
            continue
        message = f"the policy of {stage.name} names no role, so nobody could be asked"
        place = ("stages", index, "rollout", "ask")
        yield Mistake(place, message, f"Add approvals to policies/{stage.name}.yaml, or do not ask.")


def _sticky_errors(lifecycle: Lifecycle, declarations: Declarations) -> Iterator[Mistake]:
    """Rollouts that keep callers on one version, where the gateway of a cluster would have to."""
    services = [
        service.spec
        for service in declarations.services.values()
        if service.spec.lifecycle == lifecycle.lifecycle
    ]
    for index, stage in enumerate(lifecycle.stages):
        if not isinstance(stage.rollout, Canary) or stage.rollout.sticky is None:
            continue
        for runtime in (declared.spec for declared in declarations.runtimes.values()):
            has_gateway = isinstance(runtime.options, KubernetesOptions) and runtime.options.gateway
            if has_gateway and any(
                _takes(runtime, service.service, stage.name, "online") for service in services
            ):
                message = (
                    f"the gateway of the runtime {runtime.runtime!r} cannot keep callers on one version: "
                    "the Gateway API has no way to say it"
                )
                mend = "Remove it, or take 'gateway' out of the runtime's options and run 'airlock gateway'."
                yield Mistake(("stages", index, "rollout", "sticky"), message, mend, about_key=True)
                break


def _rollout_warnings(lifecycle: Lifecycle, declarations: Declarations) -> Iterator[Mistake]:
    """Guards that cannot tell leave it to people, where there are any."""
    for index, stage in enumerate(lifecycle.stages):
        policy = declarations.policies.get(stage.name)
        if isinstance(stage.rollout, Guarded) and not (policy and policy.spec.approvals):
            message = (
                f"the policy of {stage.name} names no role, so a rollout that cannot tell is rolled back"
            )
            mend = f"To be asked then, add approvals to policies/{stage.name}.yaml."
            yield Mistake(("stages", index, "rollout"), message, mend, about_key=True)


def _template_mistake(template: str) -> str | None:
    if "{" not in template:
        return None
    import jinja2  # here, because reading a DAG file must not pay for it

    try:
        jinja2.Environment(autoescape=True).parse(template)
    except jinja2.TemplateSyntaxError as error:
        return error.message or "wrong syntax"
    except RecursionError:
        return "nested too deep"
    return None


def _approval_errors(policy: Policy, declarations: Declarations) -> Iterator[Mistake]:
    if ("roles", "roles") in declarations.broken:
        return
    roles = declarations.roles.spec.roles if declarations.roles is not None else {}
    filled: list[Approval] = []
    for index, approval in enumerate(policy.approvals):
        if approval.role not in roles:
            mend = f"{did_you_mean(approval.role, roles)} Roles are given in policies/roles.yaml."
            yield Mistake(("approvals", index, "role"), f"there is no role {approval.role!r}", mend)
        elif not roles[approval.role]:
            message = f"nobody has the role {approval.role!r}, so nobody could approve"
            yield Mistake(("approvals", index, "role"), message, "Name people in policies/roles.yaml.")
        else:
            filled.append(approval)
    if (crowded := _too_few_people(filled, roles)) is not None:
        asked, people = crowded
        who = ", ".join(sorted(people))
        needed = sum(approval.count for approval in asked)
        names = " and ".join(approval.role for approval in asked)
        message = f"{needed} different people are needed as {names}, but only {who} could be"
        yield Mistake(("approvals",), message, "Name more people in policies/roles.yaml, or ask for fewer.")


def _too_few_people(
    approvals: list[Approval], roles: dict[str, list[str]]
) -> tuple[tuple[Approval, ...], set[str]] | None:
    """The smallest group of approvals that its people cannot fill, one place each (Hall's theorem)."""
    for size in range(1, len(approvals) + 1):
        for group in combinations(approvals, size):
            people = {person for approval in group for person in roles[approval.role]}
            if sum(approval.count for approval in group) > len(people):
                return group, people
    return None


def _entry_errors(policy: Policy, declarations: Declarations) -> Iterator[Mistake]:
    for declared in declarations.lifecycles.values():
        lifecycle = declared.spec
        if policy.stage not in {stage.name for stage in lifecycle.stages}:
            continue
        earlier = lifecycle.before(policy.stage)
        if not earlier and policy.approvals:
            message = (
                f"no gate is before {policy.stage}, the first stage of life cycle {lifecycle.lifecycle!r}"
            )
            yield Mistake(("approvals",), message, "Remove the approvals, or put a stage before it.")
        checked = {check.kind for stage in earlier for check in stage.checks}
        for index, kind in enumerate(policy.evidence):
            if kind not in checked:
                message = f"life cycle {lifecycle.lifecycle!r} has no {kind} check before {policy.stage}"
                yield Mistake(
                    ("evidence", index), message, "Add one to an earlier stage, or do not ask for it."
                )


def _service_warnings(service: Service, declarations: Declarations) -> Iterator[Mistake]:
    if service.schedule is not None and service.output is not None and "{" not in service.output:
        message = "the output is the same for each interval, so each overwrites the one before"
        yield Mistake(("output",), message, "Put the interval into it, like {{ data_interval_start | ds }}.")
    if not declarations.runtimes:
        return
    stages = declarations.lifecycles[service.lifecycle].spec.stages
    needed = [(stage.name, service.stage_mode(stage)) for stage in stages]
    if service.schedule is not None:
        needed.append((stages[-1].name, "batch"))
    for stage_name, mode in dict.fromkeys(needed):
        if not any(
            _takes(runtime.spec, service.service, stage_name, mode)
            for runtime in declarations.runtimes.values()
        ):
            message = f"no runtime takes {service.service!r} in mode {mode} at stage {stage_name}"
            yield Mistake(("service",), message, "Add the stage, the service or the mode to a runtime.")


def _takes(runtime: RuntimeSpec, service: str, stage: str, mode: Mode) -> bool:
    return (
        stage in runtime.stages and mode in runtime.modes and not {"*", service}.isdisjoint(runtime.services)
    )
